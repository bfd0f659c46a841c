package process

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/snapshot"
	"github.com/hopscope/hopscope/telemetry/redact"
)

// errNoFile is why a proxy that was started from flags alone can't reload.
var errNoFile = errors.New("there is no file to reload: this proxy was started from flags alone; start it with hopscope run -c FILE")

// reload reads the configuration and applies it. It logs what came of that: what
// changed, or a line for each mistake. Reloads run one after the other.
func (p *process) reload(ctx context.Context, why string) (snapshot.Changes, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.draining.Load() {
		p.log.Warn("the configuration was not read, since the proxy is draining", "because", why)
		return snapshot.Changes{}, errors.New("the proxy is draining, so it takes no new configuration")
	}
	p.systemd.reloading()
	status := serving
	defer func() { p.systemd.ready(status) }()
	changes, err := p.apply(ctx)
	switch {
	case err != nil:
		status = "the configuration was rejected, and the old one stays in use: " + redact.Text(err.Error())
		for line := range strings.Lines(err.Error()) {
			p.log.Error("the new configuration was rejected; the old one stays in use", "because", why, "mistake", strings.TrimSpace(line))
		}
	case changes.None():
		p.log.Info("the configuration has not changed", "because", why)
	default:
		p.log.Info("the configuration was reloaded", "because", why, "changes", changes.String())
		p.announce(func(listener, cluster string) bool {
			return slices.Contains(changes.Listeners.Added, listener) || slices.Contains(changes.Listeners.Changed, listener) ||
				slices.Contains(changes.Clusters.Added, cluster) || slices.Contains(changes.Clusters.Changed, cluster)
		})
	}
	return changes, err
}

func (p *process) apply(ctx context.Context) (snapshot.Changes, error) {
	switch {
	case p.source.Watch == nil:
		return snapshot.Changes{}, errNoFile
	case p.proxy == nil: // it did not start
		return snapshot.Changes{}, errors.New("the proxy is not running")
	}
	c, err := p.source.Read(ctx)
	if err != nil {
		p.proxy.Refused(err)
		return snapshot.Changes{}, err
	}
	return p.proxy.Reload(c)
}

// follow reloads when the source changes and at each SIGHUP, in a goroutine of its own:
// a reload may take seconds, and nothing else waits for it. stop ends a reload that is under
// way, and waits a moment for what it logs.
func (p *process) follow(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	changed, unwatch := p.watch(ctx)
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		var again <-chan time.Time
		for {
			why := ""
			select {
			case <-changed:
				why = p.source.Name + " changed"
			case <-p.signals.reload:
				why = "SIGHUP"
			case <-again:
				why = p.source.Name + " could not be read before"
			case <-quit:
				return
			}
			again = nil
			if _, err := p.reload(ctx, why); discovery.Short(err) { // no further change will be reported
				again = time.After(pollFile)
			}
		}
	}()
	return func() {
		close(quit)
		cancel()
		unwatch()
		select {
		case <-ended:
		case <-time.After(lastMoment):
		}
	}
}

// watch watches the source, and sends on changed when it has changed.
func (p *process) watch(ctx context.Context) (changed <-chan struct{}, stop func()) {
	if p.source.Watch == nil {
		return nil, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	notes, ended := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(ended)
		p.source.Watch(ctx, func() {
			select {
			case notes <- struct{}{}:
			default: // it is going to be read anyway
			}
		}, func(err error) {
			p.log.Warn("can't read the configuration; the current one stays in use", "error", err)
		})
	}()
	return notes, func() {
		cancel()
		<-ended
	}
}
