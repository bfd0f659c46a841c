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

// connection is what is open to a client, whatever it speaks.
type connection interface {
	// retire has it end with the next thing that it does, or as its protocol
	// has it. It is called under the listener's lock, as is drain.
	retire()
	// drain ends it if it is idle, else with what it is doing.
	drain()
	// cutOff ends it, whatever it does.
	cutOff()
	// because says why it is about to be cut off.
	because(why *fault.Error)
	// Info is what it knows of itself.
	Info() *filter.ConnInfo
	// holds is how much memory it holds, and shed ends it, whatever it does, for want
	// of that. holds is called under the listener's lock.
	holds(now time.Duration) holding
	shed()
	// idleSince is since when it has been waiting for a request, on the clock of
	// [netio.Shared]; 0 if it is not idle.
	idleSince() time.Duration
	// dismiss has it end as idle, as drain does; it reports false if it no longer is
	// idle. It is called under the listener's lock, as is idleSince.
	dismiss() bool
}

// ending is why a connection was cut off, where that was not the end of the proxy.
type ending struct{ why atomic.Pointer[fault.Error] }

func (e *ending) because(why *fault.Error) { e.why.CompareAndSwap(nil, why) }

// going reports whether it is being cut off.
func (e *ending) going() bool { return e.why.Load() != nil }

// cause is the reason as an error, or else the other one.
func (e *ending) cause(otherwise error) error {
	if why := e.why.Load(); why != nil {
		return why
	}
	return otherwise
}

// newInfo is what a connection knows of itself from the start.
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
	if last == nil || last.at != to { // it is the same for nearly all
		last = &address{to, to.String()}
		l.local.Store(last)
	}
	info.Peer, info.Local = from.String(), last.text
	info.PeerIP = strings.Trim(info.Peer[:strings.LastIndexByte(info.Peer, ':')], "[]")
	info.Loopback = from.Addr().IsLoopback()
	return info
}

// address is one and its text.
type address struct {
	at   netip.AddrPort
	text string
}

// unmapped is an address without IPv4 in the clothes of IPv6.
func unmapped(a *net.TCPAddr) netip.AddrPort {
	at := a.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// start serves a connection, from a goroutine of its own.
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
	if l.phase.Load() == draining { // nobody would drain this one
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

// replace has another connection, over the same nio, drained in a connection's
// place.
func (l *Listener) replace(old, next connection, nio *netio.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, old)
	l.conns[next] = struct{}{}
	nio.Limit(0) // the old one may have been drained, at the last moment
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
