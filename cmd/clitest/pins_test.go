package clitest

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// sampledMesh is a gateway in front of shop, which calls stock, prices and bank at once; bank
// calls books. Each has a sidecar in a process of its own. They export to a Jaeger, of 1 % of
// the traces.
type sampledMesh struct {
	gateway   *process
	processes []*process
}

// hopsOfTrace are the hops of a request: those of the gateway, shop, its three calls, those
// at the other ends, bank's call, and that at its other end.
const hopsOfTrace = 1 + 1 + 3 + 3 + 1 + 1

func startSampledMesh(t *testing.T, otlp, log string) *sampledMesh {
	t.Helper()
	m := &sampledMesh{}
	addresses := proxytest.FreeAddresses(t, 7) // nobody ever listens at the last
	list := "[" + strings.Join(addresses, ", ") + "]"
	run := func(service, to string) *process {
		path := "off"
		if service == "gateway" {
			path = log
		}
		p := start(t, "run", "-c", file(t, service+".yaml", fmt.Sprintf(`
service: %s
admin: {address: "%s"}
mesh: {name: shop, peers: %s}
telemetry: {access_log: {path: "%s"}, traces: {sample: 0.01, otlp: {endpoint: "%s"}}}
listeners:
- {name: ingress, address: "127.0.0.1:0", routes: [{cluster: app}]}
- {name: egress, address: "127.0.0.1:0", direction: outbound, forward_proxy: {}}
clusters: {app: {endpoints: ["%s"]}}
`, service, addresses[len(m.processes)], list, path, otlp, to)))
		m.processes = append(m.processes, p)
		return p
	}
	// caller returns an application that calls others by its sidecar, all at once.
	caller := func(status func(r *http.Request, failed bool) int, others ...*process) (address string, behind func(*process)) {
		var client atomic.Pointer[http.Client]
		var urls []string
		for _, o := range others {
			urls = append(urls, o.url())
		}
		address = serve(t, func(w http.ResponseWriter, r *http.Request) {
			var failed atomic.Bool
			var all sync.WaitGroup
			for _, u := range urls {
				all.Go(func() {
					call, err := http.NewRequestWithContext(r.Context(), http.MethodGet, strings.TrimSuffix(u, "/")+r.URL.Path, nil)
					if err != nil {
						t.Error(err)
						return
					}
					call.Header.Set("traceparent", r.Header.Get("traceparent"))
					resp, err := client.Load().Do(call)
					if err != nil {
						failed.Store(true)
						return
					}
					proxytest.Finish(resp)
					if resp.StatusCode != 200 {
						failed.Store(true)
					}
				})
			}
			all.Wait()
			w.WriteHeader(status(r, failed.Load()))
		})
		return address, func(p *process) {
			c := newClient(t)
			c.Transport.(*http.Transport).Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: p.address("egress")})
			c.Transport.(*http.Transport).MaxIdleConnsPerHost = 32
			client.Store(c)
		}
	}
	leaf := serve(t, hello)
	stock, prices, books := run("stock", leaf), run("prices", leaf), run("books", leaf)
	address, behind := caller(func(r *http.Request, failed bool) int {
		if failed || r.URL.Path == "/fails" {
			return 500
		}
		return 200
	}, books)
	bank := run("bank", address)
	behind(bank)
	address, behind = caller(func(_ *http.Request, failed bool) int {
		if failed {
			return 500
		}
		return 200
	}, stock, prices, bank)
	shop := run("shop", address)
	behind(shop)
	m.gateway = run("gateway", strings.TrimSuffix(host(shop.url()), "/"))
	m.gateway.address("ingress")
	for _, p := range m.processes {
		p.admin()
	}
	return m
}

// ask sends n requests. One in a hundred fails.
func (m *sampledMesh) ask(t *testing.T, n int) {
	client := newClient(t)
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = 8
	to := strings.TrimSuffix(m.gateway.url(), "/")
	var next atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				path, status := "/well", 200
				if i%100 == 0 {
					path, status = "/fails", 500
				}
				resp, err := client.Get(to + path)
				if err != nil {
					t.Error(err)
					return
				}
				proxytest.Finish(resp)
				if resp.StatusCode != status {
					t.Errorf("request %d, %s: %d", i, path, resp.StatusCode)
				}
			}
		})
	}
	all.Wait()
}

