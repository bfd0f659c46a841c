package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNobody is that no process answers.
var ErrNobody = errors.New("no process answers")

// ErrGone is that the process whose sockets were taken has ended by itself, or is about to.
var ErrGone = errors.New("the other process has ended")

// Takeover are the sockets of a process that goes on until it hears that this one
// serves on them.
type Takeover struct {
	// From is that process.
	From Peer
	// Sockets are the caller's, to use or to close.
	Sockets []Socket
	// Memory is what that process knew, nil for nothing; see [Offer].
	Memory []byte
	// Server is for the next process that takes over; nil if that one had none.
	Server *Server

	conn *net.UnixConn
}

// Take asks the process that listens at the address, as [Listen] has it, for its
// sockets. It is followed by [Takeover.Ready] or [Takeover.Close]. The error is
// ErrNobody if there is no such process.
func Take(ctx context.Context, address, version string) (*Takeover, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	nc, err := new(net.Dialer).DialContext(ctx, "unix", address)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%s: %w", address, ErrNobody)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", address, reason(err))
	}
	t := &Takeover{conn: nc.(*net.UnixConn)}
	if err := t.ask(version); err != nil {
		t.Close()
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	return t, nil
}

func (t *Takeover) ask(version string) error {
	t.conn.SetDeadline(time.Now().Add(answerTime))
	if err := trusted(t.conn); err != nil {
		return err
	}
	if err := send(t.conn, hello(version), nil); err != nil {
		return err
	}
	m, fds, err := receive(t.conn)
	if err != nil {
		return err
	}
	t.From = Peer{m.Version, m.PID}
	for i, d := range m.Sockets {
		if d.Kind == ofMemory {
			t.Memory, _ = readMemory(fds[i]) // without it sources are asked anew
			continue
		}
		socket, err := openListening(fds[i])
		if err != nil {
			continue // of a kind that a later version knows
		}
		switch socket := socket.(type) {
		case *net.UnixListener:
			if d.Kind == ofServer && t.Server == nil {
				t.Server = newServer(socket)
				continue
			}
		case *net.TCPListener:
			t.Sockets = append(t.Sockets, Socket{d.Kind, d.Name, d.Address, socket})
			continue
		}
		socket.Close()
	}
	return nil
}

// openListening makes a listener of a descriptor that must be a listening socket's.
// The descriptor is closed in any case.
func openListening(fd int) (net.Listener, error) {
	if is, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || is == 0 {
		syscall.Close(fd)
		return nil, errors.New("what came is no listening socket")
	}
	return open(fd)
}

// Ready says that this process serves, and what it has registered in a catalog:
// then the other one stops. The error is [ErrGone] where that one had stopped before;
// after any other it goes on, and this one must not.
func (t *Takeover) Ready(registered ...string) error {
	defer t.conn.Close()
	err := t.ready(registered)
	if (err == nil || errors.Is(err, ErrGone)) && t.Server != nil && !abstract(t.Server.socket.Addr().String()) {
		t.Server.socket.SetUnlinkOnClose(true) // it is this one's now
	}
	return err
}

func (t *Takeover) ready(registered []string) error {
	t.conn.SetDeadline(time.Now().Add(answerTime))
	registered = append([]string{}, registered...) // which none is, other than nil
	unsent := send(t.conn, message{Protocol: protocol, State: isReady, Registered: &registered}, nil)
	m, fds, err := receive(t.conn) // also where it closed the connection: it may have said why
	closeAll(fds)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return t.lastWord()
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fmt.Errorf("%w: %w", ErrGone, errors.Join(err, unsent))
	case err != nil:
		return err
	case m.State != isRetiring:
		return fmt.Errorf("it says %q", m.State)
	}
	return nil
}

// lastWord ends a wait that took too long: unless the other process has just said that
// it retires, it can't say so any more, and goes on.
func (t *Takeover) lastWord() error {
	t.conn.CloseRead()
	t.conn.SetDeadline(time.Now().Add(answerTime))
	m, fds, err := receive(t.conn)
	closeAll(fds)
	if err != nil || m.State != isRetiring {
		return fmt.Errorf("it did not answer within %s", answerTime)
	}
	return nil
}

// Close gives the sockets back, so to speak: the other process goes on.
func (t *Takeover) Close() {
	for _, s := range t.Sockets {
		s.Listener.Close()
	}
	if t.Server != nil {
		t.Server.Close()
	}
	t.conn.Close()
}
