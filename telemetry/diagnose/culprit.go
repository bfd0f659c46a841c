package diagnose

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Culprit is what made a trace fail, or slow.
type Culprit struct {
	// Node is the hop or attempt that shows it.
	Node *Node
	// Service is the service to look at. If Edge is true it is the caller, and its
	// connection to Endpoint failed.
	Service  string
	Endpoint string
	Edge     bool
	Flags    hop.Flags
	// Reason says what happened, in words.
	Reason string
	// Took is the time that was spent there, for a slow trace.
	Took time.Duration
	// Unseen is true if the service's own hop is not among the hops, and only others
	// reported it.
	Unseen bool
}

// String is a line such as
// "payments -> bank: connection refused by 127.0.0.1:4003 (UF)".
func (c *Culprit) String() string {
	s := c.where() + ": " + c.Reason
	if c.Flags != 0 {
		s += " (" + c.Flags.String() + ")"
	}
	return s
}

// where returns the service, or its connection to what it called. It has the endpoint's
// address only if the reason lacks it.
func (c *Culprit) where() string {
	if !c.Edge || c.Endpoint == "" {
		return c.Service
	}
	name, told := callee(c.Node), strings.Contains(c.Reason, c.Endpoint)
	switch {
	case name == "" && told:
		return c.Service
	case name == "":
		return c.Service + " -> " + c.Endpoint
	case told:
		return c.Service + " -> " + name
	}
	return c.Service + " -> " + name + " (" + c.Endpoint + ")"
}

// callee returns a name for what an attempt called, if that says more than the service's
// own name or the endpoint's address.
func callee(n *Node) string {
	name := n.Attempt.Cluster
	if n.Hop.Labels.Direction == hop.Outbound {
		name = cmp.Or(host(n.Hop), name)
	}
	if name == n.service() || strings.HasPrefix(n.Attempt.Endpoint+":", name+":") {
		return ""
	}
	return name
}

// host is the request's host, without the port.
func host(h *hop.Hop) string {
	name := h.String(h.Host)
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, ']') {
		name = name[:colon]
	}
	return name
}

// blame finds the culprit of the first root that failed.
func (t *Trace) blame() *Culprit {
	for _, root := range t.Roots {
		if root.failed() {
			return failure(root.cause())
		}
	}
	return nil
}

// failed reports whether the node ended in an error. A client that went away, or sent
// something invalid, does not count.
func (n *Node) failed() bool {
	if a := n.Attempt; a != nil {
		return a.Status >= 500 || a.GRPCStatus.ServerError() || a.ProxyError != "" || a.Flags&hop.Failures != 0
	}
	return n.Hop.Failed()
}

// cutShort reports whether the caller went away before the hop was done. Such
// a hop has not failed, but what failed under it may be why it took too long.
func (n *Node) cutShort() bool {
	return n.Hop.Status == 0 || n.Hop.Flags&(hop.DownstreamClosed|hop.DownstreamReset) != 0
}

