package views_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/tracecontext"
)

const (
	traceA = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanA  = "00f067aa0ba902b7"
)

// What is exported, by what the caller said and how the hop went.
func TestSampling(t *testing.T) {
	parent := func(flags string) string { return "traceparent: 00-" + traceA + "-" + spanA + "-" + flags + "\r\n" }
	tests := []struct {
		name     string
		ratio    float64
		rate     float64 // traces a second; 0 is no limit
		fields   string
		path     string
		exported string // sampled_by; "" for not at all
		sampled  bool   // what goes out
	}{
		{name: "root, ratio 1", ratio: 1, path: "/fine", exported: "ratio", sampled: true},
		{name: "root, ratio 0", path: "/fine"},
		{name: "root, ratio 0, failed", path: "/fails", exported: "failed"},
		{name: "root, ratio 0, slow", path: "/slow", exported: "slow"},
		{name: "root, ratio 0, not found", path: "/missing"},
		{name: "root, ratio 1, failed", ratio: 1, path: "/fails", exported: "ratio", sampled: true},
		{name: "caller samples, ratio 0", fields: parent("01"), path: "/fine", exported: "parent", sampled: true},
		{name: "caller drops, ratio 1", ratio: 1, fields: parent("00"), path: "/fine"},
		{name: "caller drops, failed", ratio: 1, fields: parent("00"), path: "/fails", exported: "failed"},
		{name: "caller drops, slow", ratio: 1, fields: parent("00"), path: "/slow", exported: "slow"},
		{name: "B3 samples", fields: "b3: " + traceA + "-" + spanA + "-1\r\n", path: "/fine", exported: "parent", sampled: true},
		{name: "B3 drops", ratio: 1, fields: "b3: 0\r\n", path: "/fine"},
		{name: "B3 debugs", fields: "b3: " + traceA + "-" + spanA + "-d\r\n", path: "/fine", exported: "debug", sampled: true},
		{name: "B3 leaves it open, ratio 1", ratio: 1, fields: "b3: " + traceA + "-" + spanA + "\r\n", path: "/fine", exported: "ratio", sampled: true},
		{name: "root, within the limit", ratio: 1, rate: 1, path: "/fine", exported: "rate", sampled: true},
		{name: "root, ratio 0, within the limit", rate: 1, path: "/fine"},
		{name: "caller samples, with a limit", rate: 1e-6, fields: parent("01"), path: "/fine", exported: "parent", sampled: true},
		{name: "route with all, ratio 0", path: "/loud", exported: "route", sampled: true},
		{name: "route with all, with a limit", rate: 1, path: "/loud", exported: "route", sampled: true},
		{name: "route with none, ratio 1", ratio: 1, path: "/quiet"},
		{name: "route with none, failed", ratio: 1, path: "/quiet/fails", exported: "failed"},
		{name: "route with none, caller samples", fields: parent("01"), path: "/quiet", exported: "parent", sampled: true},
		{name: "route with all, caller drops", fields: parent("00"), path: "/loud"},
		{name: "B3 leaves it open, ratio 0", fields: "b3: " + traceA + "-" + spanA + "\r\n", path: "/fine"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			asked := make(chan string, 1)
			l := proxytest.StartWithViews(t, proxytest.Answering(t, func(first string, fields []string) string {
				asked <- proxytest.Field(fields, "traceparent")
				switch {
				case strings.Contains(first, "/fails"):
					return "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
				case strings.Contains(first, "/missing"):
					return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
				}
				return proxytest.OKResponse
			}), func(s *proxytest.Settings) {
				s.Config.Telemetry.SlowThreshold = 0 // for the routes without one, on a busy machine
				s.Config.Telemetry.Traces.Sample, s.Config.Telemetry.Traces.MaxPerSecond = tt.ratio, tt.rate
				for path, share := range map[string]float64{"/quiet": 0, "/loud": 1} {
					own := s.Route
					own.Match.PathPrefix, own.Traces = path, &config.RouteTraces{Sample: share}
					s.Listener.Routes = append(s.Listener.Routes, own)
				}
				slow := s.Route
				slow.Match.PathPrefix, slow.SlowThreshold = "/slow", time.Nanosecond
				s.Listener.Routes = append(s.Listener.Routes, slow)
			})
			proxytest.Ask(t, l.Ingress(), "GET "+tt.path+" HTTP/1.1\r\nHost: web.test\r\n"+tt.fields+"\r\n")

			sent := <-asked
			bits, err := strconv.ParseUint(sent[max(0, len(sent)-2):], 16, 8)
			if err != nil || bits&1 == 1 != tt.sampled {
				t.Errorf("the endpoint gets traceparent %q, want one that is sampled: %t", sent, tt.sampled)
			}
			n := 0
			if tt.exported != "" {
				n = 1
			}
			v := l.EndExported(1, n)
			proxytest.Same(t, "log: sampled", v.Lines[0]["sampled"], any(tt.sampled))
			if n == 0 {
				proxytest.Same(t, "spans", len(v.Spans), 0)
				return
			}
			proxytest.Same(t, "spans", len(v.Spans), 1)
			server := v.Kind(tracepb.Span_SPAN_KIND_SERVER)[0]
			proxytest.Same(t, "sampled_by", server.Attributes["hopscope.sampled_by"], tt.exported)
			proxytest.Same(t, "sampled flag of the span", server.Flags&1 == 1, tt.sampled)
		})
	}
}

