package errorbody_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/errorbody"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// client writes down what it gets.
type client struct {
	filter.Writer
	fails    error // of Head
	interim  []int
	framing  message.Framing
	length   int64
	fields   []string
	content  string
	trailers *message.Head
	ended    bool
}

func (c *client) Interim(h *message.Head) error {
	c.interim = append(c.interim, h.Status)
	return nil
}

func (c *client) Head(h *message.Head) error {
	c.framing, c.length, c.content, c.fields = h.Framing, h.Length, "", nil
	for i := range h.Fields {
		if f := &h.Fields[i]; !f.Removed {
			c.fields = append(c.fields, string(h.Bytes(f.Name))+": "+string(h.Bytes(f.Value)))
		}
	}
	return c.fails
}

func (c *client) Content(piece []byte) error {
	c.content += string(piece)
	return nil
}

func (c *client) End(trailers *message.Head) error {
	c.trailers, c.ended = trailers, true
	return nil
}

// response is one with content, trailers, and these fields.
type response struct {
	status  int
	framing message.Framing
	fields  []string
	content string
}

// write sends a response, its content in pieces of one byte.
func (r response) write(w filter.Writer) error {
	h := new(message.Head)
	h.Begin(nil)
	h.Status, h.Framing, h.Length = r.status, r.framing, -1
	if r.framing == message.ByLength {
		h.Length = int64(len(r.content))
	}
	for _, line := range r.fields {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(message.FieldByName([]byte(name)), name, value)
	}
	if err := w.Head(h); err != nil {
		return err
	}
	for _, c := range []byte(r.content) {
		if err := w.Content([]byte{c}); err != nil {
			return err
		}
	}
	return w.End(new(message.Head))
}

var (
	html   = errorbody.Body{Statuses: [][2]int{{500, 502}, {504, 599}}, Endpoints: true, ContentType: "text/html", Content: []byte("sorry")}
	json   = errorbody.Body{ContentType: "application/json", Content: []byte(`{"error":true}`)}
	empty  = errorbody.Body{Statuses: [][2]int{{404, 404}}, Endpoints: true, ContentType: "text/plain"}
	bodies = []errorbody.Body{html, empty, json}
)

func exchange(c *client) *filter.Exchange {
	x := &filter.Exchange{Hop: &hop.Hop{Labels: new(hop.Labels)}}
	x.Connect(nil, nil, c)
	x.Request.Begin(nil)
	x.Request.Method = message.GET
	return x
}

