package listener

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/tlsconf"
	"github.com/hopscope/hopscope/telemetry/hop"
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
	var first connection
	var serve func()
	if l.TLS != nil {
		h := &handshake{listener: l, nio: nio, info: info}
		first, serve = h, h.serve
	} else {
		c := newHTTP1(l, nio, info)
		first, serve = c, func() { l.serve(c) }
	}
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
		serve()
	})
}

// serve serves a connection that began as one of HTTP/1, to its end.
func (l *Listener) serve(c *http1Conn) {
	if !c.serve() {
		l.forget(c)
		return
	}
	next := newHTTP2(l, c.nio, c.info)
	l.replace(c, next, c.nio)
	next.serve()
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

// handshake is a connection while it is being encrypted.
type handshake struct {
	listener *Listener
	nio      *netio.Conn
	info     filter.ConnInfo
	ending
	rest rest
}

// serve encrypts the connection, and serves it.
func (h *handshake) serve() {
	l := h.listener
	start := l.Shared.Now()
	by := start + l.HandshakeTimeout
	h.nio.Await(start, by)
	h.rest.begin(start)
	if h.nio.Fill() != nil { // no byte came: whoever looks whether the port is open is not worth a record
		l.forget(h)
		h.nio.Done()
		return
	}
	if h.rest.end() {
		l.mu.Lock() // so whoever dismissed it is done
		h.nio.Limit(0)
		l.mu.Unlock()
	}
	start = l.Shared.Now()
	version := l.TLS.Version()
	state, err := h.nio.StartTLS(l.TLS.Config(), true, by)
	if err != nil {
		h.advise(err)
		if h.nio.CloseWrite() == nil {
			discard(h.nio, time.Second)
		}
		l.forget(h)
		h.nio.Done()
		if l.phase.Load() != draining {
			l.lost(&h.info, hop.VersionUnknown, h.explain(err))
		}
		return
	}
	h.info.Scheme = "https"
	h.info.TLS = tlsconf.Describe(&state, l.Shared.Now()-start)
	h.info.Certificate = leaf(state.PeerCertificates)
	if h.info.Certificate != nil {
		h.info.Intermediates = state.PeerCertificates[1:]
	}
	if state.NegotiatedProtocol == "h2" {
		c := newHTTP2(l, h.nio, h.info)
		l.replace(h, c, h.nio)
		l.trustAgain(version, c)
		c.serve()
		return
	}
	c := newHTTP1(l, h.nio, h.info)
	l.replace(h, c, h.nio)
	l.trustAgain(version, c)
	l.serve(c)
}

func (h *handshake) Info() *filter.ConnInfo { return &h.info }

func (h *handshake) explain(err error) *fault.Error {
	if h.going() {
		return h.why.Load()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fault.New(fault.ClientTLSTimeout, fmt.Sprintf("the client did not end the TLS handshake within %s", h.listener.HandshakeTimeout))
	}
	return tlsconf.ExplainServer(err)
}

func leaf(chain []*x509.Certificate) *x509.Certificate {
	if len(chain) == 0 {
		return nil
	}
	return chain[0]
}

// advise answers a client that speaks plain HTTP, which would not understand
// an alert of TLS.
func (h *handshake) advise(err error) {
	const advice = "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n" +
		"400 Bad Request\nThis port expects TLS: use https:// for it.\n"
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok && isUpper(e.RecordHeader[:3]) {
		h.nio.SetWriteTimeout(time.Second)
		h.nio.Write([]byte(advice))
	}
}

// discard reads what the client has sent already: unread, it would make the
// kernel send a reset, which undoes the alert that says why.
func discard(nio *netio.Conn, patience time.Duration) {
	now := nio.Now()
	nio.Limit(0)
	nio.Await(now, now+patience)
	for nio.Fill() == nil {
		nio.Consume(len(nio.Buffered()))
	}
}

// isUpper reports whether b is as methods of HTTP begin.
func isUpper(b []byte) bool {
	for _, c := range b {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return true
}

func (h *handshake) retire() {} // it becomes a connection, and that one does

func (h *handshake) drain() { h.nio.Limit(time.Nanosecond) }

func (h *handshake) idleSince() time.Duration { return h.rest.since() }

func (h *handshake) dismiss() bool {
	if !h.rest.dismiss() {
		return false
	}
	h.nio.Limit(time.Nanosecond) // long past
	return true
}

func (h *handshake) cutOff() {
	h.nio.Abort()
	go h.nio.Close()
}

// unserved stands for the client where there is no exchange with it: a connection
// that failed as such. Nothing but its Info is asked for.
type unserved struct {
	filter.Conn
	info *filter.ConnInfo
}

func (u unserved) Info() *filter.ConnInfo { return u.info }

// lost records a connection that failed before, or beside, any request.
func (l *Listener) lost(info *filter.ConnInfo, spoken hop.Version, why *fault.Error) {
	x := l.borrow()
	x.Request.Version = spoken
	x.Connect(unserved{info: info}, nil, nil)
	(*l.server.Load()).Lost(&x.Exchange, why)
	l.giveBack(x)
}
