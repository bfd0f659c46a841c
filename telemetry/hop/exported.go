package hop

import "strconv"

// UnnamedRoute is the name in [Labels] of a route that the configuration gives neither a
// name nor a path to match.
const UnnamedRoute = "default"

// OtherRoute is the Template of requests whose route there was no room to learn.
const OtherRoute = "other"

// RouteName is the name of the route in spans, metrics and logs, such as "/product/{id}":
// the learned one, else the configuration's. It is empty if there is none.
func (h *Hop) RouteName() string {
	switch {
	case h.Template != "":
		return h.Template
	case h.Labels.Route == UnnamedRoute:
		return ""
	}
	return h.Labels.Route
}

// Only returns the attempt of h if there was exactly one, else nil. The two are one span.
func (h *Hop) Only() *Attempt {
	if len(h.Attempts) == 1 && !h.Attempts[0].Span.IsZero() {
		return &h.Attempts[0]
	}
	return nil
}

// ExportedSpan is the id of the span that h is exported as. With one attempt that is the
// id which went out, and which the callee names as its parent. With several, or none, it
// is h.Span, and each attempt is a child of it.
func (h *Hop) ExportedSpan() SpanID {
	if a := h.Only(); a != nil {
		return a.Span
	}
	return h.Span
}

// CallName returns "package.Service/Method" of a gRPC call, or nil. It comes from
// [Hop.CallPath], so a client can invent it: it is a valid protobuf name of limited length, but
// there may be any number of them.
func (h *Hop) CallName() []byte {
	path := h.CallPath()
	if _, _, ok := RPC(path); !h.GRPC || !ok || len(path) > maxCallName {
		return nil
	}
	for _, c := range path {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && c != '_' && c != '.' && c != '/' {
			return nil
		}
	}
	return path[1:]
}

// CallPath returns the path of a gRPC call, "/package.Service/Method": what the endpoint was
// asked for, since a request may have become a call here, or else the client's.
func (h *Hop) CallPath() []byte {
	if a := h.LastAttempt(); a != nil && a.Path.Len() > 0 {
		return h.Bytes(a.Path)
	}
	if h.Method != "POST" {
		return nil
	}
	return h.Bytes(h.Path)
}

// maxCallName is the longest path that becomes a name, in bytes.
const maxCallName = 256

// ErrorType is OpenTelemetry's error.type of the hop, the most precise of few possible
// values; it is empty if the hop is no error. To the caller of an outbound hop 4xx and
// every gRPC status but OK are errors, too.
func (h *Hop) ErrorType() string {
	failed, proxyError := h.Failed(), h.ProxyError
	if h.Labels.Direction == Outbound {
		failed = failed || h.Status >= 400 || h.GRPCStatus.Failed() && h.Failure.Origin != OriginDownstream
		if a := h.Only(); a != nil {
			failed = failed || a.ErrorType() != ""
			if proxyError == "" {
				proxyError = a.ProxyError
			}
		}
	}
	if !failed {
		return ""
	}
	return errorType(proxyError, h.GRPCStatus, h.Status, h.Flags)
}

// ErrorType is OpenTelemetry's error.type of the attempt; it is empty if the attempt is no
// error. 4xx and every gRPC status but OK are errors.
func (a *Attempt) ErrorType() string {
	if a.Status < 400 && !a.GRPCStatus.Failed() && a.Flags&Failures == 0 && a.ProxyError == "" {
		return ""
	}
	return errorType(a.ProxyError, a.GRPCStatus, a.Status, a.Flags)
}

func errorType(proxyError string, grpc GRPCStatus, status int, flags Flags) string {
	switch {
	case proxyError != "":
		return proxyError
	case grpc.Failed():
		return grpc.String()
	case status >= 400 && status <= 999:
		i := 3 * (status - 400)
		return statuses[i : i+3]
	case flags != 0:
		return flags.Code()
	}
	return "_OTHER"
}

// statuses are the statuses from 400 to 999, three digits each, so that none has to be
// formatted for a request.
var statuses = func() string {
	var all []byte
	for status := 400; status <= 999; status++ {
		all = strconv.AppendInt(all, int64(status), 10)
	}
	return string(all)
}()
