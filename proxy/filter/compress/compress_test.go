package compress_test

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/compress"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/overload"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// client writes down what it gets.
type client struct {
	filter.Body
	filter.Writer
	info    filter.ConnInfo
	fails   error // of Content
	head    []string
	framing message.Framing
	length  int64
	got     []byte
	flushed [][]byte // what had been got at each Flush
	ended   bool
	cut     bool
}

func (c *client) Info() *filter.ConnInfo { return &c.info }
func (c *client) Gone() func() bool      { return nil }
func (c *client) Left() error            { return nil }

func (c *client) Head(h *message.Head) error {
	c.head, c.framing, c.length, c.got = fields(h), h.Framing, h.Length, nil
	return nil
}

func (c *client) Content(piece []byte) error {
	c.got = append(c.got, piece...)
	return c.fails
}

func (c *client) Flush() error {
	c.flushed = append(c.flushed, bytes.Clone(c.got))
	return nil
}

func (c *client) End(*message.Head) error {
	c.ended = true
	return nil
}

func (c *client) Cut() { c.cut = true }

// conn is the connection of a client: its methods collide with those of none.
type conn struct {
	filter.Conn
	info *filter.ConnInfo
}

func (c conn) Info() *filter.ConnInfo { return c.info }

func fields(h *message.Head) []string {
	all := []string{}
	for i := range h.Fields {
		if f := &h.Fields[i]; !f.Removed {
			all = append(all, string(h.Bytes(f.Name))+": "+string(h.Bytes(f.Value)))
		}
	}
	return all
}

func set(h *message.Head, lines ...string) {
	h.Begin(nil)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(message.FieldByName([]byte(name)), name, value)
	}
}

var options = compress.Options{
	Algorithms: []compress.Algorithm{compress.Zstd, compress.Brotli, compress.Gzip}, MinBytes: 10, Types: []string{"text/*", "application/json", "application/*"},
}

// ask is a request with these values of Accept-Encoding, to an endpoint that answers.
func ask(c *client, method message.Method, accepts []string, endpoint filter.Handler) (*filter.Exchange, error) {
	x := &filter.Exchange{Hop: &hop.Hop{}}
	x.Connect(conn{info: &c.info}, c, c)
	x.Request.Begin(nil)
	for _, value := range accepts {
		x.Request.Add(message.Unknown, "Accept-Encoding", value)
	}
	x.Request.Method = method
	return x, filter.Chain(endpoint, compress.New(options))(x)
}

