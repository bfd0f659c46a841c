package handover

import (
	"context"
	"net"
	"syscall"
	"time"
)

// Bind opens a listening socket on an address, host:port as for [net.Listen].
//
// The others are listening sockets with overlapping addresses, such as 127.0.0.1:80 and
// 0.0.0.0:80. They belong to this process, or to another of the same user. The system
// refuses two such sockets, so Bind sets SO_REUSEPORT on all of them while it binds the
// new one. Linux remembers that while the port is in use: another process of the same
// user that sets SO_REUSEPORT can then listen there, too, instead of getting an error.
//
// The kernel gives a connection to the socket with the more precise address. [Leave]
// closes the others without losing a connection.
//
// Bind turns Multipath TCP off, which Go turns on: such a socket accepts no filter, and
// Leave needs one.
func Bind(address string, others ...net.Listener) (net.Listener, error) {
	config := keepAlive
	config.SetMultipathTCP(false)
	if len(others) == 0 {
		return config.Listen(context.Background(), "tcp", address)
	}
	for _, other := range others {
		if err := withDescriptor(other, func(fd int) error { return share(fd, true) }); err != nil {
			return nil, err
		}
	}
	config.Control = func(network, address string, raw syscall.RawConn) error {
		if keepAlive.Control != nil {
			if err := keepAlive.Control(network, address, raw); err != nil {
				return err
			}
		}
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

// Overlap reports whether two listening addresses overlap: they are the same, or one is
// that of all interfaces.
func Overlap(a, b *net.TCPAddr) bool {
	return a.Port == b.Port && (Same(a, b) || everywhere(a) || everywhere(b))
}

// Same reports whether two listening addresses are the same. The address of all
// interfaces is the same in IPv4 and IPv6, since [net.Listen] takes both for either.
func Same(a, b *net.TCPAddr) bool {
	return a.Port == b.Port && a.Zone == b.Zone && (a.IP.Equal(b.IP) || everywhere(a) && everywhere(b))
}

func everywhere(a *net.TCPAddr) bool { return len(a.IP) == 0 || a.IP.IsUnspecified() }

const (
	// handshakes is how long a TCP handshake that has begun may take to complete. On
	// loopback it takes almost no time.
	handshakes      = 200 * time.Millisecond
	handshakesLocal = 5 * time.Millisecond
	// emptied is how long Leave waits for the queue to be accepted.
	emptied = 5 * time.Second
)

// Leave closes a socket that others have replaced. They must listen already, and somebody
// must still accept from this one. Leave closes it when its queue is empty. A client that
// begins to connect meanwhile gets no answer; it retries after a second, and reaches the
// others.
//
// Nobody may accept from a copy of the socket after that. If the socket accepts no filter
// (see [Bind]), a client that connects in the last moment is refused. When enough is
// closed, Leave closes the socket at once.
func Leave(socket net.Listener, enough <-chan struct{}) {
	defer socket.Close()
	pause := func(d time.Duration) bool {
		select {
		case <-enough:
			return false
		default:
		}
		select {
		case <-time.After(d):
			return true
		case <-enough:
			return false
		}
	}
	if !pause(0) {
		return
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

// waiting reports whether a connection waits to be accepted.
func waiting(socket net.Listener) (some bool) {
	err := withDescriptor(socket, func(fd int) (err error) {
		some, err = queued(fd)
		return err
	})
	return err == nil && some
}

// withDescriptor calls do with a socket's descriptor.
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
