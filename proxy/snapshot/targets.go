package snapshot

import (
	"strings"

	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/forward"
	"github.com/hopscope/hopscope/proxy/header"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// targets are where a route's requests go; nil where that can't be.
func (g *generation) targets(r *resources.Route, lc *config.Listener, labels *hop.Labels) []forward.Target {
	retry := retryPolicy(r.Policy.Retry) // where it is the route's own: its targets share it
	if len(r.Targets) == 0 {
		only := resources.Target{Cluster: r.Cluster, Policy: r.Policy, Shares: r.Shares}
		if t, ok := g.target(r, &only, retry, lc, labels); ok {
			return []forward.Target{t}
		}
		return nil
	}
	var all []forward.Target
	for i := range r.Targets {
		of := &r.Targets[i]
		own := *labels
		own.Cluster, own.Variant = of.Cluster.Name, of.Variant
		own.Metrics = g.metrics.Series(&own)
		t, ok := g.target(r, of, retry, lc, &own)
		if !ok {
			return nil
		}
		g.labelled = append(g.labelled, &own) // such routes are of the configuration
		all = append(all, t)
	}
	return all
}

// target makes a target to its running cluster; false if there is none.
func (g *generation) target(r *resources.Route, of *resources.Target, retry *forward.Retry, lc *config.Listener, labels *hop.Labels) (t forward.Target, ok bool) {
	c := g.running(of.Cluster)
	if c == nil {
		return t, false
	}
	t = forward.Target{Weight: of.Weight, Labels: labels, Cluster: c.cluster, Own: g.own(lc, of.Cluster), Hash: hashOn(of.Policy.Hash)}
	t.Request, t.Response = fieldChanges(header.Request, of.RequestHeaders), fieldChanges(header.Response, of.ResponseHeaders)
	if t.Retry = g.retries[of.Shares]; of.Shares == "" {
		t.Retry = retry
	}
	if h := of.Policy.Hedge; h != nil {
		t.Hedge = &forward.Hedge{After: h.After, Attempts: h.Attempts}
	}
	if s := r.Session; s != nil {
		t.Session = session(s)
	}
	if len(r.Subset) > 0 {
		t.Subset = balance.NewCriteria(r.Subset)
	}
	return t, true
}

func session(c *config.StatefulSession) *forward.Session {
	s := &forward.Session{Strict: c.Strict}
	if h := c.Header; h != nil {
		s.Header = strings.ToLower(h.Name)
		return s
	}
	s.Cookie, s.Path, s.TTL = c.Cookie.Name, c.Cookie.Path, c.Cookie.TTL
	return s
}

func sticky(c *config.Sticky) *forward.HashOn {
	switch {
	case c == nil:
		return nil
	case c.Cookie != nil:
		return &forward.HashOn{Cookie: c.Cookie.Name, CookieTTL: c.Cookie.TTL, CookiePath: c.Cookie.Path}
	}
	return &forward.HashOn{Header: c.Header, Source: c.Source}
}
