package listener

import (
	"net"
	"sync"

	"github.com/hopscope/hopscope/proxy/handover"
)

// former is an older socket that the listener's own socket replaces.
type former struct {
	socket net.Listener
	alone  <-chan struct{}
}

// Replace gives the listener the older sockets that its own socket replaces. Call it before
// Serve. The listener owns them, accepts from them for a while, and then leaves them
// without losing a connection, see [handover.Leave]. Close alone when nobody else accepts
// from copies of them any more.
func (l *Listener) Replace(alone <-chan struct{}, sockets ...net.Listener) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range sockets {
		l.former = append(l.former, former{s, alone})
	}
}

// serveFormer accepts from the former sockets until it has left them.
func (l *Listener) serveFormer() *sync.WaitGroup {
	var serving sync.WaitGroup
	for _, f := range l.takeFormer() {
		serving.Go(func() { l.accept(f.socket, l.enough) })
		serving.Go(func() {
			select {
			case <-f.alone:
				handover.Leave(f.socket, l.enough)
			case <-l.enough: // owners of copies may go on
				f.socket.Close()
			}
		})
	}
	return &serving
}

// leaveFormer closes the former sockets at once.
func (l *Listener) leaveFormer() {
	l.leave.Do(func() { close(l.enough) })
	for _, f := range l.takeFormer() { // the listener never served
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
