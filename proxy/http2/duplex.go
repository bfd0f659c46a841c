package http2

import (
	"io"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/netio"
)

// duplex is a stream as one side of a tunnel.
type duplex struct {
	stream *Stream
	piece  []byte // what is left of what was read last
}

// Duplex returns the stream as one side of a tunnel, for CONNECT (RFC 9113 section 8.5) or
// another protocol (RFC 8441).
func (s *Stream) Duplex() netio.Duplex {
	s.pipe.stream = s
	return &s.pipe
}

func (d *duplex) Buffered() []byte { return d.piece }
func (d *duplex) Consume(n int)    { d.piece = d.piece[n:] }

func (d *duplex) Await(now, deadline time.Duration) { d.stream.Await(now, deadline) }

// Fill waits for more once what there was is consumed.
func (d *duplex) Fill() error {
	piece, err := d.stream.Read()
	d.piece = piece
	if err != nil && d.stream.gaveUp() {
		return io.EOF
	}
	return err
}

// gaveUp reports whether a client has reset the stream after everything was sent to it:
// many clients end their side of a tunnel that way.
func (s *Stream) gaveUp() bool {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return s.localEnd && s.err != nil && s.err.Kind == fault.ClientReset
}

func (d *duplex) Write(b []byte) error {
	if err := d.stream.Write(b); err != nil {
		return err
	}
	d.stream.Flush()
	return nil
}

func (d *duplex) CloseWrite() error {
	if err := d.stream.End(nil); err != nil {
		return err
	}
	d.stream.Flush()
	return nil
}

func (d *duplex) Close() error {
	d.stream.Reset(Cancel)
	return nil
}

func (d *duplex) SetWriteTimeout(t time.Duration) { d.stream.SetWriteIdle(t) }
