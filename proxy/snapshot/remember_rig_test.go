package snapshot_test

import (
	"encoding/json"
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
	"github.com/hopscope/hopscope/proxy/snapshot"
)

// parsed is a configuration in YAML, without views that a test has no use for.
func parsed(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte("admin: {address: \"127.0.0.1:0\"}\ntelemetry: {access_log: {path: \"off\"}}\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// startWith runs a proxy that begins with what another one knew.
func startWith(t *testing.T, text string, memory []byte) *rig {
	t.Helper()
	l := &rig{t: t, said: &words{}}
	var err error
	l.proxy, err = snapshot.Start(parsed(t, text), snapshot.Options{Log: slog.New(slog.NewTextHandler(l.said, nil)), Memory: memory})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.stop()
		if t.Failed() {
			t.Logf("the proxy's log:\n%s", l.said)
		}
	})
	return l
}

// reloadYAML goes over to another configuration.
func (l *rig) reloadYAML(text string) {
	l.t.Helper()
	if _, err := l.proxy.Reload(parsed(l.t, text)); err != nil {
		l.t.Fatal(err)
	}
}

// adminJSON asks the admin API, and returns the status of the answer.
func (l *rig) adminJSON(path string, into any) (status int) {
	l.t.Helper()
	status, body := l.call("GET", "http://"+l.proxy.AdminAddr().String()+path, "")
	if err := json.Unmarshal([]byte(body), into); err != nil {
		l.t.Fatalf("%s: %v in %s", path, err, body)
	}
	return status
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
func (l *rig) clusterNamed(name string) shown {
	l.t.Helper()
	var all []shown
	l.adminJSON("/clusters", &all)
	for _, s := range all {
		if s.Name == name {
			return s
		}
	}
	return shown{}
}

// catalogSource is the source of the catalogue as the admin API shows it.
func (l *rig) catalogSource() (s cluster.SourceStatus) {
	l.t.Helper()
	l.adminJSON("/catalog", &s)
	return s
}

// notReady waits until the proxy is not ready, and says why.
func (l *rig) notReady(part string) {
	l.t.Helper()
	status, body := l.call("GET", "http://"+l.proxy.AdminAddr().String()+"/ready", "")
	if status != 503 || !strings.Contains(body, part) {
		l.t.Errorf("/ready: %d %s, want 503 and %q", status, body, part)
	}
}

// becomesReady waits until the proxy is ready.
func (l *rig) becomesReady() {
	l.t.Helper()
	eventually(l.t, "the proxy being ready", func() bool {
		status, _ := l.call("GET", "http://"+l.proxy.AdminAddr().String()+"/ready", "")
		return status == 200
	})
}

// metric checks a line of the metrics.
func (l *rig) metric(line string) {
	l.t.Helper()
	if text := l.scraped(); !strings.Contains(text, line+"\n") {
		name, _, _ := strings.Cut(line, "{")
		var like []string
		for other := range strings.Lines(text) {
			if strings.HasPrefix(other, name+"{") {
				like = append(like, other)
			}
		}
		l.t.Errorf("there is no metric %s, but\n%s", line, strings.Join(like, ""))
	}
}

// deadAgent is an agent that knows these services, and then is no more.
func deadAgent(t *testing.T, l **rig, text string, services ...string) *backends.ConsulServer {
	t.Helper()
	a := backends.Consul(t, backends.ConsulOptions{})
	for _, name := range services {
		offer(t, a, name)
	}
	*l = startConfigured(t, fmt.Sprintf(text, a.Address))
	for _, name := range services {
		(*l).answers(name, "/", 200, name)
	}
	a.Kill()
	eventually(t, "Consul being missed", func() bool { return (*l).catalogSource().Stale })
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

// served is a client that asks for the service "a" of a catalogue.
func (l *clients) served() {
	client := &http.Client{Transport: &http.Transport{}}
	l.t.Cleanup(client.CloseIdleConnections)
	l.each("a service of the catalogue", func(int) error {
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

func contains(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// grpcStatusFor is how a gRPC call to a host ends.
func (l *rig) grpcStatusFor(host string) (status int, grpc string) {
	l.t.Helper()
	r, err := http.NewRequestWithContext(l.t.Context(), "POST", "http://"+l.ingress()+"/pkg.Service/Method", strings.NewReader("\x00\x00\x00\x00\x00"))
	if err != nil {
		l.t.Fatal(err)
	}
	r.Host = host
	r.Header.Set("Content-Type", "application/grpc")
	r.Header.Set("TE", "trailers")
	transport := plainHTTP2()
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(r)
	if err != nil {
		l.t.Fatal(err)
	}
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body)
	if grpc = response.Header.Get("Grpc-Status"); grpc == "" {
		grpc = response.Trailer.Get("Grpc-Status")
	}
	return response.StatusCode, grpc
}

// idles waits until a connection to a cluster of one endpoint is in the pool: a
// client has its response a moment before. A cluster without any has nothing to wait
// for.
func (l *rig) idles(name string) {
	l.t.Helper()
	eventually(l.t, "the connections being in the pool", func() bool {
		for _, e := range l.clusterNamed(name).Endpoints {
			if e.ActiveConnections > 0 {
				return false
			}
		}
		return true
	})
}
