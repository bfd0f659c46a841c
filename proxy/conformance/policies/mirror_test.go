package policies_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// mirrorTo gives the route a mirror, which is a cluster of its own.
func mirrorTo(up proxytest.Side, addresses []string, change ...func(*config.Mirror)) func(*proxytest.Settings) {
	return func(s *proxytest.Settings) {
		c := config.NewCluster(addresses...)
		if c.Protocol = "http1"; up.HTTP2 {
			c.Protocol = "http2"
		}
		s.Config.Clusters["shadow"] = c
		m := config.NewMirror("shadow")
		for _, f := range change {
			f(&m)
		}
		s.Route.Mirror = []config.Mirror{m}
	}
}

// hosts are the hosts that requests asked for.
type hosts struct {
	mu  sync.Mutex
	all []string
}

func (h *hosts) note(act proxytest.Act) proxytest.Act {
	return func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.all = append(h.all, r.Host)
		h.mu.Unlock()
		act(w, r)
	}
}

// both are the hops of a request and of its copy.
func both(x *proxytest.Client, trace hop.TraceID) (own, copied *hop.Hop) {
	x.T.Helper()
	all := x.Hops(trace, 2)
	if all[0].Labels.Direction == hop.Mirror {
		return all[1], all[0]
	}
	return all[0], all[1]
}

// askBoth sends a request with a copy, and returns the response with both hops.
func askBoth(x *proxytest.Client, method string, body io.Reader, fields ...string) (o proxytest.Outcome, copied *hop.Hop) {
	x.T.Helper()
	r, trace := x.NewRequest(context.Background(), method, body, fields...)
	r.URL.Path, r.URL.RawQuery = "/cart/7", "v=2"
	if method == "PUT" {
		r.Trailer = http.Header{"X-Sum": {"abc"}}
	}
	response, err := x.HTTP.Do(r)
	if err != nil {
		x.T.Fatal(err)
	}
	text, _ := io.ReadAll(response.Body)
	response.Body.Close()
	o = proxytest.Outcome{Response: response, Body: string(text)}
	o.Hop, copied = both(x, trace)
	return o, copied
}

// TestMirror: a copy of each request goes to the mirror's cluster, in every protocol, and its
// response is thrown away. Both hops say so.
func TestMirror(t *testing.T) {
	large := strings.Repeat("content ", 40_000)
	for _, tt := range []struct {
		name, method, body string
		fields             []string
		status             string // of the call
	}{
		{name: "without content", method: "GET"},
		{name: "content", method: "POST", body: "hello"},
		{name: "content that streams, with trailers", method: "PUT", body: large},
		{name: "a call", method: "POST", body: string(proxytest.GRPCMessage([]byte("hello"))), fields: call, status: "13"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
				p := proxytest.StartScript(t, up, 1, proxytest.Respond(200, "x-from: web", "grpc-status: 0"))
				var asked hosts
				shadow := proxytest.StartScript(t, up, 1, asked.note(proxytest.Respond(500, "x-from: shadow", "grpc-status: 13")))
				x := p.Start(down, up, mirrorTo(up, shadow.Addresses))
				var body io.Reader
				if tt.body != "" {
					body = strings.NewReader(tt.body)
				}
				if tt.method == "PUT" {
					body = io.MultiReader(body) // its length is not told
				}
				o, copied := askBoth(x, tt.method, body, tt.fields...)
				o.Want(t, 200, "", "200")
				proxytest.Same(t, "response", o.Header.Get("x-from"), "web")
				proxytest.Same(t, "mirrored", o.Hop.String(o.Hop.Mirrored), "shadow")

				own, got := p.Requests(), shadow.Requests()
				if len(own) != 1 || len(got) != 1 || got[0].Body != own[0].Body || got[0].Body != tt.body || !got[0].Whole {
					t.Fatalf("%d requests and %d copies; the first copy has %d bytes, want %d", len(own), len(got), len(got[0].Body), len(tt.body))
				}
				proxytest.Same(t, "trailer", got[0].Trailer.Get("x-sum"), own[0].Trailer.Get("x-sum"))
				proxytest.Same(t, "content-type", got[0].Header.Get("content-type"), own[0].Header.Get("content-type"))
				asked.mu.Lock()
				host := asked.all[0]
				asked.mu.Unlock()
				proxytest.Same(t, "host", host, strings.Replace(x.Ingress(), ":", "-shadow:", 1))

				l := copied.Labels
				proxytest.Same(t, "its route", l.Listener+" "+l.Route+" "+l.Cluster+" "+l.Direction.String(), "ingress default shadow mirror")
				proxytest.Same(t, "its parent", copied.Parent, o.Hop.ExportedSpan())
				proxytest.Same(t, "its path", copied.String(copied.Path)+"?"+copied.String(copied.Query), "/cart/7?v=2")
				proxytest.Same(t, "its status", copied.Status, 500)
				proxytest.Same(t, "its content", copied.BytesIn, int64(len(tt.body)))
				proxytest.Same(t, "its call", copied.GRPC, tt.status != "")
				if tt.status != "" {
					proxytest.Same(t, "the call's status", copied.GRPCStatus.Code(), 13)
				}
				proxytest.Same(t, "counted", x.Scrape().Sum("hopscope_requests_total", "direction", "mirror", "cluster", "shadow", "code", "500"), 1)
				if traces := x.Traces(); len(traces) != 1 || traces[0].Failed || traces[0].Root.Labels.Direction != hop.Inbound {
					t.Errorf("the trace failed for the copy: %+v", traces)
				}
			})
		})
	}
}

