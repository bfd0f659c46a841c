package errorbody

import (
	"errors"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
)

// Body is the content of some errors.
type Body struct {
	// Statuses are ranges of statuses, with their ends; none is all from 400 on.
	Statuses [][2]int
	// Endpoints says that it takes the place of what endpoints send, too.
	Endpoints   bool
	ContentType string
	Content     []byte
}

func (b *Body) isFor(status int) bool {
	for _, s := range b.Statuses {
		if s[0] <= status && status <= s[1] {
			return true
		}
	}
	return len(b.Statuses) == 0 && status >= 400
}

// New returns the filter. The first body that suits is taken.
func New(bodies []Body) filter.Filter {
	return func(next filter.Handler) filter.Handler {
		return func(x *filter.Exchange) error {
			if x.Hop.GRPC {
				return next(x)
			}
			w := &writer{Writer: x.Writer, bodies: bodies, head: x.Request.Method == message.HEAD}
			x.Writer = w
			err := next(x)
			// What the proxy answers is written when the chain has returned. The content of an
			// answer that the configuration has stays.
			a, isAnswer := errors.AsType[*fault.Answer](err)
			w.own, w.stays = err != nil, isAnswer && a.Body != nil
			return err
		}
	}
}

// writer is a response whose content may be replaced.
type writer struct {
	filter.Writer
	bodies   []Body
	head     bool // the request is HEAD
	own      bool // the response is the proxy's
	stays    bool // it has the content that it is to have
	replaced bool
}

// ofContent are fields that are about the content as it was.
var ofContent = [...]string{"content-encoding", "content-language", "content-location", "content-range", "content-md5", "digest", "content-digest",
	"repr-digest", "accept-ranges", "etag", "last-modified"}

// Head begins the response, with other content where that is asked for.
func (w *writer) Head(h *message.Head) error {
	w.replaced = false
	for i := range w.bodies {
		if b := &w.bodies[i]; b.isFor(h.Status) && (w.own || b.Endpoints) && !w.stays && h.Framing != message.Tunnel {
			return w.replace(h, b)
		}
	}
	return w.Writer.Head(h)
}

func (w *writer) replace(h *message.Head, b *Body) error {
	w.replaced = true
	for _, name := range ofContent {
		h.RemoveName([]byte(name))
	}
	h.Remove(message.ContentLength)
	h.Remove(message.Trailer)
	h.Remove(message.ContentType)
	h.Framing, h.Length = message.ByLength, int64(len(b.Content))
	h.Add(message.ContentType, "content-type", b.ContentType)
	if err := w.Writer.Head(h); err != nil || w.head {
		return err
	}
	return w.Writer.Content(b.Content)
}

// Content sends a piece of content, unless other content has taken its place.
func (w *writer) Content(piece []byte) error {
	if w.replaced {
		return nil
	}
	return w.Writer.Content(piece)
}

// End ends the response. Trailers belong to the content that was there.
func (w *writer) End(trailers *message.Head) error {
	if w.replaced {
		trailers = nil
	}
	return w.Writer.End(trailers)
}
