package decompress_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/decompress"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/overload"
	"github.com/hopscope/hopscope/telemetry/hop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client sends content in pieces, and then its trailers, or fails.
type client struct {
	filter.Body
	pieces   [][]byte
	fails    error // in place of io.EOF
	trailers *message.Head
	waits    bool // once the pieces are sent, until Stop

	mu      sync.Mutex
	changed sync.Cond
	stopped bool
	waiting bool
	ended   bool
}

func newClient(content string, size int) *client {
	c := &client{pieces: slices.Collect(slices.Chunk([]byte(content), size))}
	c.changed.L = &c.mu
	return c
}

func (c *client) Next() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.waits && len(c.pieces) == 0 && !c.stopped {
		c.waiting = true
		c.changed.Broadcast()
		c.changed.Wait()
	}
	switch {
	case c.stopped:
		return nil, filter.ErrStopped
	case len(c.pieces) > 0:
		piece := c.pieces[0]
		c.pieces = c.pieces[1:]
		return piece, nil
	case c.fails != nil:
		return nil, c.fails
	}
	c.ended = true
	return nil, io.EOF
}

func (c *client) Stop() { c.stop(true) }

func (c *client) Resume() { c.stop(false) }

func (c *client) stop(stopped bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = stopped
	c.changed.Broadcast()
}

// Trailers are there when all of the content was read.
func (c *client) Trailers() *message.Head {
	if !c.ended {
		return nil
	}
	return c.trailers
}

// conn is a connection with an account of its memory.
type conn struct {
	filter.Conn
	info filter.ConnInfo
}

func (c *conn) Info() *filter.ConnInfo { return &c.info }

// request is one with content and these fields, "name: value".
func request(c *client, lines ...string) *filter.Exchange {
	x := &filter.Exchange{Hop: &hop.Hop{Labels: &hop.Labels{Route: "shop"}}}
	x.Connect(new(conn), c, nil)
	r := &x.Request
	r.Begin(nil)
	r.Method, r.Framing, r.Length = message.POST, message.Chunked, -1
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Add(message.FieldByName([]byte(name)), name, value)
	}
	return x
}

func fieldsOf(h *message.Head) (all []string) {
	for i := range h.Fields {
		if f := &h.Fields[i]; !f.Removed {
			all = append(all, string(h.Bytes(f.Name))+": "+string(h.Bytes(f.Value)))
		}
	}
	return all
}

// read reads all of a body.
func read(b filter.Body) (content []byte, err error) {
	for {
		piece, err := b.Next()
		if content = append(content, piece...); err != nil {
			return content, err
		}
	}
}

