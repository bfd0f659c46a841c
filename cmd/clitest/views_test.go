package clitest

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// received is a span that a collector received.
type received struct{ trace, service, name, kind string }

// collector keeps the spans that it receives.
type collector struct {
	coltracepb.UnimplementedTraceServiceServer
	mu    sync.Mutex
	spans []received
}

func (c *collector) add(s ...received) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spans = append(c.spans, s...)
}

// of returns the spans of a trace.
func (c *collector) of(trace string) []received {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []received
	for _, s := range c.spans {
		if s.trace == trace {
			all = append(all, s)
		}
	}
	return all
}

// Export receives spans over OTLP.
func (c *collector) Export(_ context.Context, r *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	for _, resource := range r.ResourceSpans {
		service := ""
		for _, a := range resource.Resource.Attributes {
			if a.Key == "service.name" {
				service = a.Value.GetStringValue()
			}
		}
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				kind := map[tracepb.Span_SpanKind]string{tracepb.Span_SPAN_KIND_SERVER: "SERVER", tracepb.Span_SPAN_KIND_CLIENT: "CLIENT"}[s.Kind]
				c.add(received{hex.EncodeToString(s.TraceId), service, s.Name, kind})
			}
		}
	}
	return &coltracepb.ExportTraceServiceResponse{}, nil
}

// otlpCollector starts a collector that speaks OTLP, and returns its address.
func otlpCollector(t *testing.T) (*collector, string) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, server := &collector{}, grpc.NewServer()
	coltracepb.RegisterTraceServiceServer(server, c)
	go server.Serve(socket)
	t.Cleanup(server.Stop)
	return c, socket.Addr().String()
}

// zipkinCollector starts a collector that speaks Zipkin v2, and returns its URL.
func zipkinCollector(t *testing.T) (*collector, string) {
	c := &collector{}
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var spans []struct {
			TraceID, Name, Kind string
			LocalEndpoint       struct{ ServiceName string }
		}
		if err := json.NewDecoder(r.Body).Decode(&spans); err != nil || r.URL.Path != "/api/v2/spans" || r.Method != http.MethodPost {
			http.Error(w, fmt.Sprint("not what Zipkin takes: ", err), http.StatusBadRequest)
			return
		}
		for _, s := range spans {
			c.add(received{s.TraceID, s.LocalEndpoint.ServiceName, s.Name, s.Kind})
		}
		w.WriteHeader(http.StatusAccepted)
	})
	return c, "http://" + addr + "/api/v2/spans"
}

// tracer starts a service that answers with the traceparent that it received. For /fail it
// does so with status 500.
func tracer(t *testing.T) string {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fail" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		io.WriteString(w, r.Header.Get("Traceparent"))
	})
}

// traced sends a request, and returns the id of its trace and whether it was
// sampled, as the service saw it, and how long it took.
func traced(t *testing.T, url string) (trace string, sampled bool, took time.Duration) {
	t.Helper()
	began := time.Now()
	_, body := get(t, url)
	parts := strings.Split(body, "-")
	if len(parts) != 4 {
		t.Fatalf("the service saw traceparent %q", body)
	}
	return parts[1], parts[3] == "01" || parts[3] == "03", time.Since(began)
}

func TestRunSpans(t *testing.T) {
	t.Parallel()
	for name, collect := range map[string]func(*testing.T) (*collector, string){"otlp": otlpCollector, "zipkin": zipkinCollector} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, at := collect(t)
			p := runProxy(t, tracer(t), "--"+name+"="+at)
			trace, sampled, _ := traced(t, p.url())
			if !sampled {
				t.Error("the trace is not sampled, though all are")
			}
			// Without an end of the proxy: they are on their way at once.
			proxytest.Eventually(t, "the span", func() bool { return len(c.of(trace)) >= 1 })
			p.drained()
			kinds := ""
			for _, s := range c.of(trace) {
				kinds += s.kind + " "
				if s.service != "web" || !strings.HasPrefix(strings.ToUpper(s.name), "GET") {
					t.Errorf("span %+v", s)
				}
			}
			if kinds != "SERVER " {
				t.Errorf("spans of kinds %s, want one SERVER span for a hop of one attempt", kinds)
			}
		})
	}
}

