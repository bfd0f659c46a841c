package why

import (
	"encoding/binary"
	"encoding/json"
	"testing"
	"time"

	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/events"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/store"
	"github.com/hopscope/hopscope/telemetry/tally"
)

var epoch = time.Date(2026, 3, 4, 10, 30, 0, 0, time.UTC)

// sidecar is what a proxy remembers in a test.
type sidecar struct {
	service string
	listens []string
	store   *store.Store
	tally   *tally.Tally
	events  *events.Ring
	known   []Endpoint
	labels  map[string]*hop.Labels
}

func newSidecar(service string, listens ...string) *sidecar {
	return &sidecar{service, listens, store.New(16 << 20), tally.New(epoch), events.New(100), nil, map[string]*hop.Labels{}}
}

func (s *sidecar) observe(h *hop.Hop) {
	s.tally.Observe(h)
	s.store.Observe(h)
}

func (s *sidecar) label(d hop.Direction, route, cluster string) *hop.Labels {
	key := d.String() + route + cluster
	if s.labels[key] == nil {
		s.labels[key] = &hop.Labels{Service: s.service, Direction: d, Route: route, Cluster: cluster, Listener: d.String()}
	}
	return s.labels[key]
}

// digest is the sidecar's at an instant, as others read it.
func (s *sidecar) digest(t testing.TB, until time.Time) *Digest {
	t.Helper()
	src := Source{Service: s.service, Listens: s.listens, Until: until, Endpoints: s.known, Callee: func(l *hop.Labels) string {
		if l.Cluster == s.service {
			return ""
		}
		return l.Cluster
	}}
	if len(s.listens) > 0 {
		src.Instance = s.listens[0]
	}
	src.Rows, src.Since = s.tally.Since(epoch)
	src.Kept, src.Events = s.store.Since(src.Since), s.events.Since(epoch.Add(-time.Hour))
	text, err := json.Marshal(Make(&src))
	if err != nil {
		t.Fatal(err)
	}
	d, err := Parse(text)
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return d
}

// ids makes ids that do not repeat.
var ids uint64

func span() (id hop.SpanID) {
	ids++
	binary.BigEndian.PutUint64(id[:], ids)
	return id
}

func trace() (id hop.TraceID) {
	ids++
	binary.BigEndian.PutUint64(id[8:], ids*0x9e3779b97f4a7c15)
	return id
}

// at makes a hop with one attempt, which takes 10 ms.
func at(l *hop.Labels, id hop.TraceID, parent hop.SpanID, start time.Time, endpoint string, status int) *hop.Hop {
	h := &hop.Hop{Labels: l, Trace: id, Span: span(), Parent: parent, Start: start, End: 10 * time.Millisecond, Method: "GET", Version: hop.HTTP11, Status: status}
	a := h.Attempt()
	a.Span, a.Endpoint, a.Status, a.Version = span(), endpoint, status, hop.HTTP11
	return h
}

// refuse has the last attempt refused, which is the failure of the hop.
func refuse(h *hop.Hop, callee string) {
	a := h.LastAttempt()
	a.Status, a.Flags, a.ProxyError = 0, hop.UpstreamConnectionFailure, "connection_refused"
	a.Details, a.Reason = "upstream_reset_before_response_started{connection_refused}", "connection refused by "+a.Endpoint
	h.Status, h.Flags, h.Details, h.ProxyError = 503, a.Flags, a.Details, a.ProxyError
	h.Failure = hop.Failure{Origin: hop.OriginProxy, Hop: callee, Part: hop.PartApplication, Kind: "connect_refused", Caller: h.Labels.Service, Endpoint: a.Endpoint, Reason: a.Reason}
}

// relay has the hop fail for the failure of another.
func relay(h, of *hop.Hop) {
	h.Status = 503
	h.LastAttempt().Status = 503
	h.Failure = of.Failure
	h.Failure.Origin = hop.OriginRelayed
}

// shop is web -> checkout -> payments -> bank; bank has no proxy, and three instances.
type shop struct {
	t                       testing.TB
	web, checkout, payments *sidecar
}

func newShop(t testing.TB) *shop {
	s := &shop{t, newSidecar("web", "10.0.0.1:80"), newSidecar("checkout", "10.0.1.1:80"), newSidecar("payments", "10.0.2.1:80")}
	s.payments.known = []Endpoint{{"10.0.3.7:443", "v2", "a"}, {"10.0.3.8:443", "v1", "b"}, {"10.0.3.9:443", "v1", "b"}}
	return s
}

// buy sends a request on a route through the mesh, to an instance of bank, after some
// time. change changes what payments' call becomes.
func (s *shop) buy(route string, after time.Duration, bank string, change func(call *hop.Hop)) hop.TraceID {
	id, start := trace(), epoch.Add(after)
	var chain []*hop.Hop
	var parent hop.SpanID
	add := func(l *hop.Labels, endpoint string) {
		h := at(l, id, parent, start, endpoint, 200)
		start, parent = start.Add(time.Millisecond), h.LastAttempt().Span
		h.End -= time.Duration(2*len(chain)) * time.Millisecond / 2
		chain = append(chain, h)
	}
	add(s.web.label(hop.Inbound, route, "web"), "127.0.0.1:3000")
	add(s.web.label(hop.Outbound, "checkout", "checkout"), "10.0.1.1:80")
	add(s.checkout.label(hop.Inbound, "/checkout", "checkout"), "127.0.0.1:3000")
	add(s.checkout.label(hop.Outbound, "payments", "payments"), "10.0.2.1:80")
	add(s.payments.label(hop.Inbound, "/pay", "payments"), "127.0.0.1:3000")
	add(s.payments.label(hop.Outbound, "bank", "bank"), bank)
	last := chain[len(chain)-1]
	if change != nil {
		change(last)
	}
	proxies := []*sidecar{s.web, s.web, s.checkout, s.checkout, s.payments, s.payments}
	for i := len(chain) - 1; i >= 0; i-- {
		if last.Failed() && i < len(chain)-1 {
			relay(chain[i], last)
		}
		proxies[i].observe(chain[i])
	}
	return id
}

func (s *shop) report(after time.Duration) *Report {
	s.t.Helper()
	var all []*Digest
	for _, p := range []*sidecar{s.web, s.checkout, s.payments} {
		all = append(all, p.digest(s.t, epoch.Add(after)))
	}
	return Merge(all)
}

func (r *Report) text() string { return string(r.AppendText(nil, diagnose.TextOptions{})) }