// TestMirrorInViews: the log and the spans of a request name the clusters of its copies. Those
// of a copy say that it is one.
func TestMirrorInViews(t *testing.T) {
	proxytest.NoLeaks(t)
	shadow := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200))
	x := proxytest.StartWithViews(t, proxytest.Serve(t, proxytest.Echo), mirrorTo(proxytest.H1C, shadow.Addresses))
	proxytest.Finish(proxytest.Get(x))
	views := x.EndExported(2, 2)
	own, copied := views.By("direction", "inbound"), views.By("direction", "mirror")
	proxytest.Same(t, "mirrored, in the log", own.Text("mirrored"), "shadow")
	proxytest.Same(t, "cluster of the copy, in the log", copied.Text("cluster"), "shadow")
	proxytest.Same(t, "trace of the copy", copied.Text("trace_id"), own.Text("trace_id"))
	proxytest.Same(t, "parent of the copy", copied.Text("parent_id"), own.Text("span_id"))
	for _, s := range views.Spans {
		if s.Attributes["hopscope.direction"] == "inbound" {
			proxytest.Same(t, "mirrored, in the span", s.Attributes["hopscope.mirrored"], "shadow")
		}
	}
}

// TestMirrorCopiesSome: a mirror has its share of the requests, and none that changes
// protocols.
func TestMirrorCopiesSome(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		p := proxytest.StartScript(t, up, 1, proxytest.Respond(200))
		shadow := proxytest.StartScript(t, up, 1, proxytest.Respond(200))
		x := p.Start(down, up, mirrorTo(up, shadow.Addresses, func(m *config.Mirror) { m.Percent = 0 }))
		o := x.Ask("GET", nil)
		o.Want(t, 200, "", "200")
		proxytest.Same(t, "mirrored", o.Hop.String(o.Hop.Mirrored), "")
		proxytest.Same(t, "copies", len(shadow.Requests()), 0)
	})
	proxytest.NoLeaks(t)
	shadow := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200))
	x := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
		p.ReadHead()
		p.Send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		p.Expect("ping")
		p.Send("pong")
	}), mirrorTo(proxytest.H1C, shadow.Addresses))
	client := x.Dial()
	trace, field := proxytest.NewTrace()
	client.Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n", field, "\r\n")
	client.ReadHead()
	client.Send("ping")
	client.Expect("pong")
	client.Close()
	proxytest.Same(t, "mirrored", x.Hop(trace).Mirrored.Len(), 0)
	proxytest.Same(t, "copies", len(shadow.Requests()), 0)
}

// TestMirrorStreams: the content goes to both as it comes.
func TestMirrorStreams(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		came := make(chan string, 2)
		reads := func(name string) string {
			h := func(w http.ResponseWriter, r *http.Request) {
				b := make([]byte, 5)
				io.ReadFull(r.Body, b)
				came <- name + " " + string(b)
				io.Copy(io.Discard, r.Body)
			}
			return serve(t, up, h)
		}
		p := &proxytest.Script{T: t, Addresses: []string{reads("web")}}
		x := p.Start(down, up, mirrorTo(up, []string{reads("shadow")}))
		in, out := io.Pipe()
		r, trace := x.NewRequest(context.Background(), "POST", in)
		done := make(chan struct{})
		go func() {
			defer close(done)
			out.Write([]byte("hello"))
			all := map[string]bool{}
			for range 2 {
				select {
				case s := <-came:
					all[s] = true
				case <-time.After(proxytest.Patience):
				}
			}
			if !all["web hello"] || !all["shadow hello"] {
				t.Errorf("before the content ended, there came %v", all)
			}
			out.Close()
		}()
		response, err := x.HTTP.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		proxytest.Finish(response)
		<-done
		own, copied := both(x, trace)
		proxytest.Same(t, "status", own.Status, 200)
		proxytest.Same(t, "status of the copy", copied.Status, 200)
	})
}

// serve runs an endpoint that reads content as it likes.
func serve(t *testing.T, up proxytest.Side, h http.HandlerFunc) string {
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = up.Protocols()
	s.Start()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.Listener.Addr().String()
}

