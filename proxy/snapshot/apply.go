package snapshot

import (
	"fmt"
	"slices"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/resources"
)

// apply makes a generation run a set. It makes clusters and secrets that are new or
// changed, passes on endpoints that changed, gives listeners the catalog's routes, and
// drops what is gone. If a cluster or secret can't be made, the old one of its name
// stays. The caller holds Proxy.applying.
func (g *generation) apply(set *resources.Set) (mistakes []mistake) {
	d := resources.Diff(g.set, set)
	g.set = set
	a := application{generation: g}
	made := false
	for _, id := range concat(d.Clusters.Added, d.Clusters.Changed, resources.ID.Compare) {
		if err := a.run(set.Clusters[id]); err != nil {
			mistakes = append(mistakes, mistake{id, err})
		}
		made = made || id.Origin == resources.Catalog
	}
	for _, id := range concat(d.Secrets.Added, d.Secrets.Changed, resources.SecretID.Compare) {
		if id.Side == resources.Upstream {
			continue // clusters have theirs made
		}
		if _, err := a.hold(set.Secrets[id]); err != nil {
			mistakes = append(mistakes, mistake{id.ID, err})
		}
	}
	for _, id := range d.Endpoints {
		if r := g.clusters[id]; r != nil {
			r.feedWith(set.Clusters[id].Fed)
		}
	}
	if changed := tableChanged(&d.Routes); made || changed || !g.routed {
		g.routeCatalog(changed)
	}
	for _, id := range d.Clusters.Removed {
		if r := g.clusters[id]; r != nil {
			delete(g.clusters, id)
			a.gone.cluster(r)
		}
	}
	for _, id := range d.Secrets.Removed {
		if c := g.secrets[id]; c != nil {
			delete(g.secrets, id)
			a.gone.credentials(c)
		}
	}
	a.gone.close()
	return mistakes
}

// application is a set that is being applied.
type application struct {
	*generation
	gone  releases                    // what the generation has no use for any more
	asked map[string]*cluster.Cluster // the clusters before, by what they ask; nil until it is needed
}

// mistake is why a cluster, or its TLS, can't be made.
type mistake struct {
	of resources.ID
	error
}

// concat returns the names of both lists, sorted.
func concat[K any](a, b []K, compare func(a, b K) int) []K {
	return slices.SortedFunc(slices.Values(slices.Concat(a, b)), compare)
}

// tableChanged reports whether the catalog's routes changed.
func tableChanged(d *resources.Difference[resources.ID]) bool {
	return slices.Contains(d.Added, resources.CatalogTable) || slices.Contains(d.Changed, resources.CatalogTable)
}

// hold returns the TLS of a secret. It makes it unless this generation has it, or the
// generation before has made it in the meantime.
func (a *application) hold(s *resources.Secret) (*credentials, error) {
	own := a.secrets[s.SecretID]
	if own != nil && own.of.Same(s) {
		return own, nil
	}
	c := &credentials{of: s}
	if other := a.before.credential(s.SecretID); other != nil && other.of.Same(s) {
		c = other
	} else if err := a.makeTLS(c); err != nil {
		return nil, err
	}
	c.uses++
	a.secrets[s.SecretID] = c
	if own != nil {
		a.gone.credentials(own)
	}
	return c, nil
}

// run runs a cluster. It makes it unless this generation has it, or the generation before
// has made it in the meantime.
func (a *application) run(c *resources.Cluster) error {
	own := a.clusters[c.ID]
	switch {
	case c.Template():
		delete(a.clusters, c.ID)
	case own != nil && own.of.Same(c):
		own.feedWith(c.Fed)
		return nil
	default:
		r := a.before.running(c.ID)
		if r != nil && r.of.Same(c) {
			r.feedWith(c.Fed)
		} else {
			var err error
			if own != nil {
				r = own
			}
			if r, err = a.newRunning(c, r); err != nil {
				return err
			}
		}
		r.uses++
		a.clusters[c.ID] = r
	}
	if own != nil {
		a.gone.cluster(own)
	}
	return nil
}

// newRunning makes a cluster. It takes over what it can from the one before, nil for
// none.
func (a *application) newRunning(c *resources.Cluster, before *running) (*running, error) {
	r := &running{of: c}
	n := newCluster{Cluster: c, before: before}
	if id, ok := c.Secret(); ok {
		tls, err := a.hold(a.set.Secrets[id])
		if err != nil {
			return nil, err
		}
		n.client = tls.client
	}
	if c.Fed != nil {
		r.feed = discovery.NewFeed(c.Fed.Update)
		n.source = r.feed
		// So that it has them at once, and not only when the feed is read.
		n.known = &discovery.Known{Endpoints: c.Fed.Endpoints, At: c.Fed.At}
	} else {
		n.known = a.known(c.Question())
	}
	var err error
	if r.cluster, err = a.newCluster(&n); err != nil {
		return nil, fmt.Errorf("cluster %s: %w", c.Name, err)
	}
	return r, nil
}

// known returns what the generation before, or a process before this one, knows of the
// answer to a question; nil for nothing.
func (a *application) known(question string) *discovery.Known {
	if question == "" {
		return nil
	}
	if a.asked == nil {
		a.asked = a.before.asking()
	}
	if c := a.asked[question]; c != nil {
		if k, ok := c.Known(); ok {
			return &k
		}
	}
	return a.memory.endpoints(question)
}
