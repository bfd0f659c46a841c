package main

import (
	"fmt"
	"slices"
)

// Names of the groups, which -only takes beside those of variants.
const (
	groupHTTP1  = "http1"
	groupH2     = "h2"
	groupH2H2   = "h2h2"
	groupGRPC   = "grpc"
	groupTLS    = "tls"
	groupLarge  = "large"
	groupChurn  = "churn"
	groupScale  = "scale"
	groupRoutes = "routes"
)

// The load of groupLarge: few connections, and answers of so many bytes.
const (
	largeConnections = 8
	largeBody        = 1 << 20
)

// The load on HTTP/2: few connections of several streams each.
const (
	http2Connections = 16
	http2Streams     = 10
)

// group is a set of variants that are measured beside each other: they speak the
// same protocols, and the same loads are put on them.
type group struct {
	name  string
	title string // in the report, before each load; empty: the load says enough
	base  string // the variant that ratios are to, but for those that name another
	tool  string // the program that puts the load: wrk or h2load
	http2 bool   // the client speaks HTTP/2 in plain text
	grpc  bool   // and gRPC in it
	tls   bool   // the client speaks HTTP/1.1 over TLS
	large bool   // the answers are large
	churn bool   // each request comes on a connection of its own
	scale bool   // the variants differ in how many endpoints and routes they have

	// routes is true where the variants differ in what a route asks and does. All are
	// hopscope's, and fields are what each request has, for the conditions.
	routes bool
	fields []string
}

// groups lists them in the order they are measured and reported.
func groups() []group {
	return []group{
		{name: groupHTTP1, base: haproxyPlain, tool: "wrk"},
		{name: groupH2, title: "HTTP/2 to HTTP/1.1", base: haproxyH2, tool: "h2load", http2: true},
		{name: groupH2H2, title: "HTTP/2 to HTTP/2", base: haproxyH2H2, tool: "h2load", http2: true},
		{name: groupGRPC, title: "gRPC, unary", base: haproxyGRPC, tool: "h2load", http2: true, grpc: true},
		{name: groupTLS, title: "TLS 1.3 to HTTP/1.1", base: haproxyTLS, tool: "wrk", tls: true},
		{name: groupLarge, base: haproxyLarge, tool: "wrk", large: true},
		{name: groupChurn, base: haproxyChurn, tool: "wrk", churn: true},
		{name: groupScale, title: fmt.Sprintf("one or %d endpoints and routes", manyEndpoints), base: hopscopeOne, tool: "wrk", scale: true},
		{name: groupRoutes, title: "a plain route, or one with twelve conditions", base: hopscopePlainRoute, tool: "wrk", routes: true, fields: routeFields()},
	}
}

// routeFields meet the conditions of hopscope-routes.yaml.
func routeFields() []string {
	return []string{"User-Agent: curl/8.5.0", "X-User-Group: beta", "X-Debug: 1", "X-Build: 142", "Cookie: session=4711; group=beta"}
}

func groupNames() []string {
	var names []string
	for _, g := range groups() {
		names = append(names, g.name)
	}
	return names
}

// groupOf returns the group of a name; one without any is empty.
func groupOf(name string) group {
	all := groups()
	i := slices.IndexFunc(all, func(g group) bool { return g.name == name })
	if i < 0 {
		return group{}
	}
	return all[i]
}

// cells lists every kind of load on the group. HTTP/1 in plain text gets each of
// the options' connections with each of their bodies, the others the first of them.
func (g group) cells(o options) []cell {
	connections, body := o.connections[0], o.bodies[0]
	switch {
	case g.http2:
		return []cell{{Group: g.name, Connections: http2Connections, Streams: http2Streams, BodyBytes: body}}
	case g.large:
		return []cell{{Group: g.name, Connections: largeConnections, BodyBytes: largeBody}}
	case g.churn:
		return []cell{{Group: g.name, Connections: connections, BodyBytes: body, Fresh: true}}
	case g.scale, g.routes:
		return []cell{{Group: g.name, Connections: connections, BodyBytes: body}}
	case g.tls:
		return []cell{
			{Group: g.name, Connections: connections, BodyBytes: body},
			{Group: g.name, Connections: connections, BodyBytes: body, Fresh: true},
		}
	}
	var cells []cell
	for _, connections := range o.connections {
		for _, body := range o.bodies {
			cells = append(cells, cell{Group: g.name, Connections: connections, BodyBytes: body})
		}
	}
	return cells
}

// answers are the sizes of the group's answers, each once.
func (g group) answers(o options) (sizes []int) {
	for _, c := range g.cells(o) {
		if !slices.Contains(sizes, c.BodyBytes) {
			sizes = append(sizes, c.BodyBytes)
		}
	}
	return sizes
}

// chosen returns the groups of which the options measure a variant.
func (o options) chosen() []group {
	return slices.DeleteFunc(groups(), func(g group) bool { return len(o.variantsOf(g)) == 0 })
}

// variantsOf returns the options' variants of one group.
func (o options) variantsOf(g group) []variant {
	var own []variant
	for _, v := range o.variants {
		if v.group == g.name {
			own = append(own, v)
		}
	}
	return own
}

// cellsOf lists every kind of load of the options.
func cellsOf(o options) []cell {
	var cells []cell
	for _, g := range o.chosen() {
		cells = append(cells, g.cells(o)...)
	}
	return cells
}

// loadsOf counts the measured loads of the options.
func loadsOf(o options) int {
	n := 0
	for _, g := range o.chosen() {
		n += o.rounds * len(g.cells(o)) * len(o.variantsOf(g))
	}
	return n
}
