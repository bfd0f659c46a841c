package snapshot

import (
	"context"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/hopscope/hopscope/mesh/top"
	"github.com/hopscope/hopscope/mesh/why"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// digest says in few words what happened here since an instant.
func (p *Proxy) digest(since time.Time) *why.Digest {
	flush, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	_ = p.recorder.Flush(flush) // else what has just ended is missing
	g := p.current.Load()
	s := why.Source{Service: p.service, Zone: g.config.Locality.Zone, Until: time.Now()}
	s.Rows, s.Since = p.tally.Since(since)
	s.Kept = p.store.Since(s.Since)
	s.Instance, s.Listens = g.reachedAt()
	clusters := g.measured()
	s.Callee = g.callees(clusters)
	for _, c := range clusters {
		for _, e := range c.Status().Endpoints {
			s.Endpoints = append(s.Endpoints, why.Endpoint{Address: e.Address, Version: e.Metadata["version"], Zone: e.Zone})
		}
	}
	s.Events = p.eventsSince(since.Add(-beforeFailures))
	return why.Make(&s)
}

// flushTime is how long a digest waits for the hops that have ended to be recorded.
const flushTime = 200 * time.Millisecond

// beforeFailures is how long before the time that is asked for a change may have been.
const beforeFailures = 5 * time.Minute

// callees returns how the service is named that hops with some labels go to; "" is the
// proxy's own.
func (g *generation) callees(clusters []*cluster.Cluster) func(*hop.Labels) string {
	names := map[string]string{}
	for _, c := range clusters {
		if name := c.Service(); name != "" {
			names[c.Name] = name
		}
	}
	return func(l *hop.Labels) string {
		if b := g.named(l.Listener); b != nil && g.own(b.config, resources.ID{Origin: resources.Configuration, Name: l.Cluster}) {
			return ""
		}
		name, ok := names[l.Cluster]
		if !ok {
			name = l.Cluster
		}
		if name == g.service && l.Direction == hop.Inbound {
			return ""
		}
		return name
	}
}

// reachedAt returns the addresses at which others reach this proxy's service, and the one
// that stands for the instance. A socket of all addresses is reached at those of this
// machine, but for the loopback ones, which every machine has.
func (g *generation) reachedAt() (instance string, all []string) {
	var own []net.IP
	for _, b := range g.listeners {
		if b.config.Direction != "inbound" {
			continue
		}
		a := b.listener.Addr()
		if !a.Addr().IsUnspecified() {
			all = append(all, a.String())
			continue
		}
		if own == nil {
			own = ownAddresses()
		}
		for _, ip := range own {
			if at, ok := netip.AddrFromSlice(ip); ok {
				all = append(all, netip.AddrPortFrom(at.Unmap(), a.Port()).String())
			}
		}
	}
	if len(all) > 0 {
		return all[0], all
	}
	name, _ := os.Hostname()
	return name, nil
}

// ownAddresses are those of this machine that others can reach.
func ownAddresses() (all []net.IP) {
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range found {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			all = append(all, n.IP)
		}
	}
	return all
}

// top says what was counted since the start.
func (p *Proxy) top() *top.Counts {
	g := p.current.Load()
	c := &top.Counts{Service: p.service, Started: p.started.UTC(), At: time.Now().UTC(), Edges: []top.Edge{}, LostContext: p.tally.Lost()}
	_, c.Listens = g.reachedAt()
	callee := g.callees(g.measured())
	totals := p.tally.Totals()
	for i := range totals {
		t := &totals[i]
		name := why.ServiceOf(t.Host)
		if name == "" && t.Cluster != "" {
			name = callee(&hop.Labels{Listener: t.Listener, Cluster: t.Cluster, Direction: t.Direction})
		}
		c.Add(name, t)
	}
	return c
}
