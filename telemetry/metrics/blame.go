package metrics

import (
	"strings"

	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// What a culprit is named by may come from another proxy, as in failures.go.
const (
	maxEdges  = 200  // values of culprit
	maxBlamed = 1000 // combinations of a service
)

// blameKey is what failed requests are told apart by.
type blameKey struct {
	service           string
	hop, caller, kind string
	part              hop.Part
}

// ledger charges the failed requests that entered the mesh here to who is at fault.
type ledger struct {
	counters     map[blameKey]*counter
	edges, kinds *names
	combinations map[string]int // by service
}

func newLedger() ledger {
	return ledger{map[blameKey]*counter{}, newNames(maxEdges), newNames(maxKinds), map[string]int{}}
}

// blame counts a failed request where it entered the mesh.
func (m *Metrics) blame(h *hop.Hop) {
	if !h.Entry || !h.Failed() || h.Kind == hop.KindConnection {
		return
	}
	f := diagnose.Failure(h)
	if f.Caller == f.Hop {
		f.Caller = "" // as in its edge
	}
	c := m.ledger.counters[blameKey{h.Labels.Service, f.Hop, f.Caller, f.Kind, f.Part}]
	if c == nil {
		c = m.blamed(h.Labels.Service, &f)
	}
	c.n++
	if !h.Trace.IsZero() {
		c.example = exemplar{h.Trace, h.ExportedSpan(), 1, h.Start.Add(h.End).UnixNano()}
	}
}

// blamed returns the counter of a failure that is new, or one of those that there is no
// room for.
func (m *Metrics) blamed(service string, f *hop.Failure) *counter {
	l := &m.ledger
	edge, kind := l.edges.bound(f.Edge()), l.kinds.bound(f.Kind)
	if l.combinations[service] >= maxBlamed {
		edge, kind = other, other
	}
	key := blameKey{service, strings.Clone(f.Hop), strings.Clone(f.Caller), kind, f.Part}
	if edge == other {
		key.hop, key.caller = other, ""
	}
	c := l.counters[key]
	if c == nil {
		c = m.families.blame.counter(service, edge, f.Part.String(), kind)
		l.counters[key] = c
		l.combinations[service]++
	}
	return c
}

// retain forgets services that are gone, and marks what is left as used.
func (l *ledger) retain(services map[string]bool, u *used) {
	edges, kinds := map[string]bool{}, map[string]bool{}
	clear(l.combinations)
	for key, c := range l.counters {
		if !services[key.service] {
			delete(l.counters, key)
			continue
		}
		u.children[c], edges[(&hop.Failure{Hop: key.hop, Caller: key.caller}).Edge()], kinds[key.kind] = true, true, true
		l.combinations[key.service]++
	}
	l.edges.retain(edges)
	l.kinds.retain(kinds)
}