// What the endpoint receives: its parent is the span of the hop and its only attempt, in
// every format that the caller speaks. B3 also says whose child that span is.
func TestContextReachesTheEndpoint(t *testing.T) {
	const trace64 = "a3ce929d0e0e4736"
	mark := string(tracecontext.NewMark("hopscope")) // of the mesh that a proxy is in by default
	b3multi := "X-B3-TraceId: " + traceA + "\r\nX-B3-SpanId: " + spanA + "\r\n"
	tests := []struct {
		name    string
		fields  string
		extract []string // beside the default
		inject  []string // beside the default
		trace   string   // "" for a new one
		parent  string   // of the SERVER span
		// want is what the endpoint gets, where TRACE, CLIENT and PARENT stand
		// for ids; "-" is a field that must be absent.
		want map[string]string
	}{
		{name: "nothing", want: map[string]string{"traceparent": "00-TRACE-CLIENT-03", "tracestate": mark, "b3": "-", "x-b3-traceid": "-"}},
		{
			name: "W3C", fields: "traceparent: 00-" + traceA + "-" + spanA + "-01\r\ntracestate: a=1\r\ntracestate: b=2\r\n", trace: traceA, parent: spanA,
			want: map[string]string{"traceparent": "00-TRACE-CLIENT-01", "tracestate": mark + ",a=1,b=2", "b3": "-"},
		},
		{
			name: "W3C from a proxy of the mesh", fields: "traceparent: 00-" + traceA + "-" + spanA + "-01\r\ntracestate: a=1," + mark + "\r\n", trace: traceA, parent: spanA,
			want: map[string]string{"traceparent": "00-TRACE-CLIENT-01", "tracestate": mark + ",a=1"},
		},
		{
			name: "W3C from a proxy of another mesh", fields: "traceparent: 00-" + traceA + "-" + spanA + "-01\r\ntracestate: hopscope=1\r\n", trace: traceA, parent: spanA,
			want: map[string]string{"traceparent": "00-TRACE-CLIENT-01", "tracestate": mark},
		},
		{
			name: "W3C whose tracestate can't be parsed", fields: "traceparent: 00-" + traceA + "-" + spanA + "-01\r\ntracestate: a=1\r\ntracestate: foo=bar=baz\r\n", trace: traceA, parent: spanA,
			want: map[string]string{"traceparent": "00-TRACE-CLIENT-01", "tracestate": mark},
		},
		{
			name: "W3C whose tracestate has too many members", fields: "traceparent: 00-" + traceA + "-" + spanA + "-01\r\n" + strings.Repeat("tracestate: a=1,b=2,c=3\r\n", 11), trace: traceA, parent: spanA,
			want: map[string]string{"traceparent": "00-TRACE-CLIENT-01", "tracestate": mark},
		},
		{
			name: "W3C of a later version", fields: "traceparent: cc-" + traceA + "-" + spanA + "-0b-what\r\n", trace: traceA, parent: spanA,
			want: map[string]string{"traceparent": "00-TRACE-CLIENT-03"},
		},
		{
			name: "W3C that is malformed", fields: "traceparent: 00-" + traceA + "-" + strings.Repeat("0", 16) + "-01\r\ntracestate: a=1\r\n",
			want: map[string]string{"traceparent": "00-TRACE-CLIENT-03", "tracestate": mark},
		},
		{
			name: "B3 single", fields: "b3: " + traceA + "-" + spanA + "-1\r\n", trace: traceA, parent: spanA,
			want: map[string]string{"traceparent": "00-TRACE-CLIENT-01", "b3": "TRACE-CLIENT-1-PARENT", "x-b3-traceid": "-"},
		},
		{
			name: "B3 single of 64 bits", fields: "b3: " + trace64 + "-" + spanA + "-1\r\n", trace: strings.Repeat("0", 16) + trace64, parent: spanA,
			want: map[string]string{"traceparent": "00-TRACE-CLIENT-01", "b3": trace64 + "-CLIENT-1-PARENT"},
		},
		{
			name: "B3 multi", fields: b3multi + "X-B3-Sampled: 0\r\n", trace: traceA, parent: spanA,
			want: map[string]string{"traceparent": "00-TRACE-CLIENT-00", "x-b3-traceid": "TRACE", "x-b3-spanid": "CLIENT", "x-b3-parentspanid": "PARENT", "x-b3-sampled": "0", "x-b3-flags": "-", "b3": "-"},
		},
		{
			name: "B3 multi that debugs", fields: b3multi + "X-B3-Flags: 1\r\n", trace: traceA, parent: spanA,
			want: map[string]string{"x-b3-traceid": "TRACE", "x-b3-sampled": "-", "x-b3-flags": "1"},
		},
		{
			name: "B3 single beats multi", fields: "b3: " + traceA + "-" + spanA + "-1\r\nX-B3-TraceId: " + strings.Repeat("1", 32) + "\r\nX-B3-SpanId: " + strings.Repeat("2", 16) + "\r\n", trace: traceA, parent: spanA,
			want: map[string]string{"traceparent": "00-TRACE-CLIENT-01", "b3": "TRACE-CLIENT-1-PARENT", "x-b3-traceid": "TRACE", "x-b3-spanid": "CLIENT"},
		},
		{
			name: "W3C beats B3", fields: "traceparent: 00-" + traceA + "-" + spanA + "-01\r\nb3: " + strings.Repeat("1", 32) + "-" + strings.Repeat("2", 16) + "-0\r\n", trace: traceA, parent: spanA,
			want: map[string]string{"traceparent": "00-TRACE-CLIENT-01", "b3": "TRACE-CLIENT-1-PARENT"},
		},
		{
			name: "B3 by configuration", inject: []string{"b3", "b3multi"},
			want: map[string]string{"traceparent": "00-TRACE-CLIENT-03", "b3": "TRACE-CLIENT-1", "x-b3-traceid": "TRACE", "x-b3-spanid": "CLIENT", "x-b3-parentspanid": "-"},
		},
		{
			name: "Jaeger, with its baggage", extract: []string{"jaeger"}, fields: "uber-trace-id: " + traceA + ":" + spanA + ":0:1\r\nuberctx-user: 7\r\nUberctx-Cart: x%20y\r\n", trace: traceA, parent: spanA,
			want: map[string]string{"traceparent": "00-TRACE-CLIENT-01", "uber-trace-id": "TRACE:CLIENT:0:1", "uberctx-user": "7", "uberctx-cart": "x%20y", "b3": "-", "x-amzn-trace-id": "-"},
		},
		{
			name: "Jaeger of 64 bits that debugs", extract: []string{"jaeger"}, fields: "uber-trace-id: " + trace64 + ":" + spanA + ":0:3\r\n", trace: strings.Repeat("0", 16) + trace64, parent: spanA,
			want: map[string]string{"traceparent": "00-TRACE-CLIENT-01", "uber-trace-id": trace64 + ":CLIENT:0:3"},
		},
		{
			name: "Jaeger that nobody reads", fields: "uber-trace-id: " + traceA + ":" + spanA + ":0:1\r\n",
			want: map[string]string{"traceparent": "00-TRACE-CLIENT-03", "uber-trace-id": traceA + ":" + spanA + ":0:1"},
		},
		{
			name: "X-Ray", extract: []string{"xray"}, fields: "X-Amzn-Trace-Id: Root=1-" + traceA[:8] + "-" + traceA[8:] + ";Parent=" + spanA + ";Sampled=1;Lineage=a:1\r\n", trace: traceA, parent: spanA,
			want: map[string]string{"traceparent": "00-TRACE-CLIENT-01", "x-amzn-trace-id": "Root=1-" + traceA[:8] + "-" + traceA[8:] + ";Parent=CLIENT;Sampled=1;Lineage=a:1"},
		},
		{
			name: "X-Ray of a load balancer, which is no parent", extract: []string{"xray"}, fields: "X-Amzn-Trace-Id: Root=1-" + traceA[:8] + "-" + traceA[8:] + "\r\n", trace: traceA,
			want: map[string]string{"traceparent": "00-TRACE-CLIENT-01", "x-amzn-trace-id": "Root=1-" + traceA[:8] + "-" + traceA[8:] + ";Parent=CLIENT;Sampled=1"},
		},
		{
			name: "W3C beats Jaeger and X-Ray", extract: []string{"jaeger", "xray"}, trace: traceA, parent: spanA,
			fields: "uber-trace-id: 7:8:0:0\r\nX-Amzn-Trace-Id: Self=x\r\ntraceparent: 00-" + traceA + "-" + spanA + "-01\r\n",
			want:   map[string]string{"traceparent": "00-TRACE-CLIENT-01", "uber-trace-id": "TRACE:CLIENT:0:1", "x-amzn-trace-id": "Root=1-" + traceA[:8] + "-" + traceA[8:] + ";Parent=CLIENT;Sampled=1;Self=x"},
		},
		{
			name: "Jaeger and X-Ray by configuration", inject: []string{"jaeger", "xray"},
			want: map[string]string{"traceparent": "00-TRACE-CLIENT-03", "uber-trace-id": "TRACE:CLIENT:0:1"},
		},
		{
			name: "baggage and request id", fields: "Baggage: user=7,cart=x%20y;ttl=3\r\nbaggage: more=1\r\nX-Request-Id: my own\r\n",
			want: map[string]string{"baggage": "user=7,cart=x%20y;ttl=3", "x-request-id": "my own"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			asked := make(chan []string, 1)
			l := proxytest.StartWithViews(t, proxytest.Answering(t, func(_ string, fields []string) string {
				asked <- fields
				return proxytest.OKResponse
			}), func(s *proxytest.Settings) {
				tr := &s.Config.Telemetry.Traces
				tr.Extract, tr.Inject = append(tr.Extract, tt.extract...), append(tr.Inject, tt.inject...)
			})
			proxytest.Ask(t, l.Ingress(), "GET /row HTTP/1.1\r\nHost: web.test\r\n"+tt.fields+"\r\n")
			fields := <-asked

			unexported := strings.Contains(tt.name, "multi") && strings.Contains(tt.fields, "Sampled: 0")
			spans := 1
			if unexported {
				spans = 0
			}
			v := l.EndExported(1, spans)
			one := v.Lines[0]
			client := one.Text("span_id")
			if !unexported {
				proxytest.Same(t, "span", fmt.Sprintf("%x", v.Hops()[0].SpanId), client)
			}
			ids := strings.NewReplacer("TRACE", one.Text("trace_id"), "CLIENT", client, "PARENT", one.Text("parent_id"))
			for name, want := range tt.want {
				if want = ids.Replace(want); want == "-" {
					want = ""
				}
				proxytest.Same(t, name, proxytest.Field(fields, name), want)
				if n := count(fields, name); n > 1 && name != "baggage" {
					t.Errorf("%s is there %d times: %q", name, n, fields)
				}
			}
			if tt.trace != "" {
				proxytest.Same(t, "trace", one.Text("trace_id"), tt.trace)
			}
			proxytest.Same(t, "parent", one.Text("parent_id"), tt.parent)
			id := proxytest.Field(fields, "x-request-id")
			if proxytest.Same(t, "request id", one.Text("request_id"), id); len(id) == 0 {
				t.Error("no request id was made")
			}
		})
	}
}

