package diagnose

import (
	"testing"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

func TestCulprit(t *testing.T) {
	twoTries := func(first, second int) *hop.Hop {
		h := in("web", 1, 0, 0, 40, second)
		h.Attempts[0].Status, h.Attempts[0].End = first, 10*ms
		*h.Attempt() = hop.Attempt{Span: span(3), Endpoint: "127.0.0.1:3001", Status: second, Start: 12 * ms, Connected: 12 * ms, End: 39 * ms}
		return h
	}
	noHealthy := in("web", 1, 0, 0, 1, 503)
	noHealthy.Attempts = nil
	noHealthy.Flags, noHealthy.ProxyError = hop.NoHealthyUpstream, "destination_unavailable"
	noHealthy.Failure = hop.Failure{Origin: hop.OriginProxy, Hop: "web", Reason: "no endpoint of cluster web is healthy"}

	exhausted := twoTries(503, 503)
	exhausted.Flags = hop.RetriesExhausted

	tooLong := twoTries(503, 200)
	tooLong.Flags = hop.MaxStreamDuration

	gateway := refused(in("edge", 1, 0, 0, 2, 503), "10.0.0.7:80")
	gateway.Attempts[0].Cluster = "api"
	byAddress := refused(out("web", "10.0.0.7", 1, 0, 0, 2, 503), "10.0.0.7:80")
	tunnel := refused(out("web", "[2001:db8::7]", 1, 0, 0, 2, 503), "10.0.0.7:443")
	nameless := timedOut(out("web", "", 1, 0, 0, 100, 504))
	nameless.SetString(&nameless.Host, "")
	nameless.Attempts[0].Cluster = "db"

	overridden := grpc(in("web", 1, 0, 0, 40, 200), 13, "gave up")
	overridden.GRPCStatus = hop.GRPCStatusOf(4)

	notFound := in("web", 1, 0, 0, 40, 404)
	selfCalled := in("web", 1, 2, 0, 40, 500)
	circleA, circleB := in("a", 1, 4, 0, 10, 500), in("b", 3, 2, 1, 9, 500)

	cases := []struct {
		name    string
		hops    []*hop.Hop
		tree    string
		culprit string // "" is none
	}{
		{"no hops", nil, "", ""},
		{"all well", []*hop.Hop{in("web", 1, 0, 0, 40, 200), in("orders", 3, 2, 1, 39, 200)}, "web(orders)", ""},
		{"4xx is no failure", []*hop.Hop{notFound}, "web", ""},
		{"a single failing leaf", []*hop.Hop{in("web", 1, 0, 0, 40, 500), in("orders", 3, 2, 1, 39, 500)},
			"web(orders)", "orders: the application at 127.0.0.1:3000 answered 500"},
		{"a parent whose child is well", []*hop.Hop{in("web", 1, 0, 0, 40, 500), in("orders", 3, 2, 1, 39, 200)},
			"web(orders)", "web: the application at 127.0.0.1:3000 answered 500"},
		{"a gRPC status of a leaf", []*hop.Hop{grpc(in("web", 1, 0, 0, 40, 200), 14, "none"), grpc(in("orders", 3, 2, 1, 39, 200), 14, "none left")},
			"web(orders)", "orders: the application at 127.0.0.1:3000 answered UNAVAILABLE (14): none left"},
		{"a gRPC status of an endpoint without a proxy", []*hop.Hop{grpc(out("web", "db", 1, 0, 0, 40, 200), 13, "")},
			"web>", "web -> db (10.0.0.9:80): answered INTERNAL (13)"},
		{"a gRPC status that is the caller's mistake", []*hop.Hop{grpc(in("web", 1, 0, 0, 40, 200), 5, "no such user")}, "web", ""},
		{"the message of another gRPC status", []*hop.Hop{overridden}, "web",
			"web: the application at 127.0.0.1:3000 answered INTERNAL (13)"},
		{"a refused connection blames the edge",
			[]*hop.Hop{in("web", 1, 0, 0, 40, 500), refused(in("payments", 3, 2, 1, 2, 503), "127.0.0.1:4003")},
			"web(payments)", "payments: connection refused by 127.0.0.1:4003 (UF)"},
		{"the edge of an outbound hop",
			[]*hop.Hop{in("web", 1, 0, 0, 40, 500), refused(out("web", "payments", 3, 2, 1, 2, 503), "10.0.0.9:80")},
			"web(web>)", "web -> payments: connection refused by 10.0.0.9:80 (UF)"},
		{"a gateway knows the cluster", []*hop.Hop{gateway}, "edge", "edge -> api: connection refused by 10.0.0.7:80 (UF)"},
		{"a host that is the endpoint's address", []*hop.Hop{byAddress}, "web>", "web -> 10.0.0.7: connection refused by 10.0.0.7:80 (UF)"},
		{"a host that is another address", []*hop.Hop{tunnel}, "web>", "web -> [2001:db8::7]: connection refused by 10.0.0.7:443 (UF)"},
		{"no host, but a cluster", []*hop.Hop{nameless}, "web>", "web -> db (10.0.0.9:80): no response in time (UT)"},
		{"a failure before any attempt", []*hop.Hop{noHealthy}, "web", "web: no endpoint of cluster web is healthy (UH)"},
		{"a retry that succeeded", []*hop.Hop{twoTries(503, 200)}, "web", ""},
		{"a retry that succeeded, below", []*hop.Hop{twoTries(503, 200), in("a", 5, 2, 1, 9, 503), in("a", 7, 3, 13, 38, 200)}, "web(a a)", ""},
		{"a retry that failed: the last one counts",
			[]*hop.Hop{twoTries(500, 503), in("a", 5, 2, 1, 9, 500), refused(in("b", 7, 3, 13, 38, 503), "127.0.0.1:1")},
			"web(a b)", "b: connection refused by 127.0.0.1:1 (UF)"},
		{"retries used up are the application's failure", []*hop.Hop{exhausted}, "web",
			"web: the application at 127.0.0.1:3001 answered 503 (URX)"},
		{"a retry that succeeded, and then another failure", []*hop.Hop{tooLong}, "web",
			"web: the stream reached its maximum duration (UMSDR)"},
		{"fan-out to one path, of which one fails", []*hop.Hop{
			in("web", 1, 0, 0, 40, 500), in("a", 11, 2, 1, 30, 500), in("a", 21, 2, 2, 20, 200)},
			"web(a a)", "a: the application at 127.0.0.1:3000 answered 500"},
		{"fan-out with one failing child", []*hop.Hop{
			in("web", 1, 0, 0, 40, 500), out("web", "a", 11, 2, 1, 30, 200), out("web", "b", 21, 2, 1, 20, 500), out("web", "c", 31, 2, 1, 35, 200),
			in("a", 13, 12, 2, 29, 200), in("b", 23, 22, 2, 19, 500), in("c", 33, 32, 2, 34, 200)},
			"web(web>(a) web>(b) web>(c))", "b: the application at 127.0.0.1:3000 answered 500"},
		{"fan-out, two fail side by side: the first one ends it", []*hop.Hop{
			in("web", 1, 0, 0, 40, 500), in("a", 11, 2, 1, 30, 500), in("b", 21, 2, 1, 20, 500)},
			"web(a b)", "b: the application at 127.0.0.1:3000 answered 500"},
		{"fan-out, and one fails that the application went on without", []*hop.Hop{
			in("web", 1, 0, 0, 40, 500), in("log", 11, 2, 1, 2, 500), in("a", 21, 2, 1, 30, 500), in("b", 31, 2, 3, 5, 200)},
			"web(log a b)", "a: the application at 127.0.0.1:3000 answered 500"},
		{"two fail in turn: the last one is what was not made good", []*hop.Hop{
			in("web", 1, 0, 0, 40, 500), in("a", 11, 2, 1, 10, 500), in("b", 21, 2, 12, 20, 500)},
			"web(a b)", "b: the application at 127.0.0.1:3000 answered 500"},
		{"the application tried again and went on to fail by itself", []*hop.Hop{
			in("web", 1, 0, 0, 40, 500), out("web", "a", 11, 2, 1, 10, 500), out("web", "a", 21, 2, 12, 20, 200)},
			"web(web> web>)", "web: the application at 127.0.0.1:3000 answered 500"},
		{"the application made it good", []*hop.Hop{in("web", 1, 0, 0, 40, 200), in("a", 11, 2, 1, 10, 500)}, "web(a)", ""},
		{"relayed through three hops", []*hop.Hop{
			in("web", 1, 0, 0, 40, 500), out("web", "orders", 3, 2, 1, 39, 500), in("orders", 5, 4, 2, 38, 500),
			out("orders", "payments", 7, 6, 3, 37, 503), refused(in("payments", 9, 8, 4, 5, 503), "127.0.0.1:4003")},
			"web(web>(orders(orders>(payments))))", "payments: connection refused by 127.0.0.1:4003 (UF)"},
		{"timeout at the caller while the callee was slow", []*hop.Hop{
			timedOut(out("web", "orders", 1, 0, 0, 100, 504)), clientGone(in("orders", 3, 2, 1, 101, 0)), in("stock", 5, 4, 2, 3000, 200)},
			"web>(orders(stock))",
			"stock: the application at 127.0.0.1:3000 had not answered after 97.8 ms, when web gave up (UT)"},
		{"timeout while the callee's own calls failed", []*hop.Hop{
			timedOut(out("web", "orders", 1, 0, 0, 100, 504)), clientGone(in("orders", 3, 2, 1, 101, 0)),
			refused(out("orders", "stock", 5, 4, 2, 90, 503), "10.0.0.7:80")},
			"web>(orders(orders>))", "orders -> stock: connection refused by 10.0.0.7:80 (UF)"},
		{"timeout of an endpoint without a proxy", []*hop.Hop{timedOut(in("web", 1, 0, 0, 100, 504))},
			"web", "web (127.0.0.1:3000): no response in time (UT)"},
		{"missing hops: an outbound hop alone knows that the endpoint answered",
			[]*hop.Hop{in("web", 1, 0, 0, 40, 500), out("web", "orders", 3, 2, 1, 39, 503)},
			"web(web>)", "web -> orders (10.0.0.9:80): answered 503"},
		{"missing hops: the response told who it was", []*hop.Hop{
			in("web", 1, 0, 0, 40, 500), relayed(out("web", "orders", 3, 2, 1, 39, 503), "payments", "connection refused by 127.0.0.1:4003")},
			"web(web>)", "payments: connection refused by 127.0.0.1:4003"},
		{"missing hops: the root", []*hop.Hop{in("orders", 3, 99, 1, 39, 500), in("payments", 5, 4, 2, 38, 500)},
			"orders(payments)", "payments: the application at 127.0.0.1:3000 answered 500"},
		{"missing hops: the middle", []*hop.Hop{
			in("web", 1, 0, 0, 40, 500), in("payments", 5, 99, 2, 38, 500)},
			"web(~payments)", "payments: the application at 127.0.0.1:3000 answered 500"},
		{"an application with its own tracer", []*hop.Hop{
			in("web", 1, 0, 0, 40, 500), in("orders", 11, 2, 1, 39, 500), out("orders", "payments", 3, 77, 2, 38, 503), refused(in("payments", 5, 4, 3, 4, 503), "127.0.0.1:4003")},
			"web(orders(~orders>(payments)))", "payments: connection refused by 127.0.0.1:4003 (UF)"},
		{"its own tracer, two requests at a time", []*hop.Hop{
			in("web", 1, 0, 0, 100, 200), in("a", 11, 2, 1, 90, 200), in("a", 13, 2, 20, 30, 200), out("a", "b", 15, 77, 21, 29, 200), out("a", "b", 17, 78, 40, 50, 200)},
			"web(a(~a>) a(~a>))", ""},
		{"skewed clocks", []*hop.Hop{
			in("web", 1, 0, 0, 40, 500), skew(in("orders", 3, 2, 1, 39, 500), -time.Hour), skew(out("orders", "payments", 5, 4, 2, 38, 500), -time.Hour), in("payments", 7, 6, 3, 37, 500)},
			"web(orders(orders>(payments)))", "payments: the application at 127.0.0.1:3000 answered 500"},
		{"duplicates", []*hop.Hop{
			in("web", 1, 0, 0, 40, 500), in("orders", 3, 2, 1, 39, 500), in("web", 1, 0, 0, 40, 500), in("orders", 3, 2, 1, 39, 500).Clone(), nil},
			"web(orders)", "orders: the application at 127.0.0.1:3000 answered 500"},
		{"a hop that is its own parent", []*hop.Hop{selfCalled}, "web", "web: the application at 127.0.0.1:3000 answered 500"},
		{"a circle", []*hop.Hop{circleA, circleB}, "b(a)", "a: the application at 127.0.0.1:3000 answered 500"},
		{"hops of other traces are left out", []*hop.Hop{in("web", 1, 0, 0, 40, 200), of(in("orders", 3, 2, 1, 39, 500), 9)}, "web", ""},
		{"hops that don't fit are roots", []*hop.Hop{in("web", 1, 0, 0, 40, 200), in("orders", 3, 99, 50, 60, 500)},
			"web orders", "orders: the application at 127.0.0.1:3000 answered 500"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			for _, order := range [][]*hop.Hop{tc.hops, reversed(tc.hops)} {
				trace := Build(traceID, order)
				if got := tree(trace); got != tc.tree {
					t.Errorf("tree %s, want %s", got, tc.tree)
				}
				got := ""
				if trace.Culprit != nil {
					got = trace.Culprit.String()
				}
				if got != tc.culprit {
					t.Errorf("culprit %q\nwant    %q", got, tc.culprit)
				}
				trace.Text() // must not panic on any of them
			}
		})
	}
}

