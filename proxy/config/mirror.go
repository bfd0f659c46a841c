package config

import "time"

// Mirror sends copies of requests to another cluster, to try it with real traffic. Nobody
// waits for the responses, which are thrown away. A copy is what the route sends, with
// "-shadow" at the end of the host's name. Its content is sent as it comes. Requests that
// change protocols (WebSockets) and CONNECT are not copied. Each copy has a hop of its own,
// with the direction "mirror". If a copy fails, nothing else does.
type Mirror struct {
	// Cluster is the cluster that the copies go to.
	Cluster string `yaml:"cluster" required:"true" ref:"clusters"`
	// Percent is the share of the requests that are copied, in per cent.
	Percent float64 `yaml:"percent" default:"100" min:"0" max:"100"`
	// Timeout is the time for a copy's whole response, from the end of the request; 0 is
	// none.
	Timeout time.Duration `yaml:"timeout" default:"15s" min:"0"`
	// MaxRequests is how many copies may be under way. While there are that many, requests
	// are not copied, which hopscope_mirror_skipped_total counts.
	MaxRequests int `yaml:"max_requests" default:"100" min:"1"`
	// MaxBehind is how much content may wait for a copy's endpoint, such as 1MiB. The copy is
	// cut off where its endpoint takes the content more slowly: the request does not wait. The
	// memory counts as that of clients does (see overload), and where it begins to be short,
	// copies are cut off before clients are refused anything.
	MaxBehind string `yaml:"max_behind" default:"1MiB" format:"size"`
}

// mirrors checks what spans the keys of a route's mirrors.
func (v validator) mirrors(p *place, r *Route) {
	for i := range r.Mirror {
		at := p.item(i)
		for j := range i {
			if r.Mirror[i].Cluster == r.Mirror[j].Cluster && r.Mirror[i].Cluster != "" {
				v.errs.add(at.key("cluster"), "%q has a copy of each request already, by mirror[%d]; remove one of them", clip(r.Mirror[i].Cluster), j)
				break
			}
		}
	}
}
