package forward

import (
	"time"

	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/tracecontext"
)

// begin begins the Hop of whatever happens on a connection.
func (f *Forwarder) begin(info *filter.ConnInfo) *hop.Hop {
	h := info.Sink.Open()
	h.Labels = f.Labels
	h.Start = time.Now()
	h.Client, h.Peer, h.Scheme, h.TLS = info.PeerIP, info.Peer, info.Scheme, info.TLS
	return h
}

// open begins the Hop of an exchange: what the request says, and the trace
// that it belongs to.
func (f *Forwarder) open(x *filter.Exchange) {
	r := &x.Request
	h := f.begin(x.Conn.Info())
	x.Hop, x.Began = h, f.Shared.At(h.Start)
	h.Version = r.Version
	h.Method = r.Method.String()
	if r.Method == message.MethodOther {
		h.Set(&h.MethodText, r.MethodText())
	}
	host := r.Host()
	h.Set(&h.Host, hop.WithoutUser(host)) // one with a user is refused, but not told
	h.Set(&h.Path, r.Path())
	h.Set(&h.Query, r.Query())
	if agent, ok := r.Get(message.UserAgent); ok {
		h.Set(&h.UserAgent, agent)
	}
	if len(f.Record) > 0 {
		f.recordFields(h, r, false)
	}
	openCall(x)
	f.extract(x)
	f.requestID(x)
}

// extract reads the trace context, or begins a trace.
func (f *Forwarder) extract(x *filter.Exchange) {
	h, r := x.Hop, &x.Request
	h.Span = tracecontext.NewSpanID(x.Random())
	known := false
	x.Trace = tracecontext.Context{}
	if r.HasAny(traceFields) {
		fill(&x.Carrier, r)
		known = f.Propagation.Extract(&x.Carrier, &x.Trace)
	}
	if known {
		h.Trace, h.Parent = x.Trace.Trace, x.Trace.Parent
		if c := f.Causes; c != nil && f.Labels.Direction == hop.Outbound && !c.Passes.Load() {
			c.Passes.Store(true)
		}
	} else {
		h.Trace = tracecontext.NewTraceID(x.Random(), x.Random())
		x.Trace.Flags |= tracecontext.FlagRandom
	}
	h.Sampled, h.Keep = f.Sampler.Decide(x.Trace.Decision, h.Trace)
	if !known || len(x.Carrier.Tracestate) == 0 {
		return
	}
	// The mark counts whatever format the context comes from: a proxy sends several.
	own := r.Scratch()
	list, marked := f.Propagation.Mark.Cut(own, x.Carrier.Tracestate)
	x.Trace.Inside = marked
	if x.Trace.Tracestate != nil {
		h.Set(&h.TraceState, list[len(own):])
	}
}

// traceFields are the fields that a trace context may be in.
var traceFields = message.SetOf(message.Traceparent, message.Tracestate, message.B3, message.XB3TraceID,
	message.XB3SpanID, message.XB3ParentSpanID, message.XB3Sampled, message.XB3Flags,
	message.UberTraceID, message.XAmznTraceID)

// fill puts the request's trace fields into the carrier.
func fill(c *tracecontext.Carrier, r *message.Head) {
	c.Reset()
	fields := r.Fields
	for i := range fields {
		field := &fields[i]
		if field.Removed {
			continue
		}
		value := r.Bytes(field.Value)
		switch field.ID {
		case message.Traceparent:
			c.Traceparent = value
			c.TraceparentCount++
		case message.Tracestate:
			c.Tracestate = append(c.Tracestate, value)
		case message.B3:
			c.B3 = value
		case message.XB3TraceID:
			c.XB3TraceID = value
		case message.XB3SpanID:
			c.XB3SpanID = value
		case message.XB3ParentSpanID:
			c.XB3ParentSpanID = value
		case message.XB3Sampled:
			c.XB3Sampled = value
		case message.XB3Flags:
			c.XB3Flags = value
		case message.UberTraceID:
			c.UberTraceID = value
		case message.XAmznTraceID:
			c.XAmznTraceID = value
		}
	}
}

