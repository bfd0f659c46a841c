package snapshot

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/explain"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/redact"
)

// explainHops explains the requests of a trace that this proxy has served and still knows.
// headers are field lines that the requests had: hops have few of them.
func (p *Proxy) explainHops(trace hop.TraceID, headers []string) (all []*explain.Explanation) {
	e := p.current.Load().explainer()
	for _, h := range p.store.Trace(trace) {
		if h.Kind == hop.KindConnection {
			continue // there was no request
		}
		all = append(all, p.explainHop(e, h, headers))
	}
	return all
}

// explainHop explains one request that happened, by what was recorded of it.
func (p *Proxy) explainHop(e *explainer, h *hop.Hop, headers []string) *explain.Explanation {
	asked := p.askedBy(h, h.GRPC && !e.transcoded(h), headers)
	x, err := e.explain(asked)
	if err != nil {
		x = &explain.Explanation{Request: asked.Method + " " + asked.URL, Listener: asked.Listener, Notes: []string{"it can't be explained by the present configuration: " + err.Error()}}
	}
	x.Hop = happened(h)
	if err != nil {
		return x
	}
	took, found := h.Labels.Route, ""
	if x.Route != nil {
		found = x.Route.Name
	}
	if took == found {
		x.Notes = append(x.Notes, "the request took this route")
	} else {
		x.Notes = append(x.Notes, fmt.Sprintf("the request took %s, and what is recorded of it leads to %s: the configuration has changed since, or the route goes by fields that are not recorded (name them with -H), by a certificate or by chance",
			routeOrNone(took), routeOrNone(found)))
	}
	return x
}

func routeOrNone(name string) string {
	if name == "" {
		return "no route"
	}
	return "route " + name
}

// transcoded reports whether a request became a gRPC call by the route that it took. What came
// as a call keeps its path there.
func (e *explainer) transcoded(h *hop.Hop) bool {
	if h.RewrittenPath.Len() == 0 {
		return false
	}
	at := slices.IndexFunc(e.listeners, func(s served) bool { return s.config.Name == h.Labels.Listener })
	return at >= 0 && slices.ContainsFunc(slices.Concat(e.listeners[at].routes, e.listeners[at].catalog), func(r resources.Route) bool {
		return r.Name == h.Labels.Route && r.Policies.Transcode != nil
	})
}

// askedBy is the question that a recorded request is. call says that it came as a gRPC call.
func (p *Proxy) askedBy(h *hop.Hop, call bool, headers []string) explain.Request {
	r := explain.Request{Listener: h.Labels.Listener, Method: h.Method, Client: h.Client, HTTP2: h.Version == hop.HTTP2}
	if text := h.String(h.MethodText); text != "" {
		r.Method = text
	}
	r.URL = h.String(h.Path)
	if h.Query.Len() > 0 {
		r.URL += "?" + string(redact.AppendQuery(nil, h.Bytes(h.Query)))
	}
	add := func(name, value string) {
		given := slices.ContainsFunc(headers, func(line string) bool {
			n, _, _ := strings.Cut(line, ":")
			return strings.EqualFold(strings.TrimSpace(n), name)
		})
		if value != "" && !given {
			r.Headers = append(r.Headers, name+": "+value)
		}
	}
	if host := h.String(h.Host); r.Method == "CONNECT" {
		r.URL = host
	} else {
		add("host", host)
	}
	add("user-agent", h.String(h.UserAgent))
	add("x-request-id", h.String(h.RequestID))
	if call {
		add("content-type", "application/grpc")
	}
	for i, f := range p.recorded {
		if i < len(h.Recorded) && !f.Response {
			add(f.Name, h.String(h.Recorded[i]))
		}
	}
	r.Headers = append(r.Headers, headers...)
	return r
}

// happened is what was recorded of a request, for people.
func happened(h *hop.Hop) (all []config.Shown) {
	add := func(key, value string) {
		if value != "" {
			all = append(all, config.Shown{Key: key, Value: value})
		}
	}
	add("trace", h.Trace.String())
	add("happened at", h.Start.UTC().Format(time.RFC3339Nano))
	add("took", h.End.Round(time.Microsecond).String())
	add("route", h.Labels.Route)
	outcome := fmt.Sprint(h.Status)
	if h.Flags != 0 {
		outcome += " " + h.Flags.String()
	}
	if h.Failure.Reason != "" {
		outcome += ": " + h.Failure.Reason
	}
	add("outcome", outcome)
	for i := range h.Attempts {
		a := &h.Attempts[i]
		text := fmt.Sprintf("%s of cluster %s, asked for %s", a.Endpoint, a.Cluster, h.String(a.Path))
		if a.Status != 0 {
			text += fmt.Sprintf(": %d", a.Status)
		}
		if a.Reason != "" {
			text += ": " + a.Reason
		}
		add(fmt.Sprintf("attempt %d", i+1), text)
	}
	return all
}