// cause returns the deepest node that made the failure of n: n itself, unless a failed
// child explains it. It returns nil if n did not fail.
func (n *Node) cause() *Node {
	if !n.failed() && !n.cutShort() {
		return nil
	}
	type pair struct{ child, cause *Node }
	var all []pair
	for i, c := range n.Children {
		switch {
		case c.Attempt != nil && c.Attempt != n.Hop.LastAttempt(): // it was tried again
		case c.Attempt == nil && recovered(c, n.Children[i+1:]):
		default:
			if why := c.cause(); why != nil {
				all = append(all, pair{c, why})
			}
		}
	}
	if len(all) == 0 {
		if n.failed() {
			return n
		}
		return nil
	}
	// The last failure is the one that nothing recovered. Among concurrent ones, the
	// first failure ended the others.
	last := slices.MaxFunc(all, func(a, b pair) int { return cmp.Compare(a.child.end(), b.child.end()) })
	first := last
	for _, p := range all {
		if p.child.end() > last.child.Start && p.child.end() < first.child.end() {
			first = p
		}
	}
	return first.cause
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

// failure describes a node that made a failure.
func failure(n *Node) *Culprit {
	h, a := n.Hop, n.Attempt
	c := &Culprit{Node: n, Service: n.service(), Flags: h.Flags}
	flags, proxyError, reason := h.Flags, h.ProxyError, h.Failure.Reason
	if a != nil {
		c.Endpoint = a.Endpoint
		flags, proxyError = a.Flags, a.ProxyError
		c.Flags = cmp.Or(flags, h.Flags)
		reason = cmp.Or(a.Reason, reason)
	}
	f := h.Failure
	switch {
	case f.Origin == hop.OriginRelayed && f.Hop != "":
		c.Service, c.Endpoint, c.Unseen = f.Hop, "", true
		c.Reason = cmp.Or(f.Reason, "made the failure that "+n.service()+" relayed")
	case proxyError != "" || flags&hop.Failures != 0:
		c.Edge = a != nil && flags&hop.Overload == 0 // a shortage in the proxy is nobody else's fault
		c.Reason = cmp.Or(reason, strings.ReplaceAll(proxyError, "_", " "), c.Flags.Hint())
		c.Reason += n.whatItWaitedFor()
	case a != nil && h.Labels.Direction == hop.Outbound:
		c.Service, c.Unseen = destination(n), true
		c.Reason = "answered " + n.answer() + " to " + n.service() + n.message()
	case a != nil:
		c.Reason = "the application at " + a.Endpoint + " answered " + n.answer() + n.message()
	default:
		c.Reason = cmp.Or(reason, "answered "+n.answer()+n.message())
	}
	return c
}

// answer returns the status that the node ended with: the gRPC status if there is one,
// such as "UNAVAILABLE (14)", else the HTTP status.
func (n *Node) answer() string {
	status, call := n.Hop.Status, n.Hop.GRPCStatus
	if n.Attempt != nil {
		status, call = n.Attempt.Status, n.Attempt.GRPCStatus
	}
	return cmp.Or(call.Describe(), strconv.Itoa(status))
}

// message returns the message of the gRPC status, if the node ended with one. Only the
// last attempt's message is known.
func (n *Node) message() string {
	h := n.Hop
	if n.Attempt != nil && (n.Attempt != h.LastAttempt() || n.Attempt.GRPCStatus != h.GRPCStatus) || h.GRPCMessage.Len() == 0 {
		return ""
	}
	return ": " + h.String(h.GRPCMessage)
}

// whatItWaitedFor says where the time of a timeout went, if hops below it show that.
func (n *Node) whatItWaitedFor() string {
	if n.Attempt == nil || n.Attempt.Flags&hop.UpstreamTimeout == 0 {
		return ""
	}
	var top *Node
	var took time.Duration
	n.criticalPath(n.end(), func(m *Node, own time.Duration) {
		if top == nil || own > took {
			top, took = m, own
		}
	})
	if top == n {
		return ""
	}
	return "; it waited for " + slow(top, took).String()
}

// destination returns a name for what an outbound attempt called.
func destination(n *Node) string {
	name := n.Hop.Failure.Hop
	if name == n.service() {
		name = ""
	}
	return cmp.Or(name, host(n.Hop), n.Attempt.Cluster, n.Attempt.Endpoint)
}

// slow describes a node that took long.
func slow(n *Node, took time.Duration) *Culprit {
	c := &Culprit{Node: n, Service: n.service(), Took: took}
	if n.Attempt == nil {
		c.Reason = duration(took) + " in its proxy, before and after its attempts"
		if len(n.Hop.Attempts) == 0 {
			c.Reason = duration(took) + " in its proxy, and no attempt"
		}
		return c
	}
	c.Endpoint = n.Attempt.Endpoint
	connecting := n.Attempt.Connected - n.Attempt.Start
	if n.Attempt.Connected == 0 && n.Attempt.Status == 0 && n.Attempt.Sent == 0 {
		connecting = n.Duration
	}
	switch {
	case connecting > took/2:
		c.Edge = true
		c.Reason = duration(connecting) + " to get a connection"
		if t := n.Attempt.TLS; t != nil && !n.Attempt.Reused && t.Handshake > 0 {
			c.Reason += ", " + duration(t.Handshake) + " of it for TLS"
		}
	case n.Hop.Labels.Direction == hop.Inbound:
		c.Reason = duration(took) + " in the application at " + c.Endpoint
	case len(n.Children) > 0:
		c.Edge = true
		c.Reason = duration(took) + " on the way"
	default:
		c.Service, c.Unseen = destination(n), true
		c.Reason = duration(took) + " to answer " + n.service()
	}
	return c
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
