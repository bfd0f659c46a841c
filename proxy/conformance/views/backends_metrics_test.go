package views_test

import (
	"fmt"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// A real Prometheus scrapes the admin API, and its queries tell what there is
// to know: rate, errors, duration, and the trace of an exemplar.
func TestPrometheusScrapes(t *testing.T) {
	t.Parallel()
	l := proxytest.StartWithViews(t, proxytest.Always("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")(t))
	proxytest.Get(l) // before the first scrape, so that a series is there to grow
	l.Settle()
	p := backends.Prometheus(t, l.AdminAddr().String())

	query := func(q string) (float64, error) {
		var answer struct {
			Data struct {
				Result []struct{ Value [2]any }
			}
		}
		if err := backends.Get(p.URL+"/api/v1/query?query="+url.QueryEscape(q), &answer); err != nil {
			return 0, err
		}
		if len(answer.Data.Result) != 1 {
			return 0, fmt.Errorf("%s: %d results, want 1", q, len(answer.Data.Result))
		}
		return strconv.ParseFloat(fmt.Sprint(answer.Data.Result[0].Value[1]), 64)
	}
	becomes := func(q string, is func(float64) bool) {
		t.Helper()
		backends.Await(t, 25*time.Second, func() error {
			v, err := query(q)
			if err == nil && !is(v) {
				err = fmt.Errorf("%s is %v", q, v)
			}
			return err
		})
	}
	const failed = `hopscope_requests_total{job="hopscope",service="front",direction="inbound",route="",cluster="web",method="GET",code="500"}`
	becomes(failed, func(v float64) bool { return v == 1 })
	for range 4 {
		proxytest.Get(l)
	}
	becomes(failed, func(v float64) bool { return v == 5 })
	becomes(`sum(rate(`+failed+`[1m]))`, func(v float64) bool { return v > 0 })
	becomes(`http_server_request_duration_seconds_count{service="front",http_response_status_code="500"}`, func(v float64) bool { return v == 5 })
	becomes(`histogram_quantile(0.99, sum by (le) (rate(hopscope_attempt_duration_seconds_bucket[1m])))`, func(v float64) bool { return v > 0 && v < 10 })
	becomes(`hopscope_failures_total{origin="endpoint",failed_hop="front",part="application",kind="error_response"}`, func(v float64) bool { return v == 5 })
	becomes(`absent(hopscope_telemetry_dropped_total)`, func(v float64) bool { return v == 1 }) // no series before its first event

	proxytest.Eventually(t, "the spans of all", func() bool { return len(l.Collector.All()) == 5 })
	traces := map[string]bool{}
	for _, one := range l.Collector.All() {
		traces[fmt.Sprintf("%x", one.TraceId)] = true
	}
	backends.Await(t, 10*time.Second, func() error {
		var answer struct {
			Data []struct {
				Exemplars []struct{ Labels map[string]string }
			}
		}
		now := time.Now()
		q := url.Values{"query": {"http_server_request_duration_seconds_bucket"}, "start": {fmt.Sprint(now.Add(-time.Minute).Unix())}, "end": {fmt.Sprint(now.Add(time.Minute).Unix())}}
		if err := backends.Get(p.URL+"/api/v1/query_exemplars?"+q.Encode(), &answer); err != nil {
			return err
		}
		seen := 0
		for _, series := range answer.Data {
			for _, e := range series.Exemplars {
				seen++
				if id := e.Labels["trace_id"]; !traces[id] {
					t.Errorf("an exemplar has trace %q, which is none of %v", id, traces)
				}
			}
		}
		if seen > 0 {
			return nil
		}
		return fmt.Errorf("no exemplar yet: %+v", answer)
	})
}
