package views_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// Under load of all kinds, the views count the same.
func TestViewsAgree(t *testing.T) {
	t.Parallel()
	const clients, rounds = 6, 20
	l := proxytest.StartWithViews(t, proxytest.Answering(t, func(first string, _ []string) string {
		switch {
		case strings.Contains(first, "/fails"):
			return "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
		case strings.Contains(first, "/odd"):
			return "HTTP/0.7\r\n\r\n"
		case strings.Contains(first, "/goes"):
			return ""
		}
		return proxytest.OKResponse
	}), func(s *proxytest.Settings) { s.Route.Match.Methods = []string{"GET"} })

	requests := []string{"GET /fine", "GET /fails", "GET /odd", "GET /goes", "POST /nowhere", "BREW /nowhere"}
	var wg sync.WaitGroup
	for range clients {
		p := proxytest.Dial(t, l.Ingress())
		p.Fail = t.Errorf
		wg.Go(func() {
			defer p.Close()
			for range rounds {
				for _, r := range requests { // all of them at once: they are pipelined
					p.Send(r + " HTTP/1.1\r\nHost: web.test\r\n\r\n")
				}
				for range requests {
					p.ReadResponse("GET")
				}
			}
			p.Send("what?\r\n\r\n")
			p.ReadResponse("GET")
		})
	}
	wg.Wait()
	v := l.End(clients * (rounds*len(requests) + 1))

	lines, spans := map[string]float64{}, map[string]float64{}
	for _, one := range v.Lines {
		method := one.Text("method")
		if method == "BREW" {
			method = "_OTHER"
		}
		lines[fmt.Sprintf("%s %g %s", method, one.Number("status"), one.Text("flags"))]++
	}
	for _, s := range v.Kind(tracepb.Span_SPAN_KIND_SERVER) {
		a := s.Attributes
		spans[fmt.Sprintf("%s %s %s", a["http.request.method"], a["http.response.status_code"], a["hopscope.flags"])]++
	}
	for what, n := range map[string]float64{
		"GET 200 ": clients * rounds, "GET 500 ": clients * rounds, "GET 502 UPE": clients * rounds, "GET 503 UC": clients * rounds,
		"POST 404 NR": clients * rounds, "_OTHER 404 NR": clients * rounds, "_OTHER 400 DPE": clients,
	} {
		part := strings.Split(what, " ")
		counted := v.Metrics.Sum("hopscope_requests_total", "method", part[0], "code", part[1], "flag", part[2])
		if lines[what] != n || spans[what] != n || counted != n {
			t.Errorf("%s: %g lines, %g spans, %g counted; want %g", what, lines[what], spans[what], counted, n)
		}
	}
	proxytest.Same(t, "distinct outcomes in the log", len(lines), 7)
	proxytest.Same(t, "distinct outcomes in the spans", len(spans), 7)

	attempts, several := 0, 0
	for _, one := range v.Lines {
		list, _ := one["attempts"].([]any)
		attempts += len(list)
		if len(list) > 1 { // a connection of the pool was closed just then
			several += len(list)
		}
	}
	tried := 0
	for _, s := range v.Hops() {
		tried += len(v.Attempts(s))
	}
	proxytest.Same(t, "attempts in spans", tried, attempts)
	proxytest.Same(t, "CLIENT spans, of requests with several attempts", len(v.Kind(tracepb.Span_SPAN_KIND_CLIENT)), several)
	proxytest.Same(t, "attempts counted", v.Metrics.Sum("hopscope_attempts_total"), float64(attempts))
}

// The scrape that a person does by OpenMetrics carries the trace of a request.
func TestExemplarsLeadToTraces(t *testing.T) {
	t.Parallel()
	l := proxytest.StartWithViews(t, proxytest.RefusingAddress(t))
	proxytest.Get(l)
	l.Settle()
	text := l.Admin("/metrics", "application/openmetrics-text; version=1.0.0")
	one := l.End(1).Lines[0]
	for _, name := range []string{"http_server_request_duration_seconds_bucket", "hopscope_attempt_duration_seconds_bucket"} {
		found := false
		for metric := range strings.Lines(text) {
			found = found || strings.HasPrefix(metric, name) && strings.Contains(metric, fmt.Sprintf("# {trace_id=%q,span_id=%q}", one.Text("trace_id"), one.Text("span_id")))
		}
		if !found {
			t.Errorf("no exemplar of %s names trace %s and span %s", name, one.Text("trace_id"), one.Text("span_id"))
		}
	}
}
