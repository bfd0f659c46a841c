package limits_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/hopscope/hopscope/attack"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestSlowViewersKeepNobodyOut: viewers of a trace of a thousand hops who hardly read
// get the few places that there are, while Prometheus is served.
func TestSlowViewersKeepNobodyOut(t *testing.T) {
	r := proxytest.StartWithViews(t, proxytest.RefusingAddress(t))
	if err := attack.ManyHops(t.Context(), r.Ingress(), 1000); err != nil {
		t.Fatal(err)
	}
	admin := r.AdminAddr().String()
	r.FlushViews()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const viewers = 24 // fewer than the connections that the API takes
	done := make(chan attack.Viewed)
	go func() {
		viewed, err := attack.SlowViewers(ctx, admin, "/traces/"+attack.OneTrace, viewers)
		if err != nil {
			t.Error(err)
		}
		done <- viewed
	}()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: proxytest.Patience}
	full := func() bool {
		response, err := client.Get("http://" + admin + "/traces")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusServiceUnavailable
	}
	proxytest.Eventually(r.T, "all places are taken", full)
	response, err := client.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if n, err := io.Copy(io.Discard, response.Body); response.StatusCode != 200 || n == 0 || err != nil {
		t.Errorf("a scrape meanwhile: status %d, %d bytes, %v", response.StatusCode, n, err)
	}
	cancel()
	viewed := <-done
	if viewed.Shown > viewers/2 || viewed.Bytes > 20<<20 {
		t.Errorf("%+v", viewed)
	}
	proxytest.Eventually(r.T, "there are places again", func() bool { return !full() })
}

// TestOtherSitesAreServedNothing: what a page of another site asks of the admin API of a
// running proxy is refused.
func TestOtherSitesAreServedNothing(t *testing.T) {
	r := proxytest.StartWithViews(t, proxytest.RefusingAddress(t))
	served, err := attack.CrossSite(t.Context(), r.AdminAddr().String())
	if len(served) > 0 || err != nil {
		t.Errorf("served %q, %v", served, err)
	}
}

// TestStrangersOnTheSameHost: a TLS terminator on the proxy's host makes nobody the
// mesh's, nor does loopback give more attempts than the route has.
func TestStrangersOnTheSameHost(t *testing.T) {
	r := proxytest.Start(t, proxytest.Serve(t, attack.EchoFields))
	passed, err := attack.Strangers(t.Context(), r.Ingress())
	if len(passed) > 0 || err != nil {
		t.Errorf("%q passed, %v", passed, err)
	}

	tries := make(chan struct{}, 100)
	r = proxytest.Start(t, proxytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		tries <- struct{}{}
		w.WriteHeader(http.StatusServiceUnavailable)
	}), func(s *proxytest.Settings) { s.Cluster.Retry = proxytest.Retrying(2, "5xx") })
	if err := attack.Greedy(t.Context(), r.Ingress()); err != nil || len(tries) != 2 {
		t.Errorf("%d attempts, %v", len(tries), fmt.Sprint(err))
	}
}
