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

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/convert"
)

// narrow is an endpoint that counts how many requests it has at once. Those for /short/hold
// stay until they are released.
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
	if r.URL.Path == "/short/hold" {
		n.held <- struct{}{}
		<-n.release
	}
	for range 100 {
		runtime.Gosched() // for others to come in meanwhile, if they are let
	}
	w.WriteHeader(http.StatusOK)
}

// TestHAProxyQueue sends more requests at once than a server takes: they wait, and those
// that wait too long get 503.
func TestHAProxyQueue(t *testing.T) {
	n := &narrow{held: make(chan struct{}), release: make(chan struct{})}
	s := httptest.NewServer(n)
	t.Cleanup(s.Close)
	text, err := os.ReadFile("../../convert/testdata/haproxy/limits.in")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
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
			all.Go(func() {
				if got := c.ask(t, request{"GET", "web.test", "/slow/x", nil}).Status; got != 200 {
					t.Errorf("%s: status %d of a request that waits", name, got)
				}
			})
		}
		all.Wait()
		if most := n.most.Load(); most != 1 {
			t.Errorf("%s: %d requests at once, want 1", name, most)
		}
		all.Go(func() {
			if got := c.ask(t, request{"GET", "web.test", "/short/hold", nil}).Status; got != 200 {
				t.Errorf("%s: status %d of the request that others wait for", name, got)
			}
		})
		<-n.held
		if got := c.ask(t, request{"GET", "web.test", "/short/x", nil}).Status; got != 503 {
			t.Errorf("%s: status %d of a request that waits too long, want 503", name, got)
		}
		n.release <- struct{}{}
		all.Wait()
	}
}
