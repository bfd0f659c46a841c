package grpcweb_test

import (
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/grpcweb"
	"github.com/hopscope/hopscope/proxy/message"
)

// client is the client's side: it sends pieces of content, and writes down what
// it gets.
type client struct {
	filter.Conn
	filter.Body
	filter.Writer
	whole  bool
	pieces []string

	head    []string
	status  int
	framing message.Framing
	length  int64
	got     string
	flushed []string // what had been got at each Flush
	ended   bool
	trailed bool
}

func (c *client) Whole() ([]byte, bool) {
	return []byte(strings.Join(c.pieces, "")), c.whole
}

func (c *client) Next() ([]byte, error) {
	if len(c.pieces) == 0 {
		return nil, io.EOF
	}
	piece := c.pieces[0]
	c.pieces = c.pieces[1:]
	return []byte(piece), nil
}

func (c *client) Head(h *message.Head) error {
	c.head, c.status, c.framing, c.length = fields(h), h.Status, h.Framing, h.Length
	return nil
}

func (c *client) Content(piece []byte) error {
	c.got += string(piece)
	clear(piece) // it is good for the call alone
	return nil
}

func (c *client) Flush() error {
	c.flushed = append(c.flushed, c.got)
	return nil
}

func (c *client) End(trailers *message.Head) error {
	c.ended, c.trailed = true, trailers != nil
	return nil
}

func (c *client) Began() bool { return c.got != "" }

func fields(h *message.Head) []string {
	all := []string{}
	for i := range h.Fields {
		if f := &h.Fields[i]; !f.Removed {
			all = append(all, string(h.Bytes(f.Name))+": "+string(h.Bytes(f.Value)))
		}
	}
	return all
}

// set makes h of these fields, "name: value".
func set(h *message.Head, lines ...string) {
	h.Begin(nil)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(message.FieldByName([]byte(name)), name, value)
	}
}

// call is a POST with these fields and its content in pieces.
func call(c *client, lines ...string) *filter.Exchange {
	x := new(filter.Exchange)
	x.Connect(c, c, c)
	set(&x.Request, lines...)
	x.Request.Method, x.Request.Framing, x.Request.Length = message.POST, message.ByLength, 8
	return x
}

// run sends the exchange through the filter to an endpoint.
func run(x *filter.Exchange, endpoint filter.Handler) error {
	return filter.Chain(endpoint, grpcweb.New())(x)
}

// head begins the response with these fields.
func head(x *filter.Exchange, status int, framing message.Framing, lines ...string) error {
	set(&x.Response, lines...)
	x.Response.Status, x.Response.Framing, x.Response.Length = status, framing, -1
	return x.Writer.Head(&x.Response)
}