func reversed(hops []*hop.Hop) (back []*hop.Hop) {
	for i := len(hops) - 1; i >= 0; i-- {
		back = append(back, hops[i])
	}
	return back
}

func TestSlowest(t *testing.T) {
	connecting := out("web", "a", 1, 0, 0, 100, 200)
	connecting.Attempts[0].Connected = 80 * ms
	greeting := out("web", "a", 1, 0, 0, 100, 200)
	greeting.Attempts[0].Connected, greeting.Attempts[0].TLS = 80*ms, &hop.TLS{Handshake: 70 * ms}
	hung := refused(out("web", "a", 1, 0, 0, 100, 503), "10.0.0.9:80")
	hung.Attempts[0].Connected, hung.Attempts[0].Sent = 0, 0
	waited := in("web", 1, 0, 0, 100, 200)
	waited.Attempts[0].Start, waited.Attempts[0].Connected = 90*ms, 90*ms
	none := in("web", 1, 0, 0, 100, 503)
	none.Attempts = nil

	cases := []struct {
		name string
		hops []*hop.Hop
		want string
	}{
		{"the application itself", []*hop.Hop{in("web", 1, 0, 0, 100, 200), in("a", 3, 2, 1, 20, 200)},
			"web: 80.8 ms in the application at 127.0.0.1:3000"},
		{"the deepest one", []*hop.Hop{in("web", 1, 0, 0, 100, 200), out("web", "a", 3, 2, 1, 99, 200), in("a", 5, 4, 2, 98, 200), in("b", 7, 6, 3, 97, 200)},
			"b: 93.8 ms in the application at 127.0.0.1:3000"},
		{"of a fan-out, the one that was waited for", []*hop.Hop{
			in("web", 1, 0, 0, 100, 200), in("a", 3, 2, 1, 50, 200), in("b", 5, 2, 1, 98, 200), in("c", 7, 2, 1, 60, 200)},
			"b: 96.8 ms in the application at 127.0.0.1:3000"},
		{"of calls in turn, the longer one", []*hop.Hop{in("web", 1, 0, 0, 100, 200), in("a", 3, 2, 1, 30, 200), in("b", 5, 2, 30, 98, 200)},
			"b: 67.8 ms in the application at 127.0.0.1:3000"},
		{"an endpoint without a proxy", []*hop.Hop{in("web", 1, 0, 0, 100, 200), out("web", "db", 3, 2, 1, 99, 200)},
			"web -> db (10.0.0.9:80): 97.8 ms to answer"},
		{"the network", []*hop.Hop{out("web", "a", 1, 0, 0, 100, 200), in("a", 3, 2, 40, 60, 200)}, "web -> a (10.0.0.9:80): 79.8 ms on the way"},
		{"the connection", []*hop.Hop{connecting}, "web -> a (10.0.0.9:80): 79.9 ms to get a connection"},
		{"the handshake", []*hop.Hop{greeting}, "web -> a (10.0.0.9:80): 79.9 ms to get a connection, 70.0 ms of it for TLS"},
		{"no connection", []*hop.Hop{hung}, "web -> a (10.0.0.9:80): 99.8 ms to get a connection"},
		{"the proxy", []*hop.Hop{waited}, "web: 90.1 ms in its proxy, before and after its attempts"},
		{"no attempt", []*hop.Hop{none}, "web: 100 ms in its proxy, and no attempt"},
		{"a call that nobody waited for", []*hop.Hop{in("web", 1, 0, 0, 100, 200), out("web", "log", 3, 2, 99.5, 5000, 200)},
			"web: 99.4 ms in the application at 127.0.0.1:3000"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			trace := Build(traceID, tc.hops)
			if got := trace.Slowest.String(); got != tc.want {
				t.Errorf("slowest %q\nwant    %q", got, tc.want)
			}
			var sum time.Duration
			trace.Roots[0].walk(func(n *Node) { sum += n.Exclusive })
			if sum != trace.Roots[0].Duration {
				t.Errorf("the shares of the critical path sum up to %v of %v", sum, trace.Roots[0].Duration)
			}
		})
	}
	if Build(traceID, nil).Slowest != nil {
		t.Error("a trace without hops has a slowest one")
	}
}

