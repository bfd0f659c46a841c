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
	// MaxAge ends a connection in good order that has been open for about so long, and
	// AgeGrace later whatever it still does; 0 is never, of either.
	MaxAge, AgeGrace time.Duration
	MaxConns         int          // open at once; 0 is as many as the Budget has
	AbortOnClose     AbortOnClose // of HTTP/1
	Limits           http1.Limits
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
	// Panics counts the panics that cost a connection; nil counts none.
	Panics *panics.Counter
	// Counts are those of the listener that this one succeeds; nil begins anew.
	Counts *Counts
	// Budget is what all listeners of the process share; nil is one of its own.
	Budget *Budget
}

// Counts are what a listener counts, and those that succeed it under its name.
type Counts struct {
	// Active is how many connections are open, Accepted how many there were.
	Active   atomic.Int64
	Accepted atomic.Uint64
	// Distrusted is how many had to end since their client's certificate is not trusted
	// any more.
	Distrusted atomic.Uint64
}

// Server serves requests: the forwarder.
type Server interface {
	// Serve serves a request; refused is why its head could not be decoded, nil if it
	// could.
	Serve(x *filter.Exchange, refused error)
	// Lost takes a connection that failed before, or beside, any request. spoken is its
	// version of HTTP, as far as that was known.
	Lost(info *filter.ConnInfo, spoken hop.Version, why *fault.Error)
}

// Listener accepts connections on one address.
type Listener struct {
	Options
	*Counts

	server    atomic.Pointer[Server]
	socket    net.Listener
	former    []former      // guarded by mu
	phase     atomic.Uint32 // a phase below
	accepting sync.Mutex    // held as long as connections may be accepted
	stopping  chan struct{} // closed when no more are to be
	once      sync.Once
	enough    chan struct{} // closed when the former sockets are to be left at once
	leave     sync.Once

	local atomic.Pointer[address] // of the last connection

	exchanges sync.Pool // of *exchange
	workers   workers
	servers   servers

	mu    sync.Mutex
	conns map[connection]struct{}
	done  sync.WaitGroup
}

// The phases of a listener, in which it never goes back.
const (
	serving  = iota
	retiring // nothing new is accepted, and each connection is told that it ends
	draining // those that are idle end, too
)

// Bind binds an address for the listener of that name, and beside others that it
// overlaps, see [handover.Bind]. They go on until [Listener.Replace].
func Bind(name, address string, others ...net.Listener) (net.Listener, error) {
	socket, err := handover.Bind(address, others...)
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", name, explain(address, err))
	}
	return socket, nil
}

// New returns a listener that accepts from a socket, which it owns from then on.
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

// Use has another server serve the requests from here on. Those that have begun
// end where they are.
func (l *Listener) Use(server Server) { l.server.Store(&server) }

// Socket is what is accepted from. It is the listener's own: others make it
// theirs by a copy.
func (l *Listener) Socket() net.Listener { return l.socket }

// Addr is the address that is listened on, port 0 resolved.
func (l *Listener) Addr() netip.AddrPort {
	return l.socket.Addr().(*net.TCPAddr).AddrPort()
}

// Serve accepts connections until the listener is retired, drained or closed. Where
// there is no room for one more, see [Budget], it waits, and further ones are left to
// the kernel's queue.
func (l *Listener) Serve() {
	l.accepting.Lock()
	defer l.accepting.Unlock()
	defer l.watchTrust()()
	defer l.age().Wait()
	defer l.serveFormer().Wait()
	l.accept(l.socket, l.stopping)
}

// accept accepts from a socket until it is closed, or stop is.
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

// between is how long a connection may wait for a request before it counts as idle: of
// a client that has just connected, or was just answered, one may be on its way.
const between = 100 * time.Millisecond

// idle are the connections that wait for a request, and since when.
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

// dismiss has a connection end that is idle; false if it no longer is.
func (l *Listener) dismiss(c connection) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, open := l.conns[c]
	return open && c.dismiss()
}
