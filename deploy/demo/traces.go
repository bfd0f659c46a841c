package demo

import (
	"slices"

	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/store"
)

// traces looks at the memories of all sidecars as one.
type traces []*store.Store

// trace returns the hops of a trace from wherever they were recorded.
func (t traces) trace(id hop.TraceID) []*hop.Hop {
	var all []*hop.Hop
	for _, s := range t {
		all = append(all, s.Trace(id)...)
	}
	return all
}

// find returns the traces that the query wants, with what is known of them
// everywhere, the one that began last first.
func (t traces) find(q store.Query) []store.Summary {
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	var found []store.Summary
	for _, part := range t.list(q) {
		if len(found) == limit {
			break
		}
		if t.passed(part.Trace, q.Service, q.Route) {
			found = append(found, t.whole(part))
		}
	}
	return found
}

// list returns the traces that failed, were slow and began as the query wants,
// as one of the sidecars knows them, the one that began last first.
func (t traces) list(q store.Query) []store.Summary {
	// A trace may fail at one sidecar and pass the service at another, so
	// these two are for the caller to look at.
	q.Service, q.Route, q.Limit = "", "", 10_000
	var found []store.Summary
	seen := map[hop.TraceID]bool{}
	for _, s := range t {
		for _, part := range s.Traces(q) {
			if !seen[part.Trace] {
				seen[part.Trace] = true
				found = append(found, part)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b store.Summary) int { return b.Start.Compare(a.Start) })
	return found
}

// passed reports whether the trace has a hop of the service and route; empty
// is any.
func (t traces) passed(id hop.TraceID, service, route string) bool {
	if service == "" && route == "" {
		return true
	}
	return slices.ContainsFunc(t.trace(id), func(h *hop.Hop) bool {
		return (service == "" || service == h.Labels.Service) && (route == "" || route == h.Labels.Route)
	})
}

// whole is the summary of a trace, by the hops of all sidecars instead of one.
func (t traces) whole(part store.Summary) store.Summary {
	hops := t.trace(part.Trace)
	whole := diagnose.Build(part.Trace, hops)
	if len(whole.Roots) == 0 {
		return part // it had to make room meanwhile
	}
	root := whole.Roots[0].Hop
	s := store.Summary{Trace: part.Trace, Root: root, Start: root.Start, Duration: root.End, Status: root.Status, Hops: whole.Hops}
	for _, h := range hops {
		s.Flags |= h.Flags
		s.Failed = s.Failed || h.Failed()
		s.Slow = s.Slow || h.Slow()
	}
	s.Failure = part.Failure
	if c := whole.Culprit; c != nil {
		s.Failure = hop.Failure{Hop: c.Service, Part: c.Part, Kind: c.Kind, Caller: c.Caller, Endpoint: c.Endpoint, Inferred: c.Inferred, Reason: c.Reason}
	}
	return s
}
