package route

import (
	"math"
	"slices"

	"github.com/hopscope/hopscope/proxy/message"
)

// none is above every index.
const none = math.MaxInt

// choice is a route that a request takes which has come so far, if its method
// is one of these, none being all, and all predicates hold.
type choice struct {
	index   int
	methods []string
	when    []Predicate
}

// unconditional reports whether the route takes all of a method's requests.
func (c *choice) unconditional() bool { return len(c.when) == 0 }

// takes reports whether the route takes a request which has come so far.
func (c *choice) takes(h *message.Head) bool {
	if len(c.methods) > 0 && !c.hasMethod(h.MethodText()) {
		return false
	}
	for _, holds := range c.when {
		if !holds(h) {
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
type choices []choice

// paths is a tree of paths, from their beginning on.
type paths struct{ node[pathRoutes] }

// pathRoutes are the routes that a path leads to.
type pathRoutes struct {
	prefix choices // whatever follows
	exact  choices // if nothing does
}

// with adds a route; p is nil for a tree that is yet to grow.
func (p *paths) with(m Match, c choice) *paths {
	if p == nil {
		p = &paths{node[pathRoutes]{least: c.index}}
	}
	if m.Path != "" {
		at := p.insert(m.Path, c.index)
		at.exact = at.exact.with(c)
	} else {
		at := p.insert(m.PathPrefix, c.index)
		at.prefix = at.prefix.with(c)
	}
	return p
}

// first returns the least index of a route that the request matches, or before
// where that is less.
func (p *paths) first(h *message.Head, before int) int {
	path := h.Path()
	for n := &p.node; n.least < before; {
		before = n.here.prefix.first(h, before)
		if len(path) == 0 {
			return n.here.exact.first(h, before)
		}
		if n = n.child(path[0]); n == nil || len(path) < len(n.label) || string(path[:len(n.label)]) != n.label {
			return before
		}
		path = path[len(n.label):]
	}
	return before
}

// with adds a choice, unless those before it leave it no request: so there are never
// more without predicates than there are methods.
func (cs choices) with(c choice) choices {
	for i := range cs {
		if len(cs[i].methods) == 0 && cs[i].unconditional() {
			return cs
		}
	}
	taken := func(method string) bool {
		return slices.ContainsFunc(cs, func(earlier choice) bool {
			return earlier.unconditional() && slices.Contains(earlier.methods, method)
		})
	}
	if len(c.methods) > 0 && !slices.ContainsFunc(c.methods, func(method string) bool { return !taken(method) }) {
		return cs
	}
	return append(cs, c)
}

func (cs choices) first(h *message.Head, before int) int {
	for i := range cs {
		c := &cs[i]
		if c.index >= before {
			break
		}
		if c.takes(h) {
			return c.index
		}
	}
	return before
}
