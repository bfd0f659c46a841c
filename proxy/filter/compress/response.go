package compress

import (
	"bytes"

	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
)

// response is a response that may be compressed.
type response struct {
	filter.Writer
	*policy
	x      *filter.Exchange
	chosen int  // of the algorithms, -1 for none
	head   bool // the request is HEAD

	encoder encoder // nil for a response that passes as it is
	counted bool    // the connection's account has the encoder's memory
	pending bool    // the encoder has content that was not flushed
	err     error   // of writing what it made
}

// Head begins the response, and decides whether it is compressed.
func (w *response) Head(h *message.Head) error {
	w.release() // another head may have been here
	w.err = nil
	if w.suits(h) {
		h.Vary("accept-encoding")
		if w.chosen >= 0 && !w.head && w.room() {
			w.begin(h)
		}
	}
	return w.Writer.Head(h)
}

// suits reports whether a response would be compressed for a client that wants it.
func (w *response) suits(h *message.Head) bool {
	switch {
	case h.Status == 204, h.Status == 206, h.Status == 304, h.Status < 200:
		return false
	case !w.head && (!h.HasBody() || h.Framing == message.ByLength && h.Length < w.MinBytes):
		return false
	}
	contentType, ok := h.Get(message.ContentType)
	if !ok || !w.hasType(contentType) {
		return false
	}
	for i := range h.Fields {
		f := &h.Fields[i]
		if f.Removed || f.ID != message.Unknown {
			continue
		}
		switch name, value := h.Bytes(f.Name), h.Bytes(f.Value); {
		case message.EqualFold(name, "content-encoding") && !message.EqualFold(bytes.TrimSpace(value), "identity"),
			message.EqualFold(name, "content-range"),
			message.EqualFold(name, "cache-control") && noTransform(value):
			return false
		}
	}
	return true
}

// noTransform reports whether Cache-Control forbids to change the content (RFC 9111
// section 5.2.2.6).
func noTransform(value []byte) bool {
	for directive := range bytes.SplitSeq(value, []byte{','}) {
		if message.EqualFold(bytes.TrimSpace(directive), "no-transform") {
			return true
		}
	}
	return false
}

// room counts the encoder's memory; false where there is none, and the response passes as
// it is.
func (w *response) room() bool {
	w.counted = w.counted || w.x.Hold(memory)
	return w.counted
}

// identityOnly are fields that are about the content as it was.
var identityOnly = [...]string{"content-encoding", "accept-ranges", "content-md5", "digest", "content-digest", "repr-digest"}

// begin makes the head that of a compressed response.
func (w *response) begin(h *message.Head) {
	a := w.Algorithms[w.chosen]
	w.encoder, w.pending = w.encoders[a].take(sink{w}), false
	for _, name := range identityOnly {
		h.RemoveName([]byte(name))
	}
	h.Remove(message.ContentLength)
	h.Framing, h.Length = message.Chunked, -1
	h.Add(message.Unknown, "content-encoding", a.String())
	for i := range h.Fields {
		f := &h.Fields[i]
		if f.Removed || f.ID != message.Unknown || !message.EqualFold(h.Bytes(f.Name), "etag") {
			continue
		}
		// The bytes are others now, the meaning is the same (RFC 9110 section 8.8.1).
		if tag := h.Bytes(f.Value); len(tag) > 0 && tag[0] == '"' {
			f.Value = h.Own("W/" + string(tag))
		}
	}
}

// sink takes what the encoder makes.
type sink struct{ w *response }

func (s sink) Write(piece []byte) (int, error) {
	if len(piece) > 0 && s.w.err == nil {
		s.w.err = s.w.Writer.Content(piece)
	}
	return len(piece), s.w.err
}

// said is the error of the client's side, where that is why the encoder failed.
func (w *response) said(err error) error {
	if w.err != nil {
		return w.err
	}
	return err
}

// Content compresses a piece of the content.
func (w *response) Content(piece []byte) error {
	if w.encoder == nil {
		return w.Writer.Content(piece)
	}
	for len(piece) > 0 {
		n := min(len(piece), mostWritten)
		w.pending = true
		if _, err := w.encoder.Write(piece[:n]); err != nil {
			return w.said(err)
		}
		piece = piece[n:]
	}
	return w.err
}

// Flush sends all of what has come so far, so that the client can decompress it.
func (w *response) Flush() error {
	if w.pending {
		w.pending = false
		if err := w.said(w.encoder.Flush()); err != nil {
			return err
		}
	}
	return w.Writer.Flush()
}

// End ends the response.
func (w *response) End(trailers *message.Head) error {
	if w.encoder != nil {
		if err := w.said(w.encoder.Close()); err != nil {
			return err
		}
		w.release()
	}
	return w.Writer.End(trailers)
}

// Cut ends a response that is not whole.
func (w *response) Cut() {
	w.release()
	w.Writer.Cut()
}

// release gives the encoder back.
func (w *response) release() {
	if w.encoder != nil {
		w.encoders[w.Algorithms[w.chosen]].give(w.encoder)
		w.encoder, w.pending = nil, false
	}
}
