package backends

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

const (
	traceID = "463ac35c9f6413ad48485a3953bb6124"
	spanID  = "a2fb4a1d1a96d312"
	limit   = 30 * time.Second
)

// post sends a body to a server that must take it, and returns the response.
func post(t *testing.T, client *http.Client, url, contentType string, body []byte) *http.Response {
	t.Helper()
	resp, err := client.Post(url, contentType, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode/100 != 2 {
		t.Fatalf("POST %s: %s: %s", url, resp.Status, answer)
	}
	return resp
}

func oneConnectionEach(protocols *http.Protocols) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, Protocols: protocols}}
}

func zipkinSpan(service string) []byte {
	return fmt.Appendf(nil, `[{"traceId":%q,"id":%q,"name":"get /","kind":"SERVER","timestamp":%d,"duration":1500,"localEndpoint":{"serviceName":%q}}]`,
		traceID, spanID, time.Now().UnixMicro(), service)
}

func TestJaeger(t *testing.T) {
	j := Jaeger(t)

	post(t, oneConnectionEach(nil), j.Zipkin, "application/json", zipkinSpan("by-zipkin"))
	now := time.Now().UnixNano()
	post(t, oneConnectionEach(nil), j.OTLPHTTP, "application/json", fmt.Appendf(nil,
		`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"by-otlp"}}]},
		"scopeSpans":[{"spans":[{"traceId":%q,"spanId":"b7ad6b7169203331","parentSpanId":%q,"name":"GET","kind":3,"startTimeUnixNano":"%d","endTimeUnixNano":"%d"}]}]}]}`,
		traceID, spanID, now, now+1000))

	Await(t, limit, func() error {
		var answer struct {
			Data []struct {
				Spans     []struct{ SpanID string }
				Processes map[string]struct{ ServiceName string }
			}
		}
		if err := Get(j.Query+"/api/traces/"+traceID, &answer); err != nil {
			return err
		}
		if len(answer.Data) != 1 || len(answer.Data[0].Spans) != 2 || len(answer.Data[0].Processes) != 2 {
			return fmt.Errorf("not yet two spans of two services: %+v", answer)
		}
		return nil
	})

	// An empty export over gRPC: a message of no bytes behind its five bytes of frame.
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	const method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
	resp := post(t, oneConnectionEach(&h2c), "http://"+j.OTLPgRPC+method, "application/grpc", make([]byte, 5))
	status := resp.Trailer.Get("Grpc-Status") + resp.Header.Get("Grpc-Status")
	if status != "0" {
		t.Errorf("OTLP over gRPC: grpc-status %q, want 0: %v %v", status, resp.Header, resp.Trailer)
	}
}

func TestZipkin(t *testing.T) {
	z := Zipkin(t)
	post(t, oneConnectionEach(nil), z.Spans, "application/json", zipkinSpan("web"))
	Await(t, limit, func() error {
		var spans []struct{ ID, Name string }
		if err := Get(z.URL+"/api/v2/trace/"+traceID, &spans); err != nil {
			return err
		}
		if len(spans) != 1 || spans[0].ID != spanID {
			return fmt.Errorf("not yet the span: %+v", spans)
		}
		return nil
	})
}

func TestPrometheus(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprintln(w, "depth 4")
	}))
	t.Cleanup(target.Close)

	p := Prometheus(t, strings.TrimPrefix(target.URL, "http://"))
	Await(t, limit, func() error {
		var answer struct {
			Data struct {
				Result []struct{ Value [2]any }
			}
		}
		query := url.Values{"query": {`depth{job="hopscope"}`}}
		if err := Get(p.URL+"/api/v1/query?"+query.Encode(), &answer); err != nil {
			return err
		}
		if len(answer.Data.Result) != 1 || answer.Data.Result[0].Value[1] != "4" {
			return fmt.Errorf("not yet scraped: %+v", answer)
		}
		return nil
	})
}

func TestProxies(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"path":%q}`, r.URL.Path)
	}))
	t.Cleanup(backend.Close)
	address := strings.TrimPrefix(backend.URL, "http://")

	for name, launch := range map[string]func(t *testing.T) *ProxyServer{
		"haproxy": func(t *testing.T) *ProxyServer {
			return HAProxy(t, `
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend in
  bind {{addr "in"}}
  bind {{addr "also"}}
  default_backend app
