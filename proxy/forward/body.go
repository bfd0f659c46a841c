package forward

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/upstream"
)

// body is the request's content on its way up: at once with the head where all
// of it has arrived, else by an upload.
type body struct {
	content []byte
	whole   bool
	started bool    // the endpoint may have seen a part of the request
	upload  *upload // nil where the content is whole
	keep    int     // how much of an upload is kept for a retry, in bytes
}

// upload sends content from a goroutine of its own, while the response comes
// down.
type upload struct {
	down   filter.Downstream
	conn   upstream.Stream
	shared *netio.Shared
	start  time.Time // the Hop's

	done   chan struct{}               // closed when it has ended
	ended  atomic.Bool                 // so has it, and all was sent
	failed atomic.Pointer[fault.Error] // the client's failure
	asking atomic.Bool                 // it waits for the client
	idle   time.Duration               // how long both sides may be silent
	sent   int64                       // after done

	// What was sent is kept for a retry, as far as it is not too much.
	keep int
	kept []byte

	mu       sync.Mutex    // guards the connection's Limit, and what follows
	until    time.Duration // when the route's time is up, from start; 0 is never, or not known yet
	answered bool          // the time of one attempt does not matter any more
}

// startUpload begins to send the content of the exchange. The route's time runs
// from the end of the request.
func (f *Forwarder) startUpload(x *filter.Exchange, d *destination, c upstream.Stream, keep int) *upload {
	h := x.Hop
	u := &upload{down: x.Down, conn: c, shared: f.Shared, start: h.Start, done: make(chan struct{}), idle: f.StreamIdleTimeout, keep: keep}
	until := time.Duration(0)
	if d.expires > 0 {
		until = f.clock(h, d.expires)
	}
	c.Await(f.clock(h, now(h)), until, f.StreamIdleTimeout)
	timeout, perTry := d.timeout, d.retry.perTry
	go func() {
		defer close(u.done)
		if u.run() {
			u.limit(timeout, perTry)
		}
	}()
	return u
}

// limit begins the request's time, and that of the attempt, since the request is
// whole now.
func (u *upload) limit(timeout, perTry time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	sent := time.Since(u.start)
	if timeout > 0 {
		u.until = sent + timeout
	}
	by := u.until
	if perTry > 0 && !u.answered && (by == 0 || sent+perTry < by) {
		by = sent + perTry
	}
	if by > 0 {
		u.conn.Limit(u.shared.At(u.start) + by)
	}
}

// answers is told that the response has begun, for which the attempt had its time.
func (u *upload) answers() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answered = true
	if u.until > 0 {
		u.conn.Limit(u.shared.At(u.start) + u.until)
	} else {
		u.conn.Limit(0)
	}
}

// run sends the content and reports whether all of it went out. The client's
// failure ends the exchange; an endpoint that stopped reading may have answered
// nevertheless.
func (u *upload) run() bool {
	err := u.copy()
	var ours *fault.Error
	switch {
	case err == nil:
		u.ended.Store(true)
		return true
	case errors.As(err, &ours) && ours.Kind.Side() == fault.Downstream:
		u.failed.Store(ours) // first: closing makes the exchange ask for it
		u.conn.Close()
	}
	return false
}

// copy sends the content until it ends; as long as it moves, the endpoint is
// not idle. An error of the client's side is the client's; any other is the
// endpoint's.
func (u *upload) copy() error {
	for {
		u.asking.Store(true)
		piece, err := u.down.Body()
		if err != nil && !errors.Is(err, io.EOF) {
			return err // and it still waits for the client
		}
		u.asking.Store(false)
		if err != nil {
			return u.conn.Finish(u.down.Trailers())
		}
		if err := u.conn.Content(piece); err != nil {
			return err
		}
		u.sent += int64(len(piece))
		if u.keep > 0 && u.sent <= int64(u.keep) {
			u.kept = append(u.kept, piece...)
		}
		u.conn.AwaitMore(u.shared.Now())
	}
}

// cause is why an attempt failed: the client's failure, if that is what made
// the upload close the connection, or if the endpoint was silent because the
// client was; or else err. Of a client that went away the client's side knows how.
func (b *body) cause(x *filter.Exchange, err error) error {
	if err == nil {
		return nil
	}
	if fault.Of(err).Kind == fault.ClientClosed {
		if left := x.Down.Left(); left != nil {
			return left
		}
	}
	if b.upload == nil {
		return err
	}
	if failed := b.upload.failed.Load(); failed != nil {
		return failed
	}
	if fault.Of(err).Kind == fault.UpstreamIdle && b.upload.asking.Load() {
		return fault.New(fault.RequestIdle, "the client moved no byte for "+b.upload.idle.String())
	}
	return err
}

// replayable reports whether the request can be sent once more from its beginning:
// all of its content is here, or none of it was taken. An endpoint may answer as the
// last byte arrives, a moment before the upload knows that it was the last.
func (b *body) replayable() bool {
	u := b.upload
	switch {
	case b.whole:
		return true
	case u == nil:
		return !b.started
	}
	select {
	case <-u.done:
	case <-time.After(lookEvery):
	}
	return u.ended.Load() && u.sent <= int64(u.keep) && u.down.Trailers() == nil
}

// settle makes an upload that has ended content that is whole, to be sent again. The
// route's time began with its end.
func (b *body) settle(x *filter.Exchange, d *destination) {
	u := b.upload
	if u == nil {
		return
	}
	b.stop(x, d)
	b.content, b.whole, b.upload = u.kept, true, nil
	x.Request.Remove(message.Expect) // it is not waited for a second time
	x.Request.Expect = false
}

// stop ends the upload, if it is still going on, and waits for its end: the
// connection, which the endpoint may have stopped reading from, is closed then.
// It reports whether all of the content was sent.
func (b *body) stop(x *filter.Exchange, d *destination) bool {
	u := b.upload
	if u == nil {
		return true
	}
	all := u.ended.Load()
	if !all {
		u.down.StopBody()
		u.conn.Close()
	}
	<-u.done
	if u.until > 0 {
		d.until = u.until
	}
	if a := x.Hop.LastAttempt(); a != nil {
		a.BytesSent = u.sent
	}
	return all
}
