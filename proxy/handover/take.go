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

// ErrNobody means that no process answers.
var ErrNobody = errors.New("no process answers")

// ErrGone means that the process that handed over its sockets has ended by itself, or is
// about to.
var ErrGone = errors.New("the other process has ended")

// Takeover holds the sockets of another process. That one goes on until it hears that
// this one serves on them.
type Takeover struct {
	// From is that process.
	From Peer
	// Sockets are the sockets. The caller owns them.
	Sockets []Socket
	// Memory is that process's state, nil for none; see [Offer].
	Memory []byte
	// Server serves the next process that takes over; nil if that process had none.
	Server *Server

	conn *net.UnixConn
}

// Take asks the process that listens on the address, as for [Listen], for its sockets.
// Call [Takeover.Ready] or [Takeover.Close] next. The error is ErrNobody if there is no
// such process.
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
			t.Memory, _ = readMemory(fds[i]) // without it we start without that state
			continue
		}
		socket, err := openListening(fds[i])
		if err != nil {
			continue // a kind of a later version
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

// openListening makes a listener from a descriptor of a listening socket. It closes the
// descriptor in any case.
func openListening(fd int) (net.Listener, error) {
	if is, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || is == 0 {
		syscall.Close(fd)
		return nil, errors.New("the descriptor is not a listening socket")
	}
	return open(fd)
}

// Ready tells the other process that this one serves, and what it has registered in a
// catalog. The other process then stops. The error is [ErrGone] if it had stopped before.
// After any other error it goes on serving, and this process must not serve.
func (t *Takeover) Ready(registered ...string) error {
	defer t.conn.Close()
	err := t.ready(registered)
	if (err == nil || errors.Is(err, ErrGone)) && t.Server != nil && !abstract(t.Server.socket.Addr().String()) {
		t.Server.socket.SetUnlinkOnClose(true) // this process owns it now
	}
	return err
}

func (t *Takeover) ready(registered []string) error {
	t.conn.SetDeadline(time.Now().Add(answerTime))
	registered = append([]string{}, registered...) // never nil: empty means none
	unsent := send(t.conn, message{Protocol: protocol, State: isReady, Registered: &registered}, nil)
	m, fds, err := receive(t.conn) // even if it closed the connection: it may have said why
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

// lastWord ends a wait that took too long. Either the other process has just said that it
// retires, or it can't say so any more and goes on serving.
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

// Close gives up the takeover: the other process goes on serving.
func (t *Takeover) Close() {
	for _, s := range t.Sockets {
		s.Listener.Close()
	}
	if t.Server != nil {
		t.Server.Close()
	}
	t.conn.Close()
}
