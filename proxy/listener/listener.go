package listener

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/descriptors"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/handover"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/http2"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/panics"
	"github.com/hopscope/hopscope/proxy/tlsconf"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Options are a listener's settings. All but TLS and Counts must be set.
type Options struct {
	Name, Address string
	HeadTimeout   time.Duration // for a whole request head
	IdleTimeout   time.Duration // between requests
	StreamIdle    time.Duration // within a request
	// MaxAge is about how long a connection may be open before it is ended gracefully.
	// AgeGrace later it is cut. 0 is never, for either.
	MaxAge, AgeGrace time.Duration
	MaxConns         int          // open at once; 0 is as many as the Budget has
	AbortOnClose     AbortOnClose // of HTTP/1
	Limits           http1.Limits
	// HTTP2 has the settings of HTTP/2 connections. The listener itself fills in Shared,
	// Name, Scheme and the timeouts.
	HTTP2 http2.Options
	// TLS encrypts the connections, within HandshakeTimeout; nil is plain text.
	TLS              *tlsconf.Server
	HandshakeTimeout time.Duration
	Shared           *netio.Shared
	// Sink returns the sink for the Hops of the n-th connection.
	Sink func(n uint64) hop.Sink
	Log  *slog.Logger
	// Panics counts the panics that cost a connection; nil counts none.
	Panics *panics.Counter
	// Counts are the counts of the listener that this one succeeds; nil starts at zero.
	Counts *Counts
	// Budget is shared by all listeners of the process; nil gives this listener its own.
	Budget *Budget
}

// Counts are the counters of a listener. A listener that succeeds it under its name goes on
// with them.
type Counts struct {
	// Active is how many connections are open, Accepted how many were accepted so far.
	Active   atomic.Int64
	Accepted atomic.Uint64
	// Distrusted is how many were ended because their client's certificate is no longer
	// trusted.
	Distrusted atomic.Uint64
}

// Server serves requests: the forwarder.
type Server interface {
	// Serve serves a request; refused is why its head could not be decoded, nil if it
	// could.
	Serve(x *filter.Exchange, refused error)
	// Lost records a connection that failed outside of any request. spoken is its version
	// of HTTP, if that was known.
	Lost(info *filter.ConnInfo, spoken hop.Version, why *fault.Error)
}

// Listener accepts connections on one address.
type Listener struct {
	Options
	*Counts

	server    atomic.Pointer[Server]
	socket    net.Listener
	former    []former      // guarded by mu
	phase     atomic.Uint32 // one of the phases below
	accepting sync.Mutex    // held while connections may be accepted
	stopping  chan struct{} // closed when no more connections are accepted
	once      sync.Once
	enough    chan struct{} // closed to leave the former sockets at once
	leave     sync.Once

	local atomic.Pointer[address] // of the last connection

	exchanges sync.Pool // of *exchange
	workers   workers
	servers   servers

	mu    sync.Mutex
	conns map[connection]struct{}
	done  sync.WaitGroup
}

// The phases of a listener. It never goes back to an earlier one.
const (
	serving  = iota
	retiring // it accepts no more, and tells each client that the connection ends
	draining // idle connections end, too
)

// Bind binds an address for the named listener. The others are sockets whose addresses
// overlap with it, see [handover.Bind]; they stay open, pass them to [Listener.Replace].
func Bind(name, address string, others ...net.Listener) (net.Listener, error) {
	socket, err := handover.Bind(address, others...)
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", name, explain(address, err))
	}
	return socket, nil
}

// New returns a listener that accepts from socket and owns it.
func New(o Options, server Server, socket net.Listener) *Listener {
	l := &Listener{
		Options: o, Counts: o.Counts, socket: socket,
		stopping: make(chan struct{}), enough: make(chan struct{}), conns: map[connection]struct{}{},
		servers: servers{next: make(chan func(), mostServers)},
	}
	if l.Counts == nil {
		l.Counts = new(Counts)
	}
	if l.Budget == nil {
		l.Budget = NewBudget(descriptors.Limit, o.Log)
	}
	l.Use(server)
	return l
}

// Use replaces the server for new requests. Requests that have begun stay with the old one.
func (l *Listener) Use(server Server) { l.server.Store(&server) }

// Socket returns the listening socket. The listener owns it: others must copy it.
func (l *Listener) Socket() net.Listener { return l.socket }

// Addr returns the address that the listener is bound to, with the actual port in place of
// 0.
func (l *Listener) Addr() netip.AddrPort {
	return l.socket.Addr().(*net.TCPAddr).AddrPort()
}

// Serve accepts connections until the listener is retired, drained or closed. When there is
// no room for another connection (see [Budget]) it waits, and the kernel queues new ones.
func (l *Listener) Serve() {
	l.accepting.Lock()
	defer l.accepting.Unlock()
	defer l.watchTrust()()
	defer l.age().Wait()
	defer l.serveFormer().Wait()
	l.accept(l.socket, l.stopping)
}

// accept accepts from a socket until the socket or stop is closed.
func (l *Listener) accept(socket net.Listener, stop <-chan struct{}) {
	backOff := time.Duration(0)
	for {
		nc, err := socket.Accept()
		if err == nil {
			backOff = 0
			l.Budget.admit(l, nc, stop)
			l.start(nc)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		// Out of descriptors, most likely: others must close first.
		backOff = min(max(2*backOff, 5*time.Millisecond), time.Second)
		l.Budget.failed(l, err, backOff, stop)
	}
}

// between is how long a connection waits for a request before it counts as idle. A client
// that has just connected, or just got an answer, may have a request on its way.
const between = 100 * time.Millisecond

// idle returns the connections that wait for a request, and since when.
func (l *Listener) idle() []idler {
	before := l.Shared.Now() - between
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []idler
	for c := range l.conns {
		if since := c.idleSince(); since > 0 && since <= before {
			all = append(all, idler{since, l, c})
		}
	}
	return all
}

// dismiss ends an idle connection. It reports false if the connection is no longer idle.
func (l *Listener) dismiss(c connection) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, open := l.conns[c]
	return open && c.dismiss()
}