func trailers(lines ...string) *message.Head {
	h := new(message.Head)
	set(h, lines...)
	return h
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRequestHead(t *testing.T) {
	for _, tt := range []struct {
		name      string
		in, want  []string
		framing   message.Framing
		length    int64
		answer    string
		untouched bool
	}{
		{
			name:    "binary",
			in:      []string{"Content-Type: application/grpc-web+proto", "Content-Length: 8", "X-Grpc-Web: 1", "Accept: */*"},
			want:    []string{"Content-Type: application/grpc+proto", "Content-Length: 8", "X-Grpc-Web: 1", "Accept: */*", "te: trailers", "grpc-accept-encoding: identity"},
			framing: message.ByLength, length: 8, answer: "application/grpc-web+proto",
		},
		{
			name:    "no codec, parameters, TE and encodings that the client has",
			in:      []string{"content-type: application/grpc-web; charset=utf-8", "te: gzip", "Grpc-Accept-Encoding: gzip"},
			want:    []string{"content-type: application/grpc", "te: trailers", "Grpc-Accept-Encoding: gzip"},
			framing: message.ByLength, length: 8, answer: "application/grpc-web+proto",
		},
		{
			name:    "text",
			in:      []string{"content-type: application/grpc-web-text+proto", "content-length: 8"},
			want:    []string{"content-type: application/grpc+proto", "te: trailers", "grpc-accept-encoding: identity"},
			framing: message.ByLength, length: 5, answer: "application/grpc-web-text+proto",
		},
		{
			name:    "text up, binary down",
			in:      []string{"content-type: application/grpc-web-text", "accept: application/json, application/grpc-web"},
			want:    []string{"content-type: application/grpc", "accept: application/grpc", "te: trailers", "grpc-accept-encoding: identity"},
			framing: message.ByLength, length: 5, answer: "application/grpc-web+proto",
		},
		{
			name:    "binary up, text down",
			in:      []string{"content-type: application/grpc-web", "accept: application/grpc-web-text"},
			want:    []string{"content-type: application/grpc", "accept: application/grpc", "te: trailers", "grpc-accept-encoding: identity"},
			framing: message.ByLength, length: 8, answer: "application/grpc-web-text+proto",
		},
		{
			name: "gRPC itself", in: []string{"content-type: application/grpc"}, want: []string{"content-type: application/grpc"},
			framing: message.ByLength, length: 8, answer: "application/grpc", untouched: true,
		},
		{
			name: "anything else", in: []string{"content-type: text/html", "accept: application/grpc-web"},
			want:    []string{"content-type: text/html", "accept: application/grpc-web"},
			framing: message.ByLength, length: 8, answer: "application/grpc", untouched: true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &client{whole: true, pieces: []string{"aGVsbG8="}}
			x := call(c, tt.in...)
			must(t, run(x, func(x *filter.Exchange) error {
				r := &x.Request
				if diff := cmp.Diff(tt.want, fields(r)); diff != "" {
					t.Errorf("fields (-want +got):\n%s", diff)
				}
				if r.Framing != tt.framing || r.Length != tt.length {
					t.Errorf("framing %d of %d bytes, want %d of %d", r.Framing, r.Length, tt.framing, tt.length)
				}
				if passes := x.Writer == filter.Writer(c); passes != tt.untouched {
					t.Errorf("the writer is the connection itself: %t", passes)
				}
				return head(x, 200, message.Chunked, "content-type: application/grpc")
			}))
			x.Finish()
			if x.Body != filter.Body(c) || x.Writer != filter.Writer(c) {
				t.Error("the client's side was not restored")
			}
			if want := "content-type: " + tt.answer; len(c.head) != 1 || c.head[0] != want {
				t.Errorf("the answer has %q, want %q", c.head, want)
			}
		})
	}
}

