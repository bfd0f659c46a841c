package converted_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/convert"
)

// narrow is an endpoint that counts how many requests it has at once. Those whose path ends
// in /hold stay until they are released.
type narrow struct {
	active, most atomic.Int64
	held         chan struct{} // has one for each that is held
	release      chan struct{}
}

func (n *narrow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := n.active.Add(1)
	defer n.active.Add(-1)
	for {
		most := n.most.Load()
		if now <= most || n.most.CompareAndSwap(most, now) {
			break
		}
	}
	if strings.HasSuffix(r.URL.Path, "/hold") {
		n.held <- struct{}{}
		<-n.release
	}
	for range 100 {
		runtime.Gosched() // for others to come in meanwhile, if they are let
	}
	w.WriteHeader(http.StatusOK)
}

// startNarrow runs the endpoint, and returns its port.
func startNarrow(t *testing.T) (n *narrow, port string) {
	n = &narrow{held: make(chan struct{}), release: make(chan struct{})}
	s := httptest.NewServer(n)
	t.Cleanup(s.Close)
	_, port, _ = net.SplitHostPort(s.Listener.Addr().String())
	return n, port
}

// whileHeld asks for one path while a request for another one is held.
func (n *narrow) whileHeld(t *testing.T, c *client, hold, path string) (o outcome) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.expect(t, hold, 200)
	}()
	select {
	case <-n.held:
	case <-ended:
		t.Fatalf("%s did not come to the endpoint", hold)
	}
	o = c.ask(t, request{"GET", "web.test", path, nil})
	n.release <- struct{}{}
	<-ended
	return o
}

// expect asks for a path, and fails the test unless the status is as it should be. Any
// goroutine may call it.
func (c *client) expect(t *testing.T, path string, status int) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://web.test"+path, nil)
	if err != nil {
		t.Error(err)
		return
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != status {
		t.Errorf("%s: status %d, want %d", path, resp.StatusCode, status)
	}
}

// TestHAProxyQueue sends more requests at once than a server takes: they wait, and those
// that wait too long get 503.
func TestHAProxyQueue(t *testing.T) {
	n, port := startNarrow(t)
	text, err := os.ReadFile("../../convert/testdata/haproxy/limits.in")
	if err != nil {
		t.Fatal(err)
	}
	original := strings.ReplaceAll(string(text), "3001", port)
	r, err := convert.HAProxy("limits.in", []byte(original))
	if err != nil {
		t.Fatal(err)
	}
	for i, listener := range []string{"web", "second", "other"} {
		original = strings.ReplaceAll(original, fmt.Sprintf("127.0.0.1:1000%d", i), `{{addr "`+listener+`"}}`)
	}
	for name, address := range map[string]string{"HAProxy": backends.HAProxy(t, original).Addr("web"), "hopscope": converted(t, r, "web-10000")} {
		n.most.Store(0)
		c := newClient(t, address, nil)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { c.expect(t, "/slow/x", 200) })
		}
		all.Wait()
		if most := n.most.Load(); most != 1 {
			t.Errorf("%s: %d requests at once, want 1", name, most)
		}
		if got := n.whileHeld(t, c, "/short/hold", "/short/x").Status; got != 503 {
			t.Errorf("%s: status %d of a request that waits too long, want 503", name, got)
		}
	}
}

// TestEnvoyBreaker sends one request more than the circuit breaker lets through.
func TestEnvoyBreaker(t *testing.T) {
	n, port := startNarrow(t)
	text, err := os.ReadFile("../../convert/testdata/envoy/limits.in")
	if err != nil {
		t.Fatal(err)
	}
	original, ours := envoyPair(t, "limits.in", strings.NewReplacer("3001", port, "max_requests: 400", "max_requests: 1").Replace(string(text)), "web")
	want := outcome{Status: 503, Fields: map[string]string{"x-envoy-overloaded": "true"}}
	for name, address := range map[string]string{"Envoy": original, "hopscope": ours} {
		c := newClient(t, address, []string{"x-envoy-overloaded"})
		if d := cmp.Diff(want, n.whileHeld(t, c, "/download/hold", "/download/x")); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}
