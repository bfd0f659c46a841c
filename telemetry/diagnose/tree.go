package diagnose

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Trace has the hops of one trace as trees.
type Trace struct {
	ID hop.TraceID
	// Roots are the trees, the earliest first: one, unless hops are missing.
	Roots []*Node
	// Hops is how many different hops there are.
	Hops int
	// Culprit made the trace fail; nil if no root failed.
	Culprit *Culprit
	// Inner is a failure that did not fail the request: no root failed, but a hop or an
	// attempt below did, and a retry or the application recovered from it. It is nil if
	// there is none, or if there is a Culprit.
	Inner *Culprit
	// Slowest is where most of the first root's time went; nil if there are no hops.
	Slowest *Culprit
	// Breaks are the places where the trace is cut.
	Breaks []Break

	seen  map[string]int  // how many inbound hops each service has
	calls map[string]int  // how many outbound ones
	lost  map[string]bool // the services that make calls without the trace's context
	all   []*hop.Hop      // of any trace; only while the trace is built
}

// Node is a hop, or one of its attempts. A hop's children are its attempts. An attempt's
// children are the hops that it led to: the endpoint's own, and what the application
// behind it called.
type Node struct {
	Hop *hop.Hop
	// Attempt is nil if the node is the hop itself.
	Attempt  *hop.Attempt
	Children []*Node
	// Inferred is true if the hop did not name its parent, and it was found by service
	// and time. Joined is true if it even began a trace of its own.
	Inferred, Joined bool
	// Start is the time since the start of the trace, Duration how long the node took.
	// Clocks that disagree are corrected, so that a callee lies within its call.
	Start, Duration time.Duration
	// Exclusive is the node's own time on the trace's critical path, without its
	// children; 0 off the path.
	Exclusive time.Duration

	parent *Node
}

func (n *Node) end() time.Duration { return n.Start + n.Duration }

// service is the name of the service whose proxy recorded the node.
func (n *Node) service() string { return n.Hop.Labels.Service }

// Build makes a Trace from hops. Hops may repeat. Hops of other traces are used only to
// find services that do not pass the trace context on, and those that joins lead to: their
// calls are put below the requests that they were made for, with all that they led to. It
// does not change the hops, but its result points to them.
func Build(id hop.TraceID, hops []*hop.Hop, joins ...Join) *Trace {
	ids := map[hop.TraceID]bool{id: true}
	for range joins { // one may lead to the next
		for _, j := range joins {
			ids[j.Call.Trace] = ids[j.Call.Trace] || ids[j.For.Trace]
		}
	}
	nodes := collect(ids, hops)
	link(nodes)
	join(nodes, joins)
	inferCallers(nodes)
	inferRest(nodes)
	found := len(nodes)
	nodes, aside := setAside(nodes)

	t := &Trace{ID: id, Hops: found, all: hops, seen: make(map[string]int), calls: make(map[string]int), lost: make(map[string]bool)}
	for _, n := range nodes {
		if n.Hop.Labels.Direction == hop.Inbound {
			t.seen[n.service()]++
		} else {
			t.calls[n.service()]++
		}
		n.sortChildren()
		if n.parent == nil {
			t.Roots = append(t.Roots, n)
		}
	}
	t.layout()
	lost := lostContext(hops, func(h *hop.Hop) bool { return ids[h.Trace] })
	for _, b := range lost {
		t.lost[b.Service] = true
	}
	t.Slowest = t.slowest()
	if t.Culprit = t.blame(); t.Culprit == nil {
		t.Inner = t.inner()
	}
	t.Breaks = append(t.cuts(), lost...)
	t.putBack(aside)
	t.all = nil
	return t
}

// sortChildren puts what is below a hop in the order of its start.
func (n *Node) sortChildren() {
	slices.SortStableFunc(n.Children, byStart)
	for _, a := range n.Children {
		slices.SortStableFunc(a.Children, byStart)
	}
}