// TestSkewIsCorrected looks at where the hops end up.
func TestSkewIsCorrected(t *testing.T) {
	cases := []struct {
		name  string
		hops  []*hop.Hop
		start []float64 // of each hop, by depth, in milliseconds
	}{
		{"clocks agree", []*hop.Hop{in("web", 1, 0, 0, 40, 200), in("a", 3, 2, 5, 15, 200)}, []float64{0, 5}},
		{"the callee's clock is ahead", []*hop.Hop{in("web", 1, 0, 0, 40, 200), skew(in("a", 3, 2, 5, 15, 200), time.Minute)}, []float64{0, 15}},
		{"the callee's clock is behind", []*hop.Hop{in("web", 1, 0, 0, 40, 200), skew(in("a", 3, 2, 5, 15, 200), -time.Minute)}, []float64{0, 15}},
		{"what it calls moves with it", []*hop.Hop{
			in("web", 1, 0, 0, 40, 200), skew(in("a", 3, 2, 5, 15, 200), time.Minute), skew(out("a", "b", 5, 4, 6, 14, 200), time.Minute), in("b", 7, 6, 17, 22, 200)},
			[]float64{0, 15, 16, 17}},
		{"a callee that outlives the call", []*hop.Hop{in("web", 1, 0, 0, 40, 200), in("a", 3, 2, 5, 90, 200)}, []float64{0, 5}},
		{"one that does so by another clock", []*hop.Hop{in("web", 1, 0, 0, 40, 200), skew(in("a", 3, 2, 5, 90, 200), time.Hour)}, []float64{0, 0.1}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			var got []time.Duration
			Build(traceID, tc.hops).Roots[0].walk(func(n *Node) {
				if n.Attempt == nil {
					got = append(got, n.Start)
				}
			})
			for i, want := range tc.start {
				if got[i] != millis(want) {
					t.Errorf("hop %d starts at %v, want %v ms", i, got[i], want)
				}
			}
		})
	}
}

