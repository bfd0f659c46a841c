package snapshot_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/hopscope/hopscope/telemetry/headers"
)

func named(service string) func(*settings) {
	return func(s *settings) { s.Config.Service = service }
}

// Three proxies in a row: whoever made the failure, the client can tell from
// the response, and every hop says the same.
func TestChainNamesWhoFailed(t *testing.T) {
	var nobody func(*testing.T) string = refusing
	tests := []struct {
		name     string
		endpoint func(*testing.T) string // behind the innermost
		broken   int                     // which proxy has nobody behind it instead; 0 is none
		status   int
		failed   string
		reason   string
		origins  [3]string // of front, middle, inner
		errors   [3]string // the error that each hop's member has
	}{
		{
			name: "the application", endpoint: always("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"),
			status: 500, failed: "web", reason: "answered 500", origins: [3]string{"relayed", "relayed", "endpoint"},
		},
		{
			name: "the innermost", endpoint: nobody, status: 503, failed: "inner", reason: "connection refused",
			origins: [3]string{"relayed", "relayed", "proxy"}, errors: [3]string{2: "connection_refused"},
		},
		{
			name: "the innermost, by an answer that breaks off", endpoint: always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n"),
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
		{name: "nobody", endpoint: always(okay), status: 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			names := []string{"front", "middle", "inner"}
			next := func(i int, usual func(*testing.T) string) string {
				if tt.broken == i {
					return refusing(t)
				}
				return usual(t)
			}
			var inner, middle *rig
			front := startLab(t, next(1, func(t *testing.T) string {
				middle = startLab(t, next(2, func(t *testing.T) string {
					inner = startLab(t, tt.endpoint(t), named("inner"))
					return inner.ingress()
				}), named("middle"))
				return middle.ingress()
			}))

			r := get(front)
			same(t, "status", r.StatusCode, tt.status)
			labs := []*rig{front, middle, inner}
			if tt.broken > 0 {
				labs = labs[:tt.broken]
			}
			said := members(t, r)
			if len(said) != len(labs) {
				t.Fatalf("Proxy-Status has %d members, want %d: %+v", len(said), len(labs), said)
			}
			failed, why, _ := headers.Failure(said)
			same(t, "failed hop by the response", failed, tt.failed)
			reason(t, "reason by the response", why, tt.reason)
			for i := range labs {
				m := said[len(said)-1-i] // the nearest to the origin is the first
				same(t, "member", m.Name, names[i])
				same(t, names[i]+": error", m.Error, tt.errors[i])
			}
			checkChain(t, labs, names, tt.failed, tt.origins)
		})
	}
}

// checkChain looks at what each hop of a chain recorded.
func checkChain(t *testing.T, labs []*rig, names []string, failed string, origins [3]string) {
	trace, caller := "", ""
	for i, l := range labs {
		v := l.end(1)
		one := v.lines[0]
		same(t, names[i]+": failed_hop", one.text("failed_hop"), failed)
		same(t, names[i]+": parent", one.text("parent_id"), caller)
		if i > 0 {
			same(t, names[i]+": trace", one.text("trace_id"), trace)
		}
		trace = one.text("trace_id")
		server, client := v.kind(tracepb.Span_SPAN_KIND_SERVER)[0], v.kind(tracepb.Span_SPAN_KIND_CLIENT)[0]
		same(t, names[i]+": failed_hop of the span", server.attributes["hopscope.failed_hop"], failed)
		same(t, names[i]+": origin", server.attributes["hopscope.failure_origin"], origins[i])
		same(t, names[i]+": span is an error", server.failed(), failed != "")
		if origins[i] != "" {
			same(t, names[i]+": failures counted", v.metrics.sum("hopscope_failures_total", "origin", origins[i]), 1)
		}
		caller = fmt.Sprintf("%x", client.SpanId)
	}
}

// application is an application with a client of its own, which goes through
// the forward proxy of the lab that is in front of it.
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

// behind runs an application behind a lab.
func behind(t *testing.T, serve func(a *application, w http.ResponseWriter, r *http.Request), change ...func(*settings)) *rig {
	t.Helper()
	var proxy atomic.Pointer[url.URL] // known when the lab runs
	a := &application{}
	transport := &http.Transport{
		DisableKeepAlives: true,
		Proxy:             func(*http.Request) (*url.URL, error) { return proxy.Load(), nil },
	}
	a.client.Transport = transport
	l := startLab(t, goServer(t, func(w http.ResponseWriter, r *http.Request) { serve(a, w, r) }), change...)
	proxy.Store(&url.URL{Scheme: "http", Host: l.egress()})
	return l
}

