package snapshot

import (
	"slices"
	"time"

	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// mostStrays is how many calls are looked at for one trace.
const mostStrays = 50

// strays finds the calls that began a trace of their own while this proxy's service
// answered a request of the trace with these hops, and what they were made for, if all
// hops of that time are here: else another request may be the one. It finds none if the
// service made calls within the trace.
func (p *Proxy) strays(hops []*hop.Hop) (calls []*hop.Hop, joins []diagnose.Join) {
	var requests []*hop.Hop
	var first time.Time
	for _, h := range hops {
		switch {
		case h.Labels.Direction == hop.Outbound:
			return nil, nil
		case h.Kind != hop.KindRequest:
		case len(requests) == 0 || h.Start.Before(first):
			first = h.Start
			fallthrough
		default:
			requests = append(requests, h)
		}
	}
	if len(requests) == 0 {
		return nil, nil
	}
	kept := p.store.Since(first)
	for _, h := range kept.Hops {
		if h.Labels.Direction == hop.Outbound && h.Parent.IsZero() && len(calls) < mostStrays &&
			slices.ContainsFunc(requests, func(r *hop.Hop) bool { return within(h, r) }) {
			calls = append(calls, h)
		}
	}
	if len(calls) == 0 {
		return nil, nil
	}
	for _, j := range diagnose.Joins(kept.Hops) {
		if j.For.Trace == hops[0].Trace && !j.Call.Start.Before(kept.All) && slices.Contains(calls, j.Call) {
			joins = append(joins, j)
		}
	}
	return calls, joins
}

// within reports whether a call was made while a request was answered.
func within(call, request *hop.Hop) bool {
	return call.Labels.Service == request.Labels.Service && call.Trace != request.Trace && !call.Start.Before(request.Start) &&
		!call.Start.Add(call.End).After(request.Start.Add(request.End))
}