// TestErrorBody: which responses have other content, by their status and by who made them.
func TestErrorBody(t *testing.T) {
	own := fault.New(fault.ConnectRefused, "refused")
	answer := &fault.Answer{Why: own, Status: 503}
	content := &fault.Answer{Status: 503, Body: []byte("closed")}
	for name, tt := range map[string]struct {
		status  int
		err     error // of the chain; nil is a response of the endpoint
		method  message.Method
		framing message.Framing
		call    bool
		want    string // the content; "" is as it was
		media   string
	}{
		"of an endpoint":                     {status: 500, want: "sorry", media: "text/html"},
		"by its length":                      {status: 502, framing: message.ByLength, want: "sorry", media: "text/html"},
		"until the connection ends":          {status: 504, framing: message.UntilClose, want: "sorry", media: "text/html"},
		"without content":                    {status: 599, framing: message.NoBody, want: "sorry", media: "text/html"},
		"between two ranges":                 {status: 503},
		"behind the ranges":                  {status: 600},
		"of an endpoint, which is not asked": {status: 400},
		"no error":                           {status: 200},
		"a redirect":                         {status: 399},
		"a tunnel":                           {status: 500, framing: message.Tunnel},
		"a call":                             {status: 500, call: true},
		"a failed call":                      {status: 500, err: own, call: true},
		"HEAD":                               {status: 500, method: message.HEAD, want: "-", media: "text/html"},
		"of the proxy":                       {status: 503, err: own, want: `{"error":true}`, media: "application/json"},
		"of the proxy, the lowest":           {status: 400, err: own, want: `{"error":true}`, media: "application/json"},
		"of the proxy, no error":             {status: 304, err: answer},
		"of the proxy, to HEAD":              {status: 503, err: own, method: message.HEAD, want: "-", media: "application/json"},
		"an answer without content":          {status: 503, err: answer, want: `{"error":true}`, media: "application/json"},
		"an answer in another error":         {status: 503, err: errors.Join(errors.New("a"), answer), want: `{"error":true}`, media: "application/json"},
		"an answer with content":             {status: 503, err: content},
		"an answer with empty content":       {status: 503, err: &fault.Answer{Status: 503, Body: []byte{}}},
		"other content that is empty":        {status: 404, want: "-", media: "text/plain"},
	} {
		t.Run(name, func(t *testing.T) {
			c := new(client)
			x := exchange(c)
			if x.Hop.GRPC = tt.call; tt.method != message.MethodOther {
				x.Request.Method = tt.method
			}
			r := response{status: tt.status, framing: tt.framing, fields: []string{"Content-Type: text/css", "x-a: b"}, content: "as it was"}
			if tt.framing == 0 && name != "without content" {
				r.framing = message.Chunked
			}
			if r.framing == message.NoBody || tt.method == message.HEAD {
				r.content = ""
			}
			err := filter.Chain(func(x *filter.Exchange) error {
				if tt.err != nil {
					return tt.err
				}
				return r.write(x.Writer)
			}, errorbody.New(bodies))(x)
			if !errors.Is(err, tt.err) {
				t.Fatal(err)
			}
			if tt.err != nil { // as the forwarder does when the chain has returned
				if err := r.write(x.Writer); err != nil {
					t.Fatal(err)
				}
			}
			want := client{framing: r.framing, length: -1, content: r.content, fields: r.fields, trailers: c.trailers, ended: true}
			if r.framing == message.ByLength {
				want.length = int64(len(r.content))
			}
			if tt.want != "" {
				want.content = strings.TrimPrefix(tt.want, "-")
				want.framing, want.length = message.ByLength, map[string]int64{"text/html": 5, "application/json": 14, "text/plain": 0}[tt.media]
				want.fields = []string{"x-a: b", "content-type: " + tt.media}
			}
			if c.framing != want.framing || c.length != want.length || c.content != want.content || !c.ended || (c.trailers == nil) != (tt.want != "") {
				t.Errorf("framing %d, length %d, %q, trailers: %t; want %d, %d, %q", c.framing, c.length, c.content, c.trailers != nil, want.framing, want.length, want.content)
			}
			if diff := cmp.Diff(want.fields, c.fields); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFields: what is about the content goes with it, and the rest stays.
func TestFields(t *testing.T) {
	c := new(client)
	r := response{status: 500, framing: message.ByLength, content: "gone", fields: []string{
		"Content-Length: 4", "Content-Type: a", "content-type: b", "Content-Encoding: gzip", "content-language: en", "Content-Location: /a", "content-range: bytes 0-3/4",
		"content-md5: a", "digest: a", "content-digest: a", "repr-digest: a", "accept-ranges: bytes", "ETag: \"a\"", "last-modified: b", "trailer: x-t",
		"Retry-After: 3", "cache-control: no-store", "content-security-policy: c", "set-cookie: d",
	}}
	if err := filter.Chain(func(x *filter.Exchange) error { return r.write(x.Writer) }, errorbody.New(bodies))(exchange(c)); err != nil {
		t.Fatal(err)
	}
	want := []string{"Retry-After: 3", "cache-control: no-store", "content-security-policy: c", "set-cookie: d", "content-type: text/html"}
	if diff := cmp.Diff(want, c.fields); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAgain: a response that takes the place of another has content of its own, and interim
// responses pass.
func TestAgain(t *testing.T) {
	c := new(client)
	fails := errors.New("it left")
	if err := filter.Chain(func(x *filter.Exchange) error {
		early := new(message.Head)
		early.Begin(nil)
		early.Status = 103
		if err := x.Writer.Interim(early); err != nil || len(c.interim) != 1 {
			t.Errorf("interim: %v, %v", c.interim, err)
		}
		for _, r := range []response{{status: 500, framing: message.Chunked, content: "bad"}, {status: 200, framing: message.Chunked, content: "good"}} {
			if err := r.write(x.Writer); err != nil {
				return err
			}
		}
		if c.content != "good" || c.trailers == nil {
			t.Errorf("%q, with trailers: %t", c.content, c.trailers != nil)
		}
		c.fails = fails
		return response{status: 500, framing: message.Chunked, content: "bad"}.write(x.Writer)
	}, errorbody.New(bodies))(exchange(c)); !errors.Is(err, fails) || c.content != "" {
		t.Errorf("%v, %q, want %v", err, c.content, fails)
	}
}
