package views_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/headers"
)

// Three proxies in a row: whoever made the failure, the client can tell from
// the response, and every hop says the same.
func TestChainNamesWhoFailed(t *testing.T) {
	var nobody func(testing.TB) string = proxytest.RefusingAddress
	tests := []struct {
		name     string
		endpoint func(testing.TB) string // behind the innermost
		broken   int                     // which proxy has nobody behind it instead; 0 is none
		status   int
		failed   string
		reason   string
		origins  [3]string // of front, middle, inner
		errors   [3]string // the error that each hop's member has
	}{
		{
			name: "the application", endpoint: proxytest.Always("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"),
			status: 500, failed: "inner", reason: "answered 500", origins: [3]string{"relayed", "relayed", "endpoint"},
		},
		{
			name: "the innermost", endpoint: nobody, status: 503, failed: "inner", reason: "connection refused",
			origins: [3]string{"relayed", "relayed", "proxy"}, errors: [3]string{2: "connection_refused"},
		},
		{
			name: "the innermost, by an answer that breaks off", endpoint: proxytest.Always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n"),
			status: 502, failed: "inner", reason: "can't be understood",
			origins: [3]string{"relayed", "relayed", "proxy"}, errors: [3]string{2: "http_protocol_error"},
		},
		{
			name: "the one in the middle", broken: 2, status: 503, failed: "middle", reason: "connection refused",
			origins: [3]string{"relayed", "proxy"}, errors: [3]string{1: "connection_refused"},
		},
		{
			name: "the first", broken: 1, status: 503, failed: "front", reason: "connection refused",
			origins: [3]string{"proxy"}, errors: [3]string{0: "connection_refused"},
		},
		{name: "nobody", endpoint: proxytest.Always(proxytest.OKResponse), status: 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			names := []string{"front", "middle", "inner"}
			next := func(i int, usual func(testing.TB) string) string {
				if tt.broken == i {
					return proxytest.RefusingAddress(t)
				}
				return usual(t)
			}
			var inner, middle *proxytest.Proxy
			front := proxytest.StartWithViews(t, next(1, func(t testing.TB) string {
				middle = proxytest.StartWithViews(t, next(2, func(t testing.TB) string {
					inner = proxytest.StartWithViews(t, tt.endpoint(t), proxytest.ServiceName("inner"))
					return inner.Ingress()
				}), proxytest.ServiceName("middle"))
				return middle.Ingress()
			}))

			r := proxytest.Get(front)
			proxytest.Same(t, "status", r.StatusCode, tt.status)
			labs := []*proxytest.Proxy{front, middle, inner}
			if tt.broken > 0 {
				labs = labs[:tt.broken]
			}
			said := proxytest.ProxyStatus(t, r)
			if len(said) != len(labs) {
				t.Fatalf("Proxy-Status has %d members, want %d: %+v", len(said), len(labs), said)
			}
			failed, _ := headers.Failure(said)
			proxytest.Same(t, "failed hop by the response", failed.Hop, tt.failed)
			proxytest.Reason(t, "reason by the response", failed.Reason, tt.reason)
			for i := range labs {
				m := said[len(said)-1-i] // the nearest to the origin is the first
				proxytest.Same(t, "member", m.Name, names[i])
				proxytest.Same(t, names[i]+": error", m.Error, tt.errors[i])
			}
			checkChain(t, labs, names, tt.failed, tt.origins)
		})
	}
}

// checkChain looks at what each hop of a chain recorded.
func checkChain(t *testing.T, labs []*proxytest.Proxy, names []string, failed string, origins [3]string) {
	trace, caller := "", ""
	for i, l := range labs {
		v := l.End(1)
		one := v.Lines[0]
		proxytest.Same(t, names[i]+": failed_hop", one.Text("failed_hop"), failed)
		proxytest.Same(t, names[i]+": parent", one.Text("parent_id"), caller)
		if i > 0 {
			proxytest.Same(t, names[i]+": trace", one.Text("trace_id"), trace)
		}
		trace = one.Text("trace_id")
		server := v.Kind(tracepb.Span_SPAN_KIND_SERVER)[0]
		proxytest.Same(t, names[i]+": failed_hop of the span", server.Attributes["hopscope.failed_hop"], failed)
		proxytest.Same(t, names[i]+": origin", server.Attributes["hopscope.failure_origin"], origins[i])
		proxytest.Same(t, names[i]+": span is an error", server.Failed(), failed != "")
		if origins[i] != "" {
			proxytest.Same(t, names[i]+": failures counted", v.Metrics.Sum("hopscope_failures_total", "origin", origins[i]), 1)
		}
		caller = fmt.Sprintf("%x", server.SpanId)
	}
}

