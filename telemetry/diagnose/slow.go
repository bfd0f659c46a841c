package diagnose

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// share is a share of the time on a critical path: what was spent in one place, over all
// calls of it.
type share struct {
	place
	took  time.Duration
	calls int
	// node is the call that took the most, and longest how much.
	node    *Node
	longest time.Duration
	// earliest is the first of the calls, and first how long it took.
	earliest *Node
	first    time.Duration
	last     *Node // the one that was counted last
}

// place is where time can be spent.
type place struct {
	service string
	caller  string // the service that waited, if it is not the same
	what    waitFor
}

// waitFor is what time can be spent with.
type waitFor uint8

const (
	inApplication waitFor = iota
	inProxy
	forConnection
	forAnswer // of a service whose hops are not there
	onTheWay
	inFailedTry
	forReader // to take the content of a response that the callee had sent
)

// spent returns the shares of the critical path of n up to an instant, the largest first:
// at least one.
func spent(n *Node, until time.Duration) []*share {
	var all []*share
	byPlace := make(map[place]*share)
	bill := func(p place, m *Node, took time.Duration) {
		s := byPlace[p]
		if s == nil {
			s = &share{place: p, node: m, longest: took}
			byPlace[p] = s
			all = append(all, s)
		}
		s.took += took
		if took > 0 && s.last != m {
			s.calls++
			s.last = m
		}
		if took > s.longest {
			s.node, s.longest = m, took
		}
		if s.earliest == nil || m.Start < s.earliest.Start {
			s.earliest, s.first = m, took
		}
	}
	n.criticalPath(until, func(m *Node, own time.Duration) {
		connecting := min(m.connecting(), own)
		if connecting > 0 {
			bill(place{m.callee(), m.service(), forConnection}, m, connecting)
		}
		call, reading := m.reader()
		reading = max(min(reading, own-connecting), 0)
		switch {
		case reading == 0:
		case call != nil:
			bill(place{call.service(), "", forReader}, call, reading)
		default:
			bill(place{client, "", forReader}, m, reading)
		}
		bill(m.at(), m, own-connecting-reading)
	})
	slices.SortStableFunc(all, func(a, b *share) int { return cmp.Compare(b.took, a.took) })
	return all
}

// at is where the node's own time is spent, without that for a connection.
func (n *Node) at() place {
	switch {
	case n.Attempt == nil:
		return place{n.service(), "", inProxy}
	case n.failed() && n.Attempt != n.Hop.LastAttempt():
		return place{n.callee(), n.service(), inFailedTry}
	case n.Hop.Labels.Direction == hop.Inbound:
		return place{n.service(), "", inApplication}
	case len(n.Children) > 0:
		return place{n.callee(), n.service(), onTheWay}
	}
	return place{n.callee(), n.service(), forAnswer}
}

// connecting is how long the attempt waited for a connection.
func (n *Node) connecting() time.Duration {
	switch a := n.Attempt; {
	case a == nil:
		return 0
	case a.Connected == 0 && a.Status == 0 && a.Sent == 0:
		return n.Duration
	default:
		return max(a.Connected-a.Start, 0)
	}
}

// client is the name of what calls a root.
const client = "client"

// reader returns the call whose response was taken too slowly, if that is what the attempt
// spent time with, and how much. The call is nil if that is the client's.
func (n *Node) reader() (call *Node, took time.Duration) {
	h := n.Hop
	if n.Attempt == nil || n.Attempt != h.LastAttempt() || n.Attempt.FirstByte == 0 {
		return nil, 0
	}
	if callee := n.pair(); callee != nil { // it went on after the callee had sent all
		return n, max(n.end()-max(callee.end(), n.answered()), 0)
	}
	if h.Labels.Direction == hop.Outbound {
		return n, h.WriteBlocked
	}
	call = n.parent.parent
	if call == nil || call.pair() != n.parent {
		return nil, h.WriteBlocked
	}
	if h.WriteBlocked > 0 {
		return call, h.WriteBlocked
	}
	// An application that is slow to send ends when its caller does. If the caller has
	// still much to take when all has been sent, what lies between was full.
	_, left := call.reader()
	if took = n.end() - n.answered(); left < time.Millisecond || left < took/20 {
		return nil, 0
	}
	return call, took
}

// answered is when the attempt's response began.
func (n *Node) answered() time.Duration { return n.Start + n.Attempt.FirstByte - n.Attempt.Start }

