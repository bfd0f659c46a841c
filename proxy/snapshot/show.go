package snapshot

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/proxy/tlsconf"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/tally"
)

// shownConfig is the configuration in force, with what it does: /v1/config. docs/mesh.md
// says what each key means.
type shownConfig struct {
	Service  string `json:"service"`
	Instance string `json:"instance"`
	Version  string `json:"version"`
	Config   struct {
		Hash   string    `json:"hash"`
		Source string    `json:"source,omitempty"`
		Loaded time.Time `json:"loaded"`
	} `json:"config"`
	Listeners    []shownListener    `json:"listeners"`
	Clusters     []shownCluster     `json:"clusters"`
	Certificates []shownCertificate `json:"certificates"`
	YAML         string             `json:"yaml"`
}

type shownListener struct {
	Name        string       `json:"name"`
	Address     string       `json:"address"`
	Direction   string       `json:"direction"`
	Protocol    string       `json:"protocol"`
	TLS         bool         `json:"tls"`
	Connections int64        `json:"connections"`
	Routes      []shownRoute `json:"routes"`
}

type shownRoute struct {
	Name    string     `json:"name"`
	Match   string     `json:"match"`
	Cluster string     `json:"cluster"`
	Hits    uint64     `json:"hits"`
	Failed  uint64     `json:"failed"`
	LastHit *time.Time `json:"last_hit,omitempty"`
	// Closed is why a route of the catalog refuses its requests, "" if it does not.
	Closed string `json:"closed,omitempty"`
	// Unreachable is why no request can take the route, "" if some can.
	Unreachable string `json:"unreachable,omitempty"`
	// Guard is the state of its guard; nil if it has none.
	Guard *shownGuard `json:"guard,omitempty"`
}

type shownCluster struct {
	Name      string          `json:"name"`
	Service   string          `json:"service"`
	Source    string          `json:"source"`
	Discovery *shownDiscovery `json:"discovery,omitempty"`
	Policy    string          `json:"policy"`
	Endpoints []shownEndpoint `json:"endpoints"`
}

type shownDiscovery struct {
	Kind  string         `json:"kind"`
	Age   *time.Duration `json:"age_ns,omitempty"`
	Error string         `json:"error"`
}

type shownEndpoint struct {
	Address string     `json:"address"`
	Health  string     `json:"health"`
	Reason  string     `json:"reason"`
	Weight  float64    `json:"weight"`
	Zone    string     `json:"zone"`
	Ejected bool       `json:"ejected"`
	Until   *time.Time `json:"ejected_until,omitempty"`
	// Draining is true if it was taken out for good, by hand or by its source.
	Draining bool  `json:"draining"`
	Active   int64 `json:"active"`
	// Requests and Failed are those of the last hour.
	Requests uint64 `json:"requests"`
	Failed   uint64 `json:"failed"`
	// Latency is the peak EWMA of how long its responses take to begin.
	Latency time.Duration `json:"latency_ns"`
}

type shownCertificate struct {
	Name     string    `json:"name"`
	Subject  string    `json:"subject"`
	SANs     []string  `json:"sans"`
	NotAfter time.Time `json:"not_after"`
	DaysLeft int       `json:"days_left"`
	UsedBy   []string  `json:"used_by"`
}

// shown is the configuration in force.
func (p *Proxy) shown() any {
	g, now := p.current.Load(), time.Now()
	s := &shownConfig{Service: p.service, Instance: p.instance(g.config), Version: p.options.Version, YAML: string(g.config.DumpYAML())}
	s.Config.Hash, s.Config.Source, s.Config.Loaded = g.hash, p.options.Source, g.loaded.UTC()
	hour := p.lastHour()
	s.Listeners = g.shownListeners(hour)
	s.Clusters = g.shownClusters(hour, now)
	s.Certificates = p.shownCertificates(now)
	return s
}

// used is what was counted in the last hour.
type used struct {
	last      map[routeKey]time.Time
	endpoints map[endpointKey]tally.Count
}

type routeKey struct{ listener, route, cluster string }

type endpointKey struct{ cluster, endpoint string }

func (p *Proxy) lastHour() *used {
	u := &used{map[routeKey]time.Time{}, map[endpointKey]tally.Count{}}
	now := time.Now()
	for _, s := range p.tally.Spans() {
		end := s.Start.Add(tally.Window).UTC()
		if end.After(now) {
			end = now.UTC()
		}
		for i := range s.Rows {
			r := &s.Rows[i]
			u.last[routeKey{r.Labels.Listener, r.Labels.Route, r.Labels.Cluster}] = end
			k := endpointKey{r.Labels.Cluster, r.Endpoint}
			c := u.endpoints[k]
			c.Requests += r.Requests
			c.Failed += r.Failed
			u.endpoints[k] = c
		}
	}
	return u
}

// hits are the requests of each route since the start, and those that failed, by direction,
// route and cluster.
func (p *Proxy) hits() map[[3]string]tally.Count {
	all := map[[3]string]tally.Count{}
	for _, r := range p.metrics.Routes() {
		k := [3]string{r.Direction.String(), cmp.Or(r.Configured, hop.UnnamedRoute), r.Cluster}
		c := all[k]
		c.Requests += r.Requests
		c.Failed += r.Failed
		all[k] = c
	}
	return all
}

