package diagnose

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// charged gives the hop the failure that its proxy would record for it.
func charged(h *hop.Hop, m Met) *hop.Hop {
	m.Service = h.Labels.Service
	h.Failure = Charge(m)
	h.Failure.Origin = hop.OriginProxy
	if m.Kind == ErrorResponse {
		h.Failure.Origin = hop.OriginEndpoint
	}
	return h
}

// refusedAt makes the hop one whose proxy refused it, before it tried any endpoint.
func refusedAt(h *hop.Hop, status int, flag hop.Flags, proxyError, details string, m Met) *hop.Hop {
	h.Attempts = nil
	h.Status, h.Flags, h.ProxyError, h.Details = status, flag, proxyError, details
	return charged(h, m)
}

// cut makes the hop one that ended while its endpoint had not answered, because its caller
// went away.
func cut(h *hop.Hop) *hop.Hop {
	h.Status, h.Flags = 0, hop.DownstreamClosed
	h.Failure = hop.Failure{Origin: hop.OriginDownstream, Hop: "client"}
	h.LastAttempt().Status = 0
	return h
}

// underWay makes the hop one that has not ended.
func underWay(h *hop.Hop) *hop.Hop {
	h.Status, h.End, h.Failure = 0, 0, hop.Failure{}
	a := h.LastAttempt()
	a.Status, a.End = 0, 0
	return h
}

// broken makes the attempt one whose connection broke before an answer came.
func broken(h *hop.Hop, flag hop.Flags, kind string) *hop.Hop {
	h.Status, h.Flags, h.ProxyError = 503, flag, "connection_terminated"
	a := h.LastAttempt()
	a.Status, a.Flags, a.ProxyError, a.Reason = 0, flag, h.ProxyError, a.Endpoint+" closed the connection"
	return charged(h, Met{Callee: host(h), Endpoint: a.Endpoint, Kind: kind, Reason: a.Reason})
}

func reused(h *hop.Hop) *hop.Hop {
	h.LastAttempt().Reused = true
	return h
}

// chain is a request from web by way of orders to stock, whose hops each change.
func chain(web, toOrders, orders, toStock, stock func(*hop.Hop) *hop.Hop) []*hop.Hop {
	hops := []*hop.Hop{
		in("web", 1, 0, 0, 100, 200), out("web", "orders", 3, 2, 1, 99, 200), in("orders", 5, 4, 2, 98, 200),
		out("orders", "stock", 7, 6, 3, 97, 200), in("stock", 9, 8, 4, 96, 200),
	}
	var changed []*hop.Hop
	for i, change := range []func(*hop.Hop) *hop.Hop{web, toOrders, orders, toStock, stock} {
		if change != nil {
			changed = append(changed, change(hops[i]))
		}
	}
	return changed
}

func asItIs(h *hop.Hop) *hop.Hop { return h }

// answers500 makes the hop one that got a 500, and passed it on.
func answers500(h *hop.Hop) *hop.Hop {
	h.Status, h.LastAttempt().Status = 500, 500
	return charged(h, Met{Kind: ErrorResponse})
}

