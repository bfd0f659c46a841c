package demo

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// node is a service of the mesh.
type node struct {
	name  string
	path  string
	calls []string      // the services that it calls, all at once
	work  time.Duration // what it does itself before it calls
	note  string        // what a newcomer should know of it
}

// The services that misbehave.
const (
	slowService = "recommendations"
	outside     = "bank" // has no sidecar
	entry       = "web"
)

// graph is the mesh, callees before callers, so that starting them in this
// order lets each know where its callees are.
func graph() []node {
	return []node{
		{name: outside, path: "/charge", work: 2 * time.Millisecond, note: "outside the mesh; goes away now and then"},
		{name: "fraud", path: "/score", work: 3 * time.Millisecond},
		{name: "inventory", path: "/reserve", work: 2 * time.Millisecond},
		{name: "payments", path: "/pay", calls: []string{"fraud", outside}, work: time.Millisecond},
		{name: "orders", path: "/order", calls: []string{"inventory"}, work: time.Millisecond},
		{name: slowService, path: "/similar", work: 4 * time.Millisecond, note: "takes 1.5 s now and then"},
		{name: "checkout", path: "/checkout", calls: []string{"orders", "payments"}, work: time.Millisecond},
		{name: entry, path: "/buy", calls: []string{"checkout", slowService}, work: time.Millisecond, note: "takes the requests"},
	}
}

// find returns the node of that name. The names in a graph are all there.
func find(g []node, name string) node {
	for _, n := range g {
		if n.name == name {
			return n
		}
	}
	panic(fmt.Sprintf("demo: no service %q in the graph", name))
}

// drawGraph writes the graph below the entry as a tree, each line behind the
// indent.
func drawGraph(w io.Writer, g []node, indent string) {
	var draw func(name, lead, branch, below string)
	draw = func(name, lead, branch, below string) {
		n := find(g, name)
		left := lead + branch + n.name
		pad := strings.Repeat(" ", max(1, 30-len([]rune(left))))
		fmt.Fprintln(w, strings.TrimRight(indent+left+pad+n.note, " "))
		for i, c := range n.calls {
			if i == len(n.calls)-1 {
				draw(c, lead+below, "└─ ", "   ")
			} else {
				draw(c, lead+below, "├─ ", "│  ")
			}
		}
	}
	draw(entry, "", "", "")
}
