package why

import (
	"cmp"
	"slices"
	"time"

	"github.com/hopscope/hopscope/telemetry/events"
)

const (
	// skew is how far the clocks of two machines may differ.
	skew = 2 * time.Second
	// together is within what time like events of several proxies are one.
	together = 10 * time.Second
	// begins is how long after its start what a proxy finds out is no change.
	begins = 3 * time.Second

	maxChanged = 5
	maxThen    = 3
)

// around returns what changed before an instant, the nearest first, and what came after
// it. all is in order.
func around(first time.Time, all []events.Event) (changed, then []Change) {
	starts := map[string][]time.Time{}
	for _, e := range all {
		if e.Kind == events.Start {
			starts[e.Service] = append(starts[e.Service], e.Time)
		}
	}
	var merged []Change
	for _, e := range all {
		if e.Kind == events.EndpointsChanged && slices.ContainsFunc(starts[e.Service], func(t time.Time) bool { return !e.Time.Before(t) && e.Time.Sub(t) < begins }) {
			continue
		}
		i := slices.IndexFunc(merged, func(c Change) bool { return c.Kind == e.Kind && c.Text == e.Text && e.Time.Sub(c.Time) < together })
		if i < 0 {
			merged = append(merged, Change{Event: e, Services: []string{e.Service}, Before: first.Sub(e.Time)})
			continue
		}
		c := &merged[i]
		c.Count += e.Count
		if e.Last.After(c.Last) {
			c.Last = e.Last
		}
		if !slices.Contains(c.Services, e.Service) {
			c.Services = append(c.Services, e.Service)
		}
	}
	changed, then = []Change{}, []Change{}
	for _, c := range merged {
		if c.Before >= -skew && !consequence(c.Kind) || c.Before >= 0 {
			changed = append(changed, c)
		} else {
			then = append(then, c)
		}
	}
	slices.SortStableFunc(changed, func(a, b Change) int { return cmp.Compare(a.Before.Abs(), b.Before.Abs()) })
	return changed[:min(len(changed), maxChanged)], then[:min(len(then), maxThen)]
}

// consequence reports whether an event is what failures bring about.
func consequence(k events.Kind) bool {
	switch k {
	case events.EndpointEjected, events.EndpointRestored, events.PanicRouting, events.CircuitOpen, events.EndpointUnhealthy, events.GuardTripped:
		return true
	}
	return false
}
