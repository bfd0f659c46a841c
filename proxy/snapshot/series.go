package snapshot

import (
	"time"

	"github.com/hopscope/hopscope/mesh/series"
	"github.com/hopscope/hopscope/mesh/why"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/metrics"
	"github.com/hopscope/hopscope/telemetry/tally"
)

// sample keeps the history of what was counted, until the proxy ends: it reads the counters
// at the end of each window, and no request knows of it.
func (p *Proxy) sample() {
	for {
		now := time.Now()
		timer := time.NewTimer(now.Truncate(series.Window).Add(series.Window).Sub(now))
		select {
		case <-p.context.Done():
			timer.Stop()
			return
		case now = <-timer.C:
			p.history.Add(now, p.counted())
		}
	}
}

// counted is what was counted since the start, by what has a history.
func (p *Proxy) counted() map[series.Key]*series.Count {
	all := map[series.Key]*series.Count{}
	at := func(kind series.Kind, first, second string) *series.Count {
		k := series.Key{Kind: kind, First: first, Second: second}
		if all[k] == nil {
			all[k] = &series.Count{}
		}
		return all[k]
	}
	for _, e := range p.top().Edges {
		c := at(series.Edge, e.Direction, e.Callee)
		c.Requests, c.Failed, c.Slow, c.Durations = e.Requests, e.Failed, e.Slow, e.Durations
	}
	bounds, slow := metrics.DurationBounds(), p.current.Load().slowThresholds()
	for _, r := range p.metrics.Routes() {
		if r.Direction != hop.Inbound {
			continue
		}
		c := at(series.Route, r.Method, r.Route)
		c.Requests += r.Requests
		c.Failed += r.Failed
		if c.Durations == nil {
			c.Durations = make([]uint64, len(r.Durations))
		}
		threshold := slow[r.Cluster]
		for i, n := range r.Durations {
			c.Durations[i] += n
			if threshold > 0 && i > 0 && bounds[i-1] >= threshold {
				c.Slow += n
			}
		}
	}
	for _, b := range p.metrics.Blamed() {
		at(series.Blamed, b.Hop, b.Caller).Failed += b.Failures
	}
	return all
}

// slowThresholds are those of inbound routes, by their cluster: the longest, if several
// routes of it differ.
func (g *generation) slowThresholds() map[string]time.Duration {
	all := map[string]time.Duration{}
	for _, l := range g.labelled {
		if l.Direction == hop.Inbound {
			all[l.Cluster] = max(all[l.Cluster], l.Slow)
		}
	}
	return all
}

// seriesUntil is the history of so many windows until now.
func (p *Proxy) seriesUntil(now time.Time, windows int) *series.Part {
	g := p.current.Load()
	part := p.history.Part(now, windows)
	part.Service, part.Started = p.service, p.started.UTC()
	_, part.Listens = g.reachedAt()
	for i := range tally.Buckets - 1 {
		part.EdgeBounds = append(part.EdgeBounds, tally.Bound(i))
	}
	part.RouteBounds = metrics.DurationBounds()
	p.endpointSeries(g, part, now)
	return part
}

// endpointSeries adds the endpoints, of which the tally has windows of its own.
func (p *Proxy) endpointSeries(g *generation, part *series.Part, now time.Time) {
	type key struct{ cluster, endpoint, callee string }
	lines := map[key]*series.Line{}
	callee := g.callees(g.measured())
	names := map[*hop.Labels]string{}
	for _, s := range p.tally.Spans() {
		end := s.Start.Add(tally.Window)
		if end.After(now) {
			end = now
		}
		if !end.After(part.Until.Add(-time.Duration(part.Windows) * series.Window)) {
			continue
		}
		for i := range s.Rows {
			r := &s.Rows[i]
			if r.Endpoint == "" {
				continue
			}
			name, known := names[r.Labels]
			if !known {
				name = callee(r.Labels)
				names[r.Labels] = name
			}
			if r.Host != "" {
				name = why.ServiceOf(r.Host)
			}
			k := key{r.Labels.Cluster, r.Endpoint, name}
			if lines[k] == nil {
				lines[k] = &series.Line{Cluster: k.cluster, Endpoint: k.endpoint, Callee: k.callee}
			}
			part.Spread(lines[k], s.Start, end, r.Requests, r.Failed)
		}
	}
	for _, l := range lines {
		if len(part.Endpoints) >= mostEndpoints {
			part.Full = true
			break
		}
		part.Endpoints = append(part.Endpoints, *l)
	}
}

// mostEndpoints is how many endpoints have a history.
const mostEndpoints = 1000
