package demo

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/store"
)

// observe records a request at the entry, and the failing or slow call behind
// it, each in the store of its own sidecar.
func observe(t traces, id byte, start time.Time, failed, slow bool) {
	web := &hop.Hop{
		Labels: &hop.Labels{Service: entry, Slow: time.Second}, Trace: hop.TraceID{id}, Span: hop.SpanID{1},
		Parent: hop.SpanID{9}, // the one who asked had a trace already
		Start:  start, End: 100 * time.Millisecond, Method: "GET", Status: 200,
		Attempts: []hop.Attempt{{Span: hop.SpanID{2}, End: 99 * time.Millisecond, Status: 200, Endpoint: "127.0.0.1:1"}},
	}
	pay := &hop.Hop{
		Labels: &hop.Labels{Service: "payments", Direction: hop.Outbound}, Trace: hop.TraceID{id}, Span: hop.SpanID{3},
		Parent: hop.SpanID{2}, Start: start, End: 90 * time.Millisecond, Method: "GET", Status: 200,
		Attempts: []hop.Attempt{{Span: hop.SpanID{4}, End: 89 * time.Millisecond, Status: 200, Endpoint: "127.0.0.1:2", Cluster: "bank"}},
	}
	if failed {
		web.Status, web.Attempts[0].Status = 502, 502
		pay.Status, pay.Flags, pay.ProxyError = 503, hop.UpstreamConnectionFailure, "connection_refused"
		pay.Attempts[0].Status, pay.Attempts[0].Flags = 0, hop.UpstreamConnectionFailure
		pay.Attempts[0].ProxyError, pay.Attempts[0].Reason = "connection_refused", "connection refused by 127.0.0.1:2"
	}
	if slow {
		web.End, web.Attempts[0].End = 2*time.Second, 2*time.Second
	}
	t[0].Observe(pay)
	t[1].Observe(web)
}

func TestReport(t *testing.T) {
	now := time.Now()
	all := traces{store.New(1 << 20), store.New(1 << 20)}
	var out bytes.Buffer
	r := newReport(&out, all, "http://127.0.0.1:9901/", false)

	observe(all, 1, now.Add(-10*time.Second), true, false)
	observe(all, 2, now.Add(-9*time.Second), true, false)
	observe(all, 3, now.Add(-8*time.Second), false, true)
	observe(all, 4, now.Add(-7*time.Second), false, false)
	observe(all, 5, now, true, false) // not over yet, by the time of the first look
	r.look(now, now)
	first := out.String()
	if strings.Count(first, "trace ") != 1 || !strings.Contains(first, "FAILED  payments -> bank (connection refused)\n") ||
		!strings.Contains(first, "  http://127.0.0.1:9901/traces/01000000000000000000000000000000\n") {
		t.Errorf("the first look draws the first trace alone:\n%s", first)
	}
	r.look(now, now)
	if out.String() != first {
		t.Errorf("a second look finds the same again:\n%s", out.String())
	}
	out.Reset()
	r.look(now.Add(blockEvery), now.Add(time.Second))
	if got := out.String(); !strings.Contains(got, "/traces/05") || !strings.Contains(got, "1 more failed, 1 more slow") {
		t.Errorf("a later look draws the next, and counts what was left out:\n%s", got)
	}
	out.Reset()
	r.summary(5, 15*time.Second)
	const want = `After 15s: 5 requests
  failing hop: payments -> bank (connection refused), 3 of 5 requests
  slow hop:    web (up to 1.9 s), 1 of 5 requests

`
	if out.String() != want {
		t.Errorf("summary:\n%s\nwant:\n%s", out.String(), want)
	}
	out.Reset()
	newReport(&out, nil, "", false).summary(0, time.Second)
	if !strings.Contains(out.String(), "no request failed or was slow") {
		t.Errorf("summary of nothing:\n%s", out.String())
	}
	r.look(now.Add(3*window), now.Add(3*window))
	if len(r.seen) != 0 {
		t.Errorf("%d traces are remembered for ever", len(r.seen))
	}
}

// TestTracesOfAll asks for what no single sidecar can tell.
func TestTracesOfAll(t *testing.T) {
	all := traces{store.New(1 << 20), store.New(1 << 20)}
	now := time.Now()
	observe(all, 1, now.Add(-time.Minute), true, false)
	observe(all, 2, now, false, true)
	observe(all, 3, now, false, false)
	for _, c := range []struct {
		q    store.Query
		want int
	}{
		{store.Query{}, 3},
		{store.Query{Limit: 2}, 2},
		{store.Query{Failed: true}, 1},
		{store.Query{Failed: true, Slow: true}, 2},
		{store.Query{Slow: true, Service: "payments"}, 1}, // web is slow, payments is not
		{store.Query{Failed: true, Service: "nobody"}, 0},
		{store.Query{Route: "none"}, 0},
		{store.Query{Since: now.Add(-time.Second)}, 2},
	} {
		if got := all.find(c.q); len(got) != c.want {
			t.Errorf("%+v: %d traces, want %d", c.q, len(got), c.want)
		}
	}
	got := all.find(store.Query{Failed: true})[0]
	if got.Hops != 2 || got.Root.Labels.Service != entry || got.Status != 502 || !got.Failed || got.Failure.Hop != "bank" ||
		got.Flags != hop.UpstreamConnectionFailure {
		t.Errorf("%+v", got)
	}
}