func compressed(t *testing.T, coding, text string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&b)
	switch coding {
	case "br":
		w = brotli.NewWriter(&b)
	case "zstd":
		w, _ = zstd.NewWriter(&b)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var all = []string{"zstd", "br", "gzip"}

// most is the limit of the tests.
const most = 100_000

// TestContent: what content is decompressed to, or why it is not, however it arrives.
func TestContent(t *testing.T) {
	text := strings.Repeat("some content ", most/13)
	text += strings.Repeat("x", most-len(text))
	type test struct{ sent, got, fails string } // by name
	for _, coding := range all {
		one, whole := compressed(t, coding, "one"), compressed(t, coding, text)
		tests := map[string]test{
			"content":                {sent: one, got: "one"},
			"of nothing":             {sent: compressed(t, coding, "")},
			"no bytes":               {},
			"as large as may be":     {sent: whole, got: text},
			"a byte too large":       {sent: compressed(t, coding, text+"x"), fails: "larger than the 100000 bytes"},
			"a bomb":                 {sent: compressed(t, coding, strings.Repeat("\x00", 2<<20)), fails: "larger than the 100000 bytes"},
			"not compressed":         {sent: "some text that is none", fails: "(" + coding + ")"},
			"a byte":                 {sent: one[:1], fails: "(" + coding + ")"},
			"cut in its head":        {sent: one[:min(5, len(one)-1)], fails: "(" + coding + ")"},
			"without its last byte":  {sent: one[:len(one)-1], fails: "(" + coding + ")"},
			"cut in half":            {sent: whole[:len(whole)/2], fails: "(" + coding + ")"},
			"a byte behind it":       {sent: one + "\x00", fails: "(" + coding + ")"},
			"more behind it":         {sent: one + "and more of other content", fails: "(" + coding + ")"},
			"of many bytes, changed": {sent: whole[:len(whole)-3] + "\xff\x00\xff", fails: "(" + coding + ")"},
		}
		switch coding {
		case "gzip":
			tests["of two parts"] = test{sent: one + one, got: "oneone"}
			tests["one part and a half"] = test{sent: one + one[:len(one)/2], fails: "(gzip)"}
			tests["a wrong checksum"] = test{sent: one[:len(one)-8] + "\x00\x00\x00\x00" + one[len(one)-4:], fails: "(gzip)"}
			tests["a wrong length"] = test{sent: one[:len(one)-4] + "\x09\x00\x00\x00", fails: "(gzip)"}
		case "zstd":
			tests["of two frames"] = test{sent: one + one, got: "oneone"}
			tests["a frame and a half"] = test{sent: one + one[:len(one)/2], fails: "(zstd)"}
			tests["a frame to be skipped"] = test{sent: "\x50\x2a\x4d\x18\x02\x00\x00\x00ab" + one, got: "one"}
			tests["a window over 8 MiB"] = test{sent: "\x28\xb5\x2f\xfd\x00\x70\x01\x00\x00", fails: "(zstd)"} // of 16 MiB, with an empty block
			tests["a dictionary"] = test{sent: "\x28\xb5\x2f\xfd\x21\x07\x00\x01\x00\x00", fails: "(zstd)"}
		}
		for name, tt := range tests {
			for _, size := range []int{1, 1 << 20} {
				if size == 1 && len(tt.sent) > 10_000 {
					continue
				}
				c := newClient(tt.sent, size)
				c.trailers = new(message.Head)
				x := request(c, "Content-Encoding: "+coding)
				if err := filter.Chain(func(x *filter.Exchange) error {
					if _, whole := x.Body.Whole(); whole {
						t.Errorf("%s, %s: it is said to be whole", coding, name)
					}
					got, err := read(x.Body)
					if tt.fails != "" {
						kind := fault.BadRequest
						if strings.HasPrefix(tt.fails, "larger") {
							kind = fault.ContentTooLarge
						}
						if of := fault.Of(err); of == nil || of.Kind != kind || !strings.Contains(err.Error(), tt.fails) || int64(len(got)) > most {
							t.Errorf("%s, %s, by %d: %d bytes, %v, want %q", coding, name, size, len(got), err, tt.fails)
						}
						if _, again := x.Body.Next(); again != err {
							t.Errorf("%s, %s: then %v", coding, name, again)
						}
						return nil
					}
					if !errors.Is(err, io.EOF) || string(got) != tt.got {
						t.Errorf("%s, %s, by %d: %d bytes, want %d: %v", coding, name, size, len(got), len(tt.got), err)
					}
					if x.Body.Trailers() != c.trailers {
						t.Errorf("%s, %s: the trailers are lost", coding, name)
					}
					return nil
				}, decompress.New(all, most))(x); err != nil {
					t.Errorf("%s, %s: %v", coding, name, err)
				}
			}
		}
	}
}

// TestWhich: which requests are decompressed, and how their heads change.
func TestWhich(t *testing.T) {
	told := func(n int64) func(*filter.Exchange) {
		return func(x *filter.Exchange) { x.Request.Framing, x.Request.Length = message.ByLength, n }
	}
	for name, tt := range map[string]struct {
		fields []string
		edit   func(*filter.Exchange)
		names  []string
		left   []string // of the fields; nil is all
		length int64
	}{
		"a coding":                      {fields: []string{"content-encoding: gzip", "x-a: b"}, left: []string{"x-a: b"}, length: -1},
		"with a length":                 {fields: []string{"content-length: 9", "content-encoding: gzip"}, edit: told(9), left: []string{}, length: -1},
		"in another case":               {fields: []string{"Content-Encoding: \tX-GZip "}, left: []string{}, length: -1},
		"what is about the coding":      {fields: []string{"content-encoding: br", "content-md5: a", "digest: b", "content-digest: c", "repr-digest: d"}, left: []string{}, length: -1},
		"none":                          {fields: []string{"x-a: b"}, length: -1},
		"of no name":                    {fields: []string{"content-encoding: "}, length: -1},
		"identity":                      {fields: []string{"content-encoding: identity"}, length: -1},
		"unknown":                       {fields: []string{"content-encoding: compress"}, length: -1},
		"not listed":                    {fields: []string{"content-encoding: br"}, names: []string{"gzip"}, length: -1},
		"of another name, not listed":   {fields: []string{"content-encoding: x-gzip"}, names: []string{"br"}, length: -1},
		"several in a field":            {fields: []string{"content-encoding: gzip, gzip"}, length: -1},
		"several fields":                {fields: []string{"content-encoding: gzip", "Content-Encoding: gzip"}, length: -1},
		"several fields, two are empty": {fields: []string{"content-encoding: ", "content-encoding: gzip", "content-encoding: "}, left: []string{}, length: -1},
		"a part of content":             {fields: []string{"content-encoding: gzip", "content-range: bytes 0-9/100"}, length: -1},
		"no content":                    {fields: []string{"content-encoding: gzip", "content-length: 0"}, edit: told(0)},
		"without framing":               {fields: []string{"content-encoding: gzip"}, edit: func(x *filter.Exchange) { x.Request.Framing, x.Request.Length = message.NoBody, 0 }},
		"an upgrade":                    {fields: []string{"content-encoding: gzip"}, edit: func(x *filter.Exchange) { x.Request.Upgrade = true }, length: -1},
		"a call":                        {fields: []string{"content-encoding: gzip"}, edit: func(x *filter.Exchange) { x.Hop.GRPC = true }, length: -1},
		"HEAD with content":             {fields: []string{"content-encoding: gzip"}, edit: func(x *filter.Exchange) { x.Request.Method = message.HEAD }, left: []string{}, length: -1},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient("", 1)
			x := request(c, tt.fields...)
			if tt.edit != nil {
				tt.edit(x)
			}
			if tt.names == nil {
				tt.names = all
			}
			before := fieldsOf(&x.Request)
			called := false
			if err := filter.Chain(func(x *filter.Exchange) error {
				called = true
				if left := tt.left != nil; left != (x.Body != filter.Body(c)) {
					t.Errorf("it is decompressed: %t", x.Body != filter.Body(c))
				}
				want := before
				if tt.left != nil {
					want = append([]string(nil), tt.left...)
				}
				if diff := cmp.Diff(want, fieldsOf(&x.Request)); diff != "" {
					t.Errorf("fields (-want +got):\n%s", diff)
				}
				if x.Request.Length != tt.length || tt.left != nil && x.Request.Framing != message.Chunked {
					t.Errorf("its length is %d, its framing %d", x.Request.Length, x.Request.Framing)
				}
				return nil
			}, decompress.New(tt.names, most))(x); err != nil || !called {
				t.Errorf("passed on: %t, %v", called, err)
			}
		})
	}
}

