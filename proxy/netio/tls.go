package netio

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// StartTLS runs a TLS handshake over c, as the server if server is true, and then
// encrypts everything. The handshake begins with the bytes that are buffered. It gives up
// with [ErrTimeout] at by, on the scale of [Shared.Now]; 0 is never. Other errors come
// from crypto/tls, which has told the peer. Call Await before the next wait.
//
// After an error c is still a plain connection, less the bytes of the handshake: use it
// for CloseWrite, Close, Done and perhaps a last message in plain text.
//
// Do not change config afterwards. It must not allow renegotiation. With
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

// wire is the connection that crypto/tls reads and writes. On Linux its Read does not
// wait but returns [errWouldBlock], which crypto/tls takes for a temporary error: it
// keeps its part of a record, and its Read can be called again. So crypto/tls runs within
// the waits of Conn, like a codec.
type wire struct {
	net.Conn
	c   *Conn
	tls *tls.Conn

	waits   bool   // Read waits: a handshake runs
	early   []byte // what was received before the handshake
	ended   bool   // the connection below returned io.EOF
	framing framing
	empty   bool // crypto/tls has consumed all that it was given
	single  bool // it was empty, and was then given one record

	// The lock that crypto/tls holds for a write guards the fields that follow. It also
	// takes it when a read makes it send a key update or an alert.

	closeBy time.Time         // when the last alert must have gone out
	held    *[BufferSize]byte // records that wait for the next one
	holds   int               // their length
	moved   int               // bytes that went out, without the handshake

	more  atomic.Bool // another record follows the ones written now
	leave atomic.Bool // the connection is about to be closed: writes do not wait
}

// Read receives bytes for crypto/tls to decrypt.
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

// wait reads within the handshake. The timer of Conn keeps the deadline.
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

// Write sends what crypto/tls has encrypted: at most one record a call, except in the
// handshake.
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

// patience returns how long a write may be stuck.
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

// SetWriteDeadline is called before and after the alert that ends the stream.
func (w *wire) SetWriteDeadline(t time.Time) error {
	w.closeBy = t
	return nil
}

// Close does nothing: Conn closes.
func (w *wire) Close() error { return nil }

// write encrypts and sends. If head and body fit, they become one record. Else the record
// of head is held back until body's first record is there. So a short head, such as that
// of a chunk, costs no system call of its own, and no copy of the body.
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

// read decrypts bytes that are here, or that arrive.
func (w *wire) read(b []byte) (int, error) {
	w.single = false
	n, err := w.tls.Read(b)
	switch {
	case n > 0: // an end behind these is reported again
		w.empty = w.single && n < len(b)
		return n, nil
	case err == errWouldBlock:
		w.empty = w.framing.whole()
	case err == io.EOF && w.ended: // without a close_notify
		return 0, io.ErrUnexpectedEOF
	}
	return 0, err
}

// errWouldBlock tells crypto/tls that there is nothing to read.
var errWouldBlock error = wouldBlock{}

// wouldBlock is a temporary [net.Error].
type wouldBlock struct{}

func (wouldBlock) Error() string   { return "nothing has been received" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }

// framing follows the records that crypto/tls is given (RFC 8446 section 5.1). If they
// are all used up, there is no need to ask crypto/tls, which allocates to find out.
type framing struct {
	header [5]byte
	have   int // bytes of the header
	left   int // bytes of the record that are still to come
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

// whole reports whether the last byte ended a record.
func (f *framing) whole() bool { return f.have == 0 && f.left == 0 }

// farewell sends a close_notify, if the socket takes it at once (RFC 8446 section 6.1).
func (w *wire) farewell() {
	w.leave.Store(true)
	w.tls.Close()
}