// application is an application with a client of its own, which goes through
// the forward proxy of the proxy that is in front of it.
type application struct {
	client http.Client
}

// call asks url as a part of the trace of r.
func (a *application) call(t *testing.T, r *http.Request, to string) (*http.Response, error) {
	out, err := http.NewRequest("GET", to, nil)
	if err != nil {
		t.Error(err)
		return nil, err
	}
	out.Header.Set("Traceparent", r.Header.Get("Traceparent"))
	return a.client.Do(out)
}

// behind runs an application behind a proxy.
func behind(t *testing.T, serve func(a *application, w http.ResponseWriter, r *http.Request), change ...func(*proxytest.Settings)) *proxytest.Proxy {
	t.Helper()
	var proxy atomic.Pointer[url.URL] // known when that proxy runs
	a := &application{}
	transport := &http.Transport{
		DisableKeepAlives: true,
		Proxy:             func(*http.Request) (*url.URL, error) { return proxy.Load(), nil },
	}
	a.client.Transport = transport
	l := proxytest.StartWithViews(t, proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) { serve(a, w, r) }), change...)
	proxy.Store(&url.URL{Scheme: "http", Host: l.Egress()})
	return l
}

// An application that fails because what it called failed: the inbound hop
// names the hop that its outbound hop names.
func TestInboundNamesWhatOutboundFoundOut(t *testing.T) {
	tests := []struct {
		name     string
		backend  func(testing.TB) string
		recovers bool
		failed   string
		why      string
	}{
		{
			name: "a proxy farther on failed",
			backend: func(t testing.TB) string {
				return proxytest.StartWithViews(t, proxytest.RefusingAddress(t), proxytest.ServiceName("payments")).Ingress()
			},
			failed: "payments", why: "connection refused by",
		},
		{name: "nobody was there", backend: proxytest.RefusingAddress, failed: "HOST", why: "connection refused by"},
		{
			name:    "the other application failed",
			backend: proxytest.Always("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
			failed:  "HOST", why: "answered 503",
		},
		{name: "it got over it", backend: proxytest.RefusingAddress, recovers: true},
		{name: "it failed by itself", backend: proxytest.Always(proxytest.OKResponse), failed: "front", why: "answered 500"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address := tt.backend(t)
			l := behind(t, func(a *application, w http.ResponseWriter, r *http.Request) {
				resp, err := a.call(t, r, "http://"+address+"/pay")
				if err != nil {
					t.Error(err)
					return
				}
				proxytest.Finish(resp)
				if !tt.recovers {
					w.WriteHeader(500)
				}
			})
			r := proxytest.Get(l)
			v := l.End(2)
			in, out := v.By("direction", "inbound"), v.By("direction", "outbound")
			failed := strings.Replace(tt.failed, "HOST", address, 1)
			proxytest.Same(t, "inbound: failed_hop", in.Text("failed_hop"), failed)
			proxytest.Reason(t, "inbound: reason", in.Text("failure_reason"), tt.why)
			proxytest.Same(t, "inbound: trace", in.Text("trace_id"), out.Text("trace_id"))
			told, _ := headers.Failure(proxytest.ProxyStatus(t, r))
			proxytest.Same(t, "response: failed hop", told.Hop, failed)
			if tt.recovers || tt.name == "it failed by itself" {
				return
			}
			proxytest.Same(t, "outbound: failed_hop", out.Text("failed_hop"), failed)
			servers, clients := v.Kind(tracepb.Span_SPAN_KIND_SERVER), v.Kind(tracepb.Span_SPAN_KIND_CLIENT)
			if len(servers) != 1 || len(clients) != 1 {
				t.Fatalf("%d SERVER spans and %d CLIENT spans, want one for what was asked of the service, and one for what it asked", len(servers), len(clients))
			}
			proxytest.Same(t, "SERVER span: direction", servers[0].Attributes["hopscope.direction"], "inbound")
			proxytest.Same(t, "SERVER span: origin", servers[0].Attributes["hopscope.failure_origin"], "relayed")
			proxytest.Same(t, "CLIENT span: direction", clients[0].Attributes["hopscope.direction"], "outbound")
			proxytest.Same(t, "CLIENT span: failed_hop", clients[0].Attributes["hopscope.failed_hop"], failed)
			proxytest.Same(t, "CLIENT span: parent", fmt.Sprintf("%x", clients[0].ParentSpanId), fmt.Sprintf("%x", servers[0].SpanId))
		})
	}
}