// An application that fails because what it called failed: the inbound hop
// names the hop that its outbound hop names.
func TestInboundNamesWhatOutboundFoundOut(t *testing.T) {
	tests := []struct {
		name     string
		backend  func(*testing.T) string
		recovers bool
		failed   string
		why      string
	}{
		{
			name:    "a proxy farther on failed",
			backend: func(t *testing.T) string { return startLab(t, refusing(t), named("payments")).ingress() },
			failed:  "payments", why: "connection refused by",
		},
		{name: "nobody was there", backend: refusing, failed: "front", why: "connection refused by"},
		{
			name:    "the other application failed",
			backend: always("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
			failed:  "HOST", why: "answered 503",
		},
		{name: "it got over it", backend: refusing, recovers: true},
		{name: "it failed by itself", backend: always(okay), failed: "web", why: "answered 500"},
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
				resp.Body.Close()
				if !tt.recovers {
					w.WriteHeader(500)
				}
			})
			r := get(l)
			v := l.end(2)
			in, out := v.by("direction", "inbound"), v.by("direction", "outbound")
			failed := strings.Replace(tt.failed, "HOST", address, 1)
			same(t, "inbound: failed_hop", in.text("failed_hop"), failed)
			reason(t, "inbound: reason", in.text("failure_reason"), tt.why)
			same(t, "inbound: trace", in.text("trace_id"), out.text("trace_id"))
			told, _, _ := headers.Failure(members(t, r))
			same(t, "response: failed hop", told, failed)
			if tt.recovers || failed == "web" {
				return
			}
			same(t, "outbound: failed_hop", out.text("failed_hop"), failed)
			for _, s := range v.kind(tracepb.Span_SPAN_KIND_SERVER) {
				if s.attributes["hopscope.direction"] == "inbound" {
					same(t, "inbound: origin", s.attributes["hopscope.failure_origin"], "relayed")
				}
			}
		})
	}
}

// The application may answer while the outbound hop that failed is not over.
func TestInboundNamesAnOutboundFailureThatIsNotOver(t *testing.T) {
	tests := []struct {
		name    string
		backend func(*testing.T) string
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
			p := dialPeer(t, l.ingress())
			defer p.Close()
			p.send(plain)
			r, err := http.ReadResponse(p.r, nil)
			close(answered)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, r.Body)
			failed, _, _ := headers.Failure(members(t, r))
			same(t, "response: failed hop", failed, tt.failed)
			v := l.end(2)
			same(t, "inbound: failed_hop", v.by("direction", "inbound").text("failed_hop"), tt.failed)
		})
	}
}

// by is the one line that has a value.
func (v *views) by(key, value string) line {
	v.t.Helper()
	var found []line
	for _, l := range v.lines {
		if l.text(key) == value {
			found = append(found, l)
		}
	}
	if len(found) != 1 {
		v.t.Fatalf("%d lines with %s %s, want 1: %v", len(found), key, value, v.lines)
	}
	return found[0]
}

// A listener that faces the public keeps who failed to itself; one that passes
// leaves what others said.
func TestListenerCutsOrPasses(t *testing.T) {
	const said = "Proxy-Status: inner;error=connection_refused\r\nServer-Timing: db;dur=53\r\n"
	fails := always("HTTP/1.1 503 Service Unavailable\r\n" + said + "Content-Length: 0\r\n\r\n")
	answers := always("HTTP/1.1 200 OK\r\n" + said + "Content-Length: 0\r\n\r\n")
	tests := []struct {
		mode     string
		endpoint func(*testing.T) string
		status   int
		want     []string // Proxy-Status and Server-Timing, all lines joined; "+" for more behind
	}{
		{"cut", fails, 503, []string{"", ""}},
		{"cut", answers, 200, []string{"", ""}},
		{"cut", refusing, 503, []string{"", ""}},
		{"pass", fails, 503, []string{"inner;error=connection_refused", "db;dur=53"}},
		{"pass", refusing, 503, []string{"", ""}},
		{"append", fails, 503, []string{"inner;error=connection_refused, front;+", "db;dur=53, front;dur=+"}},
		{"append", answers, 200, []string{"inner;error=connection_refused, front", "db;dur=53, front;dur=+"}},
		{"append", refusing, 503, []string{"front;error=connection_refused;+", "front;dur=+"}},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.mode, " ", tt.status), func(t *testing.T) {
			t.Parallel()
			l := startLab(t, tt.endpoint(t), func(s *settings) { s.Listener.ProxyStatus, s.Listener.ServerTiming = tt.mode, tt.mode })
			p := dialPeer(t, l.ingress())
			defer p.Close()
			p.send(plain)
			r, body := p.response("GET")
			same(t, "status", r.StatusCode, tt.status)
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
			if one := l.end(1).lines[0]; tt.status == 503 && one.text("failed_hop") == "" {
				t.Errorf("the log does not name who failed: %v", one)
			}
		})
	}
}
