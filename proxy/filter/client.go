package filter

import (
	"crypto/x509"
	"errors"
	"time"

	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/overload"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Conn is the client's connection, or its stream, whatever the protocol. Its methods are
// for the goroutine of the exchange.
type Conn interface {
	// Info is what the connection knows of itself.
	Info() *ConnInfo
	// Gone returns a func that reports whether the client has gone away, to be
	// asked now and then while nothing is read from it.
	Gone() func() bool
	// Left says how the client went away, where more is known than that it did:
	// an error is a fault.Error.
	Left() error
	// Detach gives the connection up to a tunnel, once the head of its
	// response was flushed: bytes that the client sent ahead are buffered.
	Detach() netio.Duplex
}

// Body is the content of a request. One goroutine reads it, which need not be that of
// the exchange: content and response move at the same time.
type Body interface {
	// Whole returns the content if all of it has arrived, or if there is none.
	Whole() (content []byte, ok bool)
	// Next waits for the next piece, be the content whole or not; the piece is good
	// until the next call. After the last it returns io.EOF. Other errors are
	// fault.Errors, and ErrStopped.
	Next() ([]byte, error)
	// Complete reports whether all of the content is known to have arrived, whether
	// Next has returned it or not. Any goroutine may ask.
	Complete() bool
	// Trailers are the request's trailers, after io.EOF; nil if none came.
	Trailers() *message.Head
	// Stop makes a call of Next that waits, and those that follow, return
	// [ErrStopped] until Resume. Nothing of the content is lost by it. Any goroutine may
	// call both.
	Stop()
	Resume()
}

// ErrStopped is what Next returns between Stop and Resume.
var ErrStopped = errors.New("the request's content is not read on for now")

// Writer takes the response to a request. Its methods block, and are for the goroutine
// of the exchange.
type Writer interface {
	// Interim sends an interim response (1xx) at once.
	Interim(h *message.Head) error
	// Head begins the final response. It is kept back until Flush, or until
	// content follows that does not fit beside it. h.Close makes the response
	// the connection's last.
	Head(h *message.Head) error
	// Content sends a piece of the response's content, or keeps it back.
	Content(piece []byte) error
	// Flush sends what was kept back.
	Flush() error
	// End ends the response and sends what was kept back.
	End(trailers *message.Head) error
	// Began reports whether the client may have got a part of a final response.
	// Until then another Head takes the place of the first.
	Began() bool
	// Cut ends the exchange in a way that tells the client that what it got
	// is not whole.
	Cut()
}

// ConnInfo is what a connection knows of itself, made once for each.
type ConnInfo struct {
	// Peer is the address at the other end, "host:port"; PeerIP is its host
	// alone. Local is the address on this side.
	Peer, PeerIP, Local string
	// Loopback is true where the peer is on this machine.
	Loopback bool
	// Scheme is "http" or "https".
	Scheme string
	// TLS is what the connection is encrypted with, nil for a plain one, and
	// Certificate what the client showed of itself, nil for nothing. Intermediates came
	// with it.
	TLS           *hop.TLS
	Certificate   *x509.Certificate
	Intermediates []*x509.Certificate
	// Until is when the connection is to end, on the clock of netio.Shared; 0 is never.
	Until time.Duration
	// Account is what the connection holds of the proxy's memory; nil counts nothing.
	Account *overload.Account
	// Sink takes the connection's Hops.
	Sink hop.Sink
}
