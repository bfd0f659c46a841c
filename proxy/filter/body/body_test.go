package body_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/body"
	"github.com/hopscope/hopscope/proxy/message"
)

// client sends pieces of content.
type client struct {
	filter.Conn
	filter.Writer
	pieces []string
	whole  bool
}

func (c *client) Info() *filter.ConnInfo  { return &filter.ConnInfo{} }
func (c *client) Trailers() *message.Head { return nil }
func (c *client) Complete() bool          { return c.whole }
func (c *client) Stop()                   {}
func (c *client) Resume()                 {}
func (c *client) Whole() ([]byte, bool) {
	if !c.whole {
		return nil, false
	}
	return []byte(strings.Join(c.pieces, "")), true
}

func (c *client) Next() ([]byte, error) {
	if len(c.pieces) == 0 {
		return nil, io.EOF
	}
	piece := []byte(c.pieces[0])
	c.pieces = c.pieces[1:]
	return piece, nil
}

func TestLimit(t *testing.T) {
	for name, tt := range map[string]struct {
		pieces []string
		whole  bool
		told   int64 // the length that the request tells, -1 for none
		buffer bool
		early  bool   // it is refused before the next handler has it
		sees   string // what that reads
		late   bool   // and then an error
		isHere bool   // all of it is here when that begins
	}{
		"none":                        {whole: true, isHere: true},
		"whole, as much as may be":    {pieces: []string{"12345"}, whole: true, told: 5, sees: "12345", isHere: true},
		"whole, too much":             {pieces: []string{"123456"}, whole: true, told: -1, early: true},
		"told to be too much":         {pieces: []string{"1"}, told: 6, early: true},
		"streamed, as much as may be": {pieces: []string{"123", "45"}, told: -1, sees: "12345"},
		"streamed, too much":          {pieces: []string{"123", "456"}, told: -1, sees: "123", late: true},
		"buffered, as much as may be": {pieces: []string{"123", "45"}, told: -1, buffer: true, sees: "12345", isHere: true},
		"buffered, too much":          {pieces: []string{"123", "456"}, told: -1, buffer: true, early: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := &client{pieces: tt.pieces, whole: tt.whole}
			x := &filter.Exchange{}
			x.Connect(c, c, c)
			x.Request.Framing, x.Request.Length = message.Chunked, tt.told
			reached := false
			err := filter.Chain(func(x *filter.Exchange) error {
				reached = true
				if _, whole := x.Body.Whole(); whole != tt.isHere {
					t.Errorf("all is here: %t", whole)
				}
				all := ""
				for {
					piece, err := x.Body.Next()
					if all += string(piece); err == nil {
						continue
					}
					if all != tt.sees || errors.Is(err, io.EOF) == tt.late {
						t.Errorf("read %q, then %v", all, err)
					}
					if errors.Is(err, io.EOF) {
						return nil
					}
					return err
				}
			}, body.New(5, tt.buffer))(x)
			if reached == tt.early {
				t.Errorf("passed on: %t", reached)
			}
			if refused := tt.early || tt.late; refused != (err != nil) || refused && fault.Of(err).Kind != fault.ContentTooLarge {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

// growing is content that comes whole between two questions.
type growing struct{ client }

func (g *growing) Whole() ([]byte, bool) {
	defer func() { g.whole = true }()
	return g.client.Whole()
}

// TestLimitOfWhatCameMeanwhile: content that is all here only later is no larger for that.
func TestLimitOfWhatCameMeanwhile(t *testing.T) {
	for content, want := range map[string]bool{"12345": true, "123456": false} {
		c := &growing{client{pieces: []string{content}}}
		x := &filter.Exchange{}
		x.Connect(c, c, c)
		x.Request.Length = -1
		err := filter.Chain(func(x *filter.Exchange) error {
			if _, whole := x.Body.Whole(); whole != want {
				t.Errorf("%q is here: %t", content, whole)
			}
			_, err := x.Body.Next()
			return err
		}, body.New(5, false))(x)
		if (err == nil) != want {
			t.Errorf("%q: %v", content, err)
		}
	}
}
