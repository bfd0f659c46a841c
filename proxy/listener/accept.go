package listener

import (
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/netio"
)

// connection is an open client connection of any protocol.
type connection interface {
	// retire ends it after its next request, or in its protocol's own way. The caller holds
	// the listener's lock, for drain as well.
	retire()
	// drain ends it now if it is idle, else after its current requests.
	drain()
	// cutOff ends it at once.
	cutOff()
	// because records why it is about to be cut off.
	because(why *fault.Error)
	// Info describes the connection.
	Info() *filter.ConnInfo
	// holds returns the memory that it holds; the caller holds the listener's lock. shed
	// ends it at once to free that memory.
	holds(now time.Duration) holding
	shed()
	// idleSince returns when it began to wait for a request, on the clock of
	// [netio.Shared]; 0 if it is not idle.
	idleSince() time.Duration
	// dismiss ends it if it is idle, as drain does. It reports false if the connection is
	// no longer idle. The caller holds the listener's lock, for idleSince as well.
	dismiss() bool
}

// ending is why a connection was cut off, unless the proxy was stopping.
type ending struct{ why atomic.Pointer[fault.Error] }

func (e *ending) because(why *fault.Error) { e.why.CompareAndSwap(nil, why) }

// going reports whether the connection is being cut off.
func (e *ending) going() bool { return e.why.Load() != nil }

// cause returns the reason as an error, or otherwise if there is none.
func (e *ending) cause(otherwise error) error {
	if why := e.why.Load(); why != nil {
		return why
	}
	return otherwise
}

// newInfo describes a connection that was just accepted.
func (l *Listener) newInfo(nc net.Conn, n uint64) filter.ConnInfo {
	info := filter.ConnInfo{Scheme: "http", Sink: l.Sink(n), Until: l.until()}
	peer, ok := nc.RemoteAddr().(*net.TCPAddr)
	local, also := nc.LocalAddr().(*net.TCPAddr)
	if !ok || !also {
		info.Peer, info.Local = nc.RemoteAddr().String(), nc.LocalAddr().String()
		info.PeerIP = info.Peer
		return info
	}
	from, to := unmapped(peer), unmapped(local)
	last := l.local.Load()
	if last == nil || last.at != to { // nearly all connections share it
		last = &address{to, to.String()}
		l.local.Store(last)
	}
	info.Peer, info.Local = from.String(), last.text
	info.PeerIP = strings.Trim(info.Peer[:strings.LastIndexByte(info.Peer, ':')], "[]")
	info.Loopback = from.Addr().IsLoopback()
	return info
}

// address is an address and its text.
type address struct {
	at   netip.AddrPort
	text string
}

// unmapped returns an address with IPv4-mapped IPv6 turned into IPv4.
func unmapped(a *net.TCPAddr) netip.AddrPort {
	at := a.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// start serves a connection in a goroutine of its own.
func (l *Listener) start(nc net.Conn) {
	if !l.awaitMemory() {
		nc.Close()
		l.Budget.leave(l)
		return
	}
	info := l.newInfo(nc, l.Accepted.Add(1))
	nio := netio.New(nc, l.Shared)
	info.Account = &nio.Account
	first := &arrival{listener: l, nio: nio, info: info}
	l.mu.Lock()
	if l.phase.Load() == draining { // nobody would drain this connection
		l.mu.Unlock()
		nio.Done()
		l.Budget.leave(l)
		return
	}
	l.conns[first] = struct{}{}
	l.done.Add(1)
	l.mu.Unlock()
	l.Active.Add(1)
	size := l.size()
	nio.Account.Take(size)
	l.servers.run(func() {
		defer l.end()
		defer nio.Account.Give(size)
		first.serve()
	})
}

// replace registers next in place of old, over the same nio, so that drain reaches it.
func (l *Listener) replace(old, next connection, nio *netio.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, old)
	l.conns[next] = struct{}{}
	nio.Limit(0) // the old one may have been drained at the last moment
	switch l.phase.Load() {
	case retiring:
		next.retire()
	case draining:
		next.drain()
	}
}

func (l *Listener) forget(c connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

func (l *Listener) end() {
	l.Active.Add(-1)
	l.Budget.leave(l)
	l.done.Done()
}
