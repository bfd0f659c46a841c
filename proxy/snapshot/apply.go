package snapshot

import (
	"fmt"
	"slices"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/resources"
)

// apply has a generation run a set. It makes the clusters and secrets that are new,
// and those that changed in the place of the ones of their name; it feeds clusters the
// endpoints that changed, has listeners use the catalog's routes, and lets go of what
// is gone. Where one can't be made, what was there in its place stays. The caller
// holds Proxy.applying.
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

// concat are the names of both lists, in order.
func concat[K any](a, b []K, compare func(a, b K) int) []K {
	return slices.SortedFunc(slices.Values(slices.Concat(a, b)), compare)
}

// tableChanged reports whether there are other routes of the catalog.
func tableChanged(d *resources.Difference[resources.ID]) bool {
	return slices.Contains(d.Added, resources.CatalogTable) || slices.Contains(d.Changed, resources.CatalogTable)
}

// hold makes the TLS of a secret, or takes what the generation before has made of it
// in the meantime.
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

// run makes a cluster, or takes the one that the generation before has made of it in
// the meantime.
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

// newRunning makes a cluster in the place of another, nil for none.
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

// known is what is known of the answer to a question: by the generation before, or by
// a process that was here before. It is nil where nothing is.
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