backend app
  server app `+address+"\n")
		},
		"nginx": func(t *testing.T) *ProxyServer {
			return Nginx(t, `server {
				listen {{addr "in"}};
				listen {{addr "also"}};
				location / { proxy_pass http://`+address+`; }
			}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var addresses []string
			t.Run("while it runs", func(t *testing.T) {
				p := launch(t)
				addresses = []string{p.Addr("in"), p.Addr("also")}
				for _, address := range addresses {
					var answer struct{ Path string }
					if err := Get("http://"+address+"/here", &answer); err != nil {
						t.Fatal(err)
					}
					if answer.Path != "/here" {
						t.Errorf("through %s: %+v", name, answer)
					}
				}
			})
			// The end of the inner test ended the server.
			for _, address := range addresses {
				if c, err := net.Dial("tcp", address); err == nil {
					c.Close()
					t.Errorf("%s still listens on %s", name, address)
				}
			}
		})
	}
}

func TestRender(t *testing.T) {
	for _, tt := range []struct {
		name, config string
		wrong        string // in the error, "" for none
	}{
		{name: "same name, same address", config: `{{addr "a"}} {{addr "a"}} {{addr "b"}}`},
		{name: "no address", config: "server {}", wrong: "listens nowhere"},
		{name: "too many", config: `{{range $i, $_ := "123456789"}}{{addr (printf "%d" $i)}}{{end}}`, wrong: "template"},
		{name: "broken template", config: `{{addr`, wrong: "template"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rendered, addresses, err := render(tt.config)
			if tt.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wrong) {
					t.Errorf("error %v, want one that says %q", err, tt.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := addresses["a"] + " " + addresses["a"] + " " + addresses["b"]
			if rendered != want || addresses["a"] == addresses["b"] {
				t.Errorf("%q with %v, want %q", rendered, addresses, want)
			}
		})
	}
}

// instances asks for a service until as many are there as a test wants.
func instances(t *testing.T, client *api.Client, datacenter string, want int) {
	t.Helper()
	Await(t, limit, func() error {
		found, _, err := client.Health().Service("web", "", true, &api.QueryOptions{Datacenter: datacenter})
		if err == nil && len(found) != want {
			err = fmt.Errorf("%d instances pass in %q, want %d", len(found), datacenter, want)
		}
		return err
	})
}

func TestConsul(t *testing.T) {
	c := Consul(t, ConsulOptions{})
	c.Register(t, &api.AgentServiceRegistration{
		Name: "web", Port: 80, Check: &api.AgentServiceCheck{TTL: "10m", Status: api.HealthPassing},
	})
	instances(t, c.API(t), "", 1)
	c.SetTTL(t, "service:web", api.HealthCritical)
	instances(t, c.API(t), "", 0)

	before := c.Address
	c.SetTTL(t, "service:web", api.HealthPassing)
	c.Kill()
	c.Restart(t)
	if c.Address != before {
		t.Errorf("it came back at %s, want %s", c.Address, before)
	}
	instances(t, c.API(t), "", 0) // it has forgotten all
	c.Register(t, &api.AgentServiceRegistration{Name: "web", Port: 80})
	instances(t, c.API(t), "", 1)
	c.Deregister(t, "web")
	instances(t, c.API(t), "", 0)
}

func TestConsulJoins(t *testing.T) {
	one := Consul(t, ConsulOptions{})
	two := Consul(t, ConsulOptions{Datacenter: "dc2", Join: one})
	two.Register(t, &api.AgentServiceRegistration{Name: "web", Port: 80})
	instances(t, one.API(t), "dc2", 1)
	instances(t, two.API(t), "dc2", 1)
	instances(t, two.API(t), "dc1", 0)
}

func TestConsulDeniesWithoutToken(t *testing.T) {
	c := Consul(t, ConsulOptions{Token: "11111111-2222-3333-4444-555555555555"})
	c.Register(t, &api.AgentServiceRegistration{Name: "web", Port: 80})
	instances(t, c.API(t), "", 1)
	resp, err := oneConnectionEach(nil).Get(c.URL + "/v1/agent/self")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("without a token: %s, want 403", resp.Status)
	}
}

func TestEnvoy(t *testing.T) {
	type object = map[string]any
	manager := object{
		"@type":       "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
		"stat_prefix": "a",
		"route_config": object{"virtual_hosts": []object{{"name": "a", "domains": []string{"*"}, "routes": []object{
			{"match": object{"prefix": "/"}, "direct_response": object{"status": 200, "body": object{"inline_string": "hello"}}},
		}}}},
		"http_filters": []object{{"name": "router", "typed_config": object{"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}},
	}
	e := Envoy(t, object{"listeners": []object{{
		"name": "a", "address": object{"socket_address": object{"address": "127.0.0.1", "port_value": 0}},
		"filter_chains": []object{{"filters": []object{{"name": "hcm", "typed_config": manager}}}},
	}}})
	body, err := get(t.Context(), "http://"+e.Addr("a"))
	if err != nil || string(body) != "hello" {
		t.Errorf("Envoy answered %q, %v", body, err)
	}
}