// count is how many lines a field has.
func count(fields []string, name string) (n int) {
	for _, f := range fields {
		if got, _, _ := strings.Cut(f, ":"); strings.EqualFold(got, name) {
			n++
		}
	}
	return n
}

// No credential of a request's query is in any view.
func TestSecretsAreRedacted(t *testing.T) {
	const secret = "s3cr3t"
	tests := []struct{ name, request string }{
		{"query", "GET /row?q=1&token=" + secret + "&page=2 HTTP/1.1\r\nHost: web.test\r\n\r\n"},
		{"encoded key", "GET /row?access%5Ftoken=" + secret + " HTTP/1.1\r\nHost: web.test\r\n\r\n"},
		{"nested key", "GET /row?user[password]=" + secret + " HTTP/1.1\r\nHost: web.test\r\n\r\n"},
		{"signature", "GET /row?X-Amz-Signature=" + secret + "&Sig=" + secret + " HTTP/1.1\r\nHost: web.test\r\n\r\n"},
		{"no route", "GET /nowhere?token=" + secret + " HTTP/1.1\r\nHost: web.test\r\n\r\n"},
		{"fields", "GET /row HTTP/1.1\r\nHost: web.test\r\nAuthorization: Bearer " + secret + "\r\nCookie: session=" + secret + "\r\nProxy-Authorization: Basic " + secret + "\r\n\r\n"},
		{"absolute form", "GET http://web.test/row?token=" + secret + " HTTP/1.1\r\nHost: web.test\r\n\r\n"},
		{"user of an absolute form", "GET http://me:" + secret + "@web.test/row HTTP/1.1\r\nHost: web.test\r\n\r\n"},
		{"user of a Host", "GET /row HTTP/1.1\r\nHost: me:" + secret + "@web.test\r\n\r\n"},
		{"malformed request line", "GET /row?token=" + secret + " extra HTTP/1.1\r\nHost: web.test\r\n\r\n"},
		{"malformed field", "GET /row HTTP/1.1\r\nHost: web.test\r\nAuthorization : Bearer " + secret + "\r\n\r\n"},
	}
	for _, tt := range tests {
		for _, to := range []string{"ingress", "egress"} {
			t.Run(tt.name+" to "+to, func(t *testing.T) {
				t.Parallel()
				l := proxytest.StartWithViews(t, proxytest.RefusingAddress(t), func(s *proxytest.Settings) {
					s.Route.Match.PathPrefix = "/row"
					s.Config.Telemetry.Traces.Sample = 1
				})
				address := l.Addr(to).String()
				p := proxytest.Dial(t, address)
				defer p.Close()
				p.Send(tt.request)
				r, body := p.ReadResponse("GET")
				p.Close()
				l.Settle()
				pages := l.Admin("/traces?limit=10", "application/json") + l.Admin("/metrics", "text/plain") + l.Admin("/store", "application/json")
				v := scrapeTrace(l)
				all := map[string]string{
					"response": fmt.Sprint(r.Header, body), "admin API": pages + v,
				}
				ended := l.End(1)
				all["log"] = fmt.Sprint(ended.Lines)
				all["spans"] = fmt.Sprint(ended.Spans)
				all["own log"] = l.Said.String()
				for view, text := range all {
					if strings.Contains(text, secret) {
						t.Errorf("the %s has it: %s", view, text)
					}
				}
			})
		}
	}
}

