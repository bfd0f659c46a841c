package snapshot

import (
	"slices"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/proxy/tlsconf"
)

// running is a running cluster. Generations share it if it is the same in both.
type running struct {
	of      *resources.Cluster
	cluster *cluster.Cluster
	feed    *discovery.Feed // nil where it asks a source of its own, or has none
	uses    int             // of generations; guarded by Proxy.applying
}

// feedWith passes on what is known of the endpoints, if the cluster is fed.
func (r *running) feedWith(e *resources.Endpoints) {
	if r.feed != nil {
		r.feed.Push(e.Update)
	}
}

// credentials are the TLS of a cluster or a listener. Generations share them if they are
// the same in both, so that sessions can be resumed and pooled connections reused.
type credentials struct {
	of     *resources.Secret
	client *tlsconf.Client // of a cluster
	server *tlsconf.Server // of a listener
	uses   int             // of generations; guarded by Proxy.applying
}

func (c *credentials) close() {
	if c.client != nil {
		c.client.Close()
	}
	if c.server != nil {
		c.server.Close()
	}
}

// fork gives a new generation the clusters and secrets of the old one.
func (g *generation) fork(old *generation) {
	g.applying.Lock()
	defer g.applying.Unlock()
	g.before, g.set = old, old.set
	for id, r := range old.clusters {
		r.uses++
		g.clusters[id] = r
	}
	for id, c := range old.secrets {
		c.uses++
		g.secrets[id] = c
	}
}

// settle forgets the generation before, which is about to be released.
func (g *generation) settle() {
	g.applying.Lock()
	defer g.applying.Unlock()
	g.before = nil
}

// asking returns the clusters that ask a source, by the question.
func (g *generation) asking() map[string]*cluster.Cluster {
	all := map[string]*cluster.Cluster{}
	if g == nil {
		return all
	}
	for _, r := range g.sorted() {
		if q := r.of.Question(); q != "" {
			all[q] = r.cluster
		}
	}
	return all
}

// running returns the cluster of a name, nil for none.
func (g *generation) running(id resources.ID) *running {
	if g == nil {
		return nil
	}
	return g.clusters[id]
}

// credential returns the TLS of a name, nil for none.
func (g *generation) credential(id resources.SecretID) *credentials {
	if g == nil {
		return nil
	}
	return g.secrets[id]
}

// sorted returns the clusters in order: those of the configuration, of forward proxies,
// and of the catalog, each by name.
func (g *generation) sorted() []*running {
	all := make([]*running, 0, len(g.clusters))
	for _, r := range g.clusters {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *running) int { return a.of.ID.Compare(b.of.ID) })
	return all
}

// releases are clusters and TLS that no generation uses any more.
type releases struct {
	clusters []*cluster.Cluster
	secrets  []*credentials
}

func (r *releases) cluster(c *running) {
	if c.uses--; c.uses == 0 {
		r.clusters = append(r.clusters, c.cluster)
	}
}

func (r *releases) credentials(c *credentials) {
	if c.uses--; c.uses == 0 {
		r.secrets = append(r.secrets, c)
	}
}

// close closes them. Requests under way to a cluster go on.
func (r *releases) close() {
	for _, c := range r.clusters {
		c.Close()
	}
	for _, c := range r.secrets {
		c.close()
	}
}

// releaseClusters ends this generation's use of its clusters. A second call does nothing.
func (g *generation) releaseClusters() {
	if g.catalog != nil {
		g.catalog.follower.leave(g)
	}
	var r releases
	defer r.close() // without the lock
	g.applying.Lock()
	defer g.applying.Unlock()
	if g.left {
		return
	}
	g.left = true
	for _, c := range g.sorted() {
		r.cluster(c)
	}
}

// releaseSecrets ends this generation's use of its TLS. It comes after its last request,
// which may still connect with it.
func (g *generation) releaseSecrets() {
	var r releases
	defer r.close()
	g.applying.Lock()
	defer g.applying.Unlock()
	for _, c := range g.secrets {
		r.credentials(c)
	}
	g.secrets = nil
}

// release ends this generation's use of everything.
func (g *generation) release() {
	g.releaseClusters()
	g.releaseSecrets()
}
