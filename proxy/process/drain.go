package process

import (
	"context"
	"time"
)

// lastMoment is how long a process that has to end at once still waits: for spans and
// access log lines to be delivered, and for the last lines of its own log.
const lastMoment = time.Second

// drain ends the proxy by calling end. It returns when that has ended, when the drain's
// timeout is over, or a moment after a further signal.
func (p *process) drain(ctx context.Context, end func(context.Context) error, why string) {
	p.draining.Store(true)
	timeout := p.proxy.Config().Drain.Timeout
	p.log.Info("draining", "because", why, "timeout", timeout)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	closed := make(chan error, 1)
	go func() { closed <- end(ctx) }()
	var enough <-chan time.Time
	for {
		select {
		case err := <-closed:
			if err != nil {
				p.log.Warn("not everything recorded could be delivered", "error", err)
			}
			p.log.Info("ended")
			return
		case <-enough:
			p.log.Warn("ended before everything recorded was delivered")
			return
		case <-p.signals.reopen:
			p.reopenLog()
		case <-p.signs:
			p.systemd.lives()
		case s := <-p.signals.end:
			if enough == nil {
				p.log.Info("ending at once", "because", s.String())
				cancel()
				enough = time.After(lastMoment)
			}
		}
	}
}

// retire returns how to end a proxy whose sockets another process serves. That one keeps
// the registered IDs in Consul.
func (p *process) retire(registered []string) func(context.Context) error {
	return func(ctx context.Context) error { return p.proxy.Retire(ctx, registered) }
}
