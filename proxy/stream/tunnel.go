package stream

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/netio"
)

// Tunnel is two connections that are joined.
type Tunnel struct {
	Client, Endpoint netio.Duplex
	// Name is the endpoint's, for what is said of it.
	Name string
	// Idle ends the tunnel when no byte has moved in either direction for so
	// long, or when one side has taken none of those that wait for it.
	Idle   time.Duration
	Shared *netio.Shared
	// Panicked makes a fault.Error of a panic in either direction, which ends the
	// tunnel; nil lets it end the process.
	Panicked func(p any) error

	active atomic.Int64 // when a byte moved last, on Shared's clock
}

// Run carries bytes both ways, those that the connections have buffered first,
// until both directions have ended. When one side ends its direction the other
// is told so, and may go on sending (RFC 9110 section 9.3.6). It returns how
// many bytes went up to the endpoint and down to the client, and a fault.Error
// if the tunnel did not end in good order. Both connections are of no more use
// then, but still to be closed.
func (t *Tunnel) Run() (up, down int64, err error) {
	t.active.Store(int64(t.Shared.Now()))
	t.Client.SetWriteTimeout(t.Idle)
	t.Endpoint.SetWriteTimeout(t.Idle)
	upward := make(chan error, 1)
	go func() {
		var err error
		up, err = t.carry(t.Client, t.Endpoint, fault.ClientReset, "the client reset the tunnel")
		upward <- err
	}()
	down, err = t.carry(t.Endpoint, t.Client, fault.UpstreamReset, t.Name+" reset the tunnel")
	if other := <-upward; err == nil || secondary(err) {
		if other != nil {
			err = other
		}
	}
	if secondary(err) {
		err = nil
	}
	return up, down, err
}

// errPeer is how a direction ends when the other one closed the connections.
var errPeer = errors.New("the tunnel has ended")

func secondary(err error) bool { return errors.Is(err, errPeer) }

// carry copies from one connection to the other until from ends. A failure
// closes both.
func (t *Tunnel) carry(from, to netio.Duplex, kind fault.Kind, reset string) (n int64, err error) {
	if t.Panicked != nil {
		defer func() {
			if p := recover(); p != nil {
				err = t.Panicked(p)
				t.end(nil, 0, "")
			}
		}()
	}
	for {
		if b := from.Buffered(); len(b) > 0 {
			switch err := to.Write(b); {
			case err == nil:
			case errors.Is(err, os.ErrDeadlineExceeded):
				return n, t.idle(err)
			default:
				return n, t.end(err, kind, "") // the other direction says why
			}
			n += int64(len(b))
			from.Consume(len(b))
			t.active.Store(int64(t.Shared.Now()))
		}
		now := t.Shared.Now()
		from.Await(now, now+t.Idle)
		err := from.Fill()
		switch {
		case err == nil:
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // the latter over TLS, where many say no goodbye
			to.CloseWrite()
			return n, nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			if t.Shared.Now()-time.Duration(t.active.Load()) < t.Idle {
				continue // the other direction is alive
			}
			return n, t.idle(err)
		default:
			return n, t.end(err, kind, reset)
		}
	}
}

func (t *Tunnel) idle(err error) error {
	return t.end(err, fault.UpstreamIdle, "no byte moved through the tunnel for "+t.Idle.String())
}

// end closes both connections, so that the other direction ends too. Without a
// reason the failure is only what another one led to.
func (t *Tunnel) end(err error, kind fault.Kind, reason string) error {
	defer t.Client.Close()
	defer t.Endpoint.Close()
	if reason == "" || errors.Is(err, os.ErrClosed) || errors.Is(err, net.ErrClosed) {
		return errPeer
	}
	return fault.New(kind, reason)
}
