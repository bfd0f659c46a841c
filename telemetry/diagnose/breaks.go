package diagnose

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Break is a place where traces are cut.
type Break struct {
	// Service is the service that cuts them, as far as is known.
	Service string
	// Count is how often it was seen.
	Count int
	// Reason says what was seen, and how to fix it.
	Reason string
}

// String is the service and the reason.
func (b Break) String() string { return b.Service + ": " + b.Reason }

// cuts finds the hops of the trace without their caller: those that were put below the
// first root by their time, and those that had no place.
func (t *Trace) cuts() []Break {
	found := breaks{}
	for _, root := range t.Roots {
		root.walk(func(n *Node) {
			if n.Attempt != nil || !n.Inferred || n.parent.service() == n.service() {
				return
			}
			found.add(n.parent.service(), n.service())
		})
	}
	for _, root := range t.Roots[min(1, len(t.Roots)):] {
		found.add("", root.service())
	}
	return found.list(func(service, callee string, _ int) (string, string) {
		if service == "" {
			return callee, "what called it is not among the hops: a caller without a proxy, or a proxy that was not asked"
		}
		return service, fmt.Sprintf("its call to %s names a span that no hop has: send the application's calls through its proxy, too", callee)
	})
}

// walk visits n and all below it, callers first.
func (n *Node) walk(visit func(*Node)) {
	visit(n)
	for _, c := range n.Children {
		c.walk(visit)
	}
}

// lostContext finds services that do not pass the trace context on, the worst first: they
// make a call that begins a new trace while they answer a request of this one. A call by
// a timer may look the same in a busy service. But a service where nearly all calls look
// like this does not copy the headers. hops may be of any traces.
func lostContext(hops []*hop.Hop, id hop.TraceID) []Break {
	serving := make(map[string][]*hop.Hop)
	calls := make(map[string]int)
	for _, h := range hops {
		switch {
		case h == nil || h.Labels == nil:
		case h.Labels.Direction == hop.Outbound:
			calls[h.Labels.Service]++
		case h.Trace == id:
			serving[h.Labels.Service] = append(serving[h.Labels.Service], h)
		}
	}
	busy := make(map[string]*timeline, len(serving))
	for service, inbound := range serving {
		busy[service] = newTimeline(inbound)
	}
	found := breaks{}
	for _, h := range hops {
		if h == nil || h.Labels == nil || h.Labels.Direction != hop.Outbound || !h.Parent.IsZero() {
			continue
		}
		if line := busy[h.Labels.Service]; line != nil && line.covers(h) {
			found.add(h.Labels.Service, "")
		}
	}
	return found.list(func(service, _ string, count int) (string, string) {
		return service, fmt.Sprintf("%d of its %d calls began a trace of their own while it answered a request: "+
			"have the application copy traceparent and tracestate, or b3, to what it calls", count, calls[service])
	})
}

// timeline has the inbound hops of a service by their start.
type timeline struct {
	hops []*hop.Hop
	ends []time.Time // the latest end of the hops up to each
}

func newTimeline(hops []*hop.Hop) *timeline {
	slices.SortFunc(hops, func(a, b *hop.Hop) int { return a.Start.Compare(b.Start) })
	line := &timeline{hops, make([]time.Time, len(hops))}
	var latest time.Time
	for i, h := range hops {
		if end := h.Start.Add(h.End); end.After(latest) {
			latest = end
		}
		line.ends[i] = latest
	}
	return line
}

// covers reports whether the call lies within a request of another trace.
func (l *timeline) covers(call *hop.Hop) bool {
	end := call.Start.Add(call.End)
	i := sort.Search(len(l.hops), func(i int) bool { return l.hops[i].Start.After(call.Start) }) - 1
	for ; i >= 0 && !l.ends[i].Before(end); i-- {
		if h := l.hops[i]; h.Trace != call.Trace && !h.Start.Add(h.End).Before(end) {
			return true
		}
	}
	return false
}

// breaks counts cuts, by the service that cuts and the one beyond.
type breaks map[[2]string]int

func (b breaks) add(service, callee string) { b[[2]string{service, callee}]++ }

// list describes them in words, the most frequent first.
func (b breaks) list(words func(service, callee string, count int) (name, reason string)) (all []Break) {
	for key, count := range b {
		name, reason := words(key[0], key[1], count)
		all = append(all, Break{name, count, reason})
	}
	slices.SortFunc(all, func(x, y Break) int {
		return cmp.Or(cmp.Compare(y.Count, x.Count), cmp.Compare(x.Service, y.Service), cmp.Compare(x.Reason, y.Reason))
	})
	return all
}
