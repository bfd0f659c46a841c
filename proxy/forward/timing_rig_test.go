package forward

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/route"
	"github.com/hopscope/hopscope/proxy/upstream"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/tracecontext"
)

// behaviour is what an endpoint does with a request.
type behaviour struct {
	refuses bool          // the connection, at once
	after   time.Duration // the wait before it does the rest
	status  int           // what it answers with; 0 closes the connection
	silent  bool          // it never answers
	content time.Duration // how long after the head the content comes, a byte; 0 for none
	says    string        // a field of its response; "" for none
}

// inBubble is a forwarder whose endpoints are scripts at the other end of pipes, for tests
// in a bubble of testing/synctest: what they take is exact.
type inBubble struct {
	t         *testing.T
	forwarder *Forwarder
	target    Target
	action    Forward
	dialled   atomic.Int32
	change    func(*Forwarder) // before it serves; nil for nothing
	script    []behaviour      // of the connections, in their order; the last for all others

	mu  sync.Mutex
	got http.Header // of the last request
}

func newInBubble(t *testing.T, script ...behaviour) *inBubble {
	b := &inBubble{t: t, script: script}
	shared := netio.NewShared()
	endpoints := []discovery.Endpoint{{Address: "127.0.0.1:1", Weight: 1}, {Address: "127.0.0.1:2", Weight: 1}, {Address: "127.0.0.1:3", Weight: 1}}
	cl := cluster.New("web", endpoints, cluster.Options{
		Limits:   cluster.Limits{MaxConnections: 10, MaxRequests: 100, MaxRetries: 100},
		Upstream: upstream.Options{ConnectTimeout: time.Second, IdleTimeout: time.Hour, MaxIdle: 10, Dial: b.dial},
	}, shared)
	t.Cleanup(cl.Close)
	b.target = Target{Labels: &hop.Labels{Service: "web", Listener: "ingress", Route: "default", Cluster: "web"}, Cluster: cl}
	propagation, err := tracecontext.NewPropagation([]string{"w3c"}, []string{"w3c"})
	if err != nil {
		t.Fatal(err)
	}
	b.forwarder = New(Options{
		Labels: &hop.Labels{Service: "web", Listener: "ingress"}, Table: route.Compile([]route.Match{{}}), Routes: make([]Route, 1),
		Propagation: propagation, Sampler: tracecontext.NewSampler(0), ProxyStatusMode: Pass, ServerTimingMode: Pass,
		Callers: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Shared: shared, Context: t.Context(),
	})
	return b
}

func (b *inBubble) dial(context.Context, string, string) (net.Conn, error) {
	n := int(b.dialled.Add(1))
	does := b.script[min(n, len(b.script))-1]
	if does.refuses {
		return nil, errors.New("connection refused")
	}
	near, far := net.Pipe()
	go does.serve(far, b.note)
	return near, nil
}

// note keeps the head of a request.
func (b *inBubble) note(r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = r.Header
}

func (does behaviour) serve(c net.Conn, note func(*http.Request)) {
	defer c.Close()
	for {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		note(r)
		io.Copy(io.Discard, r.Body)
		if does.silent {
			io.Copy(io.Discard, c)
			return
		}
		time.Sleep(does.after) // in the bubble's time
		if does.status == 0 {
			return
		}
		head := fmt.Sprintf("HTTP/1.1 %d Said\r\n", does.status)
		if does.says != "" {
			head += does.says + "\r\n"
		}
		if does.content == 0 {
			fmt.Fprint(c, head+"Content-Length: 0\r\n\r\n")
			continue
		}
		fmt.Fprint(c, head+"Content-Length: 1\r\n\r\n")
		time.Sleep(does.content)
		fmt.Fprint(c, "x")
	}
}

// caller is a client, and what it gets.
type caller struct {
	info   filter.ConnInfo
	leaves time.Time // zero for never
	pieces []piece   // of content that comes later
	status int
	fields []string // of the response, "name: value"
	began  bool
	cut    bool
	ended  time.Time
	hop    *hop.Hop

	exchange *filter.Exchange
}

// piece is a piece of content that comes after a time.
type piece struct {
	after   time.Duration
	content string
}

func (c *caller) Info() *filter.ConnInfo { return &c.info }
func (c *caller) Gone() func() bool {
	return func() bool { return !c.leaves.IsZero() && !time.Now().Before(c.leaves) }
}
func (c *caller) Left() error           { return nil }
func (c *caller) Detach() netio.Duplex  { return nil }
func (c *caller) Whole() ([]byte, bool) { return nil, c.pieces == nil }
func (c *caller) Next() ([]byte, error) {
	if len(c.pieces) == 0 {
		return nil, io.EOF
	}
	p := c.pieces[0]
	c.pieces = c.pieces[1:]
	time.Sleep(p.after)
	return []byte(p.content), nil
}
func (c *caller) Complete() bool              { return false }
func (c *caller) Trailers() *message.Head     { return nil }
func (c *caller) Stop()                       {}
func (c *caller) Resume()                     {}
func (c *caller) Interim(*message.Head) error { return nil }
func (c *caller) Head(h *message.Head) error {
	c.exchange.Decorate(h)
	c.status, c.fields = h.Status, nil
	for i := range h.Fields {
		if f := &h.Fields[i]; !f.Removed {
			c.fields = append(c.fields, string(h.Bytes(f.Name))+": "+string(h.Bytes(f.Value)))
		}
	}
	return nil
}
func (c *caller) Content([]byte) error { c.began = true; return nil }
func (c *caller) Flush() error         { c.began = true; return nil }
func (c *caller) Began() bool          { return c.began }
func (c *caller) Cut()                 { c.cut = true }
func (c *caller) End(*message.Head) error {
	c.began, c.ended = true, time.Now()
	return nil
}
func (c *caller) Open() *hop.Hop    { return new(hop.Hop) }
func (c *caller) Record(h *hop.Hop) { c.hop = h }

func (c *caller) has(field string) bool { return slices.Contains(c.fields, field) }

// nothing is a table without routes.
var nothing = route.Compile(nil)

// serve has the forwarder serve a request of the caller's, and returns how long it took.
func (b *inBubble) serve(c *caller, fields ...string) time.Duration {
	b.action.Targets = []Target{b.target}
	b.forwarder.Routes[0] = Route{Labels: b.target.Labels, Action: &b.action}
	if b.change != nil {
		b.change(b.forwarder)
	}
	c.info = filter.ConnInfo{PeerIP: "127.0.0.1", Peer: "127.0.0.1:999", Scheme: "http", Sink: c}
	x := new(filter.Exchange)
	c.exchange = x
	x.Connect(c, c, c)
	wire := "GET / HTTP/1.1\r\nHost: web\r\n"
	if c.pieces != nil {
		wire = "POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n"
	}
	for _, f := range fields {
		if f == "content-type: application/grpc" {
			wire = "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 0\r\n"
		}
	}
	for _, f := range fields {
		wire += f + "\r\n"
	}
	decoder := http1.HeadDecoder{Limits: http1.Limits{HeadBytes: 8 << 10, Fields: 100}}
	if _, err := decoder.Request([]byte(wire+"\r\n"), &x.Request); err != nil {
		b.t.Fatal(err)
	}
	start := time.Now()
	b.forwarder.Serve(x, nil)
	return time.Since(start)
}
