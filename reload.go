package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/snapshot"
)

// reloader has a running proxy go over to what its configuration is now, whoever
// asks for it.
type reloader struct {
	source source
	log    *slog.Logger

	draining atomic.Bool // nothing is read any more

	mu    sync.Mutex      // what was read last is applied last
	proxy *snapshot.Proxy // set once it runs
}

// errNoFile is why a proxy that was started from flags alone can't reload.
var errNoFile = errors.New("there is no file to read again: this proxy was started from flags alone; start it with hopscope run -c FILE")

// start starts the proxy. A reload that is asked for meanwhile waits.
func (r *reloader) start(cfg *config.Config, o snapshot.Options) (*snapshot.Proxy, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o.Reload = func() (any, error) { return r.reload("POST /reload") }
	p, err := snapshot.Start(cfg, o)
	r.proxy = p
	return p, err
}

// reload reads the configuration and has the proxy go over to it. What came of
// that is logged, a line for each mistake.
func (r *reloader) reload(why string) (snapshot.Changes, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.draining.Load() {
		r.log.Warn("the configuration was not read: the proxy is draining", "because", why)
		return snapshot.Changes{}, errors.New("the proxy is draining: it takes no new configuration")
	}
	changes, err := r.apply()
	switch {
	case err != nil:
		for line := range strings.Lines(err.Error()) {
			r.log.Error("the configuration was not taken: the one before goes on", "because", why, "mistake", strings.TrimSpace(line))
		}
	case changes.None():
		r.log.Info("the configuration has not changed", "because", why)
	default:
		r.log.Info("the configuration was reloaded", "because", why, "changes", changes.String())
		announce(r.log, r.proxy, func(listener, cluster string) bool {
			return slices.Contains(changes.Listeners.Added, listener) || slices.Contains(changes.Listeners.Changed, listener) ||
				slices.Contains(changes.Clusters.Added, cluster) || slices.Contains(changes.Clusters.Changed, cluster)
		})
	}
	return changes, err
}

func (r *reloader) apply() (snapshot.Changes, error) {
	switch {
	case r.source.watch == nil:
		return snapshot.Changes{}, errNoFile
	case r.proxy == nil: // it did not start
		return snapshot.Changes{}, errors.New("the proxy does not run")
	}
	c, err := r.source.read()
	if err != nil {
		r.proxy.Refused(err)
		return snapshot.Changes{}, err
	}
	return r.proxy.Reload(c)
}

// follow reloads when the source changes and at each signal, one after the other, in
// a goroutine of its own: a reload may take seconds, and nothing else waits for it.
func (r *reloader) follow(ctx context.Context, signals <-chan os.Signal) (stop func()) {
	changed, unwatch := r.watch(ctx)
	quit := make(chan struct{})
	go func() {
		var again <-chan time.Time
		for {
			why := ""
			select {
			case <-changed:
				why = r.source.name + " changed"
			case <-signals:
				why = "SIGHUP"
			case <-again:
				why = r.source.name + " could not be read before"
			case <-quit:
				return
			}
			again = nil
			if _, err := r.reload(why); discovery.Short(err) { // it is not told again that it changed
				again = time.After(pollFile)
			}
		}
	}()
	return func() {
		close(quit)
		unwatch()
	}
}

// watch watches the source; what it returns says when it changed.
func (r *reloader) watch(ctx context.Context) (changed <-chan struct{}, stop func()) {
	if r.source.watch == nil {
		return nil, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	notes, ended := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(ended)
		r.source.watch(ctx, func() {
			select {
			case notes <- struct{}{}:
			default: // it is going to be read anyway
			}
		}, func(err error) {
			r.log.Warn("the configuration can't be looked at; the one that runs stays", "error", err)
		})
	}()
	return notes, func() {
		cancel()
		<-ended
	}
}
