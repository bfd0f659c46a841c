package filter

import (
	"errors"
	"fmt"
	"io"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
)

// Buffer waits for all of the request's content and puts a Body that has it in the place
// of the one that is there. Content of more than most bytes fails with
// [fault.ContentTooLarge]. A client that waits to be asked for its content is asked.
func (x *Exchange) Buffer(most int) error {
	if x.Request.Length > int64(most) {
		return tooLarge(most)
	}
	if content, whole := x.Body.Whole(); whole {
		if len(content) > most {
			return tooLarge(most)
		}
		return nil
	}
	if x.Request.Expect {
		if err := x.invite(); err != nil {
			return err
		}
	}
	b := &buffered{Body: x.Body}
	for {
		piece, err := x.Body.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if len(b.content)+len(piece) > most {
			return tooLarge(most)
		}
		before := cap(b.content)
		b.content = append(b.content, piece...)
		if !x.Hold(cap(b.content) - before) {
			return fault.New(fault.Overload, "there is no memory to keep the request's content in; see overload.max_memory")
		}
	}
	x.Body = b
	x.sized(b.content)
	return nil
}

// Again puts content that has come, all there is, in the place of the Body that is there: for
// a request that is sent on once more, as it was or with none.
func (x *Exchange) Again(content []byte) {
	x.Body = &buffered{Body: x.Body, content: content}
	if x.Request.HasBody() {
		x.sized(content)
	}
}

// sized makes the head of the request one of content whose length is known, unless trailers
// follow it.
func (x *Exchange) sized(content []byte) {
	if r := &x.Request; x.Body.Trailers() == nil {
		r.Remove(message.ContentLength)
		r.Framing, r.Length = message.ByLength, int64(len(content))
	}
}

// invite asks the client for the content that it holds back (RFC 9110 section 10.1.1).
func (x *Exchange) invite() error {
	h := new(message.Head)
	h.Begin(nil)
	h.Status = 100
	h.SetReason(h.Own("Continue"))
	if err := x.Writer.Interim(h); err != nil {
		return err
	}
	x.Request.Remove(message.Expect)
	x.Request.Expect = false
	return nil
}

// Hold counts n bytes more in the account of the connection until the exchange ends. It is
// false where there is no memory for them.
func (x *Exchange) Hold(n int) bool {
	a := x.Conn.Info().Account
	if a == nil || n == 0 {
		return true
	}
	if !a.Grow(n) {
		return false
	}
	x.buffered += n
	return true
}

// Release counts n bytes less, of those that Hold has counted.
func (x *Exchange) Release(n int) {
	if a := x.Conn.Info().Account; a != nil {
		a.Give(n)
		x.buffered -= n
	}
}

func tooLarge(most int) error {
	return fault.New(fault.ContentTooLarge, fmt.Sprintf("the request's content is larger than %d bytes, which is what may be kept of it", most))
}

// buffered is content that is all here.
type buffered struct {
	Body
	content []byte
	given   bool // Next has returned it
}

// Whole is the content, unless trailers follow it, which only Next can tell.
func (b *buffered) Whole() ([]byte, bool) { return b.content, b.Trailers() == nil }

// Next returns the content, and then io.EOF.
func (b *buffered) Next() ([]byte, error) {
	if b.given || len(b.content) == 0 {
		return nil, io.EOF
	}
	b.given = true
	return b.content, nil
}
