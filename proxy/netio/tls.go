package netio

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// StartTLS runs a TLS handshake over c, as the server where server is true, and
// encrypts everything from then on. Bytes that were buffered are its first. It
// gives up at by on [Shared.Now]'s scale, 0 for never, with [ErrTimeout]; other
// errors are those of crypto/tls, which has told the peer. What waits next needs
// an Await of its own.
//
// After an error c is as it was before, but for the bytes that were exchanged:
// it is good for CloseWrite, Close, Done and maybe a last word in plain text.
//
// config must not be changed afterwards, nor allow renegotiation. With
// DynamicRecordSizingDisabled an answer of up to 16 KiB is one record.
func (c *Conn) StartTLS(config *tls.Config, server bool, by time.Duration) (tls.ConnectionState, error) {
	w := &wire{Conn: c.nc, c: c, early: bytes.Clone(c.Buffered()), waits: true}
	c.drop()
	if server {
		w.tls = tls.Server(w, config)
	} else {
		w.tls = tls.Client(w, config)
	}
	now := c.Now()
	c.Await(now, by)
	if by != 0 {
		c.nc.SetWriteDeadline(time.Now().Add(by - now))
		defer c.nc.SetWriteDeadline(time.Time{})
	}
	err := w.tls.Handshake()
	w.waits = false
	c.deadline.Store(never)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	c.tls = w
	return w.tls.ConnectionState(), nil
}

// wire is the connection below as crypto/tls sees it. On Linux its Read does
// not wait but reports [errWouldBlock], which crypto/tls takes for a passing
// trouble: it keeps what it has of a record and can be asked again. So it runs
// within the waits of Conn, as a codec would.
type wire struct {
	net.Conn
	c   *Conn
	tls *tls.Conn

	waits   bool   // Read does wait, since a handshake is run
	early   []byte // what was received before the handshake
	ended   bool   // the end was read from the connection below
	framing framing
	empty   bool // crypto/tls has nothing left of what it was given
	single  bool // it was empty, and then was given one record

	// What follows is guarded by the lock under which crypto/tls writes, be it
	// for who writes or, with a key update or an alert, for who reads.

	closeBy time.Time         // when the last alert must have gone out
	held    *[BufferSize]byte // records that wait for the one behind them
	holds   int               // their length
	moved   int               // how much went out, without the handshake

	more  atomic.Bool // a record comes right behind those written now
	leave atomic.Bool // the connection is about to be closed, and nothing waits
}

// Read receives what crypto/tls is to decrypt.
func (w *wire) Read(b []byte) (n int, err error) {
	switch {
	case len(w.early) > 0:
		n = copy(b, w.early)
		w.early = w.early[n:]
	case w.waits:
		n, err = w.wait(b)
	default:
		n, err = w.receive(b)
	}
	if err == io.EOF {
		w.ended = true
	}
	records := w.framing.follow(b[:n])
	w.single = w.empty && records == 1 && w.framing.whole()
	w.empty = false
	return n, err
}

// wait reads within the handshake, whose time the timer of Conn keeps.
func (w *wire) wait(b []byte) (int, error) {
	for {
		n, err := w.Conn.Read(b)
		if n > 0 || err == nil {
			return n, nil
		}
		again, err := w.c.again(err)
		if !again {
			return 0, err
		}
	}
}

// Write sends what crypto/tls has encrypted: at most one record a call, but for
// the handshake.
func (w *wire) Write(b []byte) (int, error) {
	if w.waits {
		return w.Conn.Write(b)
	}
	if w.more.Load() && w.holds+len(b) <= BufferSize {
		if w.held == nil {
			w.held = w.c.shared.Borrow()
		}
		w.holds += copy(w.held[w.holds:], b)
		return len(b), nil
	}
	var before []byte
	if w.held != nil {
		before = w.held[:w.holds]
	}
	n, err := w.c.transmit(before, b, w.patience())
	w.moved += n
	if w.held != nil {
		w.c.shared.Return(w.held)
		w.held, w.holds = nil, 0
	}
	return max(0, n-len(before)), err
}

// patience is how long a write may be stuck.
func (w *wire) patience() time.Duration {
	usual := w.c.WriteTimeout
	switch {
	case w.leave.Load():
		return time.Nanosecond
	case w.closeBy.IsZero():
		return usual
	}
	left := max(time.Nanosecond, time.Until(w.closeBy))
	if usual > 0 {
		left = min(left, usual)
	}
	return left
}

// SetWriteDeadline is called for the alert that ends the stream, before it and
// after.
func (w *wire) SetWriteDeadline(t time.Time) error {
	w.closeBy = t
	return nil
}

// Close leaves the closing to Conn.
func (w *wire) Close() error { return nil }

// write encrypts and sends. What fits becomes one record. Else the record of
// head is held back until the first of body's is there, so that a short head,
// as that of a chunk, costs no system call of its own, and the body is not
// copied for it.
func (w *wire) write(head, body []byte) error {
	switch {
	case len(head) == 0:
		head = body
	case len(body) == 0:
	case len(head)+len(body) <= BufferSize:
		both := w.c.shared.Borrow()
		n := copy(both[:], head)
		n += copy(both[n:], body)
		_, err := w.tls.Write(both[:n])
		w.c.shared.Return(both)
		return err
	default:
		w.more.Store(true)
		_, err := w.tls.Write(head)
		w.more.Store(false)
		if err != nil {
			return err
		}
		head = body
	}
	_, err := w.tls.Write(head)
	return err
}

// read decrypts what is there, or what comes.
func (w *wire) read(b []byte) (int, error) {
	w.single = false
	n, err := w.tls.Read(b)
	switch {
	case n > 0: // what ends it behind these is told again
		w.empty = w.single && n < len(b)
		return n, nil
	case err == errWouldBlock:
		w.empty = w.framing.whole()
	case err == io.EOF && w.ended: // not by a close_notify
		return 0, io.ErrUnexpectedEOF
	}
	return 0, err
}

// errWouldBlock is what crypto/tls gets where there is nothing to read.
var errWouldBlock error = wouldBlock{}

// wouldBlock is a [net.Error] that passes.
type wouldBlock struct{}

func (wouldBlock) Error() string   { return "nothing has been received" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }

// framing follows the records in what crypto/tls is given (RFC 8446 section
// 5.1). Who knows that they are used up need not ask crypto/tls, which allocates
// to find out.
type framing struct {
	header [5]byte
	have   int // of the header
	left   int // what has yet to come of the record behind it
}

// follow returns how many headers ended in b.
func (f *framing) follow(b []byte) (records int) {
	for len(b) > 0 {
		if f.left > 0 {
			n := min(f.left, len(b))
			f.left -= n
			b = b[n:]
			continue
		}
		n := copy(f.header[f.have:], b)
		f.have += n
		b = b[n:]
		if f.have == len(f.header) {
			f.have, f.left = 0, int(f.header[3])<<8|int(f.header[4])
			records++
		}
	}
	return records
}

// whole reports whether a record's end was the last that came.
func (f *framing) whole() bool { return f.have == 0 && f.left == 0 }

// farewell tells the peer that no more comes, if that can be sent at once (RFC
// 8446 section 6.1).
func (w *wire) farewell() {
	w.leave.Store(true)
	w.tls.Close()
}
