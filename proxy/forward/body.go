package forward

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
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

	done   chan struct{}               // closed when it has ended
	ended  atomic.Bool                 // so has it, and all was sent
	failed atomic.Pointer[fault.Error] // the client's failure
	asking atomic.Bool                 // it waits for the client
	idle   time.Duration               // how long both sides may be silent
	sent   int64                       // after done

	// What was sent is kept for a retry, as far as it is not too much.
	keep  int
	kept  []byte
	until time.Duration // when the route's time is up, from the start of the Hop; after done
}

// startUpload begins to send the content of the exchange. The route's time runs
// from the end of the request.
func (f *Forwarder) startUpload(x *filter.Exchange, d *destination, c upstream.Stream, keep int) *upload {
	h := x.Hop
	u := &upload{down: x.Down, conn: c, shared: f.Shared, done: make(chan struct{}), idle: f.StreamIdleTimeout, keep: keep}
	until := time.Duration(0)
	if d.expires > 0 {
		until = f.clock(h, d.expires)
	}
	c.Await(f.clock(h, now(h)), until, f.StreamIdleTimeout)
	start, timeout, perTry := h.Start, d.timeout, d.retry.perTry
	go func() {
		defer close(u.done)
		if !u.run() {
			return
		}
		sent := time.Since(start)
		t := timeout
		if timeout > 0 {
			u.until = sent + timeout
		}
		if perTry > 0 && (t == 0 || perTry < t) {
			t = perTry
		}
		if t > 0 {
			c.Limit(f.Shared.At(start) + sent + t)
		}
	}()
	return u
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
// all of its content is here, or none of it was taken.
func (b *body) replayable() bool {
	u := b.upload
	switch {
	case b.whole:
		return true
	case u == nil:
		return !b.started
	}
	return u.ended.Load() && u.sent <= int64(u.keep) && u.down.Trailers() == nil
}

// replay makes an upload that has ended content that is whole. The route's time
// began with its end.
func (b *body) replay(x *filter.Exchange, d *destination) {
	u := b.upload
	if u == nil {
		return
	}
	b.stop(x)
	b.content, b.whole, b.upload, d.until = u.kept, true, nil, u.until
}

// stop ends the upload, if it is still going on, and waits for its end: the
// connection, which the endpoint may have stopped reading from, is closed then.
// It reports whether all of the content was sent.
func (b *body) stop(x *filter.Exchange) bool {
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
	x.Hop.BytesIn = u.sent
	if a := x.Hop.LastAttempt(); a != nil {
		a.BytesSent = u.sent
	}
	return all
}
