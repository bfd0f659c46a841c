package listener

import (
	"context"
	"time"
)

// Drain stops accepting, closes the connections that are idle, and has the
// others end with their request. It returns when all have, or, having cut
// those that are left, when ctx is done.
func (l *Listener) Drain(ctx context.Context) {
	l.StopAccepting()
	l.await(ctx, l.ended())
}

// Retire is Drain for a listener that has a successor, of whose clients none is
// to notice: a connection that was accepted is served, and one of HTTP/1 that is
// idle stays open for the grace, since a request may be on its way; its response
// then says that it is the last. Clients that speak HTTP/2 are told at once, by
// GOAWAY, which refuses nothing that they sent before they heard of it.
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

// Leave closes the listening socket and begins to retire, without waiting.
func (l *Listener) Leave() {
	l.enter(retiring)
	l.stop()
}

// settle waits until what was accepted has been started, and no more can be.
func (l *Listener) settle() {
	l.accepting.Lock()
	defer l.accepting.Unlock()
}

// StopAccepting closes the listening socket and begins to drain, without
// waiting.
func (l *Listener) StopAccepting() {
	l.enter(draining)
	l.stop()
	l.leaveFormer()
	l.each(connection.drain)
}

// enter goes on to a phase, unless a later one was entered before.
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

// ended returns what is closed when the last connection has ended. No further one
// comes by then: they are not accepted any more, or turned away.
func (l *Listener) ended() <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		l.done.Wait()
		close(ended)
	}()
	return ended
}

// await waits until all has ended, or ctx is done, and then cuts what has not.
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