// TestVerdict has a row for each fault that a mesh meets, and what is right about it.
func TestVerdict(t *testing.T) {
	alias := func(h *hop.Hop) *hop.Hop {
		h.Attempts[0].Cluster, h.Labels.Cluster = "app", "app"
		return h
	}
	const at = "10.0.0.9:80"
	toDead := func(proxied bool) func(*hop.Hop) *hop.Hop {
		return func(h *hop.Hop) *hop.Hop {
			return charged(refused(h, at), Met{Callee: "stock", Proxied: proxied, Endpoint: at, Kind: "connect_refused", Reason: "connection refused by " + at})
		}
	}
	longer := func(by float64) func(*hop.Hop) *hop.Hop {
		return func(h *hop.Hop) *hop.Hop {
			h.End += millis(by)
			h.LastAttempt().End += millis(by)
			return timedOut(h)
		}
	}
	unhealthy := func(h *hop.Hop) *hop.Hop {
		return refusedAt(h, 503, hop.NoHealthyUpstream, "destination_unavailable", "no_healthy_upstream",
			Met{Callee: "stock", Kind: "no_healthy", Reason: "no endpoint of stock is healthy: check web: critical"})
	}
	noRoute := func(h *hop.Hop) *hop.Hop {
		return refusedAt(h, 404, hop.NoRoute, "destination_not_found", "route_not_found",
			Met{Callee: "stok", Kind: "not_found", Reason: "no route for stok; the nearest is stock"})
	}
	noCluster := func(h *hop.Hop) *hop.Hop {
		return refusedAt(h, 503, hop.NoCluster, "destination_unavailable", "cluster_not_found",
			Met{Callee: "stok", Kind: "no_cluster", Reason: "no cluster stok; the nearest is stock"})
	}
	fails := func(code int, text string) func(*hop.Hop) *hop.Hop {
		return func(h *hop.Hop) *hop.Hop { return grpc(h, code, text) }
	}
	cases := []struct {
		name   string
		hops   []*hop.Hop
		where  string // the edge
		part   hop.Part
		kind   string
		reason string // what it contains
		says   string // what the evidence contains; "-" is that there is none
	}{
		{"an application answers an error", chain(answers500, answers500, answers500, answers500, answers500),
			"stock", hop.PartApplication, ErrorResponse, "the application at 127.0.0.1:3000 answered 500", "-"},
		{"its cluster has another name", []*hop.Hop{alias(answers500(in("web", 1, 0, 0, 40, 500)))},
			"web", hop.PartApplication, ErrorResponse, "the application at 127.0.0.1:3000 answered 500", "-"},
		{"a gRPC application answers an error", chain(fails(13, "lost"), fails(13, "lost"), fails(13, "lost"), fails(13, "lost"), fails(13, "it broke")),
			"stock", hop.PartApplication, ErrorResponse, "answered INTERNAL (13): it broke", "-"},
		{"the application of the callee is dead",
			chain(answers500, answers500, answers500, func(h *hop.Hop) *hop.Hop {
				answers500(h)
				h.Status, h.Attempts[0].Status = 503, 503
				return h
			}, func(h *hop.Hop) *hop.Hop {
				return charged(refused(h, "127.0.0.1:4003"), Met{Kind: "connect_refused", Endpoint: "127.0.0.1:4003", Reason: "connection refused by 127.0.0.1:4003"})
			}), "stock", hop.PartApplication, "connect_refused", "connection refused by 127.0.0.1:4003", "-"},
		{"no endpoint of the callee is healthy", chain(answers500, answers500, answers500, unhealthy, nil),
			"orders -> stock", hop.PartApplication, "no_healthy", "check web: critical", "-"},
		{"the proxy of the callee is dead", chain(answers500, answers500, answers500, toDead(true), nil),
			"orders -> stock", hop.PartProxy, "connect_refused", "its proxy does not answer: connection refused by " + at, "-"},
		{"something is dead that may have a proxy", chain(answers500, answers500, answers500, toDead(false), nil),
			"orders -> stock", hop.PartApplication, "connect_refused", "connection refused by " + at, "if it has a proxy, that is what does not answer"},
		{"something is dead whose proxy was there a moment ago", append(chain(answers500, answers500, answers500, toDead(false), nil), in("stock", 31, 4, 2, 3, 200)),
			"orders -> stock", hop.PartProxy, "connect_refused", "its proxy does not answer: ", "-"},
		{"no route", chain(answers500, answers500, answers500, noRoute, nil),
			"orders", hop.PartConfiguration, "not_found", "no route for stok; the nearest is stock", "-"},
		{"no cluster", chain(answers500, answers500, answers500, noCluster, nil),
			"orders", hop.PartConfiguration, "no_cluster", "no cluster stok; the nearest is stock", "-"},

		{"a black hole: the first timer ends all", chain(timedOut, cut, cut, cut, cut),
			"stock", hop.PartApplication, "upstream_timeout", "had not answered after 91.8 ms, when web gave up", "whose application had not answered when orders gave up"},
		{"a black hole: no application goes when its caller does", chain(timedOut, longer(2), longer(4), longer(6), longer(8)),
			"stock", hop.PartApplication, "upstream_timeout", "had not answered", "-"},
		{"a black hole: the inner hops are under way", chain(timedOut, underWay, underWay, underWay, underWay),
			"stock", hop.PartApplication, "upstream_timeout", "had not answered", ""},
		{"a black hole: the inner hops are not there yet", chain(timedOut, cut, nil, nil, nil),
			"web -> orders", hop.PartApplication, "upstream_timeout", "it had not answered after 97.8 ms, when web gave up", "no hop of orders is there: what it waited for itself is not known"},
		{"a black hole: the proxy knew what its application waited for", []*hop.Hop{func() *hop.Hop {
			h := timedOut(in("web", 1, 0, 0, 100, 504))
			h.Failure = hop.Failure{Origin: hop.OriginRelayed, Hop: "stock", Part: hop.PartApplication, Kind: "upstream_timeout", Caller: "web", Reason: "it has waited for stock"}
			return h
		}(), answers500(out("web", "log", 3, 2, 1, 2, 500))},
			"web -> stock", hop.PartApplication, "upstream_timeout", "it has waited for stock", ""},
		{"a black hole: the application gave up on its own", chain(answers500, answers500, answers500, cut, cut),
			"stock", hop.PartApplication, "upstream_timeout", "had not answered after 91.8 ms, when orders gave up", ""},
		{"a black hole that was swallowed used the time of the next call up", []*hop.Hop{
			answers500(in("web", 1, 0, 0, 100, 500)),
			allowed(timedOut(out("web", "stock", 3, 2, 1, 90, 504))), cut(in("stock", 5, 4, 2, 89, 0)),
			allowed(timedOut(out("web", "search", 7, 2, 91, 98, 504))), cut(in("search", 9, 8, 92, 97, 0))},
			"stock", hop.PartApplication, "upstream_timeout", "had not answered", "whose application had not answered when web gave up after 88.8 ms"},
		{"a black hole that was swallowed, where the next call's proxy answered", []*hop.Hop{
			answers500(in("web", 1, 0, 0, 100, 500)),
			allowed(timedOut(out("web", "stock", 3, 2, 1, 90, 504))), cut(in("stock", 5, 4, 2, 89, 0)),
			allowed(answers500(out("web", "search", 7, 2, 91, 98, 500))), func() *hop.Hop {
				h := allowed(timedOut(in("search", 9, 8, 92, 97, 504)))
				h.Attempts[0].Start = 4 * ms // most of the time was its proxy's
				return h
			}()},
			"stock", hop.PartApplication, "upstream_timeout", "had not answered", ""},
		{"a call that took long and did well left no time for the next", []*hop.Hop{
			answers500(in("web", 1, 0, 0, 100, 500)), allowed(out("web", "stock", 3, 2, 1, 92, 200)), in("stock", 5, 4, 2, 91, 200),
			allowed(timedOut(out("web", "search", 7, 2, 93, 99, 504))), cut(in("search", 9, 8, 94, 98, 0))},
			"stock", hop.PartApplication, "slow", "88.8 ms in the application at 127.0.0.1:3000; then search had only 5.8 ms of 100 ms left", ""},
		{"an application that works for long left no time for its call", []*hop.Hop{
			answers500(in("web", 1, 0, 0, 100, 500)), allowed(timedOut(out("web", "search", 7, 2, 92, 98, 504))), cut(in("search", 9, 8, 93, 97, 0))},
			"web", hop.PartApplication, KindNoTimeLeft, "93.8 ms in the application at 127.0.0.1:3000; then search had only 5.8 ms of 100 ms left", ""},
		{"many calls left no time for the last, as the proxy says", []*hop.Hop{
			answers500(in("web", 1, 0, 0, 100, 500)), allowed(out("web", "stock", 3, 2, 1, 30, 200)), allowed(out("web", "users", 11, 2, 31, 60, 200)), allowed(out("web", "cart", 13, 2, 61, 91, 200)),
			noTime(allowed(timedOut(out("web", "search", 7, 2, 92, 98, 504)))), cut(in("search", 9, 8, 93, 97, 0))},
			"web", hop.PartApplication, KindNoTimeLeft, "search had only 6 ms of 100 ms left when it was called", ""},
		{"an application that works for long, where the next call answers that its time is over", []*hop.Hop{
			allowed(answers500(in("web", 1, 0, 0, 100, 500))), allowed(grpc(out("web", "search", 7, 2, 92, 98, 200), 4, "too late"))},
			"web", hop.PartApplication, KindNoTimeLeft, "93.8 ms in the application at 127.0.0.1:3000; then search had only 5.8 ms of 100 ms left", ""},
		{"an application that works for long, where the next call had time, and says that it had none", []*hop.Hop{
			allowed(answers500(in("web", 1, 0, 0, 40, 500))), allowed(grpc(out("web", "search", 7, 2, 32, 38, 200), 4, "too late"))},
			"web -> search", hop.PartApplication, ErrorResponse, "answered DEADLINE_EXCEEDED (4): too late", ""},
		{"many calls left no time for the last, whose proxy answered", []*hop.Hop{
			answers500(in("web", 1, 0, 0, 100, 500)), allowed(out("web", "stock", 3, 2, 1, 30, 200)), allowed(out("web", "users", 11, 2, 31, 60, 200)), allowed(out("web", "cart", 13, 2, 61, 91, 200)),
			func() *hop.Hop {
				h := noTime(allowed(grpc(out("web", "search", 7, 2, 92, 98, 200), 4, "too late")))
				h.Failure.Origin = hop.OriginRelayed
				return h
			}(), allowed(grpc(timedOut(in("search", 9, 8, 93, 97, 200)), 4, "too late"))},
			"web", hop.PartApplication, KindNoTimeLeft, "search had only 6 ms of 100 ms left when it was called", ""},
		{"a call that fails by its own short timeout", []*hop.Hop{
			answers500(in("web", 1, 0, 0, 100, 500)), allowed(out("web", "stock", 3, 2, 1, 92, 200)), in("stock", 5, 4, 2, 91, 200), func() *hop.Hop {
				h := timedOut(out("web", "search", 7, 2, 93, 99, 504))
				h.Timeout = 6 * ms
				return h
			}()},
			"web -> search", hop.PartApplication, "upstream_timeout", "no response in time", ""},
		{"an application that is slow by itself", chain(timedOut, cut, func(h *hop.Hop) *hop.Hop { return cut(h) }, func(h *hop.Hop) *hop.Hop {
			h.End = 10 * ms
			h.Attempts[0].End = 9 * ms
			return h
		}, nil), "orders", hop.PartApplication, "upstream_timeout", "had not answered", ""},
		{"a call that was dropped after the answer", []*hop.Hop{
			func() *hop.Hop {
				h := answers500(in("web", 1, 0, 0, 100, 500))
				h.Attempts[0].FirstByte = 95 * ms
				return h
			}(), cut(out("web", "log", 3, 2, 90, 99, 0))},
			"web", hop.PartApplication, ErrorResponse, "answered 500", "-"},

		{"answered after the caller had given up", []*hop.Hop{
			answers500(in("web", 1, 0, 0, 52, 500)), timedOut(out("web", "orders", 3, 2, 1, 51, 504)), in("orders", 5, 4, 2, 80, 200)},
			"orders", hop.PartApplication, "upstream_timeout", "had not answered", "orders answered 200 after 78.0 ms; web had given up after 49.8 ms"},
		{"the answer was lost", []*hop.Hop{
			answers500(in("web", 1, 0, 0, 52, 500)), broken(out("web", "orders", 3, 2, 1, 51, 503), hop.UpstreamConnectionClosed, "upstream_closed"), in("orders", 5, 4, 2, 30, 200)},
			"web -> orders", hop.PartNetwork, "upstream_closed", "closed the connection", "orders answered 200 after 28.0 ms, but the answer did not reach web"},
		{"something between cut the connection", []*hop.Hop{
			answers500(in("web", 1, 0, 0, 52, 500)), broken(out("web", "orders", 3, 2, 1, 51, 503), hop.UpstreamReset, "upstream_reset"), cut(in("orders", 5, 4, 2, 50, 0))},
			"web -> orders", hop.PartNetwork, "upstream_reset", "closed the connection", "each saw the other close the connection"},
		{"the callee's proxy broke it off", []*hop.Hop{
			answers500(in("web", 1, 0, 0, 52, 500)), broken(out("web", "orders", 3, 2, 1, 51, 503), hop.UpstreamReset, "upstream_reset"),
			func() *hop.Hop {
				h := in("orders", 5, 4, 2, 50, 200)
				h.Status, h.Attempts[0].Status = 0, 0
				h.Flags, h.ProxyError = hop.LocalReset, "proxy_internal_response"
				return charged(h, Met{Kind: "draining", Reason: "the proxy drains"})
			}()},
			"orders", hop.PartProxy, "draining", "the proxy drains", "the proxy of orders broke the connection off"},
		{"each end has another status", []*hop.Hop{
			answers500(in("web", 1, 0, 0, 52, 500)), answers500(out("web", "orders", 3, 2, 1, 51, 500)), in("orders", 5, 4, 2, 50, 200)},
			"web -> orders", hop.PartNetwork, ErrorResponse, "answered 500", "orders answered 200, but web got 500"},
		{"never arrived, on a connection of the pool", []*hop.Hop{
			answers500(in("web", 1, 0, 0, 102, 500)), out("web", "orders", 3, 2, 1, 5, 200), in("orders", 5, 4, 2, 4, 200),
			reused(timedOut(out("web", "orders", 7, 2, 6, 100, 504)))},
			"web -> orders", hop.PartNetwork, "upstream_timeout", "no response in time", "the proxy of orders has 1 other hop of this trace, but none of this request"},
		{"never arrived, on a connection of its own", []*hop.Hop{
			answers500(in("web", 1, 0, 0, 102, 500)), out("web", "orders", 3, 2, 1, 5, 200), in("orders", 5, 4, 2, 4, 200),
			timedOut(out("web", "orders", 7, 2, 6, 100, 504))},
			"web -> orders", hop.PartProxy, "upstream_timeout", "no response in time", "the connection itself was made"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			trace := Build(traceID, tc.hops)
			c := trace.Culprit
			if c == nil {
				t.Fatalf("no culprit in\n%s", trace.Text())
			}
			if c.Edge() != tc.where || c.Part != tc.part || c.Kind != tc.kind || !strings.Contains(c.Reason, tc.reason) {
				t.Errorf("it is %s, %s, %s: %s\nwant  %s, %s, %s: %s", c.Edge(), c.Part, c.Kind, c.Reason, tc.where, tc.part, tc.kind, tc.reason)
			}
			said := strings.Join(slices.DeleteFunc(c.Evidence, func(s string) bool { return strings.HasPrefix(s, "the trace ends at ") }), "\n")
			if tc.says == "-" && said != "" || tc.says != "-" && !strings.Contains(said, tc.says) {
				t.Errorf("the evidence is %q, want %q", said, tc.says)
			}
			if trace.Inner != nil {
				t.Errorf("there is an inner failure as well: %s", trace.Inner)
			}
		})
	}
}