func TestRequestContent(t *testing.T) {
	const content = "\x00\x00\x00\x00\x05hello"
	encoded := base64.StdEncoding.EncodeToString([]byte(content))
	read := func(x *filter.Exchange) (string, error) {
		if whole, ok := x.Body.Whole(); ok {
			return string(whole), nil
		}
		all := ""
		for {
			piece, err := x.Body.Next()
			if errors.Is(err, io.EOF) {
				return all, nil
			}
			if err != nil {
				return all, err
			}
			all += string(piece)
		}
	}
	for name, tt := range map[string]struct {
		contentType string
		whole       bool
		pieces      []string
	}{
		"binary, whole":     {"application/grpc-web", true, []string{content}},
		"binary, in pieces": {"application/grpc-web", false, []string{content[:3], content[3:]}},
		"text, whole":       {"application/grpc-web-text", true, []string{encoded}},
		"text, in pieces":   {"application/grpc-web-text", false, []string{encoded[:1], encoded[1:2], encoded[2:9], encoded[9:]}},
	} {
		t.Run(name, func(t *testing.T) {
			x := call(&client{whole: tt.whole, pieces: tt.pieces}, "content-type: "+tt.contentType)
			must(t, run(x, func(x *filter.Exchange) error {
				if text := strings.Contains(name, "text"); text && !tt.whole && (x.Request.Framing != message.Chunked || x.Request.Length != -1) {
					t.Errorf("framing %d of %d bytes", x.Request.Framing, x.Request.Length)
				}
				for range 2 { // a second attempt asks again
					if got, err := read(x); err != nil || got != content {
						t.Errorf("%q, %v", got, err)
					}
					if !tt.whole {
						break
					}
				}
				return nil
			}))
		})
	}

	must(t, run(call(&client{whole: true, pieces: []string{encoded}}, "content-type: application/grpc-web-text"), func(x *filter.Exchange) error {
		piece, err := x.Body.Next()
		if _, end := x.Body.Next(); string(piece) != content || err != nil || !errors.Is(end, io.EOF) {
			t.Errorf("whole content read by Next: %q, %v, then %v", piece, err, end)
		}
		return nil
	}))

	reached := false
	c := &client{whole: true, pieces: []string{"no base64"}}
	x := call(c, "content-type: application/grpc-web-text")
	err := run(x, func(*filter.Exchange) error { reached = true; return nil })
	if fault.Of(err).Kind != fault.BadRequest || reached {
		t.Errorf("malformed content: %v, reached the endpoint: %t", err, reached)
	}
	if x.Writer == filter.Writer(c) {
		t.Error("the reply to malformed content is not translated")
	}

	for _, pieces := range [][]string{{"aGVs", "!!!!"}, {"aGVs", "bG"}} {
		x = call(&client{pieces: pieces}, "content-type: application/grpc-web-text")
		err = run(x, func(x *filter.Exchange) error { _, err := read(x); return err })
		if fault.Of(err).Kind != fault.BadRequest {
			t.Errorf("%q: %v", pieces, err)
		}
	}
}

// frame is a message or, with the flag 0x80, the trailers.
func frame(flag byte, content string) string {
	return string([]byte{flag, 0, 0, 0, byte(len(content))}) + content
}

func TestResponse(t *testing.T) {
	const ended = "grpc-status: 0\r\ngrpc-message: fine\r\n"
	content := frame(0, "hello") + frame(0, "again")
	for _, text := range []bool{false, true} {
		c := &client{whole: true}
		kind := "application/grpc-web"
		if text {
			kind += "-text"
		}
		x := call(c, "content-type: "+kind)
		must(t, run(x, func(x *filter.Exchange) error {
			must(t, head(x, 200, message.ByLength, "content-type: application/grpc+json; a=b", "content-length: 20", "trailer: grpc-status", "x-a: 1"))
			must(t, x.Writer.Content([]byte(content[:4])))
			must(t, x.Writer.Flush())
			must(t, x.Writer.Content([]byte(content[4:6])))
			must(t, x.Writer.Content(nil))
			must(t, x.Writer.Content([]byte(content[6:])))
			last := trailers("Grpc-Status: 0", "secret: x", "grpc-message: fine")
			last.RemoveName([]byte("secret"))
			return x.Writer.End(last)
		}))
		if diff := cmp.Diff([]string{"content-type: " + kind + "+json", "x-a: 1"}, c.head); diff != "" {
			t.Errorf("%s: fields (-want +got):\n%s", kind, diff)
		}
		if c.framing != message.Chunked || c.length != -1 || !c.ended || c.trailed {
			t.Errorf("%s: framing %d of %d bytes, ended %t, with trailers %t", kind, c.framing, c.length, c.ended, c.trailed)
		}
		want, first := content+frame(0x80, ended), content[:4]
		if text {
			first = base64.StdEncoding.EncodeToString([]byte(first))
			want = first + base64.StdEncoding.EncodeToString([]byte(want[4:]))
		}
		if c.got != want || len(c.flushed) != 1 || c.flushed[0] != first {
			t.Errorf("%s: got %q, flushed %q\nwant %q after %q", kind, c.got, c.flushed, want, first)
		}
	}
}

