package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/handover"
	"github.com/hopscope/hopscope/proxy/overload"
	"github.com/hopscope/hopscope/proxy/snapshot"
)

// Options say what Run runs. All but Upgrade, Again and Environment are needed.
type Options struct {
	// Source is where the configuration comes from. Run closes it.
	Source Source
	// Upgrade takes the listening sockets over from the process that runs now, which
	// then ends. Without such a process Run fails.
	Upgrade bool
	// Again is the command line that starts a process to take over from this one, on
	// SIGUSR2; nil is none.
	Again []string
	// Version is hopscope's own, for the admin API, metrics and other processes.
	Version string
	// Environment is what the Source has under the configuration, to tell of; nil is
	// nothing.
	Environment *config.Environment
	// Log takes the proxy's own log, as text. A slow writer holds nothing up: lines that
	// don't fit the queue are lost.
	Log io.Writer
}

// serving is what systemd shows of a proxy that takes traffic.
const serving = "serving"

// Run runs a proxy until a signal, POST /drain or the end of ctx has it drain, or until
// another process takes over from it. An error means that it did not start, or that the
// process that it was to replace goes on.
func Run(ctx context.Context, o Options) error {
	defer o.Source.Close()
	cfg, err := o.Source.Read(ctx)
	if err != nil {
		return err
	}
	lines := startLines(o.Log)
	defer lines.stop()
	level := new(slog.LevelVar)
	_ = level.UnmarshalText([]byte(cfg.Log.Level)) // the configuration is valid
	p := &process{source: o.Source, version: o.Version, log: NewLog(lines, level), signals: listenToSignals(),
		again: o.Again, systemd: supervisor(os.Getenv, os.Getpid())}

	p.tellOf(o.Environment)
	p.useHugePages(cfg)

	sockets, err := activated(cfg)
	if err != nil {
		return err
	}
	var before *predecessor
	if o.Upgrade {
		if before, err = takeOver(ctx, cfg, o.Version); err != nil {
			return err
		}
	}
	err = p.start(ctx, cfg, snapshot.Options{
		Log: p.log, Level: level, Version: o.Version, Source: cmp.Or(o.Source.Location, "the command line"),
		Inherited: before.sockets(), Activated: sockets, Memory: before.memory(), LimitHeap: limitHeap(),
	})
	if err != nil {
		before.giveBack()
		return err
	}
	p.announce(func(_, _ string) bool { return true })
	if url := p.proxy.AdminURL(); url != "" {
		p.log.Info("admin API", "url", url)
	}
	next, err := p.succeed(cfg, before)
	switch {
	case errors.Is(err, errNotTaken): // finish what was accepted here; the old process serves the rest
		p.drain(ctx, p.retire(p.proxy.Registered()), "the old process keeps running")
		return err
	case err != nil:
		p.proxy.Close(ctx)
		return err
	}
	if before != nil {
		p.systemd.main(os.Getpid())
	}
	p.systemd.ready(serving)
	p.serve(ctx, next)
	return nil
}

// tellOf logs which environment variables count, and which do not.
func (p *process) tellOf(e *config.Environment) {
	for _, w := range e.Warnings() {
		p.log.Warn("an environment variable can't be used: " + w)
	}
	if used := e.Used(); len(used) > 0 {
		p.log.Info("environment variables count where the configuration says nothing", "variables", strings.Join(used, ","))
	}
}

// limitHeap returns how the proxy sets Go's memory limit: nil if the user has set it.
func limitHeap() func(bytes int64) {
	if overload.HeapLimited() {
		return nil
	}
	return func(bytes int64) { debug.SetMemoryLimit(bytes) }
}

// process is one proxy from its start to its end.
type process struct {
	source  Source
	version string
	log     *slog.Logger
	signals *signals
	again   []string // how to start a process that takes over
	systemd systemd
	signs   <-chan time.Time // when systemd wants a sign of life; nil is never

	draining atomic.Bool // no configuration is read any more

	mu    sync.Mutex      // held while a configuration is read and applied
	proxy *snapshot.Proxy // set once it runs
}

// start starts the proxy. A reload that is asked for meanwhile waits.
func (p *process) start(ctx context.Context, cfg *config.Config, o snapshot.Options) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o.Reload = func() (any, error) { return p.reload(ctx, "POST /reload") }
	p.proxy, err = snapshot.Start(cfg, o)
	return err
}

// serve waits for what ends the proxy, and drains it.
func (p *process) serve(ctx context.Context, next *successors) {
	defer next.close()
	defer p.follow(ctx)()
	signs, stop := p.systemd.signs()
	defer stop()
	p.signs = signs
	for {
		select {
		case <-p.proxy.DrainRequested():
			p.end(ctx, next, "POST /drain")
			return
		case <-ctx.Done():
			p.end(context.WithoutCancel(ctx), next, context.Cause(ctx).Error())
			return
		case s := <-p.signals.end:
			p.end(ctx, next, s.String())
			return
		case peer := <-next.taken():
			p.systemd.main(peer.PID)
			p.signs = nil // the other one gives them
			p.drain(ctx, p.retire(keeps(peer, p.proxy.Registered())), fmt.Sprintf("process %d (%s) took over", peer.PID, peer.Version))
			return
		case <-p.signals.reopen:
			p.reopenLog()
		case <-p.signals.again:
			p.startAgain()
		case <-p.signs:
			p.systemd.lives()
		}
	}
}

// end drains the proxy, which no other process replaces.
func (p *process) end(ctx context.Context, next *successors, why string) {
	next.close()
	p.systemd.stopping()
	p.drain(ctx, p.proxy.Close, why)
}

// keeps returns the IDs that a successor keeps registered in Consul: all of this
// process's own if it does not say.
func keeps(peer handover.Successor, own []string) []string {
	if peer.Registered != nil {
		return *peer.Registered
	}
	return own
}

// announce logs where listeners listen, and which clusters are insecure: those that
// are news.
func (p *process) announce(news func(listener, cluster string) bool) {
	cfg := p.proxy.Config()
	for _, l := range cfg.Listeners {
		if !news(l.Name, "") {
			continue
		}
		protocols := []string{"h2c", "http/1.1"}
		if l.TLS != nil {
			protocols = l.TLS.ALPN
		}
		p.log.Info("listening", "listener", l.Name, "address", p.proxy.Addr(l.Name), "direction", l.Direction, "service", cfg.Service,
			"tls", l.TLS != nil, "protocols", strings.Join(protocols, ","))
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Clusters)) {
		if t := cfg.Clusters[name].TLS; t != nil && t.InsecureSkipVerify && news("", name) {
			p.log.Warn("the endpoints' certificates are not verified: anyone can pose as them", "cluster", name)
		}
	}
}

func (p *process) reopenLog() {
	if err := p.proxy.ReopenLog(); err != nil {
		p.log.Error("the access log could not be reopened; the old file stays in use", "error", err)
		return
	}
	p.log.Info("access log reopened")
}
