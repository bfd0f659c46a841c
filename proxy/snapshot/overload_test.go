package snapshot_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/attack"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/overload"
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/proxy/snapshot"
)

// little is as much memory as a proxy in a small container has.
func little(s *proxytest.Settings) { s.Config.Overload.MaxMemoryBytes = 16 << 20 }

// stalling is an endpoint that never answers /stall, nor reads what is sent there, has
// much to say at /big, and little elsewhere.
func stalling(t *testing.T) string {
	t.Helper()
	big := bytes.Repeat([]byte("x"), 1<<20)
	stop := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/stall", func(_ http.ResponseWriter, r *http.Request) { <-stop })
	mux.HandleFunc("/big", func(w http.ResponseWriter, _ *http.Request) { w.Write(big) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "hello")
	})
	s := httptest.NewServer(mux)
	t.Cleanup(func() {
		close(stop)
		s.Close()
	})
	return strings.TrimPrefix(s.URL, "http://")
}

// TestMemoryUnderAttack: whatever hostile clients make a proxy hold stays near its
// budget, honest clients are served meanwhile, and all of it is given back.
func TestMemoryUnderAttack(t *testing.T) {
	for _, tt := range []struct {
		name   string
		attack func(ctx context.Context, addr string, n *attack.Tally) error
	}{
		{"heavy uploads", func(ctx context.Context, addr string, n *attack.Tally) error {
			return attack.HeavyUploads(ctx, addr, "/stall", 7, 100, 64<<10, n)
		}},
		{"heavy heads", func(ctx context.Context, addr string, n *attack.Tally) error {
			return attack.HeavyHeads(ctx, addr, 200, 60000, n)
		}},
		{"slowloris", func(ctx context.Context, addr string, n *attack.Tally) error {
			return attack.Slowloris(ctx, addr, 500, n)
		}},
		{"stalled streams", func(ctx context.Context, addr string, n *attack.Tally) error {
			return attack.StalledStreams(ctx, addr, "/big", 50, 100, false, n)
		}},
		{"stalled streams of clients that do not read", func(ctx context.Context, addr string, n *attack.Tally) error {
			return attack.StalledStreams(ctx, addr, "/big", 50, 100, true, n)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxytest.NoLeaks(t)
			r := proxytest.Start(t, stalling(t), little)
			budget := r.Budget()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			done := make(chan error, 1)
			var tally attack.Tally
			go func() { done <- tt.attack(ctx, r.Ingress(), &tally) }()
			peak := int64(0)
			watch := func() { peak = max(peak, budget.Used()) }
			proxytest.Eventually(r.T, "something to be refused", func() bool {
				watch()
				n := uint64(0)
				for _, refusal := range overload.Refusals {
					n += budget.Refused(refusal)
				}
				return n > 0
			})
			honest(r, watch)
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if limit := budget.Limit(); peak > 2*limit {
				t.Errorf("clients made the proxy hold %d bytes, where %d is the limit", peak, limit)
			}
			proxytest.Eventually(r.T, "all memory to be given back", func() bool { return budget.Used() == 0 })
		})
	}
}

// honest has clients of each kind ask until each was answered well several times: an
// honest one may be refused, and asks again.
func honest(r *proxytest.Proxy, meanwhile func()) {
	r.T.Helper()
	for _, protocol := range []string{"HTTP/1.1", "HTTP/1.1 over fresh connections", "HTTP/2"} {
		transport := &http.Transport{Protocols: new(http.Protocols), DisableKeepAlives: strings.Contains(protocol, "fresh")}
		transport.Protocols.SetHTTP1(protocol != "HTTP/2")
		transport.Protocols.SetUnencryptedHTTP2(protocol == "HTTP/2")
		client := &http.Client{Transport: transport, Timeout: proxytest.Patience}
		answered := 0
		proxytest.Eventually(r.T, "answers over "+protocol, func() bool {
			meanwhile()
			response, err := client.Post("http://"+r.Ingress()+"/", "text/plain", strings.NewReader(strings.Repeat("x", 20000)))
			if err != nil {
				return false
			}
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			if err == nil && response.StatusCode == 200 && string(text) == "hello" {
				answered++
			}
			return answered == 5
		})
		transport.CloseIdleConnections()
	}
}

// TestShortageIsLogged: the log tells of refusals, and not of each.
func TestShortageIsLogged(t *testing.T) {
	proxytest.NoLeaks(t)
	c := config.New()
	c.Service, c.Admin.Address, c.Telemetry.AccessLog.Path = "web", "off", "off"
	egress := config.NewListener("egress", proxytest.OwnAddress())
	egress.ForwardProxy = config.NewForwardProxy()
	c.Listeners = []config.Listener{egress}
	var log proxytest.Log
	start := time.Now()
	p, err := snapshot.Start(c, snapshot.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	r := &proxytest.Proxy{T: t, Proxy: p}
	t.Cleanup(func() { r.CloseWithin(0) })
	const told = "memory is short"
	for range 10000 {
		p.Budget().Refuse(overload.Stream)
	}
	proxytest.Eventually(r.T, "a line of the log", func() bool { return strings.Count(log.String(), told) > 0 })
	for range 10000 {
		p.Budget().Refuse(overload.Stream)
	}
	if n, most := strings.Count(log.String(), told), 2+int(time.Since(start)/(10*time.Second)); n > most {
		t.Errorf("%d lines tell of it, want %d at most", n, most)
	}
}

// TestMemoryIsReloaded: the budget goes by the present configuration.
func TestMemoryIsReloaded(t *testing.T) {
	proxytest.NoLeaks(t)
	r := proxytest.Start(t, stalling(t), little)
	if got := r.Budget().Limit(); got != 4<<20 {
		t.Errorf("the budget is %d bytes of 16777216", got)
	}
	next := *r.Config()
	next.Overload.MaxMemoryBytes = 64 << 20
	if _, err := r.Reload(&next); err != nil {
		t.Fatal(err)
	}
	if got := r.Budget().Limit(); got != 16<<20 {
		t.Errorf("the budget is %d bytes of 67108864 after the reload", got)
	}
}
