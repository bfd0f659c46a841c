package body

import (
	"fmt"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
)

// New returns the filter. Content of more than most bytes is refused with
// [fault.ContentTooLarge]: at once where its length is told, which also is the answer to
// Expect: 100-continue, and else when it has come. With buffer a request is not sent on
// before all of its content is here.
func New(most int64, buffer bool) filter.Filter {
	return func(next filter.Handler) filter.Handler {
		return func(x *filter.Exchange) error {
			content, whole := x.Body.Whole()
			switch {
			case x.Request.Length > most, int64(len(content)) > most:
				return tooLarge(most)
			case whole:
			case buffer:
				if err := x.Buffer(int(most)); err != nil {
					return err
				}
			default:
				x.Body = &limited{Body: x.Body, most: most}
			}
			return next(x)
		}
	}
}

func tooLarge(most int64) error {
	return fault.New(fault.ContentTooLarge, fmt.Sprintf("the request's content is larger than the %d bytes that the route allows (body.max)", most))
}

// limited is content that has not all come, and may be too large.
type limited struct {
	filter.Body
	most, read int64
}

// Whole is the content if all of it has come by now. What is too large is left to Next to
// refuse.
func (b *limited) Whole() ([]byte, bool) {
	content, whole := b.Body.Whole()
	if int64(len(content)) > b.most {
		return nil, false
	}
	return content, whole
}

// Next waits for the next piece. The one that is too much is not given.
func (b *limited) Next() ([]byte, error) {
	piece, err := b.Body.Next()
	if b.read += int64(len(piece)); b.read > b.most {
		return nil, tooLarge(b.most)
	}
	return piece, err
}
