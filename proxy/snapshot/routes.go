package snapshot

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/forward"
	"github.com/hopscope/hopscope/proxy/header"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/tracecontext"
)

// hostsOf are the names that routes ask for, each once.
func hostsOf(routes []resources.Route) (all []string) {
	for i := range routes {
		all = append(all, routes[i].Match.Hosts...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// route makes a route to its running cluster. A route without one is closed.
func (g *generation) route(r *resources.Route, lc *config.Listener, labels *hop.Labels) forward.Route {
	response := fieldChanges(header.Response, r.ResponseHeaders)
	if own := ownAction(r); own != nil {
		return forward.Route{Labels: labels, Response: response, Handler: g.chain(r, lc), Sampler: g.routeSampler(r), Action: own}
	}
	targets := g.targets(r, lc, labels)
	if targets == nil {
		return closed(labels)
	}
	a := &forward.Forward{
		Targets: targets, Sticky: sticky(r.Sticky), Held: g.hold(lc, r, targets), ClusterHeader: r.ClusterHeader, Timeout: r.Timeout,
		Strip: r.Strip, Prepend: r.Prepend, Host: r.Host,
	}
	if r.High {
		a.Priority = cluster.High
	}
	if r.Rewrite != nil {
		rewrite(a, r.Rewrite, &r.Match.Conditions)
	}
	if c := r.InternalRedirects; c != nil {
		a.Follow = &forward.Follow{Most: c.Max, Statuses: c.Codes, CrossScheme: c.CrossScheme, Copy: c.CopyHeaders}
	}
	a.Mirrors = g.mirrors(r, labels)
	a.Request = fieldChanges(header.Request, r.RequestHeaders)
	return forward.Route{Labels: labels, Response: response, Handler: g.chain(r, lc), Sampler: g.routeSampler(r), Action: a, Idle: r.Idle}
}

// fieldChanges are changes of fields, nil for none.
func fieldChanges(side header.Side, c *config.HeaderChanges) *header.Changes {
	compiled, _ := c.Compile(side) // it is valid
	return compiled
}

// routeSampler is a route's own sampling, nil for none.
func (g *generation) routeSampler(r *resources.Route) *tracecontext.Sampler {
	if r.Traces == nil {
		return nil
	}
	s := g.sampler.ForRoute(r.Traces.Sample)
	return &s
}

// own reports whether a cluster is taken for the service's own application: a listener for
// requests to the service sends them there, and it is on this machine or the only cluster
// that such listeners have.
func (g *generation) own(lc *config.Listener, id resources.ID) bool {
	if lc.Direction != "inbound" || id.Origin != resources.Configuration {
		return false
	}
	only, local := true, true
	for i := range g.config.Listeners {
		l := &g.config.Listeners[i]
		for k := range l.Routes {
			others := slices.ContainsFunc(l.Routes[k].Targets(), func(name string) bool { return name != id.Name })
			only = only && (l.Direction != "inbound" || !others)
		}
	}
	cc := g.config.Clusters[id.Name]
	all := staticEndpoints(&cc)
	for _, e := range all {
		local = local && loopback(e.Address)
	}
	return only || local && len(all) > 0
}

// loopback reports whether an address, host and port, is one of this machine alone.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip, invalid := netip.ParseAddr(host)
	return err == nil && (host == "localhost" || invalid == nil && ip.Unmap().IsLoopback())
}

// closed returns a route that refuses all requests, because of a tag.
func closed(labels *hop.Labels) forward.Route {
	why := fmt.Sprintf("route %s of listener %s is closed by a tag of its service; /routes of the admin API says why", labels.Route, labels.Listener)
	return forward.Route{Labels: labels, Action: &forward.Answer{Why: fault.New(fault.Forbidden, why)}}
}

// retryPolicy makes a retry policy with a budget of its own.
func retryPolicy(c *config.Retry) *forward.Retry {
	if c == nil {
		return nil
	}
	r := &forward.Retry{
		Statuses: slices.Clone(c.Statuses), Attempts: c.Attempts, PerTry: c.PerTryTimeout,
		Base: c.Backoff.Base, Max: c.Backoff.Max, MaxBody: c.MaxBody,
	}
	for _, word := range c.On {
		r.On |= forward.RetryWord(word)
	}
	for _, name := range c.Headers {
		r.Headers = append(r.Headers, strings.ToLower(name))
	}
	if b := c.Budget; b != nil {
		r.Budget = &cluster.Budget{Percent: b.Percent, Min: b.Min}
	}
	return r
}

func hashOn(all []config.HashOn) []forward.HashOn {
	var parts []forward.HashOn
	for _, h := range all {
		parts = append(parts, forward.HashOn{
			Header: h.Header, Cookie: h.Cookie, Query: h.Query, Source: h.Source, Path: h.Path,
			CookieTTL: h.CookieTTL, CookiePath: h.CookiePath, Terminal: h.Terminal,
		})
	}
	return parts
}
