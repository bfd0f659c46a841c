package diagnose

import (
	"cmp"
	"slices"
	"time"
)

// tolerance is how far a callee may lie outside of its call before its clock counts as
// wrong.
const tolerance = time.Millisecond

// layout gives every node its place in time, callers first.
func (t *Trace) layout() {
	for _, root := range t.Roots {
		root.place(t.Roots[0].Hop.Start, root.Hop.Start.Sub(t.Roots[0].Hop.Start))
	}
}

// place puts the hop n at start, and everything below it relative to that. zero is the
// start of the trace, by the clock of the first root.
func (n *Node) place(zero time.Time, start time.Duration) {
	n.Start, n.Duration = start, max(n.Hop.End, 0)
	if n.Hop.End == 0 && n.parent != nil { // it has not ended: it lasts at least as long as its caller
		n.Duration = max(n.parent.end()-start, 0)
	}
	shift := start - n.Hop.Start.Sub(zero)
	for _, c := range n.Children {
		if c.Attempt == nil {
			c.place(zero, n.placeOf(c, c.Hop.Start.Sub(zero), shift))
			continue
		}
		c.Start = start + max(c.Attempt.Start, 0)
		c.Duration = max(c.ended().Sub(c.began()), 0)
		if c.Attempt.End == 0 {
			c.Duration = max(n.end()-c.Start, 0)
		}
		for _, g := range c.Children {
			g.place(zero, c.placeOf(g, g.Hop.Start.Sub(zero), shift))
		}
	}
}

// placeOf returns the start of the hop that n called. raw is what its clock says, shift
// the correction of n's own clock. The same proxy records a service and its calls, so
// both need the same correction. Another proxy's clock is trusted if the hop then lies
// within the call. If not, the hop is put in the middle of the call, as if both ways had
// taken equally long.
func (n *Node) placeOf(callee *Node, raw, shift time.Duration) time.Duration {
	length := max(callee.Hop.End, 0)
	if callee.Hop.Labels.Direction.Calls() && callee.service() == n.service() {
		return raw + shift
	}
	for _, start := range [...]time.Duration{raw, raw + shift} {
		outlives := length > n.Duration && start <= n.end()
		if start >= n.Start-tolerance && (outlives || start+length <= n.end()+tolerance) {
			return start
		}
	}
	return n.Start + max(n.Duration-length, 0)/2
}

// criticalPath walks back from until, a time within n, along what n was waiting for, and
// calls share with each node's own time. Siblings that ran at the same time as the one
// that ended last are not on the path.
func (n *Node) criticalPath(until time.Duration, share func(*Node, time.Duration)) {
	children := slices.SortedStableFunc(slices.Values(n.Children), func(a, b *Node) int {
		return cmp.Compare(b.end(), a.end())
	})
	var own time.Duration
	for _, c := range children {
		begin, end := max(c.Start, n.Start), min(c.end(), until)
		if end <= begin {
			continue
		}
		own += until - end
		c.criticalPath(end, share)
		until = begin
	}
	share(n, own+max(until-n.Start, 0))
}