// TestInner: a failure that did not fail the request is told apart from one that did.
func TestInner(t *testing.T) {
	retried := refused(out("web", "stock", 3, 2, 1, 30, 503), "10.0.0.9:80")
	retried.Status, retried.Flags, retried.ProxyError, retried.Failure = 200, 0, "", hop.Failure{}
	retried.Attempts[0].End = 3 * ms
	*retried.Attempt() = hop.Attempt{Span: span(11), Endpoint: "10.0.0.8:80", Status: 200, Start: 5 * ms, End: 20 * ms}
	cases := []struct {
		name string
		hops []*hop.Hop
		want string
	}{
		{"nothing failed", chain(asItIs, asItIs, asItIs, asItIs, asItIs), ""},
		{"the application went on without it", chain(asItIs, asItIs, asItIs, answers500, answers500),
			"stock: the application at 127.0.0.1:3000 answered 500"},
		{"a retry made it good", []*hop.Hop{in("web", 1, 0, 0, 40, 200), retried}, "web -> stock: connection refused by 10.0.0.9:80 (UF)"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			trace, got := Build(traceID, tc.hops), ""
			if trace.Inner != nil {
				got = trace.Inner.String()
			}
			if trace.Culprit != nil || got != tc.want {
				t.Errorf("culprit %v, inner failure %q, want %q", trace.Culprit, got, tc.want)
			}
		})
	}
}

