package diagnose

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Culprit is what made a trace fail, or slow: a part of a service.
type Culprit struct {
	// Node is the hop or attempt that shows it.
	Node *Node
	// Service is the service at fault, Part the part of it, Endpoint the address of the
	// instance; empty if there is none.
	Service  string
	Part     hop.Part
	Endpoint string
	// Kind is what happened, as in [hop.Failure], or "slow".
	Kind string
	// Caller is the service that met it on its way to Service; empty if it is within
	// Service itself.
	Caller string
	Flags  hop.Flags
	// Reason says what happened, in words.
	Reason string
	// Evidence is what else speaks for it, a sentence each, the most telling first.
	Evidence []string
	// Took is the time that was spent there, if it is about time, and Calls in how many
	// calls.
	Took  time.Duration
	Calls int
	// Unseen is true if the service's own hop is not among the hops, and only others
	// reported it.
	Unseen bool
	// Inferred is true if the proxy that named it went by times, without ids that were
	// passed on.
	Inferred bool
	// Unproven is true if Service is only where the trace ends: it makes calls that are not
	// in the trace, so that one of those may be at fault.
	Unproven bool
}

// String is a line such as
// "payments -> bank: connection refused by 127.0.0.1:4003 (UF)".
func (c *Culprit) String() string {
	s := c.Edge()
	if c.Unproven {
		s = "the trace ends at " + s
	}
	if c.Endpoint != "" && !strings.Contains(c.Reason, c.Endpoint) && !strings.HasPrefix(c.Endpoint+":", c.Service+":") {
		s += " (" + c.Endpoint + ")"
	}
	s += ": " + c.Reason
	if c.Flags != 0 {
		s += " (" + c.Flags.String() + ")"
	}
	return s
}

// Edge is where it happened: "checkout -> payments", or the service alone.
func (c *Culprit) Edge() string {
	return (&hop.Failure{Hop: c.Service, Caller: c.Caller}).Edge()
}

// convict describes a finding.
func (t *Trace) convict(f *finding) *Culprit {
	var c *Culprit
	switch {
	case f.short != nil:
		c = t.spent(f)
	case f.waiting == nil || f.waiting == f.node && f.node.failed():
		c = t.charge(f.node)
	default:
		c = t.late(f)
	}
	t.testify(c, f)
	c.guessed()
	return c
}

// spent describes what had used the time up that an attempt lacked.
func (t *Trace) spent(f *finding) *Culprit {
	w := f.short
	c := t.slow(f.share, w.Start-t.Roots[0].Start)
	if c.Service == w.service() {
		c.Kind = KindNoTimeLeft
	}
	c.Flags = cmp.Or(w.Attempt.Flags, w.Hop.Flags)
	c.Reason += fmt.Sprintf("; then %s had only %s of %s left", w.callee(), duration(w.Duration), duration(w.Hop.Timeout))
	return c
}

// late describes what an attempt waited for until it ended.
func (t *Trace) late(f *finding) *Culprit {
	c := t.slow(f.share, f.waiting.Duration)
	c.Kind = "upstream_timeout"
	if f.share.what == forConnection {
		c.Kind = "connect_timeout"
	}
	c.Flags = cmp.Or(f.waiting.Attempt.Flags, f.waiting.Hop.Flags)
	a := f.node.Attempt
	if c.Calls < 2 && a != nil && (a.Status == 0 || f.node.end() > f.waiting.end()) {
		switch f.share.what {
		case inApplication:
			c.Reason = "the application at " + a.Endpoint + " had not answered after " + duration(c.Took)
		case forAnswer:
			c.Reason = "it had not answered after " + duration(c.Took)
		}
	}
	if f.node != f.waiting {
		c.Reason += ", when " + f.waiting.service() + " gave up"
	}
	return c
}

// charge describes a node that failed by itself.
func (t *Trace) charge(n *Node) *Culprit {
	h := n.Hop
	f := t.failure(n)
	c := &Culprit{
		Node: n, Service: f.Hop, Part: f.Part, Kind: f.Kind, Caller: f.Caller, Endpoint: f.Endpoint, Reason: f.Reason,
		Flags: h.Flags, Inferred: f.Inferred,
		Unseen: f.Hop != n.service() && t.seen[f.Hop] == 0,
	}
	if n.Attempt != nil {
		c.Flags = cmp.Or(n.Attempt.Flags, h.Flags)
	}
	return c
}

