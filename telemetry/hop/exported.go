package hop

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