// begin begins a response whose length is told, unless it is below 0.
func begin(x *filter.Exchange, status int, length int64, lines ...string) error {
	r := &x.Response
	set(r, lines...)
	r.Status, r.Framing, r.Length = status, message.Chunked, length
	if length >= 0 {
		r.Framing = message.ByLength
		r.Add(message.ContentLength, "content-length", "100")
	}
	return x.Writer.Head(r)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// decode decompresses, as far as it goes.
func decode(t *testing.T, coding string, b []byte) string {
	t.Helper()
	var r io.Reader = bytes.NewReader(b)
	switch coding {
	case "gzip":
		z, err := gzip.NewReader(r)
		must(t, err)
		r = z
	case "br":
		r = brotli.NewReader(r)
	case "zstd":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		must(t, err)
		defer z.Close()
		r = z
	}
	text, _ := io.ReadAll(r) // what was flushed ends in the middle
	return string(text)
}

func TestNegotiation(t *testing.T) {
	for _, tt := range []struct {
		accepts []string
		want    string
	}{
		{nil, ""}, {[]string{""}, ""}, {[]string{"gzip"}, "gzip"}, {[]string{"x-gzip"}, "gzip"}, {[]string{"GZIP, Br"}, "br"},
		{[]string{"gzip, deflate, br, zstd"}, "zstd"}, {[]string{"gzip, deflate", "br"}, "br"},
		{[]string{"gzip;q=1.0, br;q=0.5"}, "gzip"}, {[]string{"gzip ; q=0.9 , br;q=0.901"}, "br"},
		{[]string{"*"}, "zstd"}, {[]string{"*;q=0.5, gzip;q=0.6"}, "gzip"}, {[]string{"zstd;q=0, *"}, "br"}, {[]string{"*;q=0"}, ""},
		{[]string{"gzip;q=0"}, ""}, {[]string{"gzip;q=0.000"}, ""}, {[]string{"gzip;q=0.001"}, "gzip"}, {[]string{"deflate"}, ""},
		{[]string{"identity, gzip;q=0.5"}, ""}, {[]string{"identity;q=0.5, gzip;q=0.5"}, "gzip"}, {[]string{"identity;q=0, gzip"}, "gzip"}, {[]string{"identity"}, ""},
		{[]string{"gzip;q=1.5"}, ""}, {[]string{"gzip;q=1.001"}, ""}, {[]string{"gzip;q=0.1234"}, ""}, {[]string{"gzip;q=x, br"}, "br"}, {[]string{"gzip;q="}, ""}, {[]string{"gzip;level=1"}, ""},
	} {
		c := &client{}
		_, err := ask(c, message.GET, tt.accepts, func(x *filter.Exchange) error { return begin(x, 200, 100, "content-type: text/html") })
		must(t, err)
		got := ""
		for _, f := range c.head {
			if name, value, _ := strings.Cut(f, ": "); name == "content-encoding" {
				got = value
			}
		}
		if got != tt.want {
			t.Errorf("%q is answered with %q, want %q", tt.accepts, got, tt.want)
		}
		if !slices.Contains(c.head, "vary: accept-encoding") {
			t.Errorf("%q: %q does not vary", tt.accepts, c.head)
		}
	}
}

func TestHead(t *testing.T) {
	html := "content-type: text/html; charset=utf-8"
	for name, tt := range map[string]struct {
		method  message.Method
		status  int
		length  int64
		head    []string
		varies  bool
		changed []string // nil for a response that passes
	}{
		"text": {message.GET, 200, 100, []string{html, "ETag: \"a\"", "accept-ranges: bytes", "content-digest: x", "x-a: 1"}, true,
			[]string{html, "ETag: W/\"a\"", "x-a: 1", "vary: accept-encoding", "content-encoding: gzip"}},
		"an ETag that is weak": {message.GET, 404, -1, []string{"Content-Type: Application/JSON", "etag: W/\"a\"", "Vary: Accept-Encoding"}, true,
			[]string{"Content-Type: Application/JSON", "etag: W/\"a\"", "Vary: Accept-Encoding", "content-encoding: gzip"}},
		"identity":           {message.GET, 200, 10, []string{html, "content-encoding: identity"}, true, []string{html, "vary: accept-encoding", "content-encoding: gzip"}},
		"short":              {message.GET, 200, 9, []string{html}, false, nil},
		"empty":              {message.GET, 200, 0, []string{html}, false, nil},
		"HEAD":               {message.HEAD, 200, 100, []string{html}, true, nil},
		"no type":            {message.GET, 200, 100, nil, false, nil},
		"another type":       {message.GET, 200, 100, []string{"content-type: image/png"}, false, nil},
		"gRPC":               {message.GET, 200, -1, []string{"content-type: application/grpc+proto"}, false, nil},
		"encoded":            {message.GET, 200, 100, []string{html, "Content-Encoding: br"}, false, nil},
		"no-transform":       {message.GET, 200, 100, []string{html, "cache-control: max-age=5, No-Transform"}, false, nil},
		"cache-control":      {message.GET, 200, 100, []string{html, "cache-control: no-cache"}, true, []string{html, "cache-control: no-cache", "vary: accept-encoding", "content-encoding: gzip"}},
		"206":                {message.GET, 206, 100, []string{html}, false, nil},
		"204":                {message.GET, 204, -1, []string{html}, false, nil},
		"304":                {message.GET, 304, 100, []string{html, "etag: \"a\""}, false, nil},
		"a range in another": {message.GET, 200, 100, []string{html, "content-range: bytes 0-1/2"}, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := &client{}
			_, err := ask(c, tt.method, []string{"gzip"}, func(x *filter.Exchange) error { return begin(x, tt.status, tt.length, tt.head...) })
			must(t, err)
			want, framing, length := tt.changed, message.Chunked, int64(-1)
			if want == nil {
				want, length = slices.Clone(tt.head), tt.length
				if tt.length >= 0 {
					want, framing = append(want, "content-length: 100"), message.ByLength
				}
				if tt.varies {
					want = append(want, "vary: accept-encoding")
				}
			}
			if diff := cmp.Diff(want, c.head, cmp.Transformer("", func(s []string) string { return strings.Join(s, "\n") })); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			if c.framing != framing || c.length != length {
				t.Errorf("framing %d of %d bytes, want %d of %d", c.framing, c.length, framing, length)
			}
		})
	}
}

