package listener

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/compress"
	"github.com/hopscope/hopscope/proxy/filter/cors"
	"github.com/hopscope/hopscope/proxy/filter/forwarded"
	"github.com/hopscope/hopscope/proxy/forward"
	"github.com/hopscope/hopscope/proxy/header"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/pathform"
	"github.com/hopscope/hopscope/proxy/route"
	"github.com/hopscope/hopscope/proxy/upstream"
	"github.com/hopscope/hopscope/telemetry/accesslog"
	"github.com/hopscope/hopscope/telemetry/active"
	"github.com/hopscope/hopscope/telemetry/headers"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/metrics"
	"github.com/hopscope/hopscope/telemetry/record"
	"github.com/hopscope/hopscope/telemetry/store"
	"github.com/hopscope/hopscope/telemetry/tracecontext"
)

const benchRequest = "GET /api/orders/17?full=1 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: bench/1.0\r\n" +
	"Accept: */*\r\nOrigin: https://shop.example\r\nAccept-Encoding: gzip\r\nCookie: session=0123456789abcdef\r\n\r\n"

var benchResponse = []byte("HTTP/1.1 200 OK\r\nServer: backend\r\nDate: Mon, 23 Nov 2026 03:00:00 GMT\r\n" +
	"Content-Type: text/plain\r\nContent-Length: 98\r\nConnection: keep-alive\r\n\r\n" +
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"[:98])

// BenchmarkForward is the whole of a request's way over in-memory connections,
// with the views that a hop has in production; what is left is the work of the
// system calls. It must not allocate.
func BenchmarkForward(b *testing.B) {
	for _, bb := range []struct {
		name    string
		all     bool
		filters []filter.Filter
	}{{"views", true, nil}, {"bare", false, nil}, {"policies", true, policies()}} {
		b.Run(bb.name, func(b *testing.B) { benchmarkForward(b, bb.all, bb.filters...) })
	}
}

// BenchmarkMirror is what a mirror costs the client of a request: nothing to compare with, a
// shadow that answers nothing, which has as many copies as may be under way, and one that
// answers all.
func BenchmarkMirror(b *testing.B) {
	hang := func(c net.Conn) { io.Copy(io.Discard, c) }
	for _, bb := range []struct {
		name  string
		serve func(net.Conn) // the shadow's connections; nil for no mirror
	}{{"none", nil}, {"hanging", hang}, {"answering", answer}} {
		b.Run(bb.name, func(b *testing.B) {
			do := inMemory(b, true, special{shadow: bb.serve})
			b.ReportAllocs()
			for b.Loop() {
				do()
			}
		})
	}
}

// policies are filters that put a Writer of their own in front.
func policies() []filter.Filter {
	return []filter.Filter{
		compress.New(compress.Options{Algorithms: []compress.Algorithm{compress.Gzip}, MinBytes: 1024, Types: []string{"text/*"}}),
		cors.New(cors.Options{Origins: []string{"https://shop.example"}, Credentials: true}),
	}
}

func benchmarkForward(b *testing.B, all bool, filters ...filter.Filter) {
	do := inMemory(b, all, special{filters: filters})
	b.ReportAllocs()
	for b.Loop() {
		do()
	}
}

// TestForwardAllocatesNothing holds the hot path to its word. The race detector
// makes pools forget, so there it can't be told.
func TestForwardAllocatesNothing(t *testing.T) {
	if race {
		t.Skip("not under the race detector; make test runs it without, too")
	}
	t.Run("to one cluster", func(t *testing.T) { allocatesNothing(t, inMemory(t, true, special{})) })
	for name, s := range map[string]*forward.Session{"a cookie": {Cookie: "srv", Path: "/"}, "a field": {Header: "x-session"}} {
		t.Run("in a session by "+name, func(t *testing.T) {
			allocatesNothing(t, inMemory(t, true, special{change: func(a *forward.Forward) { a.Targets[0].Session = s }}))
		})
	}
	t.Run("with high priority", func(t *testing.T) {
		allocatesNothing(t, inMemory(t, true, special{change: func(a *forward.Forward) { a.Priority = cluster.High }}))
	})
	for name, on := range map[string]*forward.HashOn{"nothing": nil, "a cookie": {Cookie: "session"}, "the client": {Source: true}} {
		t.Run("to a split, sticky by "+name, func(t *testing.T) {
			allocatesNothing(t, inMemory(t, true, special{change: func(a *forward.Forward) {
				first := &a.Targets[0]
				for _, variant := range []string{"a", "b", "c"} {
					next := *first
					labels := *first.Labels
					labels.Variant = variant
					next.Labels, next.Weight = &labels, 10
					a.Targets = append(a.Targets, next)
				}
				a.Targets, a.Sticky = a.Targets[1:], on
			}}))
		})
	}
	changed, err := header.Compile(header.Request, header.Spec{
		Set: map[string]string{"x-a": "b", "user-agent": "hopscope"}, Add: map[string]string{"x-c": "d"}, Remove: []string{"accept", "cookie"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("with changes", func(t *testing.T) {
		allocatesNothing(t, inMemory(t, true, special{changed: changed, request: strings.Replace(benchRequest, " /", " /x/../%61//", 1)}))
	})
	t.Run("with filters", func(t *testing.T) { allocatesNothing(t, inMemory(t, true, special{filters: policies()})) })
}

func allocatesNothing(t *testing.T, do func()) {
	t.Helper()
	const n = 50_000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		do()
	}
	runtime.ReadMemStats(&after)
	// Less than one in two requests: a ring of hops may fill up once while the
	// views are kept waiting, and the store keeps two hundred hops a second.
	if got := float64(after.Mallocs-before.Mallocs) / n; got >= 0.5 {
		t.Errorf("%.2f allocations a request", got)
	}
}

// special is what is special about an exchange in memory.
type special struct {
	request string                 // in place of [benchRequest]
	changed *header.Changes        // of the request and of its response
	change  func(*forward.Forward) // changes what the route does
	filters []filter.Filter        // the route's
	shadow  func(net.Conn)         // serves the connections for copies of requests; nil for no copies
}

// inMemory returns a func that makes one request through a listener and its
// forwarder, over in-memory connections to client and endpoint. Writes have no
// time limit, for which net.Pipe would allocate.
func inMemory(b testing.TB, all bool, e special) func() {
	shared := netio.NewShared()
	m := metrics.New(metrics.Options{NativeHistograms: true})
	views := []record.View{m}
	if all {
		log, err := accesslog.Open(b.TempDir()+"/access.log", accesslog.Options{})
		if err != nil {
			b.Fatal(err)
		}
		views = append(views, log, store.New(16<<20))
	}
	recorder := record.New(views, record.Options{})
	b.Cleanup(func() { recorder.Close(context.Background()) })
	labels := &hop.Labels{Service: "web", Listener: "ingress", Route: "default", Cluster: "web", Slow: time.Second}
	labels.Metrics = m.Series(labels)
	var f *forward.Forwarder
	b.Cleanup(func() { // the copies of requests end with their connections
		for f.Active.Load() > 0 {
			runtime.Gosched()
		}
	})
	cl := pipes(b, "web", shared, answer)
	propagation, err := tracecontext.NewPropagation([]string{"w3c", "b3"}, []string{"w3c"})
	if err != nil {
		b.Fatal(err)
	}
	propagation.Mark = tracecontext.NewMark("shop")
	action := &forward.Forward{Targets: []forward.Target{{Labels: labels, Cluster: cl, Response: e.changed}}, Timeout: 15 * time.Second, Request: e.changed}
	if e.change != nil {
		e.change(action)
	}
	if e.shadow != nil {
		own := *labels
		own.Direction, own.Cluster = hop.Mirror, "shadow"
		own.Metrics = m.Series(&own)
		to := []forward.Target{{Labels: &own, Cluster: pipes(b, "shadow", shared, e.shadow)}}
		action.Mirrors = []*forward.Mirror{{Route: &forward.Route{Labels: &own, Action: &forward.Forward{Targets: to}}, Share: *route.Percent(100), Most: 100, Behind: 1 << 20}}
	}
	found := forward.Route{Labels: labels, Response: e.changed, Action: action}
	if len(e.filters) > 0 {
		found.Handler = filter.Chain(filter.Act, e.filters...)
	}
	f = forward.New(forward.Options{
		Labels: labels, Routes: []forward.Route{found},
		Paths: pathform.Rules{Normalize: true, MergeSlashes: true, EscapedSlashes: pathform.Reject},
		Table: route.Compile([]route.Match{{}}), Filters: []filter.Filter{forwarded.New(forwarded.Options{Via: "web", Forwarded: forwarded.Pass})},
		Propagation: propagation, Sampler: tracecontext.NewSampler(0.01), Via: "web",
		ProxyStatus: headers.NewProxyStatus("web"),
		Deadlines:   &forward.Deadlines{Share: 0.05, Least: 10 * time.Millisecond, Inherit: true}, UnderWay: new(active.Table),
		Shared: shared, Context: context.Background(),
	})
	l := New(Options{
		Name: "ingress", HeadTimeout: time.Minute, IdleTimeout: time.Hour, Limits: http1.Limits{},
		Shared: shared, Sink: func(n uint64) hop.Sink { return recorder.Sink(int(n)) }, Log: slog.New(slog.DiscardHandler),
	}, f, nil)
	client, server := net.Pipe()
	l.start(server)
	b.Cleanup(l.servers.close)
	b.Cleanup(l.done.Wait)
	b.Cleanup(func() { client.Close() })

	asked, buf := []byte(cmp.Or(e.request, benchRequest)), make([]byte, 4096)
	do := func() {
		if _, err := client.Write(asked); err != nil {
			b.Fatal(err)
		}
		n := 0
		for !bytes.HasSuffix(buf[:n], benchResponse[len(benchResponse)-98:]) {
			k, err := client.Read(buf[n:])
			if err != nil {
				b.Fatalf("after %q: %v", buf[:n], err)
			}
			n += k
		}
	}
	for range 1000 {
		do()
	}
	return do
}

// pipes is a cluster whose connections are in memory, and end with the test.
func pipes(b testing.TB, name string, shared *netio.Shared, serve func(net.Conn)) *cluster.Cluster {
	var mu sync.Mutex
	var all []net.Conn
	limits := cluster.Limits{MaxConnections: 100, MaxRequests: 100}
	cl := cluster.New(name, []discovery.Endpoint{{Address: "127.0.0.1:1", Weight: 1}}, cluster.Options{Limits: limits, High: limits, Upstream: upstream.Options{
		ConnectTimeout: time.Second, IdleTimeout: time.Hour, MaxIdle: 10,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go serve(far)
			mu.Lock()
			all = append(all, far)
			mu.Unlock()
			return near, nil
		},
	}}, shared)
	b.Cleanup(func() {
		cl.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, c := range all {
			c.Close()
		}
	})
	return cl
}

// answer is an endpoint that allocates nothing either.
func answer(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 4096)
	for n := 0; ; {
		k, err := c.Read(buf[n:])
		if err != nil {
			return
		}
		if n += k; bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
			n = 0
			if _, err := c.Write(benchResponse); err != nil {
				return
			}
		}
	}
}