// failure says who is at fault for a node that failed by itself, and why. What the proxy
// recorded that met it counts, but for what the other hops know better: the name of the
// service that was called, and whether a proxy stands in front of it.
func (t *Trace) failure(n *Node) hop.Failure {
	f, last := n.Hop.Failure, n.Attempt == nil || n.Attempt == n.Hop.LastAttempt()
	if last && f.Origin == hop.OriginRelayed && f.Hop != "" && (n.waited() || !n.recoveredAll()) {
		f.Reason = cmp.Or(f.Reason, "made the failure that "+n.service()+" relayed")
		return f
	}
	if f.Kind == KindNoTimeLeft && f.Hop == n.service() {
		return f
	}
	m := Met{Service: n.service(), Kind: n.kind(), Reason: n.reason()}
	if n.Attempt != nil {
		m.Endpoint = n.Attempt.Endpoint
	}
	if last && f.Kind != "" && (f.Origin == hop.OriginProxy || f.Origin == hop.OriginEndpoint) {
		m.Kind, m.Endpoint = f.Kind, cmp.Or(f.Endpoint, m.Endpoint)
		if f.Kind != ErrorResponse {
			m.Reason = strings.TrimPrefix(f.Reason, rules[f.Kind].words)
		}
	}
	if n.Attempt != nil || n.Hop.Labels.Direction.Calls() {
		m.Callee = n.callee()
	}
	if m.Kind == "" {
		return hop.Failure{Hop: m.Service, Reason: m.Reason}
	}
	m.Proxied = t.seen[m.Callee] > 0 || last && f.Part == hop.PartProxy
	return Charge(m)
}

// recoveredAll reports whether the calls of the application are among the hops, and none
// of their failures explains that of n.
func (n *Node) recoveredAll() bool {
	for _, c := range n.Children {
		if c.Attempt == nil && c.failed() {
			return true
		}
	}
	return false
}

// kind is the kind of the node's failure, "" if it is not known.
func (n *Node) kind() string {
	details, proxyError, flags, status, call := n.Hop.Details, n.Hop.ProxyError, n.Hop.Flags, n.Hop.Status, n.Hop.GRPCStatus
	if a := n.Attempt; a != nil {
		details, proxyError, flags, status, call = a.Details, a.ProxyError, a.Flags, a.Status, a.GRPCStatus
	}
	kind := ""
	if proxyError != "" || flags&hop.Failures != 0 {
		kind = KindOf(details, proxyError, flags)
	}
	if kind == "" && n.Attempt != nil && (status >= 500 || call.ServerError()) {
		kind = ErrorResponse
	}
	return kind
}

// reason says in words why the node failed, or what it answered.
func (n *Node) reason() string {
	h, a := n.Hop, n.Attempt
	if a == nil {
		if h.ProxyError != "" || h.Flags&hop.Failures != 0 {
			return cmp.Or(h.Failure.Reason, strings.ReplaceAll(h.ProxyError, "_", " "), h.Flags.Hint())
		}
		return cmp.Or(h.Failure.Reason, "answered "+n.answer()+n.message())
	}
	if a.ProxyError != "" || a.Flags&hop.Failures != 0 {
		reason := a.Reason
		if reason == "" && a == h.LastAttempt() {
			reason = h.Failure.Reason
		}
		return cmp.Or(reason, strings.ReplaceAll(a.ProxyError, "_", " "), a.Flags.Hint())
	}
	if h.Labels.Direction.Calls() {
		return "answered " + n.answer() + n.message()
	}
	return "the application at " + a.Endpoint + " answered " + n.answer() + n.message()
}

// callee names the service that an attempt called, or that a hop without an attempt would
// have called. The hop of that service knows its name best; what this one's proxy knows
// comes next. Toward its own application it is the service itself.
func (n *Node) callee() string {
	h := n.Hop
	for _, c := range n.Children {
		if h.Labels.Direction.Calls() && c.Attempt == nil && c.Hop.Labels.Direction == hop.Inbound && !c.Inferred {
			return c.service()
		}
	}
	f, cluster, endpoint := &h.Failure, h.Labels.Cluster, ""
	if n.Attempt != nil {
		cluster, endpoint = n.Attempt.Cluster, n.Attempt.Endpoint
	}
	switch {
	case f.Origin != hop.OriginRelayed && f.Kind != "" && f.Caller == n.service():
		return f.Hop
	case h.Labels.Direction.Calls() && f.Origin == hop.OriginEndpoint && f.Hop != n.service() && f.Hop != "":
		return f.Hop
	case h.Labels.Direction.Calls():
		return cmp.Or(host(h), cluster, endpoint, n.service())
	case n.Attempt == nil || f.Kind != "" || local(endpoint):
		return n.service()
	}
	return cmp.Or(cluster, n.service()) // a gateway
}

// local reports whether an address is on this machine, so that the service itself is
// behind it.
func local(endpoint string) bool {
	return endpoint == "" || strings.HasPrefix(endpoint, "127.") || strings.HasPrefix(endpoint, "[::1]:")
}

// host is the request's host, without the port.
func host(h *hop.Hop) string {
	name := h.String(h.Host)
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, ']') {
		name = name[:colon]
	}
	return name
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