// slowest finds where most of the first root's time went, and notes each node's share.
func (t *Trace) slowest() *Culprit {
	if len(t.Roots) == 0 {
		return nil
	}
	root := t.Roots[0]
	root.criticalPath(root.end(), func(n *Node, own time.Duration) { n.Exclusive = own })
	c := t.slow(spent(root, root.end())[0], root.Duration)
	c.Evidence = noted(c.Node)
	t.doubt(c)
	return c
}

// slowKind is the kind of a culprit that is slow, and did not fail.
const slowKind = "slow"

// slow describes a share of the time total.
func (t *Trace) slow(s *share, total time.Duration) *Culprit {
	c := &Culprit{Node: s.node, Service: s.service, Caller: s.caller, Took: s.took, Calls: s.calls, Kind: slowKind}
	if s.caller == s.service {
		c.Caller = ""
	}
	took := duration(s.took)
	if s.node.Attempt != nil {
		c.Endpoint = s.node.Attempt.Endpoint
	}
	switch s.what {
	case inApplication:
		c.Part = hop.PartApplication
		c.Reason = took + " in the application at " + c.Endpoint
	case inProxy:
		c.Part = hop.PartProxy
		c.Reason = took + " in its proxy, before and after its attempts"
		if len(s.node.Hop.Attempts) == 0 {
			c.Reason = took + " in its proxy, and no attempt"
		}
	case forConnection:
		c.Part = hop.PartNetwork
		c.Reason = took + " to get a connection"
		if tls := s.node.Attempt.TLS; tls != nil && !s.node.Attempt.Reused && tls.Handshake > 0 {
			c.Reason += ", " + duration(tls.Handshake) + " of it for TLS"
		}
	case forAnswer:
		c.Part, c.Unseen = hop.PartApplication, t.seen[s.service] == 0
		c.Reason = took + " to answer"
	case onTheWay:
		c.Part = hop.PartNetwork
		c.Reason = took + " on the way"
	case forReader:
		c.Part, c.Endpoint = hop.PartApplication, ""
		if s.service == client {
			c.Part = hop.PartUnknown
		}
		c.Reason = took + " to take a response of " + s.node.callee() + s.reading()
	case inFailedTry:
		c.Part = t.charge(s.node).Part
		c.Reason = took + " in a try that failed"
	}
	if s.calls > 1 {
		c.Reason = s.counted(total)
	}
	if s.longest > s.took/2 && s.node.cold() {
		if s.calls > 1 {
			c.Reason += "; one of them, which took " + duration(s.longest) + ", was the first since it came up"
		} else {
			c.Reason += "; it was the first request to it since it came up"
		}
	}
	return c
}

// reading says why a response was taken slowly.
func (s *share) reading() string {
	const sent = " that had been sent: "
	switch h := s.node.Hop; {
	case s.service == client:
		return sent + "the client reads slowly, or the network to it is slow"
	case h.Labels.Direction == hop.Outbound && h.WriteBlocked >= s.longest/2:
		return fmt.Sprintf("%sits application did not read for %s", sent, duration(h.WriteBlocked))
	}
	return sent + "its application reads slowly, or the network is slow"
}

// counted says the same of several calls.
func (s *share) counted(total time.Duration) string {
	calls := fmt.Sprintf("%d calls to %s took ", s.calls, s.service)
	took, all := duration(s.took), duration(total)
	if number, unit, _ := strings.Cut(took, " "); strings.HasSuffix(all, " "+unit) {
		took = number
	}
	of := took + " of " + all
	switch s.what {
	case inProxy:
		return fmt.Sprintf("%d requests took %s in its proxy", s.calls, of)
	case forConnection:
		return calls + of + " to get a connection"
	case onTheWay:
		return calls + of + " on the way"
	case forReader:
		return fmt.Sprintf("%s to take %d responses of %s%s", of, s.calls, s.node.callee(), s.reading())
	case inFailedTry:
		return fmt.Sprintf("%d tries of %s that failed took %s", s.calls, s.service, of)
	}
	text := calls + of
	if s.what == inApplication {
		text += ", in its application"
	}
	if s.calls > 2 && s.first > s.took/2 && !s.node.cold() {
		text += "; the first one took " + duration(s.first) + ", as after a cold start"
	}
	return text
}

// cold reports whether the attempt was the first to an endpoint that had come up, by what
// its own proxy knows, or the caller's.
func (n *Node) cold() bool {
	if n.Attempt == nil || n.Attempt.Cold {
		return n.Attempt != nil
	}
	call := n.parent.parent
	return call != nil && call.pair() == n.parent && call.Attempt.Cold
}

// duration returns d with the significant digits.
func duration(d time.Duration) string {
	switch ms := float64(d) / float64(time.Millisecond); {
	case ms < 100:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	default:
		return fmt.Sprintf("%.2f s", ms/1000)
	}
}
