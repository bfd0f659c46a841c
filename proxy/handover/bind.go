package handover

import (
	"context"
	"net"
	"syscall"
	"time"
)

// Bind opens a listening socket on an address, host:port as [net.Listen] has it.
//
// The others are listening sockets of this process, or of one of the same user,
// whose addresses the new one overlaps: 127.0.0.1:80 and 0.0.0.0:80. The system does
// not let two such sockets listen at once, so both sides say SO_REUSEPORT while one
// is bound. Linux remembers that for as long as the port is in use: another process
// of the same user that says so may listen there, too, where it got an error before.
//
// The kernel gives a connection to the socket whose address is the more precise.
// [Leave] closes the others without losing one.
//
// The sockets speak no Multipath TCP, which Go would have them do: those that do
// take no filter, which Leave needs.
func Bind(address string, others ...net.Listener) (net.Listener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	if len(others) == 0 {
		return config.Listen(context.Background(), "tcp", address)
	}
	for _, other := range others {
		if err := withDescriptor(other, func(fd int) error { return share(fd, true) }); err != nil {
			return nil, err
		}
	}
	config.Control = func(_, _ string, raw syscall.RawConn) error {
		return control(raw, func(fd int) error { return share(fd, true) })
	}
	socket, err := config.Listen(context.Background(), "tcp", address)
	for _, s := range append(others[:len(others):len(others)], socket) {
		if s != nil {
			_ = withDescriptor(s, func(fd int) error { return share(fd, false) }) // they listen either way
		}
	}
	return socket, err
}

// Overlap tells whether two addresses of listening sockets have one in common:
// whether they are the same, or one is that of every interface.
func Overlap(a, b *net.TCPAddr) bool {
	return a.Port == b.Port && (Same(a, b) || everywhere(a) || everywhere(b))
}

// Same tells whether two addresses of listening sockets are the same. That of every
// interface is the same in IPv4 and IPv6, since [net.Listen] takes both for either.
func Same(a, b *net.TCPAddr) bool {
	return a.Port == b.Port && a.Zone == b.Zone && (a.IP.Equal(b.IP) || everywhere(a) && everywhere(b))
}

func everywhere(a *net.TCPAddr) bool { return len(a.IP) == 0 || a.IP.IsUnspecified() }

const (
	// handshakes is how long connections that have begun may take to be complete.
	// Those within this machine take no time.
	handshakes      = 200 * time.Millisecond
	handshakesLocal = 5 * time.Millisecond
	// emptied is how long Leave waits for who accepts.
	emptied = 5 * time.Second
)

// Leave closes a socket in whose place others listen already, while somebody still
// accepts from it: it closes when nobody waits there any more. Who begins to connect
// meanwhile gets no answer, and asks again, of the others, after a second.
//
// No copy of the socket may be accepted from for longer than that. Where the socket
// takes no filter (see [Bind]), who connects in the last moment is turned away. When
// enough is closed it closes at once.
func Leave(socket net.Listener, enough <-chan struct{}) {
	defer socket.Close()
	pause := func(d time.Duration) bool {
		select {
		case <-time.After(d):
			return true
		case <-enough:
			return false
		}
	}
	if withDescriptor(socket, shun) == nil {
		wait := handshakes
		if a, ok := socket.Addr().(*net.TCPAddr); ok && a.IP.IsLoopback() {
			wait = handshakesLocal
		}
		if !pause(wait) {
			return
		}
	}
	for end := time.Now().Add(emptied); waiting(socket) && time.Now().Before(end); {
		if !pause(time.Millisecond) {
			return
		}
	}
}

// waiting tells whether somebody waits to be accepted.
func waiting(socket net.Listener) (some bool) {
	err := withDescriptor(socket, func(fd int) (err error) {
		some, err = queued(fd)
		return err
	})
	return err == nil && some
}

// withDescriptor does something with a socket's descriptor.
func withDescriptor(socket net.Listener, do func(fd int) error) error {
	raw, err := rawOf(socket)
	if err != nil {
		return err
	}
	return control(raw, do)
}

func control(raw syscall.RawConn, do func(fd int) error) error {
	var err error
	if failed := raw.Control(func(fd uintptr) { err = do(int(fd)) }); failed != nil {
		return failed
	}
	return err
}