// The application may answer while the outbound hop that failed is not over.
func TestInboundNamesAnOutboundFailureThatIsNotOver(t *testing.T) {
	tests := []struct {
		name    string
		backend func(testing.TB) string
		failed  string
	}{
		{
			name:    "relayed",
			backend: silent("HTTP/1.1 500 Internal Server Error\r\nProxy-Status: payments;error=connection_refused\r\nContent-Length: 100\r\n\r\npart"),
			failed:  "payments",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address, answered := tt.backend(t), make(chan struct{})
			l := behind(t, func(a *application, w http.ResponseWriter, r *http.Request) {
				resp, err := a.call(t, r, "http://"+address+"/pay")
				if err != nil {
					t.Error(err)
					return
				}
				w.WriteHeader(resp.StatusCode)
				w.(http.Flusher).Flush()
				<-answered
				resp.Body.Close()
			})
			p := proxytest.Dial(t, l.Ingress())
			defer p.Close()
			p.Send(proxytest.RowRequest)
			r, err := http.ReadResponse(p.Reader, nil)
			close(answered)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, r.Body)
			failed, _ := headers.Failure(proxytest.ProxyStatus(t, r))
			proxytest.Same(t, "response: failed hop", failed.Hop, tt.failed)
			v := l.End(2)
			proxytest.Same(t, "inbound: failed_hop", v.By("direction", "inbound").Text("failed_hop"), tt.failed)
		})
	}
}

// A listener that faces the public keeps who failed to itself; one that passes
// leaves what others said.
func TestListenerCutsOrPasses(t *testing.T) {
	const said = "Proxy-Status: inner;error=connection_refused\r\nServer-Timing: db;dur=53\r\n"
	fails := proxytest.Always("HTTP/1.1 503 Service Unavailable\r\n" + said + "Content-Length: 0\r\n\r\n")
	answers := proxytest.Always("HTTP/1.1 200 OK\r\n" + said + "Content-Length: 0\r\n\r\n")
	tests := []struct {
		mode     string
		endpoint func(testing.TB) string
		status   int
		want     []string // Proxy-Status and Server-Timing, all lines joined; "+" for more behind
	}{
		{"cut", fails, 503, []string{"", ""}},
		{"cut", answers, 200, []string{"", ""}},
		{"cut", proxytest.RefusingAddress, 503, []string{"", ""}},
		{"pass", fails, 503, []string{"inner;error=connection_refused", "db;dur=53"}},
		{"pass", proxytest.RefusingAddress, 503, []string{"", ""}},
		{"append", fails, 503, []string{"inner;error=connection_refused, front;+", "db;dur=53, front;dur=+"}},
		{"append", answers, 200, []string{"inner;error=connection_refused, front", "db;dur=53, front;dur=+"}},
		{"append", proxytest.RefusingAddress, 503, []string{"front;error=connection_refused;+", "front;dur=+"}},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.mode, " ", tt.status), func(t *testing.T) {
			t.Parallel()
			l := proxytest.StartWithViews(t, tt.endpoint(t), func(s *proxytest.Settings) { s.Listener.ProxyStatus, s.Listener.ServerTiming = tt.mode, tt.mode })
			p := proxytest.Dial(t, l.Ingress())
			defer p.Close()
			p.Send(proxytest.RowRequest)
			r, body := p.ReadResponse("GET")
			proxytest.Same(t, "status", r.StatusCode, tt.status)
			for i, name := range []string{"Proxy-Status", "Server-Timing"} {
				got := strings.Join(r.Header.Values(name), ", ")
				want, more := strings.CutSuffix(tt.want[i], "+")
				if got != want && (!more || !strings.HasPrefix(got, want)) {
					t.Errorf("%s: %q, want %q", name, got, tt.want[i])
				}
			}
			if tt.mode != "append" && strings.Contains(body, "refused") {
				t.Errorf("the content tells the public: %q", body)
			}
			p.Close()
			if one := l.End(1).Lines[0]; tt.status == 503 && one.Text("failed_hop") == "" {
				t.Errorf("the log does not name who failed: %v", one)
			}
		})
	}
}
