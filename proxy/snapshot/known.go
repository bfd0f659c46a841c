package snapshot

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/panics"
	"github.com/hopscope/hopscope/telemetry/metrics"
	"github.com/hopscope/hopscope/telemetry/redact"
)

// catalogStatus is the catalog as /catalog shows it.
type catalogStatus struct {
	cluster.SourceStatus
	Datacenter string           `json:"datacenter,omitempty"`
	Services   []catalogService `json:"services"`
	Routes     []catalogRoute   `json:"routes"`
	Problems   []catalogProblem `json:"problems"`
}

type catalogService struct {
	Name      string `json:"name"`
	Instances int    `json:"instances"`
}

type catalogRoute struct {
	Name       string   `json:"name"`
	Hosts      []string `json:"hosts,omitempty"`
	PathPrefix string   `json:"path_prefix,omitempty"`
	Cluster    string   `json:"cluster"`
}

type catalogProblem struct {
	Service string `json:"service"`
	Tag     string `json:"tag,omitempty"`
	Problem string `json:"problem"`
}

// Where a catalog comes from, and the endpoints of its clusters. Both are values of
// the label "source" of metrics, and keep their old spelling for that.
const (
	fromConsulCatalog = "the catalog of Consul"
	fromCatalog       = "the catalog"
)

// status tells of the catalog's source.
func (f *follower) status() cluster.SourceStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.source.status()
}

func (s *catalogState) status() cluster.SourceStatus {
	status := cluster.SourceStatus{
		From: fromConsulCatalog, Stale: s.err != nil, Known: s.services != nil, Remembered: s.recalled, Updates: s.updates, Errors: s.errs,
	}
	if s.err != nil {
		status.Error = redact.Text(s.err.Error())
		if since := s.since.UTC(); !s.since.IsZero() {
			status.Since = &since
		}
	}
	if updated := s.updated.UTC(); !s.updated.IsZero() {
		status.Updated = &updated
	}
	return status
}

// catalogState is what the admin API shows of the catalog, nil for none.
func (p *Proxy) catalogState() any {
	c := p.current.Load().catalog
	if c == nil {
		return map[string]any{"catalog": nil}
	}
	f := c.follower
	f.mu.Lock()
	defer f.mu.Unlock()
	s := catalogStatus{
		SourceStatus: f.source.status(), Datacenter: f.asked.Datacenter,
		Services: []catalogService{}, Routes: []catalogRoute{}, Problems: []catalogProblem{},
	}
	for _, name := range slices.Sorted(maps.Keys(f.source.services)) {
		s.Services = append(s.Services, catalogService{name, len(f.source.services[name])})
	}
	if c.plan == nil {
		return s
	}
	for _, r := range c.plan.Routes {
		s.Routes = append(s.Routes, catalogRoute{r.Name, r.Match.Hosts, r.Match.PathPrefix, r.Cluster})
	}
	for _, problem := range c.plan.Problems {
		s.Problems = append(s.Problems, catalogProblem{problem.Service, problem.Tag, problem.Why})
	}
	return s
}

// unknown returns why the proxy does not know yet where requests go, "" if it does.
func (g *generation) unknown() string {
	var all []string
	if g.catalog != nil {
		if why := g.catalog.follower.unknown(); why != "" {
			all = append(all, why)
		}
	}
	for _, c := range g.configured() {
		if why := c.Unknown(); why != "" {
			all = append(all, "cluster "+c.Name+" "+why)
		}
	}
	const most = 3
	if len(all) > most {
		all = append(all[:most], "...")
	}
	return strings.Join(all, "; ")
}

// ready reports whether the proxy takes traffic. It does so once it knows where requests
// go, and then stays ready: a source that a reload adds, and that does not answer, takes
// no traffic away from others.
func (p *Proxy) ready() (bool, string) {
	if p.draining.Load() {
		return false, "draining"
	}
	if p.panics.TooMany(time.Now()) {
		return false, fmt.Sprintf("the proxy panicked more than %d times within the last minute: see its log for the stack", panics.Limit)
	}
	if p.informed.Load() {
		return true, ""
	}
	if why := p.current.Load().unknown(); why != "" {
		return false, why
	}
	p.informed.Store(true)
	return true, ""
}

// measureDiscovery registers what sources of clusters and of the catalog are like.
func (p *Proxy) measureDiscovery() {
	each := func(name, help string, kind metrics.Kind, labels []string, read func(s cluster.SourceStatus, emit func(float64, ...string))) {
		p.metrics.Func(name, help, kind, append([]string{"service", "cluster", "source"}, labels...), func(emit func(float64, ...string)) {
			g := p.current.Load()
			tell := func(cluster string, s cluster.SourceStatus) {
				read(s, func(value float64, labels ...string) {
					emit(value, append([]string{g.config.Service, cluster, s.From}, labels...)...)
				})
			}
			for _, c := range g.measured() {
				tell(c.Name, c.SourceStatus())
			}
			if g.catalog != nil {
				tell("", g.catalog.follower.status())
			}
		})
	}
	each("hopscope_discovery_known", "1 when the source of a cluster's endpoints, or of the catalog (cluster is empty), has ever answered, or what it said before is in use; 0 while nothing is known.",
		metrics.Gauge, nil, func(s cluster.SourceStatus, emit func(float64, ...string)) { emit(number(s.Known)) })
	each("hopscope_discovery_stale", "1 while the source of a cluster's endpoints, or of the catalog (cluster is empty), can't be asked, and its last answer is in use.",
		metrics.Gauge, nil, func(s cluster.SourceStatus, emit func(float64, ...string)) { emit(number(s.Stale)) })
	each("hopscope_discovery_age_seconds", "How long ago what is known of a cluster's endpoints, or of the catalog (cluster is empty), was last known to be so: 0 while its source answers; absent while nothing is known.",
		metrics.Gauge, nil, func(s cluster.SourceStatus, emit func(float64, ...string)) {
			switch {
			case s.Known && s.Stale && s.Since != nil:
				emit(max(time.Since(*s.Since).Seconds(), 0))
			case s.Known:
				emit(0)
			}
		})
	each("hopscope_discovery_updates_total", "Answers of the source of a cluster's endpoints, or of the catalog (cluster is empty), by how they went.",
		metrics.Counter, []string{"result"}, func(s cluster.SourceStatus, emit func(float64, ...string)) {
			emit(float64(s.Updates), "success")
			emit(float64(s.Errors), "failure")
		})
	p.eachCluster((*generation).listed, "hopscope_discovery_endpoint_changes_total", "Endpoints that the source of a cluster added and removed.",
		metrics.Counter, []string{"change"}, func(c *cluster.Cluster, emit func(float64, ...string)) {
			added, removed := c.Changes()
			emit(float64(added), "added")
			emit(float64(removed), "removed")
		})
	p.metrics.Func("hopscope_discovery_cache_writes_total", "Times that the cache of discovery was written, by how that ended.",
		metrics.Counter, []string{"service", "result"}, func(emit func(float64, ...string)) {
			service := p.current.Load().config.Service
			emit(float64(p.keeper.successes.Load()), service, "success")
			emit(float64(p.keeper.failures.Load()), service, "failure")
		})
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
