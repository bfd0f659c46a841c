package listener

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/http2"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// http2Conn is an HTTP/2 connection from a client. A worker serves each of its streams.
type http2Conn struct {
	listener *Listener
	conn     *http2.Conn
	info     filter.ConnInfo
	streams  sync.WaitGroup // those that are being served
	ending
	progress
	serving atomic.Int64 // how many they are
	rest    rest
}

func newHTTP2(l *Listener, nio *netio.Conn, info filter.ConnInfo) *http2Conn {
	c := &http2Conn{listener: l, info: info}
	o := l.HTTP2
	o.Shared, o.Name, o.Scheme = l.Shared, "the client", info.Scheme
	o.HeadTimeout, o.IdleTimeout, o.StreamIdle = l.HeadTimeout, l.IdleTimeout, l.StreamIdle
	c.conn = http2.Server(nio, o, c.accept)
	return c
}

// serve serves the connection to its end.
func (c *http2Conn) serve() {
	c.rest.begin(c.listener.Shared.Now())
	err := c.conn.Run()
	c.streams.Wait()
	c.listener.forget(c)
	var why *fault.Error
	// If the client went away, each stream that it left open says so.
	if errors.As(err, &why) && why.Kind != fault.ClientClosed {
		(*c.listener.server.Load()).Lost(&c.info, hop.HTTP2, why)
	}
}

// accept starts serving a stream. It does not wait.
func (c *http2Conn) accept(s *http2.Stream) {
	c.streams.Add(1)
	if c.serving.Add(1) == 1 {
		c.rest.end()
	}
	w := c.listener.workers.get(c.listener)
	w.conn, w.stream = c, s
	w.begin <- struct{}{}
}

// served is called when a stream has been served.
func (c *http2Conn) served(finished time.Duration) {
	if c.serving.Add(-1) == 0 {
		c.rest.begin(finished)
	}
	c.streams.Done()
}

func (c *http2Conn) idleSince() time.Duration { return c.rest.since() }

// dismiss tells the client to use another connection. What the client sends before it reads
// that is served.
func (c *http2Conn) dismiss() bool {
	if !c.rest.dismiss() {
		return false
	}
	c.conn.Shutdown()
	return true
}

func (c *http2Conn) retire() { c.conn.Shutdown() }
func (c *http2Conn) drain()  { c.conn.Shutdown() }
func (c *http2Conn) cutOff() { c.conn.Abort() }

func (c *http2Conn) Info() *filter.ConnInfo { return &c.info }

// workers are goroutines that serve streams, kept for the next one: a fresh
// goroutine's stack would have to grow each time.
type workers struct {
	mu     sync.Mutex
	parked []*worker
	closed bool
}

// mostParked is how many workers without work are kept.
const mostParked = 256

// get returns a worker without work.
func (p *workers) get(l *Listener) *worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.parked); n > 0 {
		w := p.parked[n-1]
		p.parked[n-1] = nil
		p.parked = p.parked[:n-1]
		return w
	}
	w := &worker{begin: make(chan struct{}, 1)}
	w.gone = func() bool { return w.stream.Gone() }
	go func() {
		for range w.begin {
			w.serve()
			if !p.park(w) {
				return
			}
		}
	}()
	return w
}

// park keeps a worker for the next stream. It reports false if the worker should end.
func (p *workers) park(w *worker) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.parked) >= mostParked {
		return false
	}
	p.parked = append(p.parked, w)
	return true
}

// close ends the parked workers now, and the others once they are done.
func (p *workers) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, w := range p.parked {
		close(w.begin)
	}
	p.parked = nil
}
