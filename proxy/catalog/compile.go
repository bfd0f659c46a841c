package catalog

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/message"
)

// member is an instance that serves a host and path, and the tag that says so.
type member struct {
	service  string
	endpoint *discovery.Endpoint
	tag      *tag
}

func (m member) serves() bool {
	return m.endpoint.Health <= discovery.Degraded && m.endpoint.Weight > 0
}

// plan is a [Plan] in the making.
type plan struct {
	options   Options
	routes    []ordered
	services  map[string]Cluster // of all instances of a service, by its name
	clusters  map[string]Cluster // of hosts and paths, by name
	problems  map[Problem]struct{}
	hostPaths map[hostPath][]member
	registers map[string]struct{}
}

// Compile makes a plan of a catalog. Services of the same name are one.
func Compile(services []Service, o Options) *Plan {
	if o.Suffixes == nil {
		o.Suffixes = []string{"service.consul"}
	}
	o.FabioPrefix = cmp.Or(o.FabioPrefix, "urlprefix-")
	instances := make(map[string][]Instance, len(services))
	for _, s := range services {
		instances[s.Name] = append(instances[s.Name], s.Instances...)
	}
	n := len(instances)
	p := &plan{
		options: o, routes: make([]ordered, 0, 2*n), services: make(map[string]Cluster, n),
		clusters: map[string]Cluster{}, problems: map[Problem]struct{}{}, hostPaths: make(map[hostPath][]member, n),
		registers: map[string]struct{}{},
	}
	names := slices.Sorted(maps.Keys(instances))
	byName := map[string]string{} // hosts to services
	for _, name := range names {
		p.serve(name, instances[name], byName)
	}
	for at, members := range p.hostPaths {
		p.tagged(at, members)
	}
	return p.done()
}

func (p *plan) problem(service, tag, format string, args ...any) {
	const shown = 256
	if len(tag) > shown {
		tag = strings.ToValidUTF8(tag[:shown], "") + "..."
	}
	p.problems[Problem{Service: service, Tag: tag, Why: fmt.Sprintf(format, args...)}] = struct{}{}
}

// serve reads a service's tags and makes its routes by name.
func (p *plan) serve(name string, instances []Instance, byName map[string]string) {
	known := map[string]*tag{} // most instances have the same tags
	transports := map[Transport]struct{}{}
	restricted := false
	endpoints := make([]discovery.Endpoint, len(instances))
	for i := range instances {
		instance := &instances[i]
		endpoints[i] = instance.Endpoint
		for _, t := range p.tags(name, instance.Tags, known) {
			restricted = restricted || t.restricted
			if t.unplaced != "" {
				continue
			}
			m := member{name, &instance.Endpoint, t}
			p.hostPaths[t.hostPath] = append(p.hostPaths[t.hostPath], m)
			if t.register != "" && t.refused == "" && m.serves() {
				p.registers[t.register] = struct{}{}
			}
			if t.refused == "" && t.redirect == "" {
				transports[t.transport] = struct{}{}
			}
		}
	}
	if restricted {
		p.problem(name, "", "it is not served by its name, since its tags close it to some clients")
		return
	}
	p.named(name, distinct(endpoints), p.agreed(name, transports), byName)
}

// agreed is how a service is spoken to by its name: as its tags say.
func (p *plan) agreed(name string, transports map[Transport]struct{}) Transport {
	if len(transports) > 1 {
		p.problem(name, "", "its tags differ in proto, tlsskipverify or grpcservername: by its name it is spoken to in plain HTTP/1.1")
		return plain
	}
	for t := range transports {
		return t
	}
	return plain
}

// tags are an instance's tags for routes; which are left out of too many does not
// depend on their order.
func (p *plan) tags(service string, texts []string, known map[string]*tag) (all []*tag) {
	for _, text := range texts {
		text = strings.TrimSpace(text)
		rest, ours := strings.CutPrefix(text, ownPrefix)
		if !ours {
			if rest, ours = strings.CutPrefix(text, p.options.FabioPrefix); !ours {
				continue
			}
		}
		t := known[text]
		if t == nil {
			t = p.read(service, text, rest)
			known[text] = t
		}
		all = append(all, t)
	}
	if len(all) > maxTags {
		slices.SortFunc(all, func(a, b *tag) int { return strings.Compare(a.text, b.text) })
		p.problem(service, "", "an instance has %d tags for routes: those after the first %d are left out", len(all), maxTags)
		all = all[:maxTags]
	}
	return all
}

// read parses a tag and tells its problems.
func (p *plan) read(service, text, rest string) *tag {
	if len(text) > maxTag {
		p.problem(service, text, "left out: it is longer than %d bytes", maxTag)
		return &tag{text: text, unplaced: "long"}
	}
	t := parse(text, rest, strings.HasPrefix(text, ownPrefix), &p.options)
	switch {
	case t.unplaced != "":
		p.problem(service, text, "left out: %s", t.unplaced)
	case t.refused != "":
		p.problem(service, text, "requests for %s are refused where no other instance serves it: %s", t.hostPath, t.refused)
	}
	for _, why := range t.ignored {
		p.problem(service, text, "ignored: %s", why)
	}
	return &t
}

// named makes a service's own cluster, and its routes by name.
func (p *plan) named(name string, endpoints []discovery.Endpoint, transport Transport, byName map[string]string) {
	if err := checkName(name); err != nil {
		p.problem(name, "", "it is served by tags alone: %v", err)
		return
	}
	var hosts []string
	for _, host := range p.hosts(name) {
		if other, taken := byName[host]; taken {
			p.problem(name, "", "the host %s leads to the service %q", host, other)
		} else if err := checkName(host); err != nil {
			p.problem(name, "", "it is not served as this: %v", err)
		} else {
			byName[host] = name
			hosts = append(hosts, host)
		}
	}
	if len(hosts) == 0 {
		return
	}
	p.services[name] = Cluster{Name: name, Transport: transport, Endpoints: endpoints}
	p.routes = append(p.routes, byNameRoute(name, hosts))
}

// hosts are the names under which a service is found, each once.
func (p *plan) hosts(name string) []string {
	name = message.LowerHost(name)
	hosts := []string{name}
	for _, suffix := range p.options.Suffixes {
		if suffix = message.LowerHost(strings.TrimPrefix(suffix, ".")); suffix == "" {
			continue
		}
		hosts = append(hosts, name+"."+suffix)
		if domain, ok := strings.CutPrefix(suffix, "service."); ok && p.options.Datacenter != "" {
			hosts = append(hosts, name+".service."+message.LowerHost(p.options.Datacenter)+"."+domain)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// done puts all in order.
func (p *plan) done() *Plan {
	made := &Plan{Routes: sorted(p.routes), Registers: slices.Sorted(maps.Keys(p.registers))}
	made.Clusters = slices.AppendSeq(slices.Collect(maps.Values(p.services)), maps.Values(p.clusters))
	slices.SortFunc(made.Clusters, func(a, b Cluster) int { return strings.Compare(a.Name, b.Name) })
	made.Problems = slices.SortedFunc(maps.Keys(p.problems), func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(a.Tag, b.Tag), strings.Compare(a.Why, b.Why))
	})
	return made
}
