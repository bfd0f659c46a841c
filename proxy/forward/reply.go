package forward

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// reply writes an answer of the proxy's own: the one place where a failure becomes
// a response. A response that has begun is cut; only a gRPC call can still end with a
// status in its trailers. The error says why the answer could not be sent.
func (f *Forwarder) reply(x *filter.Exchange, a *fault.Answer) error {
	f.blame(x.Hop, f.target(x), a)
	h, w := x.Hop, x.Writer
	status := a.HTTPStatus()
	if w.Began() || status == 0 {
		f.note(h)
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
	if body == nil && a.Why != nil {
		body = f.text(x, a.Why)
	}
	r.Framing, r.Length = message.ByLength, int64(len(body))
	r.SetReason(r.Own(http.StatusText(r.Status)))
	if len(body) > 0 && !typed {
		r.Add(message.ContentType, "content-type", "text/plain; charset=utf-8")
	}
	return body
}

// text tells a person what happened. A listener that does not append to Proxy-Status
// faces the public, and tells the status only.
func (f *Forwarder) text(x *filter.Exchange, why *fault.Error) []byte {
	h := x.Hop
	b := strconv.AppendInt(nil, int64(h.Status), 10)
	b = append(append(b, ' '), http.StatusText(h.Status)...)
	if f.ProxyStatusMode == Append {
		b = append(append(b, "\n"...), cmp.Or(h.Failure.Edge(), h.Labels.Service)...)
		b = append(append(b, ": "...), why.Reason...)
		b = append(append(b, " ("...), h.Flags.String()...)
		b = append(b, ")\ntrace "...)
		b = h.Trace.AppendHex(b)
	}
	return append(b, '\n')
}

// mostServing is up to how many requests are counted that a call may have been for.
const mostServing = 10

// note remembers that a call of this service failed, or what it went well in spite of, for
// its inbound hops. It comes before the response goes out, since the service may answer its
// own caller at once.
func (f *Forwarder) note(h *hop.Hop) {
	failed := h.Failed() || h.Failure.Origin == hop.OriginProxy || // a call without a route is no failure by its status
		h.Recovered != nil
	if h.Labels.Direction == hop.Outbound && failed && f.Causes != nil {
		among := 1
		if f.UnderWay != nil && h.Parent.IsZero() && !f.Causes.Passes.Load() {
			among = f.UnderWay.Serving(h.Labels.Service, mostServing)
		}
		f.Causes.Note(h, time.Now(), among)
	}
}