func (g *generation) shownListeners(hour *used) []shownListener {
	all, hits := []shownListener{}, g.hits()
	for _, b := range g.listeners {
		l := shownListener{
			Name: b.config.Name, Address: b.listener.Addr().String(), Direction: b.config.Direction, Protocol: "http", TLS: b.config.TLS != nil,
			Connections: b.listener.Active.Load(), Routes: []shownRoute{},
		}
		if b.config.ForwardProxy != nil {
			l.Protocol = "http, forward proxy"
		}
		if table := g.base.Routes[resources.ID{Origin: resources.Configuration, Name: b.config.Name}]; table != nil {
			unreachable := g.unreachable(b.config.Name, table.Routes)
			for i := range table.Routes {
				one := g.shownRoute(&table.Routes[i], b.config, hits, hour)
				one.Unreachable = unreachable[i]
				l.Routes = append(l.Routes, one)
			}
		}
		all = append(all, l)
	}
	return all
}

func (g *generation) shownRoute(r *resources.Route, lc *config.Listener, hits map[[3]string]tally.Count, hour *used) shownRoute {
	one := shownRoute{Name: r.Name, Match: r.Match.String(), Closed: r.Closed, Cluster: strings.Join(clustersOf(r), ", ")}
	for _, cluster := range clustersOf(r) {
		c := hits[[3]string{lc.Direction, r.Name, cluster}]
		one.Hits += c.Requests
		one.Failed += c.Failed
		if last, ok := hour.last[routeKey{lc.Name, r.Name, cluster}]; ok && (one.LastHit == nil || last.After(*one.LastHit)) {
			one.LastHit = &last
		}
	}
	if i := slices.IndexFunc(g.guards, func(w *guarded) bool { return w.route == r }); i >= 0 {
		one.Guard = g.guards[i].shown(time.Now())
	}
	return one
}

// clustersOf are the clusters that a route leads to, each once; "" where it leads to none.
func clustersOf(r *resources.Route) []string {
	if len(r.Targets) == 0 {
		return []string{r.Cluster.Name}
	}
	var all []string
	for i := range r.Targets {
		if name := r.Targets[i].Cluster.Name; !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

func (g *generation) shownClusters(hour *used, now time.Time) []shownCluster {
	all := []shownCluster{}
	for _, c := range g.allClusters() {
		status := c.Status()
		one := shownCluster{Name: c.Name, Service: c.Service(), Source: status.Source.From, Policy: status.Policy, Endpoints: []shownEndpoint{}}
		if kind, _, _ := strings.Cut(status.Source.From, " "); kind != "the" { // "the configuration" is asked nothing
			one.Discovery = &shownDiscovery{Kind: kind, Error: status.Source.Error}
			if at := status.Source.Updated; at != nil {
				age := now.Sub(*at)
				one.Discovery.Age = &age
			}
		}
		for i := range status.Endpoints {
			e := &status.Endpoints[i]
			counted := hour.endpoints[endpointKey{c.Name, e.Address}]
			one.Endpoints = append(one.Endpoints, shownEndpoint{
				Address: e.Address, Health: e.Health, Reason: e.Why, Weight: e.Weight, Zone: e.Zone, Ejected: e.Ejected || strings.HasPrefix(e.Why, "ejected"), Until: e.Until,
				Draining: strings.HasPrefix(e.Why, "drained") || strings.HasPrefix(e.Why, "taken out"),
				Active:   e.Active, Requests: counted.Requests, Failed: counted.Failed, Latency: time.Duration(e.LatencyMS * float64(time.Millisecond)),
			})
		}
		all = append(all, one)
	}
	return all
}

// shownCertificates are the certificates in use, that which ends first first.
func (p *Proxy) shownCertificates(now time.Time) []shownCertificate {
	all := []shownCertificate{}
	add := func(kind, name string, leaves []tlsconf.Leaf) {
		by := strings.TrimSpace(kind + " " + name)
		for _, leaf := range leaves {
			i := slices.IndexFunc(all, func(c shownCertificate) bool {
				return c.Subject == leaf.Subject && c.NotAfter.Equal(leaf.NotAfter) && slices.Equal(c.SANs, leaf.Names)
			})
			if i >= 0 {
				all[i].UsedBy = append(all[i].UsedBy, by)
				continue
			}
			all = append(all, shownCertificate{
				Name: by, Subject: leaf.Subject, SANs: append([]string{}, leaf.Names...), NotAfter: leaf.NotAfter.UTC(),
				DaysLeft: int(math.Floor(leaf.NotAfter.Sub(now).Hours() / 24)), UsedBy: []string{by},
			})
		}
	}
	g := p.current.Load()
	g.applying.Lock()
	for id, c := range g.secrets {
		switch {
		case c.server != nil:
			add("listener", id.Name, c.server.Leaves())
		case c.client != nil:
			add("cluster", id.Name, c.client.Leaves())
		}
	}
	g.applying.Unlock()
	if p.guard != nil && p.guard.server != nil {
		add("admin", "", p.guard.server.Leaves())
	}
	if p.mesh != nil && p.mesh.tls != nil {
		add("mesh", "", p.mesh.tls.Leaves())
	}
	for i := range all {
		slices.Sort(all[i].UsedBy)
	}
	slices.SortFunc(all, func(a, b shownCertificate) int {
		return cmp.Or(a.NotAfter.Compare(b.NotAfter), cmp.Compare(a.Name, b.Name))
	})
	return all
}
