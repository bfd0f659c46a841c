package transcode_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
)

// FuzzRequest: whatever a client sends becomes a call whose messages can be read, or is
// refused as the client's mistake.
func FuzzRequest(f *testing.F) {
	for _, target := range []string{"/items/7?at=2026-01-02T03:04:05Z&size=4", "/items", "/items/7/price", "/items/7/parts", "/load/RED", "/file", "/watch/%zz"} {
		f.Add("POST", target, `{"id":"7","parts":[{"more":{"@type":"t/shop.Item"}}],"extra":{"a":[1]}}`)
		f.Add("GET", target, `[{"id":"1"},{}]`)
	}
	f.Add("PUT", "/items/a?data=_-8&tags=%00", `"\ud800"`)
	o := options(f)
	f.Fuzz(func(t *testing.T, method, target, content string) {
		if u, err := url.ParseRequestURI(target); err != nil || u.Path == "" || target[0] != '/' {
			t.Skip() // no decoder lets it through
		}
		c := &client{}
		err := run(t, o, request(c, method, target, content), func(x *filter.Exchange, _ asked) error {
			if !x.Hop.GRPC {
				return x.Writer.End(nil)
			}
			return respond(encode(t, o, "shop.Item", `{}`), "grpc-status: 0")(x, asked{})
		})
		if err != nil && fault.Of(err).Kind != fault.BadRequest {
			t.Fatalf("%s %s %q: %v", method, target, content, err)
		}
		if err != nil && !json.Valid([]byte(c.got)) {
			t.Errorf("the answer is %q", c.got)
		}
	})
}

// FuzzResponse: whatever an endpoint sends becomes JSON, or is refused as its mistake. It
// does not matter in which pieces it comes.
func FuzzResponse(f *testing.F) {
	o := options(f)
	for _, text := range []string{`{}`, `{"id":"7","at":"2026-01-02T03:04:05Z","extra":{"a":[1,null]}}`, `{"more":{"@type":"t/shop.Item","id":"8"}}`} {
		f.Add(encode(f, o, "shop.Item", text), "0", "/items/7", 3)
		f.Add(encode(f, o, "shop.Item", text, text), "5", "/watch/7", 9)
	}
	f.Add([]byte("\x01\x00\x00\x00\x00"), "", "/items/7", 0)
	f.Add([]byte("\x00\xff\xff\xff\xff"), "99", "/watch/7", 0)
	f.Fuzz(func(t *testing.T, frames []byte, status, target string, cut int) {
		if target != "/watch/7" {
			target = "/items/7"
		}
		cut = min(max(cut, 0), len(frames))
		var got [2]string
		for i, pieces := range [][][]byte{{frames}, {frames[:cut], frames[cut:]}} {
			c := &client{}
			err := run(t, o, request(c, "GET", target, ""), func(x *filter.Exchange, _ asked) error {
				h := &x.Response
				*h = *head("content-type: application/grpc")
				h.Status = 200
				if err := x.Writer.Head(h); err != nil {
					return err
				}
				for _, piece := range pieces {
					if err := x.Writer.Content(piece); err != nil {
						return err
					}
				}
				return x.Writer.End(head("grpc-status: " + strings.Map(digit, status)))
			})
			if err != nil && fault.Of(err).Kind != fault.UpstreamProtocol {
				t.Fatalf("%q: %v", frames, err)
			}
			for line := range strings.Lines(c.got) {
				if !json.Valid([]byte(line)) {
					t.Errorf("%q becomes %q", frames, c.got)
				}
			}
			if !c.ended {
				t.Error("the response has no end")
			}
			got[i] = c.got
		}
		if got[0] != got[1] {
			t.Errorf("%q: %q whole, %q cut at %d", frames, got[0], got[1], cut)
		}
	})
}

func digit(r rune) rune {
	if r < '0' || r > '9' {
		return -1
	}
	return r
}
