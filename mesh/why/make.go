package why

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/events"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/store"
	"github.com/hopscope/hopscope/telemetry/tally"
)

// Source is what a digest is made of.
type Source struct {
	// Service, Instance, Zone and Listens are those of the [Digest].
	Service, Instance, Zone string
	Listens                 []string
	Until                   time.Time
	// Kept is what the store has, Rows what was counted from Since on.
	Kept  store.Kept
	Rows  []tally.Row
	Since time.Time
	// Callee names the service that hops with these labels go to; "" is the proxy's own.
	// It is not asked where the request names its destination itself.
	Callee func(*hop.Labels) string
	// Endpoints are those of the proxy's clusters.
	Endpoints []Endpoint
	Events    []events.Event
}

// Make makes the digest of a proxy.
func Make(s *Source) *Digest {
	m := maker{Source: s, digest: &Digest{
		Service: s.Service, Instance: s.Instance, Zone: s.Zone, Listens: few(s.Listens, maxListens),
		Since: s.Since.UTC(), Until: s.Until.UTC(), Failures: s.Kept.Failures.UTC(),
		Counts: []Count{}, Groups: []Group{}, Lost: []Lost{}, Endpoints: []Endpoint{}, Events: []events.Event{},
	}}
	m.count()
	m.group()
	m.endpoints()
	for _, b := range diagnose.LostContext(s.Kept.Hops) {
		m.digest.Lost = append(m.digest.Lost, Lost{b.Service, b.Count, b.Reason})
	}
	m.digest.Lost = few(m.digest.Lost, maxLost)
	if n := len(s.Events); n > MaxEvents {
		m.digest.Events = s.Events[n-MaxEvents:] // the latest
	} else if n > 0 {
		m.digest.Events = s.Events
	}
	return m.digest
}

type maker struct {
	*Source
	digest *Digest
}

// few returns a list that is not nil, of at most most items.
func few[T any](all []T, most int) []T { return append([]T{}, all[:min(len(all), most)]...) }

// count adds up the rows with the same facts. If there are too many, the rarest share one.
func (m *maker) count() {
	sums := map[Facts]*Count{}
	for i := range m.Rows {
		r := &m.Rows[i]
		f := Facts{Direction: r.Labels.Direction.String(), Route: r.Route, Method: r.Method, Endpoint: r.Endpoint, Protocol: r.Version.String()}
		f.Callee = m.callee(r.Labels, r.Host)
		c := sums[f]
		if c == nil {
			c = &Count{Facts: f}
			sums[f] = c
		}
		c.add(&r.Count)
	}
	all := make([]Count, 0, len(sums))
	for _, c := range sums {
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), compareFacts(a.Facts, b.Facts))
	})
	if len(all) > MaxCounts {
		rest := map[string]*Count{}
		for _, c := range all[MaxCounts-2:] {
			r := rest[c.Direction]
			if r == nil {
				r = &Count{Facts: Facts{Direction: c.Direction, Callee: tally.Other, Route: tally.Other, Method: tally.Other}}
				rest[c.Direction] = r
			}
			r.add(&tally.Count{Requests: c.Requests, Failed: c.Failed, Roots: c.Roots, Attempts: c.Attempts})
		}
		all = all[:MaxCounts-2]
		for _, r := range rest {
			all = append(all, *r)
		}
	}
	m.digest.Counts = all
}

func (c *Count) add(o *tally.Count) {
	c.Requests += o.Requests
	c.Failed += o.Failed
	c.Roots += o.Roots
	c.Attempts += o.Attempts
}

func compareFacts(a, b Facts) int {
	return cmp.Or(cmp.Compare(a.Direction, b.Direction), cmp.Compare(a.Callee, b.Callee), cmp.Compare(a.Route, b.Route),
		cmp.Compare(a.Method, b.Method), cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Protocol, b.Protocol))
}

// callee names the service that a hop went to. host is what a request of a forward proxy
// asked for.
func (m *maker) callee(l *hop.Labels, host string) string {
	if tally.Open(l) {
		return ServiceOf(host)
	}
	if l.Cluster == "" {
		return ""
	}
	return m.Callee(l)
}

// factsOf returns the facts of a hop as the tally counts them.
func (m *maker) factsOf(h *hop.Hop) Facts {
	f := Facts{Direction: h.Labels.Direction.String(), Route: h.RouteName(), Method: h.Method, Protocol: h.Version.String()}
	if a := h.LastAttempt(); a != nil {
		f.Endpoint = a.Endpoint
		if a.Version != hop.VersionUnknown {
			f.Protocol = a.Version.String()
		}
	}
	f.Callee = m.callee(h.Labels, h.String(h.Host))
	return f
}

