package metrics

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// failing is a request that entered here and failed.
func failing(l *hop.Labels, f hop.Failure) *hop.Hop {
	return &hop.Hop{Labels: l, Method: "GET", Status: 503, Start: began, End: time.Second, Entry: true, Failure: f,
		Trace: hop.TraceID{0xab, 15: 1}, Span: hop.SpanID{0xac}, Keep: hop.KeepFailed}
}

func TestBlame(t *testing.T) {
	m := New(Options{})
	l := labels("/", "app")
	l.Metrics = m.Series(l)
	bank := hop.Failure{Origin: hop.OriginRelayed, Hop: "bank", Caller: "payments", Part: hop.PartNetwork, Kind: "connect_refused"}
	seen := func(change func(*hop.Hop)) {
		h := failing(l, bank)
		change(h)
		m.Observe(h)
	}
	seen(func(*hop.Hop) {})
	seen(func(h *hop.Hop) { h.Labels = labels("/other", "app") })
	seen(func(h *hop.Hop) { h.Failure.Caller = "bank" })
	seen(func(h *hop.Hop) { h.Failure = hop.Failure{} })                               // nobody said
	seen(func(h *hop.Hop) { h.Status, h.GRPC, h.GRPCStatus = 200, true, 14+1 })        // UNAVAILABLE
	seen(func(h *hop.Hop) { h.Entry = false })                                         // it counts elsewhere
	seen(func(h *hop.Hop) { h.Status = 200 })                                          // slow
	seen(func(h *hop.Hop) { h.Status = 499; h.Failure.Origin = hop.OriginDownstream }) // the client gave up
	seen(func(h *hop.Hop) { h.Kind = hop.KindConnection })
	want := map[string]float64{
		"culprit=payments -> bank,kind=connect_refused,part=network,service=web": 3,
		"culprit=bank,kind=connect_refused,part=network,service=web":             1,
		"culprit=web,kind=error_response,part=application,service=web":           1,
	}
	if diff := cmp.Diff(want, samples(parse(t, m)["hopscope_blame_total"])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	body, _ := get(t, m, "application/openmetrics-text;version=1.0.0")
	for _, want := range []string{
		`hopscope_blame_total{culprit="bank",kind="connect_refused",part="network",service="web"} 1.0 # {trace_id="ab000000000000000000000000000001",span_id="ac00000000000000"} 1.0 1.772600768e+09`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
	if n := testing.AllocsPerRun(100, func() { m.Observe(failing(l, bank)) }); n > 1 { // the hop itself
		t.Errorf("%v allocations", n)
	}
}

// TestBlameIsBounded: what others call themselves makes no more series than there is room
// for, and a reload keeps what was counted.
func TestBlameIsBounded(t *testing.T) {
	m := New(Options{})
	l := labels("/", "app")
	l.Metrics = m.Series(l)
	n := 0
	for i := range 3 * maxEdges {
		for _, f := range []hop.Failure{
			{Origin: hop.OriginRelayed, Hop: fmt.Sprint("s", i), Kind: "k"}, {Origin: hop.OriginRelayed, Hop: "s1", Caller: fmt.Sprint("c", i), Kind: "k"},
			{Origin: hop.OriginRelayed, Hop: "s2", Kind: fmt.Sprint("k", i)}, {Origin: hop.OriginRelayed, Hop: fmt.Sprint("s", i%maxEdges), Kind: fmt.Sprint("k", i%7)},
			{Origin: hop.OriginRelayed, Hop: strings.Repeat("x", maxName+1), Kind: strings.Repeat("x", maxName+1)},
		} {
			m.Observe(failing(l, f))
			n++
		}
	}
	for _, when := range []string{"before", "after"} {
		got, sum := samples(parse(t, m)["hopscope_blame_total"]), 0.0
		for _, v := range got {
			sum += v
		}
		if len(got) > maxBlamed+1 || sum != float64(n) {
			t.Errorf("%s a reload: %d series, %v requests, want %d", when, len(got), sum, n)
		}
		m.Retain([]*hop.Labels{labels("/new", "app")})
	}
	m.Retain(nil)
	if got := samples(parse(t, m)["hopscope_blame_total"]); len(got) != 0 {
		t.Errorf("of a service that is gone: %v", got)
	}
}
