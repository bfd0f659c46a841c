package policies_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestBandwidth: the content of a route's requests, or of its responses, takes as long as its
// rate allows, all of them together, in every protocol. Nothing of it is lost.
func TestBandwidth(t *testing.T) {
	const size, rate, burst = 64 << 10, 256 << 10, 50 * time.Millisecond
	content := strings.Repeat("0123456789abcdef", size/16)
	for _, tt := range []struct {
		name      string
		bandwidth config.Bandwidth
		fields    []string
	}{
		{name: "requests", bandwidth: config.Bandwidth{Request: "256KiB", Response: "0"}},
		{name: "responses", bandwidth: config.Bandwidth{Request: "0", Response: "256KiB"}},
		{name: "requests of calls", bandwidth: config.Bandwidth{Request: "256KiB", Response: "0"}, fields: call},
		{name: "responses of calls", bandwidth: config.Bandwidth{Request: "0", Response: "256KiB"}, fields: call},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
				p := proxytest.StartScript(t, up, 1, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("grpc-status", "0")
					io.WriteString(w, content)
				})
				x := p.Start(down, up, func(s *proxytest.Settings) { s.Route.Bandwidth = &tt.bandwidth })
				start := time.Now()
				var both sync.WaitGroup
				for range 2 {
					both.Go(func() {
						o := x.Ask("POST", strings.NewReader(content), tt.fields...)
						o.Want(t, 200, "", "200")
						if o.Body != content {
							t.Errorf("a response of %d bytes, want %d", len(o.Body), size)
						}
					})
				}
				both.Wait()
				if took, least := time.Since(start), 2*size*time.Second/rate-burst; took < least {
					t.Errorf("both took %s, want at least %s", took, least)
				}
				for _, got := range p.Requests() {
					if got.Body != content {
						t.Errorf("a request of %d bytes, want %d", len(got.Body), size)
					}
				}
			})
		})
	}
}

// TestBandwidthAgain: content that waits for its turn when an attempt fails is sent by the
// next one.
func TestBandwidthAgain(t *testing.T) {
	content := strings.Repeat("0123456789abcdef", 4<<10)
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		var first sync.Once
		p := &proxytest.Script{T: t, Addresses: []string{serve(t, up, func(w http.ResponseWriter, r *http.Request) {
			status := 200
			first.Do(func() { status = 503 })
			if status == 200 { // the first answers at once
				body, err := io.ReadAll(r.Body)
				if string(body) != content || err != nil {
					t.Errorf("%d bytes, %v", len(body), err)
				}
			}
			w.WriteHeader(status)
		})}}
		x := p.Start(down, up, func(s *proxytest.Settings) {
			s.Route.Bandwidth = &config.Bandwidth{Request: "128KiB", Response: "0"}
			s.Cluster.Retry = proxytest.Retrying(2, "5xx")
			s.Cluster.Retry.MaxBody = 1 << 20
		})
		x.Ask("POST", strings.NewReader(content)).Want(t, 200, "", "503 200")
	})
}

// TestBandwidthEndsWithTheClient: a response that waits ends when its client goes away.
func TestBandwidthEndsWithTheClient(t *testing.T) {
	proxytest.NoLeaks(t)
	endpoint := proxytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 1<<20)) })
	x := proxytest.Start(t, endpoint, proxytest.AbortOnClose, func(s *proxytest.Settings) {
		s.Route.Bandwidth = &config.Bandwidth{Request: "0", Response: "1KiB"} // a quarter of an hour
		s.Route.Timeout = 0
	})
	client := x.Dial()
	trace, field := proxytest.NewTrace()
	client.Send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
	client.ReadHead()
	client.Close()
	proxytest.Same(t, "flags", x.Hop(trace).Flags.String(), "DC")
}
