package route

import (
	"math"
	"slices"
)

// none is above every index.
const none = math.MaxInt

// choice is a route that a request takes which has come so far, if its method
// is one of these, none being all, and all conditions hold.
type choice struct {
	index      int
	methods    []string
	preflights bool // they match by the method that they ask for
	conditions []condition
}

// unconditional reports whether the route takes all of a method's requests.
func (c *choice) unconditional() bool { return len(c.conditions) == 0 }

// takes reports whether the route takes a request which has come so far.
func (c *choice) takes(q *Request) bool {
	if len(c.methods) > 0 && !c.hasMethod(q.Head.MethodText()) && !(c.preflights && c.hasMethod(q.Head.Preflight())) {
		return false
	}
	for i := range c.conditions {
		if !c.conditions[i].holds(q) {
			return false
		}
	}
	return true
}

func (c *choice) hasMethod(method []byte) bool {
	for _, m := range c.methods {
		if string(method) == m {
			return true
		}
	}
	return false
}

// choices are in the order of their indices.
type choices struct {
	list []choice
	by   []byValue // those that are found by a value; see index
}

// paths is a tree of paths, from their beginning on.
type paths struct{ node[pathRoutes] }

// pathRoutes are the routes that a path leads to.
type pathRoutes struct {
	prefix choices // whatever follows
	exact  choices // if nothing does
}

// with adds a route; p is nil for a tree that is yet to grow.
func (p *paths) with(k keys, c choice) *paths {
	if p == nil {
		p = &paths{node[pathRoutes]{least: c.index}}
	}
	if k.isExact {
		p.insert(k.exact, c.index).exact.add(c)
	}
	if k.isPrefix {
		p.insert(k.prefix, c.index).prefix.add(c)
	}
	return p
}

// index readies the choices for matching, once all are there.
func (p *paths) index() {
	if p == nil {
		return
	}
	p.each(func(r *pathRoutes) {
		r.prefix.index()
		r.exact.index()
	})
}

// first returns the least index of a route that the request matches, or before
// where that is less.
func (p *paths) first(q *Request, before int) int {
	path := q.Head.Path()
	for n := &p.node; n.least < before; {
		before = n.here.prefix.first(q, before)
		if len(path) == 0 {
			return n.here.exact.first(q, before)
		}
		if n = n.child(path[0]); n == nil || len(path) < len(n.label) || string(path[:len(n.label)]) != n.label {
			return before
		}
		path = path[len(n.label):]
	}
	return before
}

// add adds a choice, unless those before it leave it no request: so there are never
// more without conditions than there are methods.
func (cs *choices) add(c choice) {
	taken := func(method string) bool {
		return slices.ContainsFunc(cs.list, func(earlier choice) bool {
			return earlier.unconditional() && (len(earlier.methods) == 0 || slices.Contains(earlier.methods, method))
		})
	}
	if taken("") || len(c.methods) > 0 && !slices.ContainsFunc(c.methods, func(method string) bool { return !taken(method) }) {
		return
	}
	cs.list = append(cs.list, c)
}

func (cs *choices) first(q *Request, before int) int {
	for i := range cs.by {
		by := &cs.by[i]
		if value, there := by.value.get(q.Head); there {
			before = firstOf(by.routes[string(value)], q, before)
		}
	}
	return firstOf(cs.list, q, before)
}

func firstOf(list []choice, q *Request, before int) int {
	for i := range list {
		c := &list[i]
		if c.index >= before {
			break
		}
		if c.takes(q) {
			return c.index
		}
	}
	return before
}
