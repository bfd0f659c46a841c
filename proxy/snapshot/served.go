package snapshot

import (
	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/catalog"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/tlsconf"
)

// served is a cluster of the catalog. The generations that have it alike share it;
// the mutex of catalogs guards how many do.
type served struct {
	cluster  *cluster.Cluster
	settings clusterSettings
	feed     *discovery.Feed
	tls      *lease // nil for no TLS
	uses     int
}

// lease are the TLS settings of the clusters that have them alike.
type lease struct {
	client *tlsconf.Client
	uses   int
}

func (s *served) release() {
	if s.uses--; s.uses > 0 {
		return
	}
	s.cluster.Close()
	if s.tls != nil {
		if s.tls.uses--; s.tls.uses == 0 {
			s.tls.client.Close()
		}
	}
}

// serve makes a cluster of a plan, or takes the one that the generation before has,
// in the place of one that was spoken to in another way. stale is why the plan may be
// out of date.
func (c *catalogView) serve(made catalog.Cluster, stale error) {
	cc := c.configOf(made)
	settings := clusterSettings{Cluster: cc, zone: c.zone}
	own := c.served[made.Name]
	before := own
	if before == nil && c.before != nil {
		before = c.before.served[made.Name]
	}
	if before != nil && before != own && before.settings.same(settings) {
		before.uses++
		before.feed.Push(updateOf(made, stale))
		c.served[made.Name] = before
		return
	}
	s, err := c.newServed(made, &cc, before, stale)
	if err != nil {
		c.log.Error("a service of the catalog can't be served", "service", made.Name, "error", err)
		return
	}
	s.settings = settings
	c.served[made.Name] = s
	if own != nil {
		own.release()
	}
}

// newServed makes a cluster in the place of another, nil for none.
func (c *catalogView) newServed(made catalog.Cluster, cc *config.Cluster, before *served, stale error) (*served, error) {
	s := &served{feed: discovery.NewFeed(updateOf(made, stale)), uses: 1}
	n := newCluster{
		name: made.Name, config: cc, source: s.feed,
		// So that it has them at once, and not only when the feed is read.
		known: &discovery.Known{Endpoints: made.Endpoints, At: c.follower.source.known},
	}
	if before != nil {
		n.before, n.beforeConfig = before.cluster, &before.settings.Cluster
	}
	switch {
	case before != nil && sameTLS(cc, n.beforeConfig):
		s.tls = before.tls
	case cc.TLS != nil:
		client, err := c.secure(made.Name, cc)
		if err != nil {
			return nil, err
		}
		s.tls = &lease{client: client}
	}
	if s.tls != nil {
		s.tls.uses++
		n.client = s.tls.client
	}
	var err error
	if s.cluster, err = c.make(&n); err != nil {
		if s.tls != nil {
			if s.tls.uses--; s.tls.uses == 0 {
				s.tls.client.Close()
			}
		}
		return nil, err
	}
	return s, nil
}

// configOf is the configuration of a cluster of a plan.
func (c *catalogView) configOf(made catalog.Cluster) config.Cluster {
	cc := c.like
	if made.Protocol != "auto" {
		cc.Protocol = made.Protocol
	}
	if !made.TLS {
		cc.TLS = nil
		return cc
	}
	if cc.TLS == nil {
		cc.TLS = config.NewClusterTLS()
	}
	tls := *cc.TLS
	tls.InsecureSkipVerify = tls.InsecureSkipVerify || made.Insecure
	if made.ServerName != "" {
		tls.SNI = made.ServerName
	}
	cc.TLS = &tls
	return cc
}

// drop closes the cluster of a service that is gone.
func (c *catalogView) drop(name string) {
	if s := c.served[name]; s != nil {
		delete(c.served, name)
		s.release()
	}
}
