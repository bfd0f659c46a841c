package listener

import (
	"cmp"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/http2"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/netio"
)

// worker serves streams, one after the other. It is the [filter.Conn], the [filter.Body]
// and the [filter.Writer] of their exchanges.
type worker struct {
	filter.Exchange
	begin chan struct{}
	gone  func() bool // stream.Gone

	conn   *http2Conn
	stream *http2.Stream
	none   bool // the request has no content; bytes that follow it belong to a tunnel
	heads  bool // it is a HEAD request: the response has no content
	responding

	stopped atomic.Bool  // makes Next return
	moved   atomic.Int64 // when response bytes went out last
}

// responding is the state of the response.
type responding struct {
	head  *message.Head // kept back while it may still be replaced
	began bool          // the head was sent
	ended bool          // the end of the response was sent
	empty bool          // the response has no content
}

// mostWhole is how much content is at most sent in one piece with the head. More content is
// streamed, while the response may already arrive.
const mostWhole = 16 << 10

// serve serves one stream.
func (w *worker) serve() {
	c, s := w.conn, w.stream
	s.TakeHead(&w.Request)
	w.Connect(w, w, w)
	// The stream goes by what was decoded: filters may change the head.
	w.none, w.heads = w.Request.Framing == message.NoBody, w.Request.Method == message.HEAD
	(*c.listener.server.Load()).Serve(&w.Exchange, s.Refused())
	w.Disconnect()
	finished := w.Finished
	w.conn, w.stream, w.responding = nil, nil, responding{}
	w.moved.Store(0)
	w.Request.Reset()
	w.Response.Reset()
	s.Close()
	c.served(finished)
}

// Info and the methods up to Whole implement [filter.Conn]; [filter.Body] begins with
// Whole.
func (w *worker) Info() *filter.ConnInfo { return &w.conn.info }

// Gone returns a func that reports whether the client has reset the stream, or is gone.
func (w *worker) Gone() func() bool { return w.gone }

// Left tells a stream that was reset from a connection that was closed.
func (w *worker) Left() error { return w.conn.cause(w.stream.Err()) }

// Whole returns the content, if all of it is here and it is at most mostWhole bytes.
func (w *worker) Whole() ([]byte, bool) {
	if w.none {
		return nil, true
	}
	content, ended := w.stream.Buffered()
	if !ended || len(content) > mostWhole || w.stream.Trailers() != nil {
		return nil, false
	}
	w.Hop.BytesIn = int64(len(content))
	return content, true
}

// Complete reports whether the client has ended its side of the stream.
func (w *worker) Complete() bool {
	_, ended := w.stream.Buffered()
	return ended
}

// Next waits for the next piece of content. The idle timeout counts from the last byte in
// either direction: the stream is not idle while the response goes out.
func (w *worker) Next() ([]byte, error) {
	shared, idle := w.conn.listener.Shared, w.idle()
	start := shared.Now()
	for now := start; ; now = shared.Now() {
		w.stream.Await(now, max(start, time.Duration(w.moved.Load()))+idle)
		piece, err := w.stream.Read()
		switch {
		case err == nil || errors.Is(err, io.EOF):
			w.Hop.BytesIn += int64(len(piece))
			return piece, err
		case w.stopped.Load() && errors.Is(err, os.ErrDeadlineExceeded):
			return nil, filter.ErrStopped
		case !errors.Is(err, os.ErrDeadlineExceeded),
			shared.Now() >= max(start, time.Duration(w.moved.Load()))+idle:
			return nil, w.explain(err)
		}
	}
}

// idle is how long the exchange may go on without a byte moving.
func (w *worker) idle() time.Duration { return cmp.Or(w.Exchange.Idle, w.conn.listener.StreamIdle) }

// Stop makes a waiting Next return.
func (w *worker) Stop() {
	w.stopped.Store(true)
	w.stream.Stop(true)
}

// Resume lets Next wait again.
func (w *worker) Resume() {
	w.stopped.Store(false)
	w.stream.Stop(false)
}

// Trailers returns the request's trailers.
func (w *worker) Trailers() *message.Head { return w.stream.Trailers() }

// explain returns the fault for an error on the client's side.
func (w *worker) explain(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fault.New(fault.RequestIdle, "the client moved no byte for "+w.idle().String())
	}
	return w.conn.cause(err)
}

// Interim sends an interim response at once: the first method of [filter.Writer].
func (w *worker) Interim(h *message.Head) error {
	if err := w.stream.WriteHead(h, false); err != nil {
		return w.explain(err)
	}
	w.stream.Flush()
	return nil
}

// Head begins the final response. It replaces one that is kept back.
func (w *worker) Head(h *message.Head) error {
	w.head, w.Hop.BytesOut = h, 0
	if w.Exchange.Idle > 0 {
		w.stream.SetWriteIdle(w.Exchange.Idle)
	}
	w.Decorate(h)
	w.empty = h.Framing == message.NoBody || w.heads
	return nil
}

// sendHead sends the head that was kept back.
func (w *worker) sendHead() error {
	if w.head == nil {
		return nil
	}
	h := w.head
	w.head, w.began = nil, true
	if err := w.stream.WriteHead(h, false); err != nil {
		return w.explain(err)
	}
	return nil
}

// Content sends a piece of content; it goes out with Flush, or before.
func (w *worker) Content(piece []byte) error {
	if err := w.sendHead(); err != nil || w.empty {
		return err
	}
	w.Hop.BytesOut += int64(len(piece))
	err := w.stream.Write(piece)
	w.Hop.WriteBlocked += w.stream.TakeBlocked()
	if err != nil {
		return w.explain(err)
	}
	w.moved.Store(int64(w.conn.listener.Shared.Now()))
	return nil
}

// Flush sends what was kept back.
func (w *worker) Flush() error {
	err := w.sendHead()
	w.stream.Flush()
	return err
}

// End ends the response.
func (w *worker) End(trailers *message.Head) error {
	if h := w.head; h != nil && trailers == nil {
		return w.endWithHead(h)
	}
	if err := w.sendHead(); err != nil {
		return err
	}
	w.ended = true
	if err := w.stream.End(trailers); err != nil {
		return w.explain(err)
	}
	w.stream.Flush()
	return nil
}

// endWithHead sends a response that is nothing but a head, as one frame that also ends the
// stream. gRPC clients take a call's status from a head only if it does.
func (w *worker) endWithHead(h *message.Head) error {
	w.head, w.began, w.ended = nil, true, true
	if err := w.stream.WriteHead(h, true); err != nil {
		return w.explain(err)
	}
	w.stream.Flush()
	return nil
}

// Began reports whether a final response was sent.
func (w *worker) Began() bool { return w.began }

// Cut makes sure that the client can tell that the response is not whole.
func (w *worker) Cut() {
	if !w.ended {
		w.stream.Reset(http2.InternalError)
	}
}

// Detach gives the stream to a tunnel.
func (w *worker) Detach() netio.Duplex {
	w.ended = true
	return w.stream.Duplex()
}