// TestContent: what is compressed is what the endpoint sent, what was flushed can be
// decompressed at once, and an encoder that was used before remembers nothing.
func TestContent(t *testing.T) {
	long := strings.Repeat("all work and no play ", 20_000)
	for _, coding := range []string{"zstd", "br", "gzip", ""} {
		for range 3 {
			c := &client{}
			_, err := ask(c, message.GET, []string{coding}, func(x *filter.Exchange) error {
				must(t, begin(x, 200, -1, "content-type: text/event-stream"))
				must(t, x.Writer.Flush()) // nothing has come yet
				must(t, x.Writer.Content([]byte("data: 1\n\n")))
				must(t, x.Writer.Flush())
				must(t, x.Writer.Flush())
				must(t, x.Writer.Content(nil))
				must(t, x.Writer.Content([]byte(long)))
				must(t, x.Writer.Content([]byte("end")))
				return x.Writer.End(nil)
			})
			must(t, err)
			if got := decode(t, coding, c.got); got != "data: 1\n\n"+long+"end" {
				t.Errorf("%s: got %d bytes", coding, len(got))
			}
			if len(c.flushed) != 3 || len(c.flushed[0]) != 0 || decode(t, coding, c.flushed[1]) != "data: 1\n\n" || !bytes.Equal(c.flushed[1], c.flushed[2]) {
				t.Errorf("%s: flushed %q", coding, c.flushed)
			}
			if !c.ended || coding != "" && len(c.got) > len(long)/50 {
				t.Errorf("%s: ended %t, %d bytes", coding, c.ended, len(c.got))
			}
		}
	}
}

// TestAnotherHead: the proxy's own error takes the place of a response of which nothing was
// sent, and has nothing of it.
func TestAnotherHead(t *testing.T) {
	c := &client{}
	_, err := ask(c, message.GET, []string{"gzip"}, func(x *filter.Exchange) error {
		must(t, begin(x, 200, -1, "content-type: text/html"))
		must(t, x.Writer.Content([]byte("what is lost")))
		must(t, begin(x, 503, 100, "content-type: text/plain"))
		must(t, x.Writer.Content([]byte("sorry")))
		return x.Writer.End(nil)
	})
	must(t, err)
	if got := decode(t, "gzip", c.got); got != "sorry" {
		t.Errorf("got %q", got)
	}
}

// TestClientFails: the error of a client that is gone comes back as it is, from whatever
// step it happens in.
func TestClientFails(t *testing.T) {
	gone := io.ErrClosedPipe
	for _, coding := range []string{"zstd", "br", "gzip"} {
		for _, step := range []func(filter.Writer) error{
			func(w filter.Writer) error { return w.Flush() },
			func(w filter.Writer) error { return w.End(nil) },
		} {
			c := &client{fails: gone}
			_, err := ask(c, message.GET, []string{coding}, func(x *filter.Exchange) error {
				must(t, begin(x, 200, -1, "content-type: text/html"))
				if err := x.Writer.Content([]byte("hello")); err != nil && err != gone {
					t.Errorf("%s: %v", coding, err)
				}
				err := step(x.Writer)
				x.Writer.Cut()
				return err
			})
			if err != gone || !c.cut {
				t.Errorf("%s: %v, cut %t", coding, err, c.cut)
			}
		}
	}
}

// TestMemory: encoders count in the account of the connection until the exchange ends, and
// a response passes as it is where there is no room for one.
func TestMemory(t *testing.T) {
	for name, taken := range map[string]int{"room": 0, "no room": 63 << 20} {
		t.Run(name, func(t *testing.T) {
			memory := overload.NewBudget()
			memory.SetLimit(64 << 20)
			memory.Take(taken)
			account := new(overload.Account)
			account.Open(memory)
			before := memory.Used()
			c := &client{info: filter.ConnInfo{Account: account}}
			x, err := ask(c, message.GET, []string{"br"}, func(x *filter.Exchange) error {
				must(t, begin(x, 200, -1, "content-type: text/html"))
				must(t, begin(x, 200, -1, "content-type: text/html")) // counts once
				return x.Writer.Content([]byte("hello"))
			})
			must(t, err)
			room := name == "room"
			if got := slices.Contains(c.head, "content-encoding: br"); got != room {
				t.Errorf("compressed: %t", got)
			}
			if used := memory.Used() - before; room && used != 1<<20 || !room && used != 0 {
				t.Errorf("%d bytes are counted", used)
			}
			if x.Finish(); memory.Used() != before {
				t.Errorf("%d bytes are still counted", memory.Used()-before)
			}
		})
	}
}
