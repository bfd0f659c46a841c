package store

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/telemetry/hop"
)

func TestQueries(t *testing.T) {
	s := New(1 << 20)
	other := &hop.Labels{Service: "api", Route: "/v1/", Slow: time.Second}
	at := func(n uint64, change func(h *hop.Hop)) {
		s.Observe(newHop(number(n), func(h *hop.Hop) {
			h.Start = start.Add(time.Duration(n) * time.Minute)
			if change != nil {
				change(h)
			}
		}))
	}
	at(1, nil)
	at(2, failed)
	at(3, func(h *hop.Hop) { h.End = 3 * time.Second })
	at(4, func(h *hop.Hop) { h.Labels = other })
	at(5, func(h *hop.Hop) { h.Labels = other; failed(h) })
	at(1, func(h *hop.Hop) { h.Labels, h.Span, h.Parent = other, hop.SpanID{3}, hop.SpanID{2} }) // trace 1 goes on
	for _, tt := range []struct {
		name  string
		query Query
		want  []uint64
	}{
		{"all, the one with the latest hop first", Query{}, []uint64{1, 5, 4, 3, 2}},
		{"limit", Query{Limit: 2}, []uint64{1, 5}},
		{"failed", Query{Failed: true}, []uint64{5, 2}},
		{"slow", Query{Slow: true}, []uint64{3}},
		{"failed or slow", Query{Failed: true, Slow: true}, []uint64{5, 3, 2}},
		{"failed, limit", Query{Failed: true, Limit: 1}, []uint64{5}},
		{"service", Query{Service: "api"}, []uint64{1, 5, 4}},
		{"service, limit", Query{Service: "web", Limit: 2}, []uint64{1, 3}},
		{"service and route of one hop", Query{Service: "web", Route: "/v1/"}, nil},
		{"route", Query{Route: "/v1/", Failed: true}, []uint64{5}},
		{"culprit", Query{Culprit: "cart"}, []uint64{5, 2}},
		{"an edge", Query{Culprit: "api -> cart", Limit: 1}, []uint64{5}},
		{"culprit that made nothing fail", Query{Culprit: "web"}, nil},
		{"since", Query{Since: start.Add(4 * time.Minute)}, []uint64{5, 4}},
		{"status", Query{Status: 503}, []uint64{5, 2}},
		{"class of statuses", Query{Status: 5, Service: "api"}, []uint64{5}},
		{"duration", Query{Min: time.Second, Max: 4 * time.Second}, []uint64{3}},
		{"too short", Query{Max: time.Second, Limit: 1}, []uint64{1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []hop.TraceID
			for _, sum := range s.Traces(tt.query) {
				got = append(got, sum.Trace)
			}
			var want []hop.TraceID
			for _, n := range tt.want {
				want = append(want, number(n))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestQueriesOfOneHop(t *testing.T) {
	s := New(1 << 20)
	s.Observe(newHop(number(1), func(h *hop.Hop) {
		h.Flags, h.Template, h.Attempts[0].Endpoint = hop.UpstreamConnectionFailure|hop.RetriesExhausted, "/a/{id}", "10.9.8.7:80"
		failed(h)
		h.Failure.Reason = "connection refused by Bank"
	}))
	for _, q := range []Query{{Flag: hop.RetriesExhausted}, {Route: "/a/{id}"}, {Text: "/OF/some"}, {Text: "10.9.8.7"}, {Text: "by bank", Failed: true}, {Text: "{id}", Limit: 1}} {
		if found := s.Traces(q); len(found) != 1 {
			t.Errorf("%+v finds %d", q, len(found))
		}
	}
	for _, q := range []Query{{Flag: hop.NoRoute}, {Route: "/a/"}, {Text: "nowhere"}} {
		if found := s.Traces(q); len(found) != 0 {
			t.Errorf("%+v finds %d", q, len(found))
		}
	}
}

// Three hops of a mesh in one process, in the order in which they end: the
// deepest first.
func TestSummary(t *testing.T) {
	s := New(1 << 20)
	id := number(9)
	add := func(span, parent byte, offset, length time.Duration, change func(h *hop.Hop)) {
		s.Observe(newHop(id, func(h *hop.Hop) {
			h.Span, h.Parent = hop.SpanID{span}, hop.SpanID{parent}
			h.Attempts[0].Span = hop.SpanID{span + 1}
			h.Start, h.End, h.Status = start.Add(offset), length, 503
			change(h)
		}))
	}
	made := hop.Failure{Origin: hop.OriginProxy, Hop: "cart", Part: hop.PartApplication, Kind: "connect_refused", Caller: "web", Endpoint: "10.0.0.3:80", Reason: "10.0.0.3:80: connection refused"}
	relayed := hop.Failure{Origin: hop.OriginRelayed, Hop: "cart", Reason: "relayed from cart"}
	add(30, 21, 3*time.Millisecond, time.Millisecond, func(h *hop.Hop) {
		h.Failure, h.Flags = made, hop.UpstreamConnectionFailure
	})
	add(10, 7, 0, 40*time.Millisecond, func(h *hop.Hop) { // its parent, 7, is no hop of ours
		h.Failure = relayed
		h.SetString(&h.Host, "shop.example")
	})
	add(20, 11, -time.Millisecond, 30*time.Millisecond, func(h *hop.Hop) { h.Failure = relayed }) // its clock is behind
	sums := s.Traces(Query{})
	if len(sums) != 1 {
		t.Fatalf("%d traces, want 1", len(sums))
	}
	got, err := json.Marshal(sums[0])
	if err != nil {
		t.Fatal(err)
	}
	want := `{"trace_id":"` + id.String() + `","service":"web","direction":"inbound","route":"/","method":"GET",` +
		`"host":"shop.example","path":"/a/path/of/some/length","start":"2023-11-14T22:13:20Z","duration_ns":40000000,` +
		`"status":503,"flags":"UF","failed":true,"slow":false,"failed_hop":"cart",` +
		`"failure_reason":"10.0.0.3:80: connection refused",` +
		`"culprit":{"service":"cart","instance":"10.0.0.3:80","part":"application","kind":"connect_refused","edge":"web -\u003e cart","caller":"web"},"hops":3}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if sums[0].Root.Span != (hop.SpanID{10}) {
		t.Errorf("the root-most hop is %s", sums[0].Root.Span)
	}
}

// A gRPC call that failed is one, though its HTTP status is 200.
func TestSummaryOfACall(t *testing.T) {
	s := New(1 << 20)
	s.Observe(newHop(number(9), func(h *hop.Hop) { h.GRPC, h.GRPCStatus = true, hop.GRPCStatusOf(14) }))
	s.Observe(newHop(number(8), func(h *hop.Hop) { h.GRPC, h.GRPCStatus = true, hop.GRPCStatusOf(0) }))
	sums := s.Traces(Query{Failed: true})
	if len(sums) != 1 || !sums[0].Failed || sums[0].GRPCStatus.String() != "UNAVAILABLE" {
		t.Fatalf("failed traces: %+v", sums)
	}
	got, err := json.Marshal(sums[0])
	if want := `"status":200,"grpc_status":14,"grpc_status_name":"UNAVAILABLE","failed":true`; err != nil || !strings.Contains(string(got), want) {
		t.Errorf("%s, %v: no %s", got, err, want)
	}
}

// TestSummariesAreShort: a list of a thousand traces has little of each, whatever the
// requests were.
func TestSummariesAreShort(t *testing.T) {
	h := &hop.Hop{Labels: &hop.Labels{Service: "web"}, Trace: hop.TraceID{1}}
	h.SetString(&h.Path, "/"+strings.Repeat("é", hop.MaxText))
	h.SetString(&h.Host, strings.Repeat("h", maxShown))
	text, err := json.Marshal(Summarize([]*hop.Hop{h}))
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Host, Path string }
	if err := json.Unmarshal(text, &got); err != nil || len(got.Path) > maxShown+len("…") || !strings.HasSuffix(got.Path, "é…") || len(got.Host) != maxShown {
		t.Errorf("%v, %d bytes of a path that ends in %q, %d of a host", err, len(got.Path), got.Path[len(got.Path)-5:], len(got.Host))
	}
}

// TestMirrorsAreNoFailures: a copy of a request, which nobody waits for, makes its trace
// neither failed nor slow, and has no claim to be kept.
func TestMirrorsAreNoFailures(t *testing.T) {
	s := New(1 << 20)
	s.Observe(newHop(number(1), func(h *hop.Hop) {
		h.Labels, h.Span, h.Parent = &hop.Labels{Service: "web", Direction: hop.Mirror, Slow: time.Second}, hop.SpanID{3}, hop.SpanID{1}
		h.Start, h.End, h.Flags = start.Add(-time.Second), time.Minute, hop.UpstreamConnectionFailure
		failed(h)
	}))
	s.Observe(newHop(number(1), nil))
	check(t, s)
	all := s.Traces(Query{})
	if len(all) != 1 || all[0].Failed || all[0].Slow || all[0].Flags != 0 || all[0].Root.Labels != labels || all[0].Failure != (hop.Failure{}) || all[0].Hops != 2 {
		t.Errorf("%+v", all)
	}
	if found := s.Traces(Query{Failed: true, Slow: true}); len(found) != 0 {
		t.Errorf("%d traces failed", len(found))
	}
	if n := s.halves[notable].hops; n != 0 {
		t.Errorf("%d hops are notable", n)
	}
}
