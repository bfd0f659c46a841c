package mesh

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// The limits on what is followed where a trace was broken: how many calls one proxy may
// tell of, and to how many other traces in all.
const (
	maxStrays = 50
	maxJoined = 8
)

// Find asks every proxy for a trace, and puts it together. Where a service passes no trace
// context on, and so broke the trace, the other traces that it led to are asked for, too.
func (c *Client) Find(ctx context.Context, id hop.TraceID) *Found {
	hops, peers := c.Trace(ctx, id)
	calls, joins := c.strays(ctx, id, hops)
	followed := map[hop.TraceID]bool{id: true}
	for _, j := range joins {
		if other := j.Call.Trace; !followed[other] && len(followed) <= maxJoined {
			followed[other] = true
			more, _ := c.Trace(ctx, other)
			hops = append(hops, more...)
		}
	}
	return assemble(id, append(hops, calls...), joins, peers)
}

// strays asks the proxies of services at which the trace ends for calls that began traces
// of their own meanwhile.
func (c *Client) strays(ctx context.Context, id hop.TraceID, hops []*hop.Hop) (calls []*hop.Hop, joins []diagnose.Join) {
	ends := map[string]bool{} // by service: whether it made no call in the trace
	spans := map[string]*hop.Hop{}
	for _, h := range hops {
		service := h.Labels.Service
		if h.Labels.Direction == hop.Outbound {
			ends[service] = false
		} else if _, known := ends[service]; !known {
			ends[service] = true
		}
		spans[h.Span.String()] = h
	}
	type stray struct {
		call *hop.Hop
		of   string
	}
	answers, _ := Ask(ctx, c, func(ctx context.Context, p *Proxy) (all []stray, err error) {
		if end, known := ends[p.Service]; p.Service != "" && !(known && end) {
			return nil, nil // it knows nothing of the kind
		}
		answer, err := p.Get(ctx, "/strays?trace="+id.String())
		if err != nil {
			return nil, err
		}
		defer answer.Close()
		_, err = decodeList(answer, maxStrays, func(item []byte) {
			var s struct {
				For string
				Hop json.RawMessage
			}
			var named struct {
				Trace string `json:"trace_id"`
			}
			if json.Unmarshal(item, &s) != nil || json.Unmarshal(s.Hop, &named) != nil {
				return
			}
			h := new(hop.Hop)
			if other, err := ParseID(named.Trace); err == nil && other != id && accept(h, s.Hop, other) == nil && h.Parent.IsZero() {
				all = append(all, stray{h, s.For})
			}
		})
		return all, err
	})
	for _, s := range slices.Concat(answers...) {
		calls = append(calls, s.call)
		if owner := spans[s.of]; owner != nil && owner.Labels.Service == s.call.Labels.Service {
			joins = append(joins, diagnose.Join{Call: s.call, For: owner})
		}
	}
	return calls, joins
}
