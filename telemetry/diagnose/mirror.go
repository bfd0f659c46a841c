package diagnose

import (
	"slices"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// mirrored are the copies of requests, with all that they led to. Nobody waits for them, so
// nothing failed, or took long, because of them. They are shown in the trees, but no verdict
// goes by them.
type mirrored []*Node

// setAside takes the copies out of the trees, and returns the nodes that are left. If the
// hops are only copies, all are left.
func setAside(nodes []*Node) (rest []*Node, aside mirrored) {
	for _, n := range nodes {
		if !n.mirrored() {
			rest = append(rest, n)
		}
	}
	if len(rest) == 0 {
		return nodes, nil
	}
	for _, n := range nodes {
		if n.Hop.Labels.Direction != hop.Mirror {
			continue
		}
		aside = append(aside, n)
		if p := n.parent; p != nil {
			p.Children = slices.DeleteFunc(p.Children, func(c *Node) bool { return c == n })
		}
	}
	return rest, aside
}

// mirrored reports whether the node is a copy, or below one.
func (n *Node) mirrored() bool {
	for ; n != nil; n = n.parent {
		if n.Hop.Labels.Direction == hop.Mirror {
			return true
		}
	}
	return false
}

// putBack shows the copies below what they are copies of, or as roots where that is not
// among the hops.
func (t *Trace) putBack(aside mirrored) {
	if len(aside) == 0 {
		return
	}
	for _, n := range aside {
		n.sortChildren()
		if n.parent == nil {
			t.Roots = append(t.Roots, n)
		} else {
			n.parent.Children = append(n.parent.Children, n)
			slices.SortStableFunc(n.parent.Children, byStart)
		}
	}
	zero := t.Roots[0].Hop.Start
	for _, n := range aside {
		at := n.Hop.Start.Sub(zero)
		if p := n.parent; p != nil {
			at = p.placeOf(n, at, p.shift(zero))
		}
		n.place(zero, at)
	}
}

// shift is by how much the clock of the node's proxy was corrected.
func (n *Node) shift(zero time.Time) time.Duration {
	for n.Attempt != nil && n.parent != nil {
		n = n.parent
	}
	return n.Start - n.Hop.Start.Sub(zero)
}