func TestResponsesWithoutContent(t *testing.T) {
	for _, tt := range []struct {
		name    string
		status  int
		framing message.Framing
		in      []string
		content string
		want    []string
	}{
		{
			"trailers only", 200, message.NoBody,
			[]string{"content-type: application/grpc", "grpc-status: 5", "grpc-message: no%20such"}, "",
			[]string{"content-type: application/grpc-web-text+proto", "grpc-status: 5", "grpc-message: no%20such"},
		},
		{
			"an error page", 503, message.ByLength,
			[]string{"content-type: text/html", "content-length: 4"}, "<p>!",
			[]string{"content-type: application/grpc-web-text+proto", "grpc-status: 14", "grpc-message: the answer is no gRPC: HTTP status 503 Service Unavailable"},
		},
		{
			"no content type", 200, message.NoBody, nil, "",
			[]string{"grpc-status: 2", "grpc-message: the answer is no gRPC: HTTP status 200 OK", "content-type: application/grpc-web-text+proto"},
		},
		{
			"a status without a content type", 200, message.NoBody, []string{"grpc-status: 0"}, "",
			[]string{"grpc-status: 0", "content-type: application/grpc-web-text+proto"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &client{whole: true}
			must(t, run(call(c, "content-type: application/grpc-web-text"), func(x *filter.Exchange) error {
				must(t, head(x, tt.status, tt.framing, tt.in...))
				if tt.content != "" {
					must(t, x.Writer.Content([]byte(tt.content)))
				}
				must(t, x.Writer.Flush())
				return x.Writer.End(trailers("x-a: b"))
			}))
			if diff := cmp.Diff(tt.want, c.head); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			if c.got != "" || c.framing != message.ByLength || c.length != 0 || c.status != tt.status || !c.ended || c.trailed {
				t.Errorf("got %+v", c)
			}
		})
	}
}

func TestResponseWithoutTrailers(t *testing.T) {
	c := &client{whole: true}
	must(t, run(call(c, "content-type: application/grpc-web-text"), func(x *filter.Exchange) error {
		must(t, head(x, 200, message.Chunked, "content-type: application/grpc", "grpc-status: 0"))
		must(t, x.Writer.Content([]byte("1234")))
		return x.Writer.End(nil)
	}))
	if c.got != "MTIzNA==" || !c.ended {
		t.Errorf("got %q, ended %t", c.got, c.ended)
	}
}

// The proxy's own reply takes the place of a response of which nothing was sent,
// and is translated after the filter has returned.
func TestReplyAfterAFailure(t *testing.T) {
	c := &client{whole: true}
	x := call(c, "content-type: application/grpc-web-text")
	broken := fault.New(fault.UpstreamReset, "reset")
	err := run(x, func(x *filter.Exchange) error {
		must(t, head(x, 200, message.Chunked, "content-type: application/grpc"))
		must(t, x.Writer.Content([]byte("1"))) // kept back: no whole group
		return broken
	})
	if !errors.Is(err, broken) || x.Writer.Began() {
		t.Fatalf("%v, began %t", err, x.Writer.Began())
	}
	must(t, head(x, 200, message.NoBody, "content-type: application/grpc", "grpc-status: 14"))
	must(t, x.Writer.End(nil))
	if diff := cmp.Diff([]string{"content-type: application/grpc-web-text+proto", "grpc-status: 14"}, c.head); diff != "" || c.got != "" || !c.ended {
		t.Errorf("got %q, ended %t, fields:\n%s", c.got, c.ended, diff)
	}
}

func TestTunnelPasses(t *testing.T) {
	c := &client{whole: true}
	must(t, run(call(c, "content-type: application/grpc-web"), func(x *filter.Exchange) error {
		must(t, head(x, 101, message.Tunnel, "x-a: 1"))
		return x.Writer.End(trailers("x-b: 2"))
	}))
	if diff := cmp.Diff([]string{"x-a: 1"}, c.head); diff != "" || !c.trailed {
		t.Errorf("trailers %t, fields:\n%s", c.trailed, diff)
	}
}
