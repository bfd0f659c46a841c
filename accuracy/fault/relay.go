package fault

import (
	"io"
	"net"
	"sync"
	"time"
)

// relay is a slow network: it passes on each byte with a delay.
type relay struct {
	listener net.Listener
	to       string
	delay    time.Duration

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
	work   sync.WaitGroup
}

// startRelay relays connections to an address until close.
func startRelay(to string, delay time.Duration) (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{listener: l, to: to, delay: delay, conns: map[net.Conn]bool{}}
	r.work.Go(r.serve)
	return r, nil
}

func (r *relay) address() string { return r.listener.Addr().String() }

func (r *relay) close() {
	r.listener.Close()
	r.mu.Lock()
	r.closed = true
	for c := range r.conns {
		c.Close()
	}
	r.mu.Unlock()
	r.work.Wait()
}

// track remembers a connection for close. It reports false, and closes it, if that was
// before.
func (r *relay) track(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		c.Close()
		return false
	}
	r.conns[c] = true
	return true
}

func (r *relay) serve() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		if !r.track(client) {
			return
		}
		r.work.Go(func() { r.carry(client) })
	}
}

func (r *relay) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", r.to)
	if err != nil || !r.track(server) {
		return
	}
	defer server.Close()
	var back sync.WaitGroup
	back.Go(func() {
		r.copy(client, server)
		client.Close()
	})
	r.copy(server, client)
	server.Close()
	back.Wait()
}

// copy passes on what arrives, each piece a while later, until either side ends.
func (r *relay) copy(to io.Writer, from io.Reader) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			time.Sleep(r.delay) // this is the network, not a wait for something
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
