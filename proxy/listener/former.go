package listener

import (
	"net"
	"sync"
	"time"

	"github.com/hopscope/hopscope/proxy/handover"
)

// former is a socket in whose place the listener's own is.
type former struct {
	socket net.Listener
	grace  time.Duration
}

// Replace has the listener, before it serves, accept for a time from sockets in whose
// place its own is, and then leave them without losing a connection, see
// [handover.Leave]. It owns them from then on. The grace is how long others may go on
// accepting from copies of them.
func (l *Listener) Replace(grace time.Duration, sockets ...net.Listener) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range sockets {
		l.former = append(l.former, former{s, grace})
	}
}

// serveFormer serves the former sockets until they have been left.
func (l *Listener) serveFormer() *sync.WaitGroup {
	var serving sync.WaitGroup
	for _, f := range l.takeFormer() {
		serving.Go(func() { l.accept(f.socket, l.enough) })
		serving.Go(func() {
			select {
			case <-time.After(f.grace):
			case <-l.enough:
			}
			handover.Leave(f.socket, l.enough)
		})
	}
	return &serving
}

// leaveFormer closes the former sockets at once.
func (l *Listener) leaveFormer() {
	l.leave.Do(func() { close(l.enough) })
	for _, f := range l.takeFormer() { // it never served
		f.socket.Close()
	}
}

func (l *Listener) takeFormer() []former {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.former
	l.former = nil
	return all
}
