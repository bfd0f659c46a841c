package snapshot

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/explain"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/basicauth"
	"github.com/hopscope/hopscope/proxy/forward"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/telemetry/headers"
	"github.com/hopscope/hopscope/telemetry/metrics"
	"github.com/hopscope/hopscope/telemetry/tracecontext"
)

// Explainer explains what a proxy with a configuration would do with requests. It binds no
// socket, asks no source of endpoints, and sends nothing.
type Explainer struct {
	explainer *explainer
	clusters  []*cluster.Cluster
}

// NewExplainer makes the forwarders of a valid configuration, as [Start] does. An error has a
// line for each file that can't be read. The caller closes the Explainer.
func NewExplainer(c *config.Config) (*Explainer, error) {
	base, err := resourcesOf(c)
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		options: Options{Log: slog.New(slog.DiscardHandler)}, shared: netio.NewShared(), service: c.Service, passwords: basicauth.NewVerifier(),
		metrics: metrics.New(metrics.Options{Service: c.Service}), context: context.Background(),
	}
	g := &generation{
		Proxy: p, config: c, base: base, set: base,
		retries: map[string]*forward.Retry{}, chains: map[string]filter.Handler{}, clusters: map[resources.ID]*running{},
	}
	p.current.Store(g)
	made := &Explainer{explainer: &explainer{set: base, passwords: p.passwords, without: "the catalog is not asked: its routes come after those of the configuration"}}
	for name := range c.Clusters {
		g.retries[name] = retryPolicy(c.Clusters[name].Retry)
	}
	for id, rc := range base.Clusters {
		if rc.Template() {
			continue
		}
		cl := cluster.New(id.Name, staticEndpoints(rc.Settings), cluster.Options{Balance: balanceOptions(&rc.Settings.Balance, rc.Zone)}, p.shared)
		g.clusters[id] = &running{of: rc, cluster: cl}
		made.clusters = append(made.clusters, cl)
	}
	t := &c.Telemetry.Traces
	propagation, err := tracecontext.NewPropagation(t.Extract, t.Inject)
	if err != nil {
		made.Close()
		return nil, err
	}
	propagation.Mark = tracecontext.NewMark(c.MeshName())
	g.sampler = tracecontext.NewSampler(t.Sample)
	status := headers.NewProxyStatus(c.Service)
	for i := range c.Listeners {
		lc := &c.Listeners[i]
		o := g.forwarding(lc, nil, propagation, status)
		o.Catalog = new(atomic.Pointer[forward.Routing])
		made.explainer.add(base, lc, forward.New(o))
	}
	return made, nil
}

// Explain says what becomes of a request. An error says what is wrong with the question.
func (e *Explainer) Explain(r explain.Request) (*explain.Explanation, error) {
	return e.explainer.explain(r)
}

// Close ends the Explainer.
func (e *Explainer) Close() {
	for _, c := range e.clusters {
		c.Close()
	}
}
