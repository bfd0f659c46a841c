package config

import (
	"slices"
	"time"

	"github.com/hopscope/hopscope/proxy/header"
)

// SplitTarget is a cluster that gets a share of a route's requests.
type SplitTarget struct {
	// Cluster is the cluster.
	Cluster string `yaml:"cluster" required:"true" ref:"clusters"`
	// Weight is its share, as against the sum of all weights. 0 is none, until a reload says
	// otherwise.
	Weight int `yaml:"weight" default:"1" min:"0" max:"1000000"`
	// Variant names the target in logs, spans and the admin API. The default is the cluster.
	// Two targets of one cluster need different names.
	Variant string `yaml:"variant" format:"name"`
	// RequestHeaders change the fields of its requests, after those of the route.
	RequestHeaders *HeaderChanges `yaml:"request_headers"`
	// ResponseHeaders change the fields of its responses, after those of the route.
	ResponseHeaders *HeaderChanges `yaml:"response_headers"`
}

// Name is the variant that the target is.
func (t *SplitTarget) Name() string {
	if t.Variant != "" {
		return t.Variant
	}
	return t.Cluster
}

// Sticky keeps a client at one target of a split, by one of "cookie", "header" and
// "source". A change of the weights moves a client only if its target has lost weight, or
// another has gained it, and no more clients than that takes. A request without what it
// goes by is sent by the weights alone. All proxies agree, as the hash that decides has no
// key: a client that chooses what it goes by may choose its target.
type Sticky struct {
	// Cookie is a cookie that clients without one are given.
	Cookie *StickyCookie `yaml:"cookie"`
	// Header is a field of the request, such as x-user.
	Header string `yaml:"header" format:"field"`
	// Source is true for the client's address.
	Source bool `yaml:"source" default:"false"`
}

// StickyCookie is a cookie that tells clients apart. Its value is random.
type StickyCookie struct {
	// Name is the cookie's name.
	Name string `yaml:"name" required:"true" format:"cookie"`
	// TTL is how long clients keep it, in whole seconds; 0 is for as long as a browser runs.
	TTL time.Duration `yaml:"ttl" default:"0s" min:"0"`
	// Path is the path that clients send it for, with all below.
	Path string `yaml:"path" default:"/" format:"path"`
}

// Targets are the clusters that a route may send requests to, each once.
func (r *Route) Targets() (all []string) {
	if r.Cluster != "" {
		all = append(all, r.Cluster)
	}
	for i := range r.Split {
		all = append(all, r.Split[i].Cluster)
	}
	all = append(all, r.AllowClusters...)
	slices.Sort(all)
	return slices.Compact(all)
}

// place is where a route at p names a cluster; nil if it does not.
func (r *Route) place(p *place, cluster string) *place {
	if r.Cluster == cluster {
		return p.key("cluster")
	}
	for i := range r.Split {
		if r.Split[i].Cluster == cluster {
			return p.key("split").item(i).key("cluster")
		}
	}
	if i := slices.Index(r.AllowClusters, cluster); i >= 0 {
		return p.key("allow_clusters").item(i)
	}
	return nil
}

// clusterHeader checks that a field that names clusters has some to name.
func (v validator) clusterHeader(p *place, r *Route) {
	at := p.key("allow_clusters")
	switch {
	case at.failed || p.key("cluster_header").failed:
	case r.ClusterHeader != "" && len(r.AllowClusters) == 0:
		v.lacks(at, " with cluster_header", "a list, each item the name of one of the clusters")
	case r.ClusterHeader == "" && len(r.AllowClusters) > 0:
		v.errs.add(at, "has no effect without cluster_header; add that, or remove the key")
	}
}

// split checks what spans the keys of a split.
func (v validator) split(p *place, r *Route) {
	at := p.key("split")
	if s := r.Sticky; s != nil {
		v.oneOf(p.key("sticky"), choice{"cookie", s.Cookie != nil}, choice{"header", s.Header != ""}, choice{"source", s.Source})
		if len(r.Split) == 0 && !at.failed && r.Redirect == nil && r.Answer == nil { // else it is reported
			v.errs.add(p.key("sticky"), "has no effect without split; add that, or remove the key")
		}
	}
	if len(r.Split) == 0 {
		if at.written && !at.failed {
			v.errs.add(at, "must not be empty; expected a list such as [{cluster: cart-v1, weight: 90}, {cluster: cart-v2, weight: 10}]")
		}
		return
	}
	sum, known, seen := 0, true, map[string]int{}
	for i := range r.Split {
		t, item := &r.Split[i], at.item(i)
		v.headerChanges(item.key("request_headers"), header.Request, t.RequestHeaders)
		v.headerChanges(item.key("response_headers"), header.Response, t.ResponseHeaders)
		sum += t.Weight
		known = known && !item.failed && !item.key("weight").failed
		first, ok := seen[t.Name()]
		switch {
		case t.Name() == "" || item.broken():
		case ok && t.Variant != "":
			v.errs.add(item.key("variant"), "%q is the name of item %d as well", clip(t.Name()), first)
		case ok:
			v.errs.add(item.key("cluster"), "%q is listed twice; it is item %d as well: give one of them a variant of another name", clip(t.Name()), first)
		}
		seen[t.Name()] = i
	}
	if sum == 0 && known {
		v.errs.add(at, "no target has a weight: expected one above 0")
	}
}