// TestTheWholeTraceOfEveryFailure: at 1 % sampling, every trace whose request failed is whole
// in Jaeger, with the hops beside the failure that went well, and nothing else is exported
// that is not sampled. One of the members is never there.
//
// HOPSCOPE_REQUESTS says how many requests there are.
func TestTheWholeTraceOfEveryFailure(t *testing.T) {
	jaeger := backends.Jaeger(t)
	n := 1000
	if text := os.Getenv("HOPSCOPE_REQUESTS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	log := t.TempDir() + "/gateway.log"
	m := startSampledMesh(t, jaeger.OTLPgRPC, log)
	began := time.Now()
	m.ask(t, n)
	t.Logf("%d requests took %v", n, time.Since(began).Round(time.Millisecond))

	failed, unsampled := map[string]bool{}, 0
	proxytest.Eventually(t, "the lines of all requests", func() bool {
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		lines := accessLines(string(text))
		clear(failed)
		unsampled = 0
		for _, line := range lines {
			if line["status"] == 500.0 {
				failed[line["trace_id"].(string)] = true
				if line["sampled"] != true {
					unsampled++
				}
			}
		}
		return len(lines) == n
	})
	if len(failed) != n/100 || unsampled == 0 {
		t.Fatalf("%d traces failed, %d of them not sampled", len(failed), unsampled)
	}
	byMesh := 0
	for trace := range failed {
		byMesh += wholeInJaeger(t, jaeger, trace)
	}
	const failing = 4 // gateway, shop, its call of bank, bank
	if want := unsampled * (hopsOfTrace - failing); byMesh != want {
		t.Errorf("%d hops were exported for the mesh, want %d", byMesh, want)
	}
	counted := 0.0
	for _, p := range m.processes {
		counted += p.metric("hopscope_pinned_hops_total")
	}
	if counted != float64(byMesh) {
		t.Errorf("%v hops were exported since their trace was pinned, want %d", counted, byMesh)
	}
	if away := m.gateway.metric(`hopscope_telemetry_dropped_total{exporter="",reason="unreachable",service="gateway",view="pins"}`); away == 0 {
		t.Error("that a member is away is not counted")
	}
	t.Logf("%d traces failed, %d of them were not sampled; %d hops of those went well, and are in Jaeger", len(failed), unsampled, byMesh)
}

// wholeInJaeger waits until a trace is whole, and returns how many hops of it were exported
// for the mesh.
func wholeInJaeger(t *testing.T, jaeger *backends.JaegerServer, trace string) (byMesh int) {
	t.Helper()
	var answer struct {
		Data []struct {
			Spans []struct {
				SpanID     string
				References []struct{ SpanID string }
				Tags       []struct {
					Key   string
					Value any
				}
			}
		}
	}
	backends.Await(t, proxytest.Patience, func() error {
		if err := backends.Get(jaeger.Query+"/api/traces/"+trace, &answer); err != nil {
			return err
		}
		if len(answer.Data) != 1 || len(answer.Data[0].Spans) < hopsOfTrace {
			return fmt.Errorf("trace %s is not whole: %+v", trace, answer.Data)
		}
		return nil
	})
	spans := answer.Data[0].Spans
	known, roots := map[string]bool{}, 0
	for _, s := range spans {
		known[s.SpanID] = true
		for _, tag := range s.Tags {
			if tag.Key == "hopscope.sampled_by" && tag.Value == "mesh" {
				byMesh++
			}
		}
	}
	for _, s := range spans {
		if len(s.References) == 0 || !known[s.References[0].SpanID] {
			roots++
		}
	}
	if len(spans) != hopsOfTrace || len(known) != hopsOfTrace || roots != 1 {
		t.Errorf("trace %s has %d spans, %d of them different, and %d roots", trace, len(spans), len(known), roots)
	}
	return byMesh
}
