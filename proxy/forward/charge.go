package forward

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/active"
	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/headers"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// target is the target that a request was given to, nil before it has one.
func (f *Forwarder) target(x *filter.Exchange) *Target {
	of := func(a *Forward) *Target {
		for i := range a.Targets {
			if a.Targets[i].Labels == x.Hop.Labels {
				return &a.Targets[i]
			}
		}
		return nil
	}
	if r, ok := x.Route.(*Route); ok && r != nil {
		if a, ok := r.Action.(*Forward); ok {
			return of(a)
		}
	}
	if f.Egress != nil {
		return cmp.Or(of(f.Egress.Requests), of(f.Egress.Tunnels))
	}
	return nil
}

// charge says who is at fault for a failure that this proxy met: see [diagnose.Charge].
func (f *Forwarder) charge(h *hop.Hop, t *Target, kind, reason string) hop.Failure {
	m := diagnose.Met{Service: h.Labels.Service, Kind: kind, Reason: reason}
	if a := h.LastAttempt(); a != nil {
		m.Endpoint = a.Endpoint
	}
	switch {
	case t == nil:
	case t.Open:
		m.Callee = t.callee(h.Bytes(h.Host))
		if kind == fault.DNSFailed.String() {
			m.Reason += f.nearest(h)
		}
	default:
		m.Callee, m.Proxied = t.callee(nil), t.Cluster.Proxied()
	}
	return diagnose.Charge(m)
}

// callee is the name of the service that the target leads to, "" if that is not known.
// host is what the request asks for.
func (t *Target) callee(host []byte) string {
	if t.Open {
		return nameOf(host)
	}
	name := t.Cluster.Service()
	if name == "" && !t.Own {
		name = t.Cluster.Name
	}
	return name
}

// nameOf names a service after the host that it was asked for by: without the port,
// unless the host is an address.
func nameOf(host []byte) string {
	name := string(message.Hostname(host))
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return string(host)
	}
	return name
}

// learn remembers what the service behind the cluster calls itself, by the members that
// its own proxy adds to responses. Any proxy on the way may add one. Ours is known by its
// own parameters, by its metric in Server-Timing, or by a name that we expect.
func (a *attempt) learn(r *message.Head) {
	if a.endpoint == nil || !r.Has(message.ProxyStatus) {
		return
	}
	status := last(r, message.ProxyStatus)
	cl := a.d.target.Cluster
	if cl.Knows(status) {
		return
	}
	members, err := headers.ParseProxyStatus([][]byte{status})
	if err != nil || len(members) == 0 {
		return
	}
	m := &members[len(members)-1] // the nearest
	expected := m.Name == cmp.Or(cl.Service(), cl.Name)
	if expected || m.Failure.Hop != "" || headers.Inbound(last(r, message.ServerTiming), m.Name) {
		cl.Named(m.Name, status)
	}
}

// last is the value of the last field of that name.
func last(r *message.Head, id message.FieldID) (value []byte) {
	for i := range r.Fields {
		if f := &r.Fields[i]; f.ID == id && !f.Removed {
			value = r.Bytes(f.Value)
		}
	}
	return value
}

// attribute finds out who made the failure that came back: a hop farther upstream, if a
// Proxy-Status names it; or a hop that this service called within the same trace; or the
// endpoint itself. r is the response's head, or the trailers that had a call's status.
func (f *Forwarder) attribute(x *filter.Exchange, r *message.Head) {
	h := x.Hop
	h.Details = "via_upstream"
	if r.Has(message.ProxyStatus) {
		if failure, ok := f.fromUpstream(h, r); ok {
			h.Failure = failure
			f.lacked(h, f.target(x), x.Active.Caller())
			return
		}
	}
	if h.Labels.Direction == hop.Inbound && f.Causes != nil {
		if c, ok := f.Causes.Find(h); ok && c.Among <= 1 {
			h.Failure = c.Failure
			h.Failure.Origin = hop.OriginRelayed
			return
		} else if ok {
			h.Failure = unproven(h, &c)
			return
		}
	}
	h.Failure = f.charge(h, f.target(x), diagnose.ErrorResponse, answered(h))
	if h.Failure.Caller == "" {
		h.Failure.Reason = "its application at " + h.Failure.Reason
	}
	h.Failure.Origin = hop.OriginEndpoint
}

// unproven is the failure of an application that passes no trace context on, and serves
// others than this request: a call of its failed meanwhile, but who knows what for.
func unproven(h *hop.Hop, c *diagnose.Cause) hop.Failure {
	return hop.Failure{
		Origin: hop.OriginEndpoint, Hop: h.Labels.Service, Kind: diagnose.KindLostContext, Inferred: true,
		Endpoint: h.LastAttempt().Endpoint,
		Reason: fmt.Sprintf("its application at %s; it passes no trace context on, so nothing tells whether that is its own fault or that of %s, which failed for one of the %d requests that it was serving: have it copy traceparent and tracestate, or b3, to what it calls",
			answered(h), c.Hop, c.Among),
	}
}

// fromUpstream reads who made the failure in the Proxy-Status that came back.
func (f *Forwarder) fromUpstream(h *hop.Hop, r *message.Head) (hop.Failure, bool) {
	var lines [][]byte
	for i := range r.Fields {
		if field := &r.Fields[i]; field.ID == message.ProxyStatus && !field.Removed {
			lines = append(lines, r.Bytes(field.Value))
		}
	}
	h.Set(&h.UpstreamHop, bytes.Join(lines, []byte(", ")))
	// Members that could be read count, whatever is wrong with others.
	members, _ := headers.ParseProxyStatus(lines)
	return headers.Failure(members)
}

// answered says that an endpoint answered with a failure.
func answered(h *hop.Hop) string {
	a := h.LastAttempt()
	if a.GRPCStatus.ServerError() {
		text := a.Endpoint + " answered " + a.GRPCStatus.String()
		if h.GRPCMessage.Len() > 0 {
			text += ": " + h.String(h.GRPCMessage)
		}
		return text
	}
	return strings.TrimSpace(a.Endpoint + " answered " + strconv.Itoa(a.Status) + " " + http.StatusText(a.Status))
}

// blame records in the Hop why the proxy answers itself. A failure is also recorded in
// the attempt that it ended. t is where the request was to go, nil if that is not known, and
// in the inbound hop that it was for.
func (f *Forwarder) blame(h *hop.Hop, t *Target, in active.Caller, a *fault.Answer) {
	why := a.Why
	h.Flags |= a.Flag()
	h.Recovered = nil
	if why == nil {
		h.Details = a.Detail()
		return
	}
	side := why.Kind.Side()
	recordFailure(h, why)
	if h.GRPC && h.GRPCStatus == 0 {
		h.GRPCStatus = statusOf(a)
	}
	if side == fault.Downstream && h.Failure.Origin != hop.OriginNone {
		return // something failed before the client gave up: that is the failure
	}
	h.Details, h.ProxyError = a.Detail(), why.Kind.ProxyError()
	if side == fault.Downstream {
		h.Failure = hop.Failure{Origin: hop.OriginDownstream, Hop: "client", Kind: why.Kind.String(), Reason: why.Error() + f.waitsFor(h)}
		return
	}
	// The application may have answered nothing because it waits itself: see waiting.go.
	failure, ok := f.blameWaited(h, why)
	if !ok {
		failure, ok = f.blameSpent(h, why)
	}
	if ok {
		h.Failure = failure
		return
	}
	h.Failure = f.charge(h, t, why.Kind.String(), why.Error())
	h.Failure.Origin = hop.OriginProxy
	f.lacked(h, t, in)
}
