package snapshot_test

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/proxy/snapshot"
)

// parsed is a configuration in YAML, without views that a test has no use for.
func parsed(t testing.TB, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte("admin: {address: \"127.0.0.1:0\"}\ntelemetry: {access_log: {path: \"off\"}}\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// startWith runs a proxy that begins with what another one knew.
func startWith(t *testing.T, text string, memory []byte) *proxytest.Proxy {
	t.Helper()
	l := &proxytest.Proxy{T: t, Said: &proxytest.Log{}}
	var err error
	l.Proxy, err = snapshot.Start(parsed(t, text), snapshot.Options{Log: slog.New(slog.NewTextHandler(l.Said, nil)), Memory: memory})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Stop()
		if t.Failed() {
			t.Logf("the proxy's log:\n%s", l.Said)
		}
	})
	return l
}

// reloadYAML goes over to another configuration.
func reloadYAML(l *proxytest.Proxy, text string) {
	l.T.Helper()
	if _, err := l.Reload(parsed(l.T, text)); err != nil {
		l.T.Fatal(err)
	}
}

// shown is a cluster as the admin API shows it.
type shown struct {
	cluster.Status
	Connections struct {
		Dialled uint64 `json:"dialled_total"`
		Reused  uint64 `json:"reused_total"`
	} `json:"connections"`
}

// clusterNamed is a cluster as the admin API shows it.
func clusterNamed(l *proxytest.Proxy, name string) shown {
	l.T.Helper()
	var all []shown
	l.AdminJSON("/clusters", &all)
	for _, s := range all {
		if s.Name == name {
			return s
		}
	}
	return shown{}
}

// catalogSource is the source of the catalog as the admin API shows it.
func catalogSource(l *proxytest.Proxy) (s cluster.SourceStatus) {
	l.T.Helper()
	l.AdminJSON("/catalog", &s)
	return s
}

// notReady waits until the proxy is not ready, and says why.
func notReady(l *proxytest.Proxy, part string) {
	l.T.Helper()
	status, body := l.Call("GET", "http://"+l.AdminAddr().String()+"/ready", "")
	if status != 503 || !strings.Contains(body, part) {
		l.T.Errorf("/ready: %d %s, want 503 and %q", status, body, part)
	}
}

// becomesReady waits until the proxy is ready.
func becomesReady(l *proxytest.Proxy) {
	l.T.Helper()
	proxytest.Eventually(l.T, "the proxy being ready", func() bool {
		status, _ := l.Call("GET", "http://"+l.AdminAddr().String()+"/ready", "")
		return status == 200
	})
}

// metric checks a line of the metrics.
func metric(l *proxytest.Proxy, line string) {
	l.T.Helper()
	if text := l.MetricsText(); !strings.Contains(text, line+"\n") {
		name, _, _ := strings.Cut(line, "{")
		var like []string
		for other := range strings.Lines(text) {
			if strings.HasPrefix(other, name+"{") {
				like = append(like, other)
			}
		}
		l.T.Errorf("there is no metric %s, but\n%s", line, strings.Join(like, ""))
	}
}

// deadAgent is an agent that knows these services, and then is no more.
func deadAgent(t *testing.T, l **proxytest.Proxy, text string, services ...string) *backends.ConsulServer {
	t.Helper()
	a := backends.Consul(t, backends.ConsulOptions{})
	for _, name := range services {
		proxytest.Offer(t, a.Register, name)
	}
	*l = proxytest.StartYAML(t, fmt.Sprintf(text, a.Address))
	for _, name := range services {
		(*l).AwaitAnswer(name, "/", 200, name)
	}
	a.Kill()
	proxytest.Eventually(t, "Consul being missed", func() bool { return catalogSource((*l)).Stale })
	return a
}

// countingOpened is an endpoint that says how many connections it has been opened.
func countingOpened(t *testing.T) (address string, opened *atomic.Int64) {
	t.Helper()
	opened = new(atomic.Int64)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "counted") }),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				opened.Add(1)
			}
		},
	}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return l.Addr().String(), opened
}

// served is a client that asks for the service "a" of a catalog.
func (l *clients) served() {
	client := &http.Client{Transport: &http.Transport{}}
	l.t.Cleanup(client.CloseIdleConnections)
	l.each("a service of the catalog", func(int) error {
		r, err := http.NewRequestWithContext(l.t.Context(), "POST", "http://"+l.address+"/", strings.NewReader("body"))
		if err != nil {
			return err
		}
		r.Host = "a"
		response, err := client.Do(r)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != 200 {
			return fmt.Errorf("status %d, %q, %v", response.StatusCode, body, err)
		}
		return nil
	})
}

// grpcStatusFor is how a gRPC call to a host ends.
func grpcStatusFor(l *proxytest.Proxy, host string) (status int, grpc string) {
	l.T.Helper()
	r, err := http.NewRequestWithContext(l.T.Context(), "POST", "http://"+l.Ingress()+"/pkg.Service/Method", strings.NewReader("\x00\x00\x00\x00\x00"))
	if err != nil {
		l.T.Fatal(err)
	}
	r.Host = host
	r.Header.Set("Content-Type", "application/grpc")
	r.Header.Set("TE", "trailers")
	transport := plainHTTP2()
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(r)
	if err != nil {
		l.T.Fatal(err)
	}
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body)
	if grpc = response.Header.Get("Grpc-Status"); grpc == "" {
		grpc = response.Trailer.Get("Grpc-Status")
	}
	return response.StatusCode, grpc
}

// idles waits until a connection to a cluster is in the pool: a client has its response a
// moment before. A cluster without an endpoint has nothing to wait for.
func idles(l *proxytest.Proxy, name string) {
	l.T.Helper()
	proxytest.Eventually(l.T, "the connections being in the pool", func() bool {
		c := clusterNamed(l, name)
		if c.Name == "" {
			l.T.Fatalf("there is no cluster %s", name)
		}
		for _, e := range c.Endpoints {
			if e.ActiveConnections > 0 {
				return false
			}
		}
		return true
	})
}
