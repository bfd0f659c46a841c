package diagnose

import (
	"fmt"
	"slices"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// maxEvidence is how many sentences of evidence a culprit has at most.
const maxEvidence = 6

// testify adds to the culprit what both ends of the connections on the way to it saw, and
// corrects the part by it.
func (t *Trace) testify(c *Culprit, f *finding) {
	c.Evidence = noted(c.Node)
	if a := c.Node.Attempt; a != nil {
		callee := c.Node.pair()
		if callee != nil {
			line, part := compare(c.Node, callee)
			c.say(line)
			if part != hop.PartUnknown && c.Caller != "" {
				c.Part = part
			}
		} else if line, part := t.neverArrived(c.Node); line != "" && c.Caller != "" {
			c.say(line)
			c.Part = part
		} else if c.Kind == "connect_refused" && c.Part != hop.PartProxy && c.Caller != "" {
			c.say(fmt.Sprintf("no hop of %s is there: if it has a proxy, that is what does not answer", c.Service))
		}
	}
	c.say(f.inversion())
	t.doubt(c)
	if c.Unseen && f.waiting != nil {
		c.say(fmt.Sprintf("no hop of %s is there: what it waited for itself is not known", c.Service))
	}
	for n := c.Node.parent; n != nil; n = n.parent {
		if callee := n.pair(); callee != nil {
			line, _ := compare(n, callee)
			c.say(line)
		}
	}
}

// say adds a sentence.
func (c *Culprit) say(line string) {
	if line != "" && len(c.Evidence) < maxEvidence && !slices.Contains(c.Evidence, line) {
		c.Evidence = append(c.Evidence, line)
	}
}

// noted is what the proxy itself found out about the attempt.
func noted(n *Node) []string {
	if n.Attempt == nil || n.Attempt.Evidence == "" {
		return nil
	}
	return []string{n.Attempt.Evidence}
}

// pair returns the hop at the other end of the attempt's connection: the inbound hop of
// the service that was called, which has the attempt's span as its parent. It returns nil
// if there is none.
func (n *Node) pair() *Node {
	if n.Attempt == nil || n.Hop.Labels.Direction != hop.Outbound {
		return nil
	}
	for _, c := range n.Children {
		if c.Attempt == nil && !c.Inferred && c.Hop.Labels.Direction == hop.Inbound {
			return c
		}
	}
	return nil
}

// compare says in what the two ends of a connection differ, and whose part that is; "" if
// they agree.
func compare(n, callee *Node) (line string, part hop.Part) {
	a, h := n.Attempt, callee.Hop
	caller, called := n.service(), callee.service()
	dropped := a.Flags&(hop.UpstreamReset|hop.UpstreamConnectionClosed) != 0
	gone := h.Flags&(hop.DownstreamClosed|hop.DownstreamReset) != 0
	switch {
	case a.Status != 0 && h.Status != 0 && a.Status != h.Status:
		return fmt.Sprintf("%s answered %s, but %s got %d", called, callee.answer(), caller, a.Status), hop.PartNetwork
	case a.Status != 0:
		return "", hop.PartUnknown
	case h.Flags&(hop.LocalReset|hop.ProxyPanic) != 0:
		return fmt.Sprintf("the proxy of %s broke the connection off (%s)", called, h.Flags), hop.PartProxy
	case dropped && gone:
		return fmt.Sprintf("%s and the proxy of %s each saw the other close the connection: something between them cut it", caller, called), hop.PartNetwork
	case callee.failed() && !dropped: // it ran out of time as well
	case h.Status != 0 && h.End > 0 && callee.end() > n.end():
		return fmt.Sprintf("%s answered %s after %s; %s had given up after %s", called, callee.answer(), duration(callee.Duration), caller, duration(n.Duration)), hop.PartUnknown
	case h.Status != 0 && h.End > 0:
		return fmt.Sprintf("%s answered %s after %s, but the answer did not reach %s", called, callee.answer(), duration(callee.Duration), caller), hop.PartNetwork
	case callee.unanswered():
		return fmt.Sprintf("the request of %s arrived at the proxy of %s, whose application had not answered when %s gave up after %s",
			caller, called, caller, duration(n.Duration)), hop.PartUnknown
	}
	return "", hop.PartUnknown
}

// unanswered reports whether the application behind the hop was asked, and gave no answer.
func (n *Node) unanswered() bool {
	a := n.Hop.LastAttempt()
	return a != nil && a.Sent > 0 && a.Status == 0 && a.ProxyError == ""
}

// neverArrived looks for a request that was sent to a service whose proxy knows nothing of
// it, though other hops of that proxy are there.
func (t *Trace) neverArrived(n *Node) (line string, part hop.Part) {
	a, called := n.Attempt, n.callee()
	seen := t.seen[called]
	if n.Hop.Labels.Direction != hop.Outbound || seen == 0 || a.Sent == 0 || a.Status != 0 || a.Flags&hop.UpstreamConnectionFailure != 0 {
		return "", hop.PartUnknown
	}
	line = fmt.Sprintf("the proxy of %s has %d other %s of this trace, but none of this request: it did not arrive there, or has not ended", called, seen, plural("hop", seen))
	if !a.Reused {
		return line + "; the connection itself was made", hop.PartProxy
	}
	return line, hop.PartNetwork
}
