package diagnose

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// LostContext finds services that do not pass the trace context on, the worst first: they
// make calls that begin a new trace while they answer a request. hops are of many traces,
// as in a proxy's store; those of a single trace show nothing. A call by a timer may look
// the same in a busy service. But a service where nearly all calls look like this does not
// copy the headers.
func LostContext(hops []*hop.Hop) []Break {
	return lostContext(hops, func(*hop.Hop) bool { return true })
}

// lostContext does the same for the requests that count.
func lostContext(hops []*hop.Hop, counts func(*hop.Hop) bool) []Break {
	serving := make(map[string][]*hop.Hop)
	calls := make(map[string]int)
	for _, h := range hops {
		switch {
		case h == nil || h.Labels == nil:
		case h.Labels.Direction == hop.Outbound:
			calls[h.Labels.Service]++
		case counts(h):
			serving[h.Labels.Service] = append(serving[h.Labels.Service], h)
		}
	}
	busy := make(map[string]*timeline, len(serving))
	for service, inbound := range serving {
		busy[service] = newTimeline(inbound)
	}
	found := breaks{}
	for _, h := range hops {
		if !startsTrace(h) {
			continue
		}
		if line := busy[h.Labels.Service]; line != nil && line.covers(h) {
			found.add(h.Labels.Service, "")
		}
	}
	return found.list(func(service, _ string, count int) (string, string) {
		text := fmt.Sprintf("%d of its %d calls began a trace of their own while it answered a request: "+copyHeaders, count, calls[service])
		if 2*count < calls[service] {
			text += "; calls that it makes by itself, as by a timer, look the same"
		}
		return service, text
	})
}

const copyHeaders = "have the application copy traceparent and tracestate, or b3, to what it calls"

// startsTrace reports whether h is a call that began a trace.
func startsTrace(h *hop.Hop) bool {
	return h != nil && h.Labels != nil && h.Labels.Direction == hop.Outbound && h.Parent.IsZero()
}

// timeline has the inbound hops of a service by their start.
type timeline struct {
	hops   []*hop.Hop
	latest []int // the one that ended last of the hops up to each
}

func newTimeline(hops []*hop.Hop) *timeline {
	slices.SortFunc(hops, func(a, b *hop.Hop) int { return a.Start.Compare(b.Start) })
	line := &timeline{hops, make([]int, len(hops))}
	for i := range hops {
		line.latest[i] = i
		if i > 0 && !endOf(hops[line.latest[i-1]]).Before(endOf(hops[i])) {
			line.latest[i] = line.latest[i-1]
		}
	}
	return line
}

func endOf(h *hop.Hop) time.Time { return h.Start.Add(h.End) }

// covers reports whether the call lies within a request of another trace.
func (l *timeline) covers(call *hop.Hop) bool {
	end := endOf(call)
	i := l.before(call)
	if i < 0 {
		return false
	}
	h := l.hops[l.latest[i]]
	return h.Trace != call.Trace && !endOf(h).Before(end)
}

// Join is a call that began a trace of its own, and the request that it was made for: the
// only one that its service was answering all the while. That is inferred from the time.
type Join struct{ Call, For *hop.Hop }

// Joins finds what calls without a trace context were made for. hops must be all that there
// were at the time: a request that is not among them may be the one. A call that may have
// been for several requests is not joined.
func Joins(hops []*hop.Hop) (all []Join) {
	serving := make(map[string][]*hop.Hop)
	for _, h := range hops {
		if h != nil && h.Labels != nil && h.Labels.Direction == hop.Inbound && h.Kind == hop.KindRequest {
			serving[h.Labels.Service] = append(serving[h.Labels.Service], h)
		}
	}
	lines := make(map[string]*timeline, len(serving))
	for _, h := range hops {
		if !startsTrace(h) {
			continue
		}
		service := h.Labels.Service
		if lines[service] == nil {
			lines[service] = newTimeline(serving[service])
		}
		if only := lines[service].only(h); only != nil && only.Trace != h.Trace {
			all = append(all, Join{h, only})
		}
	}
	return all
}

// maxJoins is how many joins are made of one trace at most.
const maxJoins = 100

// join puts calls that began a trace of their own below the requests that they were made
// for.
func join(nodes []*Node, joins []Join) {
	spans := make(map[hop.SpanID]*Node, len(nodes))
	for _, n := range nodes {
		spans[n.Hop.Span] = n
	}
	for _, j := range joins[:min(len(joins), maxJoins)] {
		call, request := spans[j.Call.Span], spans[j.For.Span]
		if call != nil && request != nil && call.parent == nil && request.Hop.Labels.Direction == hop.Inbound {
			call.Joined = adopt(request.running(call), call, true)
		}
	}
}

// guessed says that the way from the root to the culprit has a join on it.
func (c *Culprit) guessed() {
	for n := c.Node; n != nil; n = n.parent {
		if n.Joined {
			c.Inferred = true
			c.say(fmt.Sprintf("inferred from the time: %s passes no trace context on, and this was the only request that it was answering when it made the call", n.service()))
			return
		}
	}
}

// only returns the request that was under way all the time of a call, nil if there is none
// or more than one.
func (l *timeline) only(call *hop.Hop) (found *hop.Hop) {
	end := endOf(call)
	for i := l.before(call); i >= 0 && !endOf(l.hops[l.latest[i]]).Before(end); i-- {
		if endOf(l.hops[i]).Before(end) {
			continue
		}
		if found != nil {
			return nil
		}
		found = l.hops[i]
	}
	return found
}

// before is the last request that began before the call, or with it; -1 if there is none.
func (l *timeline) before(call *hop.Hop) int {
	return sort.Search(len(l.hops), func(i int) bool { return l.hops[i].Start.After(call.Start) }) - 1
}

// doubt says that the trace ends at the culprit, if it does: what its application called
// may not be in the trace. Where hops of other traces show that it does call others, it is
// not proven to be at fault.
func (t *Trace) doubt(c *Culprit) {
	n := c.Node
	if c.Part != hop.PartApplication || c.Caller != "" || n.Attempt == nil || c.Service != n.service() ||
		n.Hop.Labels.Direction != hop.Inbound || t.calls[c.Service] > 0 || len(n.Children) > 0 ||
		n.Attempt.ProxyError != "" && n.Attempt.Flags&outOfTime == 0 {
		return
	}
	if !t.lost[c.Service] {
		c.say(fmt.Sprintf("the trace ends at %s: if it calls others, %s", c.Service, copyHeaders))
		return
	}
	c.Unproven = true
	c.Reason += "; what it called is not in the trace"
	c.say(t.failedMeanwhile(n))
	c.say(copyHeaders)
}

// failedMeanwhile finds a call without the trace's context that failed while the service
// answered the request.
func (t *Trace) failedMeanwhile(n *Node) string {
	for _, h := range t.all {
		if !startsTrace(h) || h.Labels.Service != n.service() || !h.Failed() || h.Start.Before(n.Hop.Start) || endOf(h).After(endOf(n.Hop)) {
			continue
		}
		reason := h.Failure.Reason
		if reason == "" {
			reason = "it ended with " + (&Node{Hop: h}).answer()
		}
		return fmt.Sprintf("meanwhile its call of %s failed, in trace %s: %s (inferred from the time)", host(h), h.Trace, reason)
	}
	return ""
}