// TestMemory: a decoder's memory is counted until the exchange ends, and where there is none
// the request fails.
func TestMemory(t *testing.T) {
	budget := overload.NewBudget()
	budget.SetLimit(100 << 20)
	account := new(overload.Account)
	account.Open(budget)
	for _, coding := range all {
		for _, kind := range []fault.Kind{fault.None, fault.Overload} {
			others := 0
			if kind == fault.Overload {
				others = 99 << 20
			}
			budget.Take(others)
			x := request(newClient(compressed(t, coding, "one"), 10), "content-encoding: "+coding)
			x.Conn.(*conn).info.Account = account
			err := filter.Chain(func(*filter.Exchange) error {
				if budget.Used() == 0 {
					t.Errorf("%s: nothing is counted", coding)
				}
				return nil
			}, decompress.New(all, most))(x)
			if (err != nil) != (kind != fault.None) || err != nil && fault.Of(err).Kind != kind {
				t.Errorf("%s: %v, want %s", coding, err, kind)
			}
			if x.Finish(); budget.Used() != int64(others) {
				t.Errorf("%s: %d bytes are still counted", coding, budget.Used()-int64(others))
			}
			budget.Give(others)
		}
	}
}

// TestClientFails: what the client's content fails with is passed on as it is.
func TestClientFails(t *testing.T) {
	fails := fault.New(fault.ClientClosed, "it left")
	for _, coding := range all {
		for _, n := range []int{0, 3, 1 << 20} {
			sent := compressed(t, coding, "one")
			c := newClient(sent[:min(n, len(sent))], 2)
			c.fails = fails
			x := request(c, "content-encoding: "+coding)
			_ = filter.Chain(func(x *filter.Exchange) error {
				if _, err := read(x.Body); fault.Of(err).Kind != fault.ClientClosed {
					t.Errorf("%s after %d bytes: %v", coding, n, err)
				}
				return nil
			}, decompress.New(all, most))(x)
		}
	}
}

// TestStop: a Next that waits for the client ends by Stop, and nothing is lost by it. An
// exchange that ends while the client sends nothing leaves no goroutine behind.
func TestStop(t *testing.T) {
	for _, coding := range all {
		for _, goesOn := range []bool{true, false} {
			sent := compressed(t, coding, "one")
			c := newClient(sent[:len(sent)/2], 3)
			c.waits = true
			x := request(c, "content-encoding: "+coding)
			_ = filter.Chain(func(x *filter.Exchange) error {
				go func() {
					c.mu.Lock()
					for !c.waiting {
						c.changed.Wait()
					}
					c.mu.Unlock()
					x.Body.Stop()
				}()
				before, err := read(x.Body)
				if !errors.Is(err, filter.ErrStopped) {
					t.Errorf("%s: %q, %v", coding, before, err)
				}
				if _, err := x.Body.Next(); !errors.Is(err, filter.ErrStopped) {
					t.Errorf("%s, stopped: %v", coding, err)
				}
				x.Body.Resume()
				if !goesOn {
					return nil
				}
				c.mu.Lock()
				c.pieces, c.waits = [][]byte{[]byte(sent[len(sent)/2:])}, false
				c.changed.Broadcast()
				c.mu.Unlock()
				if after, err := read(x.Body); !errors.Is(err, io.EOF) || string(before)+string(after) != "one" {
					t.Errorf("%s: %q, then %q, %v", coding, before, after, err)
				}
				return nil
			}, decompress.New(all, most))(x)
			if c.stopped {
				t.Errorf("%s: the client's content stays stopped", coding)
			}
		}
	}
}
