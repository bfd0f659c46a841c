package forward

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/problem"
	"github.com/hopscope/hopscope/telemetry/active"
	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/words"
)

// reply writes an answer of the proxy's own: the one place where a failure becomes
// a response. A response that has begun is cut; only a gRPC call can still end with a
// status in its trailers. The error says why the answer could not be sent.
func (f *Forwarder) reply(x *filter.Exchange, a *fault.Answer) error {
	f.blame(x.Hop, f.target(x), x.Active.Caller(), a)
	h, w := x.Hop, x.Writer
	status := a.HTTPStatus()
	if w.Began() || status == 0 {
		f.note(x)
		if status == 0 || !f.breakOff(x, a) {
			w.Cut()
		}
		return nil
	}
	h.Status = status
	r := &x.Response
	r.Begin(nil)
	r.Status = status
	_, whole := x.Body.Whole()
	r.Close = !whole
	var body []byte
	if h.GRPC {
		f.replyCall(x, a)
	} else {
		body = f.body(x, a)
	}
	for _, field := range a.Fields {
		if h.GRPC && message.EqualFold([]byte(field.Name), "content-type") {
			continue
		}
		r.Add(message.FieldByName([]byte(field.Name)), field.Name, field.Value)
	}
	if a.Why != nil && a.Why.Kind == fault.Overflow {
		r.Add(message.Unknown, "x-envoy-overloaded", "true")
	}
	h.FirstByte = now(h)
	err := w.Head(r)
	if err == nil && len(body) > 0 && x.Request.Method != message.HEAD {
		err = w.Content(body)
	}
	if err == nil {
		err = w.End(nil)
	}
	return err
}

// body is the content of an answer. It readies the head for it.
func (f *Forwarder) body(x *filter.Exchange, a *fault.Answer) []byte {
	r, body := &x.Response, a.Body
	typed := slices.ContainsFunc(a.Fields, func(f fault.Field) bool { return strings.EqualFold(f.Name, "content-type") })
	form := problem.Text
	if body == nil && (a.Why != nil || r.Status >= 400) {
		body, form = f.problem(x, a)
		r.Add(message.Unknown, "vary", "accept") // RFC 9110 section 12.5.5
	}
	r.Framing, r.Length = message.ByLength, int64(len(body))
	r.SetReason(r.Own(http.StatusText(r.Status)))
	if len(body) > 0 && !typed {
		r.Add(message.ContentType, "content-type", form.ContentType())
	}
	return body
}

// problem tells the client what happened, in the form that it wants most. A listener that
// does not append to Proxy-Status faces the public, and tells nothing of what is inside.
func (f *Forwarder) problem(x *filter.Exchange, a *fault.Answer) ([]byte, problem.Form) {
	h := x.Hop
	p := problem.Problem{Status: h.Status, Phrase: http.StatusText(h.Status), RequestID: h.String(h.RequestID), Trace: h.Trace}
	if why := a.Why; why != nil && f.ProxyStatusMode == Append {
		kind := why.Kind.String()
		p.Inside = &problem.Inside{
			Kind: kind, Meaning: words.Kind(kind), Reason: why.Reason,
			Service: h.Labels.Service, Flags: h.Flags, Failure: h.Failure, Link: f.traceLink(h.Trace),
		}
	}
	page := f.ErrorPages.For(h.Status)
	form := problem.Text
	if h.Kind != hop.KindConnection { // else the head could not be read
		form = problem.Negotiate(values(&x.Request, "accept"), page != nil)
	}
	switch form {
	case problem.JSON:
		return p.AppendJSON(nil), form
	case problem.HTML:
		return page.Append(nil, &p), form
	}
	return p.AppendText(nil), form
}

// traceLink is where a trace can be seen, "" if that is not known.
func (f *Forwarder) traceLink(id hop.TraceID) string {
	return strings.ReplaceAll(f.TraceLink, "%TRACE_ID%", id.String())
}

// values are those of all fields of a name.
func values(r *message.Head, name string) (all [][]byte) {
	for i := range r.Fields {
		if field := &r.Fields[i]; !field.Removed && message.EqualFold(r.Bytes(field.Name), name) {
			all = append(all, r.Bytes(field.Value))
		}
	}
	return all
}

// mostServing is up to how many requests are counted that a call may have been for.
const mostServing = 10

// note remembers that a call of this service failed, or what it went well in spite of, for
// its inbound hops. It comes before the response goes out, since the service may answer its
// own caller at once.
func (f *Forwarder) note(x *filter.Exchange) {
	h := x.Hop
	failed := h.Failed() || h.Failure.Origin == hop.OriginProxy || // a call without a route is no failure by its status
		h.Recovered != nil
	if h.Labels.Direction == hop.Outbound && failed && f.Causes != nil {
		in := x.Active.Caller()
		_, hurried := f.had(h, in)
		call := diagnose.Call{Hurried: hurried, Among: 1}
		if in != (active.Caller{}) {
			call.Since = h.Start.Add(-in.Used)
		}
		// The request that the call is for may end before the call does: see entered.
		switch {
		case f.UnderWay == nil:
		case !h.Parent.IsZero():
			x.Trace.Inside = x.Trace.Inside || in == (active.Caller{}) && f.UnderWay.Calls(h)
		case !f.Causes.Passes.Load():
			call.Among = f.UnderWay.Serving(h.Labels.Service, mostServing)
			x.Trace.Inside = x.Trace.Inside || call.Among > 0
		}
		if in.Exact {
			call.Request = in.Span
		}
		f.Causes.Note(h, time.Now(), call)
	}
}
