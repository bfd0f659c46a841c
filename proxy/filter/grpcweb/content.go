package grpcweb

import (
	"errors"
	"io"

	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
)

// content is the content of a request in base64, decoded.
type content struct {
	filter.Body
	whole   bool   // all of it was here at once, and is in decoded
	decoded []byte // what Next returns, or has returned
	given   bool   // it has returned what was whole
	decoder decoder
}

// decodeText puts the decoded content in the place of the request's own.
func decodeText(x *filter.Exchange) (err error) {
	c, r := &content{Body: x.Body}, &x.Request
	x.Body = c
	r.Remove(message.ContentLength)
	r.Framing, r.Length = message.Chunked, -1
	encoded, whole := c.Body.Whole()
	if !whole {
		return nil
	}
	c.whole = true
	if c.decoded, err = c.decoder.append(make([]byte, 0, len(encoded)/4*3), encoded); err == nil {
		err = c.decoder.end()
	}
	r.Framing, r.Length = message.ByLength, int64(len(c.decoded))
	return err
}

// Whole is the content if it was all here.
func (c *content) Whole() ([]byte, bool) {
	if !c.whole {
		return nil, false
	}
	return c.decoded, true
}

// Next is the next piece of the content.
func (c *content) Next() ([]byte, error) {
	if c.whole {
		if c.given || len(c.decoded) == 0 {
			return nil, io.EOF
		}
		c.given = true
		return c.decoded, nil
	}
	for {
		encoded, err := c.Body.Next()
		if errors.Is(err, io.EOF) {
			if malformed := c.decoder.end(); malformed != nil {
				return nil, malformed
			}
		}
		if err != nil {
			return nil, err
		}
		if c.decoded, err = c.decoder.append(c.decoded[:0], encoded); err != nil {
			return nil, err
		}
		if len(c.decoded) > 0 {
			return c.decoded, nil
		}
	}
}
