package route

import "slices"

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
