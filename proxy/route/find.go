package route

import (
	"bytes"
	"math"
)

// none is above every index.
const none = math.MaxUint32

// child is the one whose label begins with c, nil if there is none.
func (t *Table) child(n *packed, c byte) *packed {
	from := n.label + n.size
	i := bytes.IndexByte(t.text[from:from+n.heads], c)
	if i < 0 {
		return nil
	}
	return &t.nodes[n.children+uint32(i)]
}

func (t *Table) label(n *packed) []byte { return t.text[n.label : n.label+n.size] }

// firstOfPath returns the least index of a route that the request matches, or before
// where that is less. at is the root of a tree of paths.
func (t *Table) firstOfPath(at uint32, q *Request, path []byte, before uint32) uint32 {
	for n := &t.nodes[at]; n.least < before; {
		if n.below != 0 {
			before = t.first(n.below-1, q, before)
		}
		if len(path) == 0 {
			if n.here != 0 {
				before = t.first(n.here-1, q, before)
			}
			return before
		}
		if n = t.child(n, path[0]); n == nil || !bytes.HasPrefix(path, t.label(n)) {
			return before
		}
		path = path[n.size:]
	}
	return before
}

// first is the same for the candidates of one path. Those that are found by a value come
// first, then the others, in the order of their indices.
func (t *Table) first(at uint32, q *Request, before uint32) uint32 {
	for ; ; at++ {
		c := &t.candidates[at]
		switch {
		case c.byValue:
			f := &t.found[c.index]
			if value, there := f.value.get(q.Head); there {
				if at := f.at[string(value)]; at != 0 {
					before = t.first(at-1, q, before)
				}
			}
		case c.index >= before:
			return before
		case t.takes(c, q):
			return c.index
		}
		if c.last {
			return before
		}
	}
}

// takes reports whether a candidate takes a request which has come so far.
func (t *Table) takes(c *candidate, q *Request) bool {
	if methods := t.methods[c.methods]; len(methods) > 0 && !isAmong(methods, q.Head.MethodText()) && !(c.preflights && isAmong(methods, q.Head.Preflight())) {
		return false
	}
	for _, i := range t.asked[c.conditions : c.conditions+c.count] {
		if !t.conditions[i].holds(q) {
			return false
		}
	}
	return true
}

func isAmong(methods []string, method []byte) bool {
	for _, m := range methods {
		if string(method) == m {
			return true
		}
	}
	return false
}