func TestDuplicatesKeepTheFullerRecord(t *testing.T) {
	full, bare := in("web", 1, 0, 0, 40, 500), in("web", 1, 0, 0, 40, 500)
	bare.Attempts = nil
	for _, hops := range [][]*hop.Hop{{full, bare}, {bare, full}} {
		if trace := Build(traceID, hops); trace.Hops != 1 || len(trace.Roots[0].Children) != 1 {
			t.Errorf("%d hops, %d attempts; want 1 of each", trace.Hops, len(trace.Roots[0].Children))
		}
	}
}

// manyHops are a chain and a fan-out, all failing at the bottom.
func manyHops(n int) []*hop.Hop {
	var hops []*hop.Hop
	for i := range n / 2 {
		id, at := uint64(2*i+1), float64(i)/100
		hops = append(hops, in("chain", id, id-1, at, 1000-at, 500))
	}
	for i := range n - n/2 {
		hops = append(hops, in("fan", uint64(1e6+2*i), 2, 1, 2, 200))
	}
	return hops
}

func TestManyHops(t *testing.T) {
	hops := manyHops(1000)
	trace := Build(traceID, hops)
	if trace.Hops != 1000 || len(trace.Roots) != 1 {
		t.Fatalf("%d hops, %d roots", trace.Hops, len(trace.Roots))
	}
	if c := trace.Culprit; c == nil || c.Node.Hop.Span != span(999) {
		t.Errorf("culprit %v, want the last of the chain", c)
	}
	if len(trace.Text()) < 1000*20 {
		t.Error("the drawing is too short for a thousand hops")
	}
}

