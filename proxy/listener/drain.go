package listener

import (
	"context"
	"time"
)

// Drain stops accepting, closes idle connections, and ends the others after their request.
// It returns when all have ended. When ctx is done first, Drain cuts the connections that
// are left.
func (l *Listener) Drain(ctx context.Context) {
	l.StopAccepting()
	l.await(ctx, l.ended())
}

// Retire is Drain for a listener that has a successor: no client notices. Every accepted
// connection is served. An idle HTTP/1 connection stays open for the grace, since a request
// may be on its way; the response to it says "Connection: close". HTTP/2 clients get a
// GOAWAY at once, and what they sent before they read it is still served.
func (l *Listener) Retire(ctx context.Context, grace time.Duration) {
	l.Leave()
	l.settle()
	l.each(connection.retire)
	ended := l.ended()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
	case <-ctx.Done():
	}
	l.StopAccepting()
	l.await(ctx, ended)
}

// Leave closes the listening socket and begins to retire. It does not wait.
func (l *Listener) Leave() {
	l.enter(retiring)
	l.stop()
}

// settle waits until every accepted connection has been started, and no more can be
// accepted.
func (l *Listener) settle() {
	l.accepting.Lock()
	defer l.accepting.Unlock()
}

// StopAccepting closes the listening socket and begins to drain. It does not wait.
func (l *Listener) StopAccepting() {
	l.enter(draining)
	l.stop()
	l.servers.close()
	l.leaveFormer()
	l.each(connection.drain)
}

// enter moves to a phase, unless the listener is in that phase or a later one.
func (l *Listener) enter(phase uint32) {
	for now := l.phase.Load(); now < phase; now = l.phase.Load() {
		if l.phase.CompareAndSwap(now, phase) {
			return
		}
	}
}

// stop closes the listening socket.
func (l *Listener) stop() {
	l.once.Do(func() {
		close(l.stopping)
		l.socket.Close()
	})
}

// ended returns a channel that is closed when the last connection has ended. Call it only
// when no further connection can start.
func (l *Listener) ended() <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		l.done.Wait()
		close(ended)
	}()
	return ended
}

// await waits until all connections have ended. When ctx is done first, it cuts the rest.
func (l *Listener) await(ctx context.Context, ended <-chan struct{}) {
	defer l.workers.close()
	select {
	case <-ended:
	case <-ctx.Done():
		l.each(connection.cutOff)
		<-ended
	}
}

func (l *Listener) each(f func(connection)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		f(c)
	}
}
