package config

// ErrorBody is the content of a route's error responses. It has one of "body" and "json".
// Status and fields stay, but for those that are about the content. It is for programs and
// browsers alike, and comes before the listener's error_pages. gRPC calls pass as they are.
type ErrorBody struct {
	// Statuses are the statuses that it is for, such as 503 or 500-599. Without any it is for
	// all errors: 400-599.
	Statuses []string `yaml:"statuses" format:"statuses"`
	// Body is the content.
	Body string `yaml:"body" format:"text"`
	// JSON is the content, written as a mapping.
	JSON JSON `yaml:"json"`
	// ContentType is the media type of the content. The default is text/plain for a body and
	// application/json for JSON.
	ContentType string `yaml:"content_type" format:"media type"`
	// Endpoints replaces the content of errors that endpoints send, too. Without it, only
	// those are meant that the proxy itself answers with.
	Endpoints bool `yaml:"endpoints" default:"false"`
}

// errorBodies checks what spans the keys of error bodies.
func (v validator) errorBodies(p *place, bodies []ErrorBody) {
	for i := range bodies {
		b, at := &bodies[i], p.item(i)
		v.oneOf(at, choice{"body", b.Body != ""}, choice{"json", b.JSON != ""})
		v.errorStatuses(at.key("statuses"), b.Statuses)
		if n := len(b.Body) + len(b.JSON); n > MaxAnswer {
			v.errs.add(at, "expected a content of at most %d bytes, found %d", MaxAnswer, n)
		}
	}
}

// errorStatuses checks that statuses are those of errors.
func (v validator) errorStatuses(p *place, statuses []string) {
	for i, s := range statuses {
		if first, _, err := Statuses(s); err == nil && first < 400 {
			v.errs.add(p.item(i), "%q is no error: expected statuses from 400 on", clip(s))
		}
	}
}
