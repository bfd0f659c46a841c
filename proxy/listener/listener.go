package listener

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/http2"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/tlsconf"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Options are a listener's settings. All but TLS must be set.
type Options struct {
	Name, Address string
	HeadTimeout   time.Duration // for a whole request head
	IdleTimeout   time.Duration // between requests
	StreamIdle    time.Duration // within a request
	MaxConns      int           // open at once; 0 is no limit
	Limits        http1.Limits
	// HTTP2 are the settings of HTTP/2 connections, but for those that are the
	// listener's to fill in: Shared, Name, Scheme and the timeouts.
	HTTP2 http2.Options
	// TLS encrypts the connections, within HandshakeTimeout; nil is plain text.
	TLS              *tlsconf.Server
	HandshakeTimeout time.Duration
	Shared           *netio.Shared
	// Sink returns where the n-th connection records its Hops.
	Sink func(n uint64) hop.Sink
	Log  *slog.Logger
}

// Server serves requests: the forwarder.
type Server interface {
	Serve(x *filter.Exchange, refused error)
	Lost(x *filter.Exchange, why *fault.Error)
}

// Listener accepts connections on one address.
type Listener struct {
	Options
	// Active is how many connections are open, Accepted how many there were.
	Active   atomic.Int64
	Accepted atomic.Uint64

	server   Server
	socket   net.Listener
	slots    chan struct{} // one for each connection that is open; nil without a limit
	draining atomic.Bool

	exchanges sync.Pool // of *exchange
	workers   workers

	mu    sync.Mutex
	conns map[connection]struct{}
	done  sync.WaitGroup
}

// Listen binds the address.
func Listen(o Options, server Server) (*Listener, error) {
	socket, err := net.Listen("tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", o.Name, explain(o.Address, err))
	}
	l := &Listener{Options: o, server: server, socket: socket, conns: map[connection]struct{}{}}
	if o.MaxConns > 0 {
		l.slots = make(chan struct{}, o.MaxConns)
	}
	return l, nil
}

// Addr is the address that is listened on, port 0 resolved.
func (l *Listener) Addr() netip.AddrPort {
	return l.socket.Addr().(*net.TCPAddr).AddrPort()
}

// Serve accepts connections until the listener is drained or closed. A limit on
// connections leaves further ones to the kernel's queue.
func (l *Listener) Serve() {
	backOff := time.Duration(0)
	for {
		if l.slots != nil {
			l.slots <- struct{}{}
		}
		nc, err := l.socket.Accept()
		if err == nil {
			backOff = 0
			l.start(nc)
			continue
		}
		l.free()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		// Out of descriptors, most likely: others must close first.
		backOff = min(max(2*backOff, 5*time.Millisecond), time.Second)
		l.Log.Warn("accepting a connection failed", "listener", l.Name, "error", err, "again_in", backOff)
		time.Sleep(backOff)
	}
}

func (l *Listener) free() {
	if l.slots != nil {
		<-l.slots
	}
}

// Drain stops accepting, closes the connections that are idle, and has the
// others end with their request. It returns when all have, or, having cut
// those that are left, when ctx is done.
func (l *Listener) Drain(ctx context.Context) {
	l.StopAccepting()
	defer l.workers.close()
	ended := make(chan struct{})
	go func() {
		l.done.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		l.each(connection.cutOff)
		<-ended
	}
}

// StopAccepting closes the listening socket and begins to drain, without
// waiting.
func (l *Listener) StopAccepting() {
	l.draining.Store(true)
	l.socket.Close()
	l.each(connection.drain)
}

func (l *Listener) each(f func(connection)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		f(c)
	}
}