// requestID keeps the request's id, or makes one.
func (f *Forwarder) requestID(x *filter.Exchange) {
	h, r := x.Hop, &x.Request
	if id, ok := r.Get(message.XRequestID); ok && len(id) > 0 {
		h.Set(&h.RequestID, id)
		return
	}
	r.Remove(message.XRequestID)
	id := r.EndField(message.XRequestID, tracecontext.AppendRequestID(r.BeginField("x-request-id"), x.Random(), x.Random()))
	h.Set(&h.RequestID, r.Bytes(id))
}

// inject puts the attempt's context into the request: the endpoint sees span, the
// attempt's, as its parent.
func (f *Forwarder) inject(x *filter.Exchange, span hop.SpanID) {
	r, h := &x.Request, x.Hop
	formats := f.Propagation.Outgoing(&x.Trace)
	if formats&tracecontext.W3C != 0 {
		r.Remove(message.Traceparent)
		flags := x.Trace.Flags
		if h.Sampled {
			flags |= tracecontext.FlagSampled
		}
		r.EndField(message.Traceparent, tracecontext.AppendTraceparent(r.BeginField("traceparent"), h.Trace, span, flags))
		r.Remove(message.Tracestate)
		if mark := f.Propagation.Mark; mark != "" || h.TraceState.Len() > 0 {
			r.EndField(message.Tracestate, mark.Append(r.BeginField("tracestate"), h.Bytes(h.TraceState)))
		}
	}
	if formats&^tracecontext.W3C == 0 {
		return
	}
	decision := tracecontext.Drop
	switch {
	case x.Trace.Decision == tracecontext.Debug:
		decision = tracecontext.Debug
	case h.Sampled:
		decision = tracecontext.Sample
	}
	if formats&tracecontext.B3 != 0 {
		injectB3(x, span, formats, decision)
	}
	if formats&tracecontext.Jaeger != 0 {
		r.Remove(message.UberTraceID)
		r.EndField(message.UberTraceID, tracecontext.AppendJaeger(r.BeginField("uber-trace-id"), h.Trace, x.Trace.TraceID64, span, decision))
	}
	if formats&tracecontext.XRay != 0 {
		came, _ := r.Get(message.XAmznTraceID)
		field := tracecontext.AppendXRay(r.BeginField("x-amzn-trace-id"), h.Trace, span, decision, came)
		r.Remove(message.XAmznTraceID)
		r.EndField(message.XAmznTraceID, field)
	}
}

func injectB3(x *filter.Exchange, span hop.SpanID, formats tracecontext.Format, decision tracecontext.Decision) {
	r, h, id64 := &x.Request, x.Hop, x.Trace.TraceID64
	// The first attempt is one span with the hop; others are its children.
	parent := h.Parent
	if len(h.Attempts) > 1 {
		parent = h.Span
	}
	if formats&tracecontext.B3Single != 0 {
		r.Remove(message.B3)
		r.EndField(message.B3, tracecontext.AppendB3(r.BeginField("b3"), h.Trace, id64, span, parent, decision))
	}
	if formats&tracecontext.B3Multi == 0 {
		return
	}
	for _, id := range [...]message.FieldID{message.XB3TraceID, message.XB3SpanID, message.XB3ParentSpanID, message.XB3Sampled, message.XB3Flags} {
		r.Remove(id)
	}
	r.EndField(message.XB3TraceID, tracecontext.AppendB3TraceID(r.BeginField("x-b3-traceid"), h.Trace, id64))
	r.EndField(message.XB3SpanID, span.AppendHex(r.BeginField("x-b3-spanid")))
	if !parent.IsZero() {
		r.EndField(message.XB3ParentSpanID, parent.AppendHex(r.BeginField("x-b3-parentspanid")))
	}
	if decision == tracecontext.Debug {
		r.Add(message.XB3Flags, "x-b3-flags", "1")
	} else {
		r.Add(message.XB3Sampled, "x-b3-sampled", decision.B3Sampled())
	}
}