// collect makes a node for each hop of the traces and for each attempt, without
// repetitions, in the order of their start.
func collect(ids map[hop.TraceID]bool, hops []*hop.Hop) []*Node {
	seen := make(map[hop.SpanID]*Node)
	var nodes []*Node
	for _, h := range hops {
		if h == nil || h.Labels == nil || !ids[h.Trace] {
			continue
		}
		if n := seen[h.Span]; n != nil && !h.Span.IsZero() {
			if len(h.Attempts) > len(n.Hop.Attempts) { // the fuller record of the two
				n.Hop = h
			}
			continue
		}
		n := &Node{Hop: h}
		seen[h.Span] = n
		nodes = append(nodes, n)
	}
	for _, n := range nodes {
		for i := range n.Hop.Attempts {
			n.Children = append(n.Children, &Node{Hop: n.Hop, Attempt: &n.Hop.Attempts[i], parent: n})
		}
	}
	slices.SortStableFunc(nodes, byStart)
	return nodes
}

func byStart(a, b *Node) int {
	return cmp.Or(a.began().Compare(b.began()), bytes.Compare(a.Hop.Span[:], b.Hop.Span[:]))
}

// began and ended return the instants by the clock of the node's own proxy.
func (n *Node) began() time.Time {
	if n.Attempt != nil {
		return n.Hop.Start.Add(n.Attempt.Start)
	}
	return n.Hop.Start
}

func (n *Node) ended() time.Time {
	if n.Attempt != nil && n.Attempt.End > 0 {
		return n.Hop.Start.Add(n.Attempt.End)
	}
	return n.Hop.Start.Add(n.Hop.End)
}

// link gives each hop the parent it names.
func link(nodes []*Node) {
	spans := make(map[hop.SpanID]*Node, 2*len(nodes))
	for _, n := range nodes {
		spans[n.Hop.Span] = n
		for _, a := range n.Children {
			spans[a.Attempt.Span] = a
		}
	}
	delete(spans, hop.SpanID{})
	for _, n := range nodes {
		if parent := spans[n.Hop.Parent]; parent != nil {
			adopt(parent, n, false)
		}
	}
}

// adopt makes child a child of parent, unless that closes a cycle, which only broken
// records can.
func adopt(parent, child *Node, inferred bool) bool {
	for n := parent; n != nil; n = n.parent {
		if n == child {
			return false
		}
	}
	child.parent, child.Inferred = parent, inferred
	parent.Children = append(parent.Children, child)
	return true
}

// inferCallers finds the inbound hop for an outbound hop with a parent from the
// application's own tracer: the hop of the same service that was running at the time, and
// the last to begin if there are several. The clock is the same, since one proxy recorded
// both.
func inferCallers(nodes []*Node) {
	inbound := make(map[string][]*Node)
	for _, n := range nodes {
		if n.Hop.Labels.Direction == hop.Inbound {
			inbound[n.service()] = append(inbound[n.service()], n)
		}
	}
	for _, n := range nodes {
		if n.parent != nil || n.Hop.Parent.IsZero() || n.Hop.Labels.Direction != hop.Outbound {
			continue
		}
		candidates := inbound[n.service()]
		var best *Node
		for _, c := range candidates {
			if c.began().After(n.began()) {
				break
			}
			if !c.ended().Before(n.began()) && (best == nil || !c.ended().Before(n.ended()) || best.ended().Before(n.ended())) {
				best = c
			}
		}
		if best == nil && len(candidates) == 1 {
			best = candidates[0]
		}
		if best != nil {
			adopt(best.running(n), n, true)
		}
	}
}

// running returns the attempt of the hop that was running when child began, or the hop if
// none was.
func (n *Node) running(child *Node) *Node {
	at := n
	for _, a := range n.Children {
		if a.Attempt != nil && !a.began().After(child.began()) {
			at = a
		}
	}
	return at
}

// inferRest attaches hops without a known parent to the first root, if they lie within
// it. They belong to its trace, so the root led to them, though hops between may be
// missing.
func inferRest(nodes []*Node) {
	var first *Node
	for _, n := range nodes {
		switch {
		case n.parent != nil:
		case first == nil:
			first = n
		case !n.Hop.Parent.IsZero() && !n.ended().After(first.ended()):
			adopt(first.running(n), n, true)
		}
	}
}
