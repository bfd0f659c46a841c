package metrics_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/metrics"
)

// A real Prometheus takes what we give it: counters, histograms and exemplars.
func TestPrometheusScrapes(t *testing.T) {
	m := metrics.New(metrics.Options{NativeHistograms: true, Version: "1.2.3"})
	l := &hop.Labels{Service: "web", Route: "/api", Cluster: "app"}
	l.Metrics = m.Series(l)
	id := hop.TraceID{0xab, 15: 0xcd}
	for range 3 {
		m.Observe(&hop.Hop{Labels: l, Method: "GET", Status: 503, Flags: hop.UpstreamTimeout,
			Start: time.Now(), End: 20 * time.Millisecond, Trace: id, Keep: hop.KeepFailed,
			Attempts: []hop.Attempt{{Cluster: "app", Flags: hop.UpstreamTimeout, End: 20 * time.Millisecond}}})
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", m.Handler())
	target := httptest.NewServer(mux)
	defer target.Close()
	p := backends.Prometheus(t, target.Listener.Addr().String())

	for query, want := range map[string]string{
		`hopscope_requests_total{service="web",route="/api",cluster="app",method="GET",code="503",flag="UT"}`:      "3",
		`http_server_request_duration_seconds_bucket{le="0.025",http_response_status_code="503",error_type="503"}`: "3",
		`hopscope_attempt_duration_seconds_count{flag="UT",error_type="UT",direction="inbound"}`:                   "3",
		`hopscope_build_info{version="1.2.3"}`: "1",
	} {
		backends.Await(t, 20*time.Second, func() error {
			var answer struct {
				Data struct {
					Result []struct{ Value [2]any }
				}
			}
			if err := backends.Get(p.URL+"/api/v1/query?query="+url.QueryEscape(query), &answer); err != nil {
				return err
			}
			if r := answer.Data.Result; len(r) != 1 || r[0].Value[1] != want {
				return fmt.Errorf("%s: %v, want one sample of %s", query, r, want)
			}
			return nil
		})
	}
	backends.Await(t, 20*time.Second, func() error {
		var answer struct {
			Data []struct {
				Exemplars []struct{ Labels map[string]string }
			}
		}
		now := time.Now()
		if err := backends.Get(fmt.Sprintf("%s/api/v1/query_exemplars?query=%s&start=%d&end=%d", p.URL,
			"http_server_request_duration_seconds_bucket", now.Add(-time.Minute).Unix(), now.Add(time.Minute).Unix()), &answer); err != nil {
			return err
		}
		for _, series := range answer.Data {
			for _, e := range series.Exemplars {
				if e.Labels["trace_id"] == id.String() {
					return nil
				}
			}
		}
		return fmt.Errorf("no exemplar names trace %s: %v", id, answer.Data)
	})
}
