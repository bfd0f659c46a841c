package catalog

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/discovery"
)

// tagged makes the route and the cluster of a host and path that tags name.
func (p *plan) tagged(at hostPath, members []member) {
	slices.SortFunc(members, func(a, b member) int {
		return cmp.Or(strings.Compare(a.endpoint.Address, b.endpoint.Address), cmp.Compare(b.tag.closes(), a.tag.closes()), compareEndpoints(*a.endpoint, *b.endpoint), strings.Compare(a.service, b.service), strings.Compare(a.tag.text, b.tag.text))
	})
	why := members[0].tag.refused
	members = slices.DeleteFunc(members, func(m member) bool { return m.tag.refused != "" })
	if len(members) == 0 {
		closed := taggedRoute(at, treatment{}, "")
		closed.Closed = why
		p.routes = append(p.routes, closed)
		return
	}
	members = p.alike(at, p.once(members))
	if how := members[0].tag.treatment; how.redirect != "" {
		p.routes = append(p.routes, taggedRoutes(at, how, "")...)
		return
	}
	c := Cluster{Transport: members[0].tag.transport, Endpoints: weigh(members)}
	services := servicesOf(members)
	if own, ok := p.services[services[0]]; ok && c.Transport == own.Transport && slices.EqualFunc(c.Endpoints, own.Endpoints, equalEndpoints) {
		c.Name = own.Name
	} else {
		c.Name = strings.Join(shortened(services), "+") + "@" + at.String()
		p.clusters[c.Name] = c
	}
	p.routes = append(p.routes, taggedRoutes(at, members[0].tag.treatment, c.Name)...)
}

// once leaves each address once: the catalog may have it several times, and
// its tags may name the same host and path several times. What keeps clients out is left.
func (p *plan) once(members []member) []member {
	kept := members[:0]
	for _, m := range members {
		if n := len(kept); n == 0 || kept[n-1].endpoint.Address != m.endpoint.Address {
			kept = append(kept, m)
		} else if first := kept[n-1].tag; m.tag != first && (m.tag.treatment != first.treatment || m.tag.weight != first.weight) {
			p.problem(m.service, m.tag.text, "left out where the same address has another tag for %s", m.tag.hostPath)
		}
	}
	return kept
}

// alike leaves members whose requests are treated in one way, since a route has
// but one: the way that most instances agree on, those first that can serve. They
// may differ for a while when a new version comes with other tags. What keeps clients out
// comes before what does not, however many say so.
func (p *plan) alike(at hostPath, members []member) []member {
	first := members[0].tag.treatment
	if !slices.ContainsFunc(members, func(m member) bool { return m.tag.treatment != first }) {
		return members
	}
	type votes struct{ serving, all int }
	count := map[treatment]votes{}
	for _, m := range members {
		v := count[m.tag.treatment]
		v.all++
		if m.serves() {
			v.serving++
		}
		count[m.tag.treatment] = v
	}
	chosen := slices.MaxFunc(slices.Collect(maps.Keys(count)), func(a, b treatment) int {
		return cmp.Or(cmp.Compare(a.closes(), b.closes()), cmp.Compare(count[a].serving, count[b].serving), cmp.Compare(count[a].all, count[b].all), compareTreatments(a, b))
	})
	return slices.DeleteFunc(members, func(m member) bool {
		other := m.tag.treatment != chosen
		if other {
			p.problem(m.service, m.tag.text, "left out while more instances have other options for %s, or one keeps clients out", at)
		}
		return other
	})
}

// closes is 1 for a treatment that keeps clients out, 0 for others.
func (t treatment) closes() int {
	if t.allow+t.deny+t.auth != "" {
		return 1
	}
	return 0
}

func compareTreatments(a, b treatment) int {
	return strings.Compare(fmt.Sprintf("%+v", a), fmt.Sprintf("%+v", b))
}

// servicesOf are the services' names, each once, in order.
func servicesOf(members []member) []string {
	var names []string
	for _, m := range members {
		names = append(names, m.service)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// shortened are the services as a cluster's name has them: few, because it is a
// label of metrics, and without the sign that ends them.
func shortened(services []string) []string {
	const most = 3
	names := slices.Clone(services)
	if more := len(services) - most; more > 0 {
		names = append(names[:most], fmt.Sprint(more))
	}
	for i := range names {
		names[i] = strings.ReplaceAll(names[i], "@", "_")
	}
	return names
}

// distinct sorts endpoints, and leaves each address once.
func distinct(endpoints []discovery.Endpoint) []discovery.Endpoint {
	slices.SortFunc(endpoints, compareEndpoints)
	return slices.CompactFunc(endpoints, func(a, b discovery.Endpoint) bool { return a.Address == b.Address })
}

// compareEndpoints orders endpoints by address, and those of the same address by
// all else, so that the healthiest comes first.
func compareEndpoints(a, b discovery.Endpoint) int {
	if c := strings.Compare(a.Address, b.Address); c != 0 {
		return c
	}
	if c := cmp.Or(cmp.Compare(a.Health, b.Health), cmp.Compare(a.Priority, b.Priority), cmp.Compare(b.Weight, a.Weight),
		strings.Compare(a.Locality.Region, b.Locality.Region), strings.Compare(a.Locality.Zone, b.Locality.Zone)); c != 0 || maps.Equal(a.Metadata, b.Metadata) {
		return c
	}
	return strings.Compare(fmt.Sprintf("%q", a.Metadata), fmt.Sprintf("%q", b.Metadata)) // sorted by key
}

func equalEndpoints(a, b discovery.Endpoint) bool { return compareEndpoints(a, b) == 0 }
