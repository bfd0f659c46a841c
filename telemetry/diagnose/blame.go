package diagnose

import (
	"cmp"
	"slices"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// finding is what made a node fail.
type finding struct {
	node *Node
	// waiting is the attempt whose time ran out, or that was cut short, while it waited
	// for node. It is nil if node failed by itself.
	waiting *Node
	// share is the share of that time that was spent at node.
	share *share
	// short is an attempt that had hardly any time left, as that had been spent at node
	// before; else nil.
	short *Node
}

// blame finds the culprit of the first root that failed.
func (t *Trace) blame() *Culprit {
	for _, root := range t.Roots {
		if root.Hop.Failed() {
			return t.convict(root.spender(root.cause()))
		}
	}
	return nil
}

// spender looks at what failed because its time ran out long before its own route would
// have had it: others had used the time up. If most of the request's time was spent
// elsewhere, that is the cause, whether or not it failed if hardly any time was left. Else
// what the proxy of the caller says counts.
func (n *Node) spender(f *finding) *finding {
	w := f.hurry()
	if w == nil {
		return f
	}
	if top := spent(n, n.end())[0]; top.took >= n.Duration/2 && !top.node.within(w) {
		for m := top.node; m != nil; m = m.parent {
			if m.waited() && m.failed() {
				return m.holdup()
			}
		}
		if w.Duration < w.Hop.Timeout/10 {
			return &finding{node: top.node, share: top, short: w}
		}
	}
	for m := f.node; m != nil; m = m.parent {
		if own := &m.Hop.Failure; m.Attempt != nil && own.Kind == KindNoTimeLeft && own.Hop == m.service() && m.Hop.Labels.Direction == hop.Outbound {
			f = &finding{node: m}
		}
	}
	return f
}

// hurry is the outermost attempt that failed because time ran out, there or farther on,
// long before its own route would have had it; nil if there is none.
func (f *finding) hurry() (w *Node) {
	late := false
	for m := f.node; m != nil; m = m.parent {
		if !m.failed() || m.Hop.Timeout == 0 || m.Duration >= m.Hop.Timeout/2 {
			continue
		}
		if late = late || m.ranOut(); late && m.Attempt != nil {
			w = m
		}
	}
	return w
}

// ranOut reports whether the node, which ended before its own timeout, ended for want of
// time: because it gave up, or because the answer was that time had run out, and no more was
// left of the time of what it is part of.
func (n *Node) ranOut() bool {
	flags, status, call := n.Hop.Flags, n.Hop.Status, n.Hop.GRPCStatus
	if a := n.Attempt; a != nil {
		flags, status, call = a.Flags, a.Status, a.GRPCStatus
	}
	if flags&hop.UpstreamTimeout != 0 {
		return n.kind() != "per_try_timeout"
	}
	if status != 504 && call != hop.GRPCStatusOf(4) {
		return false
	}
	for p := n.parent; p != nil; p = p.parent {
		if p.Hop.Timeout > 0 && p.Start+p.Hop.Timeout-n.Start < n.Hop.Timeout/2 {
			return true
		}
	}
	return false
}

// within reports whether the node is m, or below it.
func (n *Node) within(m *Node) bool {
	for ; n != nil; n = n.parent {
		if n == m {
			return true
		}
	}
	return false
}

// inner finds a failure in a trace whose roots did not fail: the first hop that failed, or
// else the first attempt.
func (t *Trace) inner() *Culprit {
	var hops, attempts []*Node
	for _, root := range t.Roots {
		root.walk(func(n *Node) {
			switch {
			case !n.failed():
			case n.Attempt == nil:
				hops = append(hops, n)
			default:
				attempts = append(attempts, n)
			}
		})
	}
	for _, all := range [][]*Node{hops, attempts} {
		if len(all) > 0 {
			first := slices.MinFunc(all, func(a, b *Node) int { return cmp.Compare(a.Start, b.Start) })
			return t.convict(first.root().spender(first.cause()))
		}
	}
	return nil
}

// root is what the node is below.
func (n *Node) root() *Node {
	for n.parent != nil {
		n = n.parent
	}
	return n
}

// failed reports whether the node ended in an error. A client that went away, or sent
// something invalid, does not count. A refusal of the proxy itself does, such as that it
// has no route: the application that called may have failed for it.
func (n *Node) failed() bool {
	if a := n.Attempt; a != nil {
		return a.Status >= 500 || a.GRPCStatus.ServerError() || a.ProxyError != "" || a.Flags&hop.Failures != 0
	}
	return n.Hop.Failed() || n.Hop.Failure.Origin == hop.OriginProxy
}

// cutShort reports whether the caller went away before the hop was done. Such
// a hop has not failed, but what it waited for may be why it took too long.
func (n *Node) cutShort() bool {
	return n.Hop.Status == 0 || n.Hop.Flags&(hop.DownstreamClosed|hop.DownstreamReset) != 0
}

// outOfTime are the flags of an attempt whose time ran out.
const outOfTime = hop.UpstreamTimeout | hop.StreamIdleTimeout

// waited reports whether the attempt ended while it waited for its response: its time ran
// out, or its caller went away.
func (n *Node) waited() bool {
	return n.Attempt != nil && (n.Attempt.Flags&outOfTime != 0 || !n.failed())
}

// cause returns what made the failure of n: n itself, unless a failed child explains it,
// or n waited for something below it. It returns nil if n did not fail.
func (n *Node) cause() *finding {
	if !n.failed() && !n.cutShort() {
		return nil
	}
	if n.waited() {
		return n.holdup()
	}
	type pair struct {
		child *Node
		cause *finding
	}
	var all []pair
	for i, c := range n.Children {
		switch {
		case c.Attempt == nil && c.Hop.Labels.Direction == hop.Mirror: // nobody waits for it
		case c.Attempt != nil && c.Attempt != n.Hop.LastAttempt(): // it was tried again
		case c.Attempt == nil && (recovered(c, n.Children[i+1:]) || n.abandoned(c)):
		default:
			if why := c.cause(); why != nil && (why.waiting == nil || c.failed() || !n.broke()) {
				all = append(all, pair{c, why})
			}
		}
	}
	if len(all) == 0 {
		if n.failed() {
			return &finding{node: n}
		}
		return nil
	}
	// The last failure is the one that nothing recovered. Among concurrent ones, the
	// first failure ended the others.
	last := slices.MaxFunc(all, func(a, b pair) int { return cmp.Compare(a.child.end(), b.child.end()) })
	first := last
	for _, p := range all {
		if p.child.end() > last.child.Start && p.child.end() < first.child.end() && !n.wentOn(p.child) {
			first = p
		}
	}
	return first.cause
}

// holdup finds what n waited for: where most of its time went.
func (n *Node) holdup() *finding {
	top := spent(n, n.end())[0]
	if top.node != n && top.node.failed() && !top.node.waited() {
		return &finding{node: top.node}
	}
	return &finding{node: top.node, waiting: n, share: top}
}

// broke reports whether the node failed by something else than its time: what it cut short
// by that is not the cause.
func (n *Node) broke() bool {
	flags, proxyError := n.Hop.Flags, n.Hop.ProxyError
	if n.Attempt != nil {
		flags, proxyError = n.Attempt.Flags, n.Attempt.ProxyError
	}
	return proxyError != "" && flags&outOfTime == 0
}

// wentOn reports whether the application made another call after the call c had failed: it
// did not give up for that.
func (n *Node) wentOn(c *Node) bool {
	return slices.ContainsFunc(n.Children, func(other *Node) bool { return other.Attempt == nil && other.Start > c.end() })
}

// recovered reports whether the application repeated the failed call with success.
func recovered(c *Node, later []*Node) bool {
	for _, l := range later {
		if l.Attempt == nil && l.Start >= c.end() && !l.failed() && l.Hop.Status > 0 &&
			l.service() == c.service() && l.Hop.Method == c.Hop.Method &&
			l.Hop.String(l.Hop.Host) == c.Hop.String(c.Hop.Host) &&
			l.Hop.String(l.Hop.Path) == c.Hop.String(c.Hop.Path) {
			return true
		}
	}
	return false
}

// abandoned reports whether the application cut the call c short because it had answered
// already. A call that it gave up before it answered may be why it failed, and so may one
// that took most of its time: the two ends come too close together to be told apart.
func (n *Node) abandoned(c *Node) bool {
	a := n.Attempt
	if a == nil || a.FirstByte == 0 || c.failed() {
		return false
	}
	return c.end() > n.answered() && c.Duration <= n.Duration/2
}