// TestRunSampleNothing: with --sample=0, only failed traces are exported.
func TestRunSampleNothing(t *testing.T) {
	t.Parallel()
	c, at := otlpCollector(t)
	p := runProxy(t, tracer(t), "--otlp="+at, "--sample=0")
	var ordinary []string
	for range 5 {
		trace, sampled, took := traced(t, p.url())
		if sampled {
			t.Errorf("trace %s is sampled", trace)
		}
		if took < time.Second { // or it is slow, and exported like one that failed
			ordinary = append(ordinary, trace)
		}
	}
	failed, _, _ := traced(t, p.url()+"fail")
	p.drained()
	for _, trace := range ordinary {
		if spans := c.of(trace); len(spans) > 0 {
			t.Errorf("a trace that is not sampled has spans: %v", spans)
		}
	}
	if spans := c.of(failed); len(spans) != 1 || spans[0].kind != "SERVER" {
		t.Errorf("the failed trace has spans %v, want a SERVER span", spans)
	}
}

// TestRunWithoutCollector: the proxy ends well although no span can be delivered.
func TestRunWithoutCollector(t *testing.T) {
	t.Parallel()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket.Close()
	p := runProxy(t, tracer(t), "--otlp="+socket.Addr().String(), "--zipkin=http://"+socket.Addr().String())
	traced(t, p.url())
	p.drained()
	if n := len(accessLines(p.stdout.String())); n != 1 {
		t.Errorf("the access log has %d lines, want 1", n)
	}
}

func TestRunAccessLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access.log")
	tests := []struct {
		flag                 string
		stdout, stderr, file int // lines
	}{
		{"", 1, 0, 0},
		{"--access-log=stdout", 1, 0, 0},
		{"--access-log=stderr", 0, 1, 0},
		{"--access-log=off", 0, 0, 0},
		{"--access-log=" + path, 0, 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.flag, func(t *testing.T) {
			t.Parallel()
			args := proxyArgs(serve(t, hello))
			if tt.flag != "" {
				args = append(args, tt.flag)
			}
			p := start(t, args...)
			get(t, p.url()+"somewhere?a=b")
			p.drained()
			content := ""
			if tt.file > 0 {
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				content = string(b)
			}
			for _, where := range []struct {
				name, text string
				want       int
			}{{"standard output", p.stdout.String(), tt.stdout}, {"standard error", p.stderr.String(), tt.stderr}, {"the file", content, tt.file}} {
				lines := accessLines(where.text)
				if len(lines) != where.want {
					t.Errorf("%s has %d lines of the access log, want %d:\n%s", where.name, len(lines), where.want, where.text)
				}
				for _, l := range lines {
					if l["service"] != "web" || l["path"] != "/somewhere?a=b" || l["status"] != 200.0 || l["direction"] != "inbound" {
						t.Errorf("line %v", l)
					}
				}
			}
			if tt.stdout == 0 && p.stdout.String() != "" {
				t.Errorf("standard output: %s", p.stdout.String())
			}
		})
	}
}

// TestRunLogLevel tests the levels that can be told apart from outside.
func TestRunLogLevel(t *testing.T) {
	t.Parallel()
	backend := serve(t, hello)
	t.Run("debug", func(t *testing.T) {
		t.Parallel()
		p := runProxy(t, backend, "--log-level=debug")
		if _, body := get(t, p.admin()+"/logging"); !strings.Contains(body, `"debug"`) {
			t.Errorf("the level is %s", body)
		}
	})
	t.Run("error", func(t *testing.T) {
		t.Parallel()
		// Without a log nobody says where port 0 is.
		socket, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at := socket.Addr().String()
		socket.Close()
		p := start(t, "run", "--listen=127.0.0.1:0", "--to="+backend, "--admin="+at, "--log-level=error")
		client := newClient(t)
		proxytest.Eventually(t, "an answer", func() bool {
			if !p.running() {
				t.Fatal("it ended")
			}
			_, body, err := tryGet(client, http.MethodGet, "http://"+at+"/logging")
			return err == nil && strings.Contains(body, `"error"`)
		})
		p.drained()
		if said := p.stderr.String(); said != "" {
			t.Errorf("the log has\n%s", said)
		}
	})
}
