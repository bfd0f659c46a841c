package snapshot_test

import (
	"bufio"
	"context"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/hopscope/hopscope/mesh/top"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestPagesUnderLoad holds many pages of the console open while requests pass: some read
// what happens live, some do not read what they asked for, others ask for all there is, over
// and over. Every request goes through and is counted, and what the pages take is bounded.
func TestPagesUnderLoad(t *testing.T) {
	proxytest.NoLeaks(t)
	address := proxytest.Serve(t, proxytest.Echo)
	rig := proxytest.StartConfig(t, proxytest.NewConfig(t, address, func(c *config.Config) { c.Admin.Address = "127.0.0.1:0" }))
	// The admin server has room for 32 connections, and closes one for every other.
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 30}}
	defer client.CloseIdleConnections()
	before := runtime.NumGoroutine()

	pages, leave := context.WithCancel(t.Context())
	var open, asking sync.WaitGroup
	ask := func(path string) *http.Response {
		r, err := http.NewRequestWithContext(pages, "GET", "http://"+rig.AdminAddr().String()+path, nil)
		if err != nil {
			panic(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return &http.Response{Body: http.NoBody}
		}
		return resp
	}
	const streams = 16
	for i := range streams {
		resp := ask("/v1/mesh/tail?rate=1000")
		lines := bufio.NewScanner(resp.Body)
		if resp.StatusCode != 200 || !lines.Scan() || lines.Text() != "{}" {
			t.Fatalf("stream %d: %s, %q", i, resp.Status, lines.Text())
		}
		open.Go(func() {
			defer resp.Body.Close()
			if i%2 == 0 { // the others do not read
				for lines.Scan() {
				}
			}
			<-pages.Done()
		})
	}
	more := ask("/v1/mesh/tail")
	if more.Body.Close(); more.StatusCode != 503 {
		t.Errorf("one stream more: %s", more.Status)
	}
	const rounds = 5
	paths := []string{"/v1/mesh/why", "/v1/mesh/series", "/v1/mesh/traces?limit=1000", "/v1/mesh/events", "/v1/mesh/active", "/v1/mesh/peers", "/v1/config", "/v1/words", "/v1/session", "/console/"}
	for i := range 2 * len(paths) {
		asking.Go(func() {
			for range rounds {
				resp := ask(paths[i%len(paths)])
				if resp.StatusCode != 200 && resp.StatusCode != 503 { // 503 is what bounds it
					t.Errorf("%s: %s", paths[i%len(paths)], resp.Status)
				}
				proxytest.Finish(resp)
			}
		})
	}

	const clients, requests = 8, 100
	most := 0
	var sent sync.WaitGroup
	for range clients {
		sent.Go(func() {
			for range requests {
				resp, err := client.Post("http://"+rig.Ingress()+"/", "text/plain", strings.NewReader("hello"))
				if err != nil || resp.StatusCode != 200 {
					t.Errorf("a request failed: %v, %v", resp, err)
					return
				}
				proxytest.Finish(resp)
			}
		})
	}
	sent.Go(func() {
		for range requests {
			most = max(most, runtime.NumGoroutine())
			runtime.Gosched()
		}
	})
	sent.Wait()
	asking.Wait()
	proxytest.Eventually(t, "all requests are counted", func() bool {
		var counts top.Counts
		rig.FlushViews()
		rig.AdminJSON("/v1/top", &counts)
		return len(counts.Edges) == 1 && counts.Edges[0].Requests == clients*requests
	})
	// Each connection has two goroutines at its client here and two at the proxy.
	if few := 4*(streams+2*len(paths)+clients) + 100; most-before > few {
		t.Errorf("%d goroutines, and %d before", most, before)
	}
	leave()
	open.Wait()
}