// TestDeadMirror: a mirror whose endpoint is not there costs the request nothing.
func TestDeadMirror(t *testing.T) {
	for name, address := range map[string]func(testing.TB) string{"refuses": proxytest.RefusingAddress, "is silent": proxytest.DeafAddress} {
		t.Run(name, func(t *testing.T) {
			proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
				p := proxytest.StartScript(t, up, 1, proxytest.Respond(200))
				x := p.Start(down, up, mirrorTo(up, []string{address(t)}), func(s *proxytest.Settings) {
					c := s.Config.Clusters["shadow"]
					c.ConnectTimeout = 50 * time.Millisecond
					s.Config.Clusters["shadow"] = c
				})
				o, copied := askBoth(x, "POST", strings.NewReader("hello"))
				o.Want(t, 200, "", "200")
				proxytest.Same(t, "flags of the copy", copied.Flags.String(), "UF")
				proxytest.Same(t, "status of the copy", copied.Status, 503)
				proxytest.Same(t, "entry", copied.Entry, false)
			})
		})
	}
}

// TestSlowMirror: a mirror that never answers has as many copies as it may. All requests are
// answered meanwhile, and the rest of them is not copied.
func TestSlowMirror(t *testing.T) {
	const most, requests = 3, 40
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		p := proxytest.StartScript(t, up, 1, proxytest.Respond(200))
		release := make(chan struct{})
		shadow := proxytest.StartScript(t, up, 1, func(http.ResponseWriter, *http.Request) { <-release })
		x := p.Start(down, up, mirrorTo(up, shadow.Addresses, func(m *config.Mirror) { m.MaxRequests, m.Timeout = most, 0 }))
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				for range requests / 4 {
					r, _ := x.NewRequest(context.Background(), "POST", strings.NewReader(fmt.Sprint("hello ", i)))
					response, err := x.HTTP.Do(r)
					if err != nil {
						t.Error(err)
						return
					}
					proxytest.Finish(response)
					proxytest.Same(t, "status", response.StatusCode, 200)
				}
			})
		}
		all.Wait()
		proxytest.Same(t, "requests", len(p.Requests()), requests)
		shadow.AwaitRequests(most)
		proxytest.Same(t, "copies", len(shadow.Requests()), most)
		proxytest.Same(t, "skipped", x.Scrape().Sum("hopscope_mirror_skipped_total", "route", "default", "cluster", "shadow"), requests-most)
		// The last hop may be recorded a moment after its response.
		proxytest.Eventually(t, "every request is counted", func() bool {
			return x.Scrape().Sum("hopscope_requests_total", "direction", "inbound", "code", "200") == requests
		})
		close(release)
	})
}

// TestMirrorBehind: a mirror whose endpoint does not read is cut off when it is too far
// behind; the request goes on.
func TestMirrorBehind(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		p := proxytest.StartScript(t, up, 1, proxytest.Respond(200))
		ended := make(chan struct{})
		shadow := serve(t, up, func(http.ResponseWriter, *http.Request) { <-ended })
		t.Cleanup(func() { close(ended) })
		x := p.Start(down, up, mirrorTo(up, []string{shadow}, func(m *config.Mirror) { m.MaxBehind, m.Timeout = "64KiB", 0 }))
		content := bytes.Repeat([]byte("0123456789abcdef"), 1<<20) // 16 MiB do not fit into sockets
		o, copied := askBoth(x, "POST", bytes.NewReader(content))
		o.Want(t, 200, "", "200")
		if got := p.Requests()[0]; !got.Whole || len(got.Body) != len(content) {
			t.Errorf("the endpoint got %d bytes", len(got.Body))
		}
		proxytest.Same(t, "flags of the copy", copied.Flags.String(), "UO")
		proxytest.Reason(t, "reason", copied.Failure.Reason, "more than 65536 bytes wait for it")
	})
}

// TestMirrorOfAnUnreadRequest: where the endpoint answers before all of the content is read,
// the copy ends without it.
func TestMirrorOfAnUnreadRequest(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		p := &proxytest.Script{T: t, Addresses: []string{serve(t, up, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("connection", "close")
			w.WriteHeader(403)
		})}}
		shadow := proxytest.StartScript(t, up, 1, proxytest.Respond(200))
		x := p.Start(down, up, mirrorTo(up, shadow.Addresses))
		in, out := io.Pipe()
		r, trace := x.NewRequest(context.Background(), "POST", in)
		go out.Write([]byte("hello")) // and no more
		response, err := x.HTTP.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		proxytest.Finish(response)
		out.CloseWithError(io.ErrUnexpectedEOF)
		own, copied := both(x, trace)
		proxytest.Same(t, "status", own.Status, 403)
		proxytest.Same(t, "flags of the copy", copied.Flags.String(), "DC")
		proxytest.Reason(t, "reason", copied.Failure.Reason, "ended before all of its content was read")
		proxytest.Same(t, "it failed", copied.Failed(), false)
	})
}
