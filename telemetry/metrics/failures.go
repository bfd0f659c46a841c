package metrics

import "github.com/hopscope/hopscope/telemetry/hop"

// What a failure names may come from another proxy, or from whoever answers in its place.
const (
	maxCulprits = 200  // values of failed_hop
	maxKinds    = 100  // values of kind; there are fewer
	maxFailures = 1000 // combinations in a series
)

// failureKey is what a series tells apart about failures.
type failureKey struct {
	origin    hop.Origin
	part      hop.Part
	hop, kind string
}

// failed counts the failure of h, if there is one.
func (m *Metrics) failed(s *series, h *hop.Hop) {
	f := &h.Failure
	origin := f.Origin
	if origin == hop.OriginNone && h.GRPCStatus.ServerError() {
		origin = hop.OriginEndpoint // nobody said otherwise
	}
	if origin == hop.OriginNone {
		return
	}
	key := failureKey{origin, f.Part, f.Hop, f.Kind}
	if c := s.failures[key]; c != nil {
		c.n++
		return
	}
	key.hop, key.kind = m.culprits.bound(f.Hop), m.kinds.bound(f.Kind)
	c := s.failures[key]
	if c == nil {
		if len(s.failures) >= maxFailures {
			key.hop, key.kind = other, other
		}
		c = m.families.failures.counter(s.service, s.direction.String(), s.route, s.cluster,
			origin.String(), key.hop, f.Part.String(), key.kind)
		if s.failures == nil {
			s.failures = map[failureKey]*counter{}
		}
		s.failures[key] = c
	}
	c.n++
}