// scrapeTrace is all that the admin API says of the one hop that there is.
func scrapeTrace(l *proxytest.Proxy) string {
	l.T.Helper()
	proxytest.Eventually(l.T, "a line of the log", func() bool { return len(l.Lines()) > 0 })
	id := l.Lines()[0].Text("trace_id")
	return l.Admin("/hops?trace="+id, "application/json") + l.Admin("/traces/"+id, "application/json")
}

// Of the traces that begin within a second, no more are sampled than the limit allows,
// whatever their route; those that callers have sampled do not count.
func TestTracesPerSecond(t *testing.T) {
	t.Parallel()
	l := proxytest.StartWithViews(t, proxytest.Always(proxytest.OKResponse)(t), func(s *proxytest.Settings) {
		s.Config.Telemetry.Traces.MaxPerSecond = 1e-3
		s.Config.Telemetry.SlowThreshold = 0
		own := s.Route
		own.Match.PathPrefix, own.Traces = "/own", &config.RouteTraces{Sample: 1}
		s.Listener.Routes = append(s.Listener.Routes, own)
	})
	for range 5 {
		proxytest.Ask(t, l.Ingress(), "GET /own HTTP/1.1\r\nHost: web.test\r\n\r\n")
		proxytest.Ask(t, l.Ingress(), proxytest.RowRequest)
		proxytest.Ask(t, l.Ingress(), "GET /row HTTP/1.1\r\nHost: web.test\r\ntraceparent: 00-"+traceA+"-"+spanA+"-01\r\n\r\n")
	}
	v := l.EndExported(15, 6)
	by := map[string]int{}
	for _, s := range v.Hops() {
		by[s.Attributes["hopscope.sampled_by"]]++
	}
	if diff := cmp.Diff(map[string]int{"route": 1, "parent": 5}, by); diff != "" {
		t.Errorf("sampled_by (-want +got):\n%s", diff)
	}
}
