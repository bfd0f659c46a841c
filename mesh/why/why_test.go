package why

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/telemetry/events"
	"github.com/hopscope/hopscope/telemetry/hop"
)

func refused(h *hop.Hop) { refuse(h, "bank") }

// banks are the instances in turn.
func banks(i int) string { return fmt.Sprintf("10.0.3.%d:443", 7+i%3) }

// TestWhy: one of three instances of a service without a proxy refuses connections, deep
// in the mesh.
func TestWhy(t *testing.T) {
	s := newShop(t)
	s.payments.events.Note(events.Event{Time: epoch.Add(62 * time.Second), Kind: events.Reload, Service: "payments", Text: "a new configuration is in use"})
	s.payments.events.Note(events.Event{Time: epoch.Add(67 * time.Second), Kind: events.EndpointEjected, Service: "payments", Cluster: "bank", Endpoint: "10.0.3.7:443", Text: "it was ejected"})
	for _, p := range []*sidecar{s.web, s.payments} {
		p.events.Note(events.Event{Time: epoch.Add(-time.Minute), Kind: events.Start, Service: p.service, Text: "the proxy started"})
		p.events.Note(events.Event{Time: epoch.Add(-59 * time.Second), Kind: events.EndpointsChanged, Service: p.service, Text: "which is no news"})
	}
	var last hop.TraceID
	for i := range 900 {
		change := func(*hop.Hop) {}
		if i >= 650 && i%3 == 0 {
			change = refused
		}
		id := s.buy([]string{"/buy", "/browse"}[i%2], time.Duration(i)*100*time.Millisecond, banks(i), change)
		if i >= 650 && i%3 == 0 {
			last = id
		}
	}
	r := s.report(2 * time.Minute)
	if r.Failed != 83 || r.Requests != 900 || r.Recovered != 0 || !r.Exact || len(r.Causes) != 1 || len(r.Notes) != 0 || len(r.Lost) != 0 {
		t.Fatalf("%+v\n%s", r, r.text())
	}
	c := r.Causes[0]
	if want := (Culprit{"bank", "10.0.3.7:443", "application", "connect_refused", "payments -> bank", "payments"}); c.Culprit != want {
		t.Errorf("culprit %+v", c.Culprit)
	}
	if c.Reason != "connection refused by 10.0.3.7:443" || c.Requests != 83 || c.Share != 1 || c.TraceID != last.String() || c.FirstIsLate {
		t.Errorf("%+v", c)
	}
	if diff := cmp.Diff([]Suffering{{"web", "GET", "/browse", 42, 450}, {"web", "GET", "/buy", 41, 450}}, c.Suffering); diff != "" {
		t.Error("(-want +got):\n" + diff)
	}
	var common []string
	for _, what := range c.Common {
		common = append(common, what.Text)
	}
	if len(common) == 0 || common[0] != "endpoint 10.0.3.7:443, only 1 of 3: all of the failures, 27 % of what went well" || c.Common[1].Dimension != "version" || c.Common[2].Dimension != "zone" {
		t.Errorf("in common: %q", common)
	}
	want := `83 of 900 requests failed (9.2 %) in the last 2m

1. 100 % of 83 failed requests: payments -> bank, connection refused by 10.0.3.7:443, since 10:31:05
   at fault: bank, its application
   83, the last 30s ago
   fails:   42 of 450 GET /browse at web
            41 of 450 GET /buy at web
   through: checkout, web
   common:  endpoint 10.0.3.7:443, only 1 of 3: all of the failures, 27 % of what went well
            version v2, only 1 of 2: all of the failures, 27 % of what went well
            zone a, only 1 of 2: all of the failures, 27 % of what went well
   changed: 10:31:02, 3s before, at payments: a new configuration is in use
            10:29:00, 2m5s before, at web, payments: the proxy started
   then:    10:31:07, 2s after, at payments: it was ejected
   next:    hopscope trace ` + last.String() + `

not at fault, they only relayed failures: checkout, web
`
	if diff := cmp.Diff(want, r.text()); diff != "" {
		t.Error("(-want +got):\n" + diff)
	}
	if want := "100 % of 83 failed requests: payments -> bank, connection refused by 10.0.3.7:443, since 10:31:05"; r.Verdict != want {
		t.Errorf("verdict %q", r.Verdict)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

func TestNothingFails(t *testing.T) {
	s := newShop(t)
	if r := s.report(time.Minute); r.Verdict != "no requests" || r.text() != "no requests in the last 1m\n" {
		t.Errorf("%s: %q", r.Verdict, r.text())
	}
	for i := range 1234 {
		s.buy("/buy", time.Duration(i)*time.Millisecond, banks(i), nil)
	}
	want := "nothing failed: 1,234 requests in the last 10m\n   checkout: 1,234 requests\n   payments: 1,234 requests\n   web: 1,234 requests\n"
	if r := s.report(10 * time.Minute); r.Failed != 0 || r.Requests != 1234 || r.Verdict != "nothing failed" || r.text() != want {
		t.Errorf("%s\n%s", r.Verdict, r.text())
	}
}

// TestRecovered: a failure that a retry, or an application, made good is no failed request.
func TestRecovered(t *testing.T) {
	s := newShop(t)
	for i := range 30 {
		s.buy("/buy", time.Duration(i)*time.Second, banks(i), func(h *hop.Hop) {
			if i >= 10 {
				return
			}
			refuse(h, "bank") // the first attempt
			again := h.Attempt()
			again.Span, again.Endpoint, again.Status = span(), "10.0.3.9:443", 200
			h.Status, h.Flags, h.ProxyError, h.Details, h.Failure = 200, 0, "", "", hop.Failure{}
		})
	}
	// payments answers all the same.
	for i := range 5 {
		id, start := trace(), epoch.Add(time.Minute+time.Duration(i)*time.Second)
		in := at(s.payments.label(hop.Inbound, "/pay", "payments"), id, hop.SpanID{}, start, "127.0.0.1:3000", 200)
		call := at(s.payments.label(hop.Outbound, "fraud", "fraud"), id, in.LastAttempt().Span, start.Add(time.Millisecond), "10.0.9.9:80", 500)
		call.End = 5 * time.Millisecond
		call.Failure = hop.Failure{Origin: hop.OriginEndpoint, Hop: "fraud", Part: hop.PartApplication, Kind: "error_response", Caller: "payments", Endpoint: "10.0.9.9:80", Reason: "10.0.9.9:80 answered 500"}
		s.payments.observe(call)
		s.payments.observe(in)
	}
	r := s.report(2 * time.Minute)
	if r.Failed != 0 || r.Recovered != 15 || r.Requests != 35 || len(r.Causes) != 0 || len(r.Mended) != 2 {
		t.Fatalf("%+v", r)
	}
	if c := r.Mended[0]; c.Culprit.Edge != "payments -> bank" || c.Requests != 10 || c.Culprit.Kind != "connect_refused" {
		t.Errorf("%+v", c)
	}
	if c := r.Mended[1]; c.Culprit.Edge != "payments -> fraud" || c.Requests != 5 {
		t.Errorf("%+v", c)
	}
	if text := r.text(); !strings.Contains(text, "15 more requests had a failure inside, and recovered; 10 of them: payments -> bank, connection\nrefused by 10.0.3.") {
		t.Error(text)
	}
}

// TestEachRequestCountsOnce: by the root, whatever proxies were asked, and whoever called.
func TestEachRequestCountsOnce(t *testing.T) {
	s := newShop(t)
	for i := range 20 {
		s.buy("/buy", time.Duration(i)*time.Second, banks(0), refused)
	}
	for n, all := range [][]*sidecar{{s.web, s.checkout, s.payments}, {s.payments, s.web}, {s.checkout}, {s.payments}, {s.payments, s.payments, s.web, s.web}} {
		var digests []*Digest
		for _, p := range all {
			digests = append(digests, p.digest(t, epoch.Add(time.Minute)))
		}
		r := Merge(digests)
		if r.Failed != 20 || len(r.Causes) != 1 || r.Causes[0].Culprit.Edge != "payments -> bank" {
			t.Errorf("%d: %d failed, %+v", n, r.Failed, r.Causes)
		}
	}
}

// TestStorm: what there was no room for is estimated by what was counted, and that is said.
func TestStorm(t *testing.T) {
	s := newShop(t)
	const n = 20_000
	for i := range n {
		change := refused
		if i%4 == 0 {
			change = func(h *hop.Hop) {
				refuse(h, "bank")
				h.Failure.Kind, h.Failure.Reason = "connect_timeout", "no connection"
			}
		}
		s.buy("/buy", time.Duration(i)*time.Millisecond, banks(0), change)
	}
	r := s.report(time.Minute)
	if r.Exact || r.Failed < n*97/100 || r.Failed > n*103/100 || r.Requests < n || len(r.Causes) != 2 {
		t.Fatalf("%d of %d failed, exact %t, %d causes", r.Failed, r.Requests, r.Exact, len(r.Causes))
	}
	if c := r.Causes[0]; c.Share < 0.73 || c.Share > 0.77 || !c.FirstIsLate || len(r.Notes) != 1 {
		t.Errorf("share %v, %+v", c.Share, r.Notes)
	}
	if text := r.text(); !strings.HasPrefix(text, "about ") || !strings.Contains(text, " or before\n") {
		t.Error(text)
	}
}

// TestUnfinished: a request that is still on its way at the root has not failed yet.
func TestUnfinished(t *testing.T) {
	s := newShop(t)
	s.buy("/buy", time.Second, banks(0), refused)
	id := trace()
	call := at(s.payments.label(hop.Outbound, "bank", "bank"), id, span(), epoch.Add(2*time.Second), banks(0), 200)
	refuse(call, "bank")
	s.payments.observe(call)
	if r := s.report(2200 * time.Millisecond); r.Failed != 1 {
		t.Errorf("%d failed", r.Failed)
	}
	if r := s.report(4 * time.Second); r.Failed != 2 { // its root is not among the proxies
		t.Errorf("%d failed, later", r.Failed)
	}
}

// TestLostContext: the call that began a trace of its own is of the request that it was for.
func TestLostContext(t *testing.T) {
	s := newShop(t)
	for i := range 10 {
		start := epoch.Add(time.Duration(i) * time.Second)
		in := at(s.web.label(hop.Inbound, "/buy", "web"), trace(), hop.SpanID{}, start, "127.0.0.1:3000", 502)
		in.Failure = hop.Failure{Origin: hop.OriginEndpoint, Hop: "web", Part: hop.PartApplication, Kind: "error_response", Reason: "127.0.0.1:3000 answered 502"}
		call := at(s.web.label(hop.Outbound, "bank", "bank"), trace(), hop.SpanID{}, start.Add(time.Millisecond), banks(0), 503)
		call.End = 5 * time.Millisecond
		refuse(call, "bank")
		s.web.observe(call)
		s.web.observe(in)
	}
	r := s.report(time.Minute)
	if r.Failed != 10 || len(r.Causes) != 1 || r.Causes[0].Culprit.Edge != "web -> bank" || len(r.Lost) != 1 || r.Lost[0].Service != "web" || r.Lost[0].Calls != 10 {
		t.Errorf("%+v", r)
	}
	if text := r.text(); !strings.Contains(text, "trace context is lost at web: 10 of its 10 calls began a trace of their own") {
		t.Error(text)
	}
}

// TestServicesCalledByAddress: a service has the name that its own proxy has for it.
func TestServicesCalledByAddress(t *testing.T) {
	web, orders := newSidecar("web", "10.0.0.1:80"), newSidecar("orders", "10.0.5.1:80")
	for i := range 8 {
		id, start := trace(), epoch.Add(time.Duration(i)*time.Second)
		in := at(web.label(hop.Inbound, "/", "web"), id, hop.SpanID{}, start, "127.0.0.1:3000", 503)
		call := at(web.label(hop.Outbound, "", "10.0.5.1:80"), id, in.LastAttempt().Span, start, "10.0.5.1:80", 503)
		refuse(call, "10.0.5.1:80")
		relay(in, call)
		web.observe(call)
		web.observe(in)
	}
	r := Merge([]*Digest{web.digest(t, epoch.Add(time.Minute)), orders.digest(t, epoch.Add(time.Minute))})
	if len(r.Causes) != 1 || r.Causes[0].Culprit.Edge != "web -> orders" || r.Failed != 8 || r.Requests != 8 {
		t.Errorf("%+v", r)
	}
}

// TestLiarsHideNothing: a proxy that claims to know of other traces, or to be of another
// time, changes nothing of what others say.
func TestLiarsHideNothing(t *testing.T) {
	s := newShop(t)
	liar := newSidecar("liar").digest(t, epoch.Add(time.Minute))
	liar.Until = liar.Until.AddDate(100, 0, 0)
	liar.Failures = liar.Until // it forgot everything
	g := Group{Facts: Facts{Direction: "outbound"}}
	for i := range 20 {
		id := s.buy("/buy", time.Duration(i)*time.Second, banks(0), refused)
		g.Hops = append(g.Hops, fmt.Sprintf("%s %s - 1 1 for:%032x:%016x", id, span(), 77, 78))
	}
	liar.Groups = []Group{g}
	var all []*Digest
	for _, p := range []*sidecar{s.web, s.checkout, s.payments} {
		all = append(all, p.digest(t, epoch.Add(time.Minute)))
	}
	r := Merge(append(all, liar))
	if r.Failed != 20 || len(r.Causes) != 1 || r.Causes[0].Requests != 20 || !r.Until.Equal(epoch.Add(time.Minute)) || !r.Since.Equal(epoch) {
		t.Errorf("%d failed, %v to %v, %+v", r.Failed, r.Since, r.Until, r.Causes)
	}
}

// FuzzDigest: whatever a proxy answers, a report can be made of it, shown and written, and
// beside an honest digest it does not hide what that says.
func FuzzDigest(f *testing.F) {
	s := newShop(f)
	for i := range 10 {
		s.buy("/buy", time.Duration(i)*time.Second, banks(i), refused)
	}
	honest := s.web.digest(f, epoch.Add(time.Minute))
	text, err := json.Marshal(honest)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"service":"x\u001b[31m","since":"2026-03-04T10:30:00Z","until":"2026-03-04T10:31:00Z","counts":[{"requests":1e15,"failed":1}],"listens":["10.0.0.1:80"]}`))
	circle := `00000000000000000000000000000001 0000000000000001 0000000000000002 1 1 0000000000000003","00000000000000000000000000000001 0000000000000002 0000000000000003 1 1 for:00000000000000000000000000000002:0000000000000009","00000000000000000000000000000002 0000000000000009 0000000000000009 5 6 for:00000000000000000000000000000001:0000000000000001`
	f.Add([]byte(`{"service":"x","since":"2026-03-04T10:30:00Z","until":"2026-03-04T10:31:00Z","groups":[{"failed":true,"service":"y","reason":"z","hops":["` + circle + `"]}],"events":[{"count":-5,"kind":"\u0007"}],"lost_context":[{"calls":-1}]}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		d, err := Parse(answer)
		if err != nil {
			return
		}
		r := Merge([]*Digest{d, honest})
		text := r.text()
		if strings.ContainsAny(text, "\x1b\x07\r") || len(text) > 64<<10 {
			t.Fatalf("the text has control characters, or %d bytes: %q", len(text), text)
		}
		if r.Failed > r.Requests {
			t.Fatalf("%d of %d requests failed", r.Failed, r.Requests)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Fatal(err)
		}
	})
}