func BenchmarkBuild(b *testing.B) {
	hops := manyHops(1000)
	b.ReportAllocs()
	for b.Loop() {
		Build(traceID, hops)
	}
}

func FuzzBuild(f *testing.F) {
	f.Add([]byte{1, 0, 0, 40, 200, 3, 2, 1, 39, 250})
	f.Add([]byte{1, 4, 0, 10, 250, 3, 2, 1, 9, 250, 5, 5, 5, 5, 5})
	f.Fuzz(func(t *testing.T, data []byte) {
		var hops []*hop.Hop
		spans := map[hop.SpanID]bool{}
		for ; len(data) >= 5 && len(hops) < 64; data = data[5:] {
			forms := []*hop.Hop{
				in("a", uint64(data[0]), uint64(data[1]), float64(data[2]), float64(data[3]), int(data[4])*2),
				out("a", "b", uint64(data[0]), uint64(data[1]), float64(data[2]), float64(data[3]), int(data[4])*2),
				clientGone(in("b", uint64(data[0]), uint64(data[1]), float64(data[2]), float64(data[3]), 0)),
			}
			h := forms[data[4]%3]
			hops = append(hops, h)
			if h.Span.IsZero() {
				return
			}
			spans[h.Span] = true
		}
		trace := Build(traceID, hops)
		count := 0
		for _, root := range trace.Roots {
			root.walk(func(n *Node) {
				if n.Attempt == nil {
					count++
				}
			})
		}
		if count != len(spans) || trace.Hops != count {
			t.Fatalf("%d hops in the trees, %d counted, %d given", count, trace.Hops, len(spans))
		}
		if failed := trace.Culprit != nil; failed != anyFailed(trace.Roots) {
			t.Fatalf("a culprit: %t, in\n%s", failed, trace.Text())
		}
		trace.Text()
	})
}

func anyFailed(roots []*Node) bool {
	for _, r := range roots {
		if r.Hop.Failed() {
			return true
		}
	}
	return false
}
