package catalog

import (
	"slices"
	"strings"
)

// Changes are what makes one plan of another.
type Changes struct {
	// Routes is true where the routes differ.
	Routes bool
	// Made are the clusters that were not there, or are spoken to otherwise;
	// Updated those of which the endpoints alone differ. Both are the new ones.
	Made, Updated []Cluster
	// Gone are the names of clusters that are no more.
	Gone []string
}

// Since returns what changed from an older plan to this; nil is a plan without
// anything.
func (p *Plan) Since(old *Plan) Changes {
	if old == nil {
		old = &Plan{}
	}
	c := Changes{Routes: !slices.EqualFunc(p.Routes, old.Routes, Route.Equal)}
	for _, now := range p.Clusters {
		switch before, ok := old.Cluster(now.Name); {
		case !ok || before.Transport != now.Transport:
			c.Made = append(c.Made, now)
		case !now.Equal(before):
			c.Updated = append(c.Updated, now)
		}
	}
	for _, before := range old.Clusters {
		if _, ok := p.Cluster(before.Name); !ok {
			c.Gone = append(c.Gone, before.Name)
		}
	}
	return c
}

// Cluster returns the cluster of a name.
func (p *Plan) Cluster(name string) (Cluster, bool) {
	i, ok := slices.BinarySearchFunc(p.Clusters, name, func(c Cluster, name string) int { return strings.Compare(c.Name, name) })
	if !ok {
		return Cluster{}, false
	}
	return p.Clusters[i], true
}

// Equal reports whether two clusters are the same in all.
func (c Cluster) Equal(other Cluster) bool {
	return c.Name == other.Name && c.Transport == other.Transport && slices.EqualFunc(c.Endpoints, other.Endpoints, equalEndpoints)
}

// Equal reports whether two routes are the same in all.
func (r Route) Equal(other Route) bool {
	a, b := r.Match, other.Match
	return r.Name == other.Name && r.Cluster == other.Cluster && r.Strip == other.Strip && r.Prepend == other.Prepend && r.HostRewrite == other.HostRewrite &&
		a.Path == b.Path && a.PathPrefix == b.PathPrefix && slices.Equal(a.Hosts, b.Hosts) && slices.Equal(a.Methods, b.Methods)
}
