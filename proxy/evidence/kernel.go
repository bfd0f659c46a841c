package evidence

import (
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// mostQuestions is how many questions about other sockets are asked in a second. A storm
// of failures must not cost more than that.
const mostQuestions = 100

// Kernel answers questions about connections. Any goroutine may call its methods. A nil
// Kernel says nothing.
type Kernel struct {
	log     *slog.Logger
	limit   *rate.Limiter
	refused atomic.Bool // it may not ask about other sockets, and does not any more
	recent  recent

	// inquire asks sock_diag a question; a test puts its own here.
	inquire func(question []byte, each func(socket)) error
}

// New returns a Kernel. log is told once if the kernel refuses to answer.
func New(log *slog.Logger) *Kernel {
	return &Kernel{log: log, limit: rate.NewLimiter(mostQuestions, mostQuestions), inquire: inquire}
}

// Connection says what the kernel knows of a connection that carries an attempt. It is
// empty if that is nothing, or if nc is closed or not a socket of TCP. If the other end is
// on this machine, too, it says what that end has read.
func (k *Kernel) Connection(nc net.Conn, a Attempt) string {
	if k == nil {
		return ""
	}
	near, ok := look(nc)
	if !ok {
		return ""
	}
	from, to := addressOf(nc.LocalAddr()), addressOf(nc.RemoteAddr())
	if from.Addr() != to.Addr() && !to.Addr().IsLoopback() {
		return a.say(&near, nil, nil)
	}
	var far *farEnd
	if a.Outcome == GaveUp {
		far = k.farEnd(to, from)
	}
	return a.say(&near, far, k.listeners(to))
}

// Address says who listens at an address, "host:port", that did not take a connection. It
// is empty if the address is not this machine's, or a name other than localhost.
func (k *Kernel) Address(address string) string {
	if k == nil || k.refused.Load() {
		return ""
	}
	to, ok := parseAddress(address)
	if !ok || !here(to.Addr()) {
		return ""
	}
	l := k.listeners(to)
	if l == nil {
		return ""
	}
	return l.say(address)
}

// parseAddress reads an address without asking anybody for a name.
func parseAddress(address string) (to netip.AddrPort, ok bool) {
	if host, port, err := net.SplitHostPort(address); err == nil && host == "localhost" {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return to, false
	}
	ip := to.Addr().Unmap()
	if ip == netip.IPv4Unspecified() { // which leads to this machine
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.AddrPortFrom(ip, to.Port()), true
}

// addressOf is the address of one end of a TCP connection.
func addressOf(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := tcp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
}

// farEnd asks about the other side's end of a connection; nil is not known.
func (k *Kernel) farEnd(at, peer netip.AddrPort) (found *farEnd) {
	if !k.mayAsk(time.Now()) {
		return nil
	}
	err := k.inquire(appendExact(nil, at, peer), func(s socket) {
		if s.state != stateListen && s.remote == peer { // else it is who would take a new one
			young := s.state == stateEstablished || s.state == stateSynReceived
			found = &farEnd{accepted: s.inode != 0 || !young, unread: int(s.receive)}
		}
	})
	if err != nil && err != absent {
		k.failed(err)
	}
	return found
}

// listeners asks who listens at an address; nil is not known.
func (k *Kernel) listeners(at netip.AddrPort) *listeners {
	now := time.Now()
	if l, ok := k.recent.get(at, now); ok {
		return &l
	}
	if !k.mayAsk(now) {
		return nil
	}
	var l listeners
	count := func(s socket) {
		if s.takes(at) {
			l.sockets++
			l.waiting += int(s.receive)
			l.limit += int(s.send)
		}
	}
	families := []netip.Addr{netip.IPv6Unspecified()}
	if at.Addr().Is4() { // listeners of IPv6 may take IPv4, too
		families = append(families, netip.IPv4Unspecified())
	}
	for _, family := range families {
		if err := k.inquire(appendListeners(nil, netip.AddrPortFrom(family, at.Port())), count); err != nil {
			k.failed(err)
			return nil
		}
	}
	k.recent.put(at, l, now)
	return &l
}

// mayAsk reports whether one more question may be asked now.
func (k *Kernel) mayAsk(now time.Time) bool { return !k.refused.Load() && k.limit.AllowN(now, 1) }

// failed notes that a question was not answered. If none will ever be, the log says so.
func (k *Kernel) failed(err error) {
	if refusal(err) && k.refused.CompareAndSwap(false, true) {
		k.log.Info("the kernel does not answer questions about other sockets (sock_diag): evidence can't say what applications on this machine have read, nor whether they listen", "error", err)
	}
}