// calls are n calls in turn of stock by web, each of the same length, of which the first
// may be longer.
func calls(n int, each, first float64, proxied bool) []*hop.Hop {
	total := first + float64(n-1)*each + float64(n) + 20
	hops := []*hop.Hop{in("web", 1, 0, 0, total, 200)}
	at := 10.0
	for i := range n {
		took, id := each, uint64(100+10*i)
		if i == 0 {
			took = first
		}
		hops = append(hops, out("web", "stock", id, 2, at, at+took+1, 200))
		if proxied {
			hops = append(hops, in("stock", id+2, id+1, at+0.5, at+took+0.5, 200))
		}
		at += took + 1
	}
	return hops
}

// begun makes the hop one whose response began after so many milliseconds.
func begun(h *hop.Hop, after float64) *hop.Hop {
	h.LastAttempt().FirstByte = millis(after)
	return h
}

// cold makes the attempt of the n-th hop the first to an endpoint that came up.
func cold(hops []*hop.Hop, n int) []*hop.Hop {
	hops[n].Attempts[0].Cold = true
	return hops
}

// blocked makes the hop one whose client took the response so slowly.
func blocked(h *hop.Hop, by float64) *hop.Hop {
	begun(h, 4).WriteBlocked = millis(by)
	return h
}

// TestSlowCallee: what a service spends in several calls of another is the other's.
func TestSlowCallee(t *testing.T) {
	tried := out("web", "stock", 3, 2, 1, 99, 200)
	tried.Attempts[0] = hop.Attempt{Span: span(4), Endpoint: "10.0.0.9:80", Start: ms, Connected: ms, Sent: ms, End: 70 * ms,
		Flags: hop.UpstreamTimeout, ProxyError: "http_response_timeout", Details: "upstream_per_try_timeout"}
	*tried.Attempt() = hop.Attempt{Span: span(6), Endpoint: "10.0.0.8:80", Status: 200, Start: 71 * ms, Connected: 71 * ms, End: 97 * ms}
	cases := []struct {
		name  string
		hops  []*hop.Hop
		where string
		want  string
	}{
		{"one call", calls(1, 1200, 1200, true), "stock", "1.20 s in the application at 127.0.0.1:3000"},
		{"five calls", calls(5, 1200, 1200, true), "stock", "5 calls to stock took 6.00 of 6.03 s, in its application"},
		{"without a proxy", calls(5, 1200, 1200, false), "web -> stock", "5 calls to stock took 6.00 of 6.03 s"},
		{"cold at first", calls(4, 10, 900, true), "stock", "4 calls to stock took 929 of 954 ms, in its application; the first one took 900 ms, as after a cold start"},
		{"cold for sure", cold(calls(1, 900, 900, true), 2), "stock", "900 ms in the application at 127.0.0.1:3000; it was the first request to it since it came up"},
		{"cold for sure, as the caller knows", cold(calls(1, 900, 900, true), 1), "stock", "900 ms in the application at 127.0.0.1:3000; it was the first request to it since it came up"},
		{"cold for sure, without a proxy", cold(calls(1, 900, 900, false), 1), "web -> stock", "901 ms to answer; it was the first request to it since it came up"},
		{"cold for sure at first", cold(calls(4, 10, 900, true), 2), "stock", "4 calls to stock took 929 of 954 ms, in its application; one of them, which took 900 ms, was the first since it came up"},
		{"cold, and slow in any case", cold(calls(5, 1200, 1200, true), 2), "stock", "5 calls to stock took 6.00 of 6.03 s, in its application"},
		{"a slow reader", []*hop.Hop{in("web", 1, 0, 0, 100, 200), begun(out("web", "stock", 3, 2, 1, 99, 200), 5), in("stock", 5, 4, 2, 8, 200)},
			"web", "90.9 ms to take a response of stock that had been sent: its application reads slowly, or the network is slow"},
		{"a slow reader of a large response", []*hop.Hop{in("web", 1, 0, 0, 100, 200), begun(out("web", "stock", 3, 2, 1, 99, 200), 5), begun(in("stock", 5, 4, 2, 90, 200), 4)},
			"web", "92.8 ms to take a response of stock that had been sent: its application reads slowly, or the network is slow"},
		{"an application that sends slowly", []*hop.Hop{in("web", 1, 0, 0, 100, 200), begun(out("web", "stock", 3, 2, 1, 99, 200), 5), begun(in("stock", 5, 4, 2, 98, 200), 4)},
			"stock", "95.8 ms in the application at 127.0.0.1:3000"},
		{"a slow reader whom both proxies waited for", []*hop.Hop{in("web", 1, 0, 0, 100, 200), blocked(out("web", "stock", 3, 2, 1, 99, 200), 90), blocked(in("stock", 5, 4, 2, 98, 200), 89)},
			"web", "89.9 ms to take a response of stock that had been sent: its application did not read for 90.0 ms"},
		{"a slow network, for which the callee's proxy waited", []*hop.Hop{in("web", 1, 0, 0, 100, 200), begun(out("web", "stock", 3, 2, 1, 99, 200), 5), blocked(in("stock", 5, 4, 2, 98, 200), 89)},
			"web", "89.9 ms to take a response of stock that had been sent: its application reads slowly, or the network is slow"},
		{"a slow reader of a service without a proxy", []*hop.Hop{in("web", 1, 0, 0, 100, 200), blocked(out("web", "stock", 3, 2, 1, 99, 200), 90)},
			"web", "90.0 ms to take a response of stock that had been sent: its application did not read for 90.0 ms"},
		{"a slow client", []*hop.Hop{blocked(in("web", 1, 0, 0, 100, 200), 90)},
			"client", "90.0 ms to take a response of web that had been sent: the client reads slowly, or the network to it is slow"},
		{"a try that failed", []*hop.Hop{in("web", 1, 0, 0, 100, 200), tried}, "web -> stock", "69.0 ms in a try that failed"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := Build(traceID, tc.hops).Slowest
			if c.Edge() != tc.where || c.Reason != tc.want {
				t.Errorf("%s: %s\nwant %s: %s", c.Edge(), c.Reason, tc.where, tc.want)
			}
		})
	}
	if c := Build(traceID, calls(5, 1200, 1200, true)).Slowest; c.Calls != 5 || c.Took < 5990*time.Millisecond || c.Kind != "slow" || c.Part != hop.PartApplication {
		t.Errorf("%d calls took %v: %s, %s", c.Calls, c.Took, c.Kind, c.Part)
	}
}

// allowed gives a hop the time that its route would have let it take.
func allowed(h *hop.Hop) *hop.Hop {
	h.Timeout = 100 * time.Millisecond
	return h
}

// noTime makes the hop one whose proxy charged its own service with the time that it lacked.
func noTime(h *hop.Hop) *hop.Hop {
	h.Failure = Charge(Met{Service: h.Labels.Service, Callee: "search", Kind: KindNoTimeLeft, Reason: "search had only 6 ms of 100 ms left when it was called"})
	h.Failure.Origin = hop.OriginProxy
	return h
}