// group takes the hops of the traces in which something failed, the latest first.
func (m *maker) group() {
	troubled := map[hop.TraceID]bool{}
	for _, h := range m.Kept.Hops {
		if h.Labels.Direction != hop.Mirror && (h.Failed() || h.FailedAttempt() != nil) { // which nobody waits for
			troubled[h.Trace] = true
		}
	}
	joins := map[*hop.Hop]*hop.Hop{}
	for _, j := range diagnose.Joins(m.Kept.Hops) {
		if j.Call.Start.After(m.Kept.All) && (troubled[j.Call.Trace] || troubled[j.For.Trace]) {
			joins[j.Call] = j.For
			troubled[j.Call.Trace], troubled[j.For.Trace] = true, true
		}
	}
	var hops []*hop.Hop
	for _, h := range m.Kept.Hops {
		if troubled[h.Trace] && h.Kind != hop.KindConnection && h.Labels.Direction != hop.Mirror {
			hops = append(hops, h)
		}
	}
	slices.SortStableFunc(hops, func(a, b *hop.Hop) int { return end(b).Compare(end(a)) })
	place := map[signature]int{}
	for i, h := range hops {
		key, reason := m.signatureOf(h)
		at, known := place[key]
		if i >= MaxHops || !known && len(m.digest.Groups) >= MaxGroups {
			if e := end(h); e.After(m.digest.Failures) {
				m.digest.Failures = e.UTC()
			}
			return
		}
		if !known {
			at = len(m.digest.Groups)
			place[key] = at
			m.digest.Groups = append(m.digest.Groups, key.group(reason))
		}
		g := &m.digest.Groups[at]
		g.Hops = append(g.Hops, line(h, joins[h]))
	}
}

func end(h *hop.Hop) time.Time { return h.Start.Add(h.End) }

// signature is what the hops of a group have in common.
type signature struct {
	Facts
	failed  bool
	failure hop.Failure // without its reason
}

func (m *maker) signatureOf(h *hop.Hop) (s signature, reason string) {
	s = signature{Facts: m.factsOf(h), failed: h.Failed(), failure: m.failure(h)}
	reason, s.failure.Reason = s.failure.Reason, ""
	return s, reason
}

// failure is what the proxy says of a hop, or of the last attempt that failed though the
// hop did not.
func (m *maker) failure(h *hop.Hop) hop.Failure {
	if h.Failed() {
		return diagnose.Failure(h)
	}
	a := h.FailedAttempt()
	if a == nil {
		return hop.Failure{}
	}
	met := diagnose.Met{Service: h.Labels.Service, Callee: m.callee(h.Labels, h.String(h.Host)), Endpoint: a.Endpoint, Reason: a.Reason}
	if met.Kind = diagnose.KindOf(a.Details, a.ProxyError, a.Flags); met.Kind == "" {
		met.Kind, met.Reason = diagnose.ErrorResponse, a.Endpoint+" answered "+strconv.Itoa(a.Status)
	}
	f := diagnose.Charge(met)
	f.Origin = hop.OriginProxy
	return f
}

func (s *signature) group(reason string) Group {
	f := &s.failure
	return Group{
		Facts: s.Facts, Failed: s.failed, Origin: f.Origin.String(), Service: f.Hop, Part: f.Part.String(), Kind: f.Kind,
		Caller: f.Caller, Instance: f.Endpoint, Inferred: f.Inferred, Reason: Clean(reason),
	}
}

// line writes a hop for a Group. owner is the request that it was made for, of another
// trace; nil for none.
func line(h, owner *hop.Hop) string {
	parent := "-"
	if !h.Parent.IsZero() {
		parent = h.Parent.String()
	}
	b := make([]byte, 0, 128)
	b = append(append(b, h.Trace.String()...), ' ')
	b = append(append(b, h.Span.String()...), ' ')
	b = append(append(b, parent...), ' ')
	b = append(strconv.AppendInt(b, h.Start.UnixMicro(), 10), ' ')
	b = strconv.AppendInt(b, h.End.Microseconds(), 10)
	for i := range h.Attempts[:min(len(h.Attempts), maxAttempts)] {
		b = append(append(b, ' '), h.Attempts[i].Span.String()...)
	}
	if owner != nil {
		b = append(append(b, " for:"...), owner.Trace.String()...)
		b = append(append(b, ':'), owner.ExportedSpan().String()...)
	}
	return string(b)
}

const maxAttempts = 16

// endpoints adds what is known of the endpoints that are in the counts or groups, if it is
// more than their address.
func (m *maker) endpoints() {
	used := map[string]bool{}
	for i := range m.digest.Counts {
		used[m.digest.Counts[i].Endpoint] = true
	}
	for i := range m.digest.Groups {
		used[m.digest.Groups[i].Endpoint] = true
	}
	for _, e := range m.Endpoints {
		if used[e.Address] && e.Version+e.Zone != "" && len(m.digest.Endpoints) < MaxEndpoints {
			used[e.Address] = false
			m.digest.Endpoints = append(m.digest.Endpoints, e)
		}
	}
}
