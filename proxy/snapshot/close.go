package snapshot

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hopscope/hopscope/proxy/listener"
	"github.com/hopscope/hopscope/telemetry/events"
)

// Close drains the proxy until ctx is done, then cuts what is left, and shows
// what was recorded in every view. A second call waits for the first.
func (p *Proxy) Close(ctx context.Context) error {
	p.closing.Do(func() {
		p.stopBuilding()
		p.reloading.Lock()
		p.deregister(ctx)
		p.reloading.Unlock()
		p.write()
		p.closed = p.close(ctx, (*listener.Listener).Drain)
	})
	return p.closed
}

// Retire is Close for a proxy whose sockets another process serves already. It leaves
// the admin API to that process, and the IDs that it has registered in Consul. Clients
// do not notice: see [listener.Listener.Retire].
func (p *Proxy) Retire(ctx context.Context, registered []string) error {
	p.closing.Do(func() {
		p.stopBuilding()
		p.noteOwn(events.Upgrade, "another process took over from this one")
		p.reloading.Lock()
		p.registration.end(ctx, registered)
		p.registration = nil
		p.byTag.end(ctx, registered)
		p.mesh.leave(ctx, registered)
		p.remembering.Store(false) // it is the other's cache now
		p.reloading.Unlock()
		var err error
		grace := idleGrace(p.Config().Drain.Timeout)
		if p.adminServer != nil {
			err = p.closeAdmin()
		}
		p.closed = errors.Join(err, p.close(ctx, func(l *listener.Listener, ctx context.Context) { l.Retire(ctx, grace) }))
	})
	return p.closed
}

func (p *Proxy) close(ctx context.Context, drain func(*listener.Listener, context.Context)) error {
	defer context.AfterFunc(ctx, p.cancel)() // nothing is waited for any more
	var wg sync.WaitGroup
	for _, l := range p.stopReloading() {
		wg.Go(func() { drain(l, ctx) })
	}
	wg.Wait()
	p.reloading.Lock()
	p.mesh.leave(ctx, nil) // only now: who drains can still be asked
	p.reloading.Unlock()
	p.cancel()
	p.mu.Lock()
	live := slices.Clone(p.live)
	p.mu.Unlock()
	for _, g := range live {
		g.release()
	}
	// The views have time of their own, even if ctx is done.
	flush, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := errors.Join(p.recorder.Close(flush), p.closeAdmin())
	p.closeCollectors()
	p.mesh.close()
	p.guard.close()
	p.agents.close()
	p.served.Wait()
	return err
}

// stopReloading keeps further reloads from beginning, and returns the listeners to
// drain.
func (p *Proxy) stopReloading() []*listener.Listener {
	p.reloading.Lock() // one that is under way ends first
	defer p.reloading.Unlock()
	if !p.draining.Swap(true) {
		p.noteOwn(events.Drain, "the proxy drains: it accepts nothing new")
	}
	return p.listeners()
}

// closeAdmin ends the admin API.
func (p *Proxy) closeAdmin() error {
	if p.adminSocket == nil {
		return nil
	}
	defer closeSockets(append(p.adminReplaces, p.adminSocket)) // where it never served
	if p.adminServer == nil {
		return nil
	}
	// The answer to a POST of /drain may still be on its way.
	last, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if p.adminServer.Shutdown(last) != nil {
		return p.adminServer.Close()
	}
	return nil
}
