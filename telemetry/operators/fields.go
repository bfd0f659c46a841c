package operators

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/redact"
)

// secrets are fields that hold credentials. They are never recorded.
var secrets = []string{"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"}

// request is a field of the request, or another if that is absent: REQ(X?Y).
func (r *Recorded) request(argument string) (Value, error) {
	return either(argument, r.requestField)
}

// requestWithoutQuery is the same, without the query of a path.
func (r *Recorded) requestWithoutQuery(argument string) (Value, error) {
	return either(argument, func(name string) (Value, error) {
		switch name {
		case ":path":
			return func(dst []byte, h *hop.Hop) ([]byte, Kind) {
				path, _ := seenPath(h)
				return textOf(dst, h.Bytes(path))
			}, nil
		case "x-envoy-original-path":
			return func(dst []byte, h *hop.Hop) ([]byte, Kind) {
				if !rewritten(h) {
					return dst, None
				}
				return textOf(dst, h.Bytes(h.Path))
			}, nil
		}
		return r.requestField(name)
	})
}

// response is a field of the response, or another if that is absent: RESP(X?Y).
func (r *Recorded) response(argument string) (Value, error) {
	return either(argument, r.responseField)
}

// either compiles the one or two names of an argument.
func either(argument string, of func(name string) (Value, error)) (Value, error) {
	first, second, two := strings.Cut(strings.ToLower(argument), "?")
	v, err := of(first)
	if err != nil || !two {
		return v, err
	}
	w, err := of(second)
	if err != nil {
		return nil, err
	}
	return func(dst []byte, h *hop.Hop) ([]byte, Kind) {
		dst, k := v(dst, h)
		if k == None {
			return w(dst, h)
		}
		return dst, k
	}, nil
}

// requestField is what a Hop has of a field of the request. Others are recorded.
func (r *Recorded) requestField(name string) (Value, error) {
	switch name {
	case ":method":
		return method, nil
	case ":path":
		return func(dst []byte, h *hop.Hop) ([]byte, Kind) {
			path, query := seenPath(h)
			return appendTarget(dst, h, path, query)
		}, nil
	case "x-envoy-original-path":
		return func(dst []byte, h *hop.Hop) ([]byte, Kind) {
			if !rewritten(h) {
				return dst, None
			}
			return appendTarget(dst, h, h.Path, h.Query)
		}, nil
	case ":authority", "host":
		return ofText(func(h *hop.Hop) hop.Text { return h.Host }), nil
	case ":scheme":
		return words(func(h *hop.Hop) string { return h.Scheme }), nil
	case "user-agent":
		return ofText(func(h *hop.Hop) hop.Text { return h.UserAgent }), nil
	case "x-request-id":
		return ofText(func(h *hop.Hop) hop.Text { return h.RequestID }), nil
	case "tracestate":
		return ofText(func(h *hop.Hop) hop.Text { return h.TraceState }), nil
	}
	return r.recordedField(hop.RecordedField{Name: name})
}

// responseField is what a Hop has of a field of the response. Others are recorded.
func (r *Recorded) responseField(name string) (Value, error) {
	switch name {
	case ":status":
		return integer(func(h *hop.Hop) int64 { return int64(h.Status) }), nil
	case "grpc-status":
		return grpcNumber, nil
	case "grpc-message":
		return ofText(func(h *hop.Hop) hop.Text { return h.GRPCMessage }), nil
	case "x-envoy-upstream-service-time":
		return serviceTime, nil
	}
	return r.recordedField(hop.RecordedField{Name: name, Response: true})
}

// recordedField is a field that has to be recorded.
func (r *Recorded) recordedField(f hop.RecordedField) (Value, error) {
	switch {
	case f.Name == "":
		return nil, errors.New("expected the name of a header field")
	case slices.Contains(secrets, f.Name):
		return nil, fmt.Errorf("%s may hold credentials, and is not logged", f.Name)
	case strings.Trim(f.Name, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") != "":
		return nil, fmt.Errorf("%q is no name of a header field; there are :method, :path, :authority and :scheme of requests, and :status of responses", clip(f.Name))
	case r == nil:
		return nil, errors.New("that is recorded for lines of a log alone")
	}
	i := r.index(f)
	return func(dst []byte, h *hop.Hop) ([]byte, Kind) {
		if i >= len(h.Recorded) {
			return dst, None
		}
		return textOf(dst, h.Bytes(h.Recorded[i]))
	}, nil
}

// method is the method as it was sent.
func method(dst []byte, h *hop.Hop) ([]byte, Kind) {
	if h.MethodText.Len() > 0 {
		return textOf(dst, h.Bytes(h.MethodText))
	}
	return textOf(dst, h.Method)
}

func ofText(of func(*hop.Hop) hop.Text) Value {
	return func(dst []byte, h *hop.Hop) ([]byte, Kind) { return textOf(dst, h.Bytes(of(h))) }
}

// seenPath is the path that the last endpoint saw, or else the one that the request went on
// with.
func seenPath(h *hop.Hop) (path, query hop.Text) {
	if a := h.LastAttempt(); a != nil && a.Path.Len() > 0 {
		return a.Path, a.Query
	}
	if h.RewrittenPath.Len() > 0 {
		return h.RewrittenPath, h.Query
	}
	return h.Path, h.Query
}

// rewritten reports whether the endpoint saw another path than the client sent.
func rewritten(h *hop.Hop) bool {
	path, query := seenPath(h)
	return string(h.Bytes(path)) != string(h.Bytes(h.Path)) || string(h.Bytes(query)) != string(h.Bytes(h.Query))
}

// appendTarget appends a path with its query, whose credentials are redacted.
func appendTarget(dst []byte, h *hop.Hop, path, query hop.Text) ([]byte, Kind) {
	dst, k := textOf(dst, h.Bytes(path))
	if query.Len() > 0 {
		dst, k = redact.AppendQuery(append(dst, '?'), h.Bytes(query)), Text
	}
	return dst, k
}

// serviceTime is how long the last endpoint took to answer, in milliseconds.
func serviceTime(dst []byte, h *hop.Hop) ([]byte, Kind) {
	a := h.LastAttempt()
	if a == nil || a.FirstByte == 0 {
		return dst, None
	}
	return appendInt(dst, max(a.FirstByte-a.Sent, 0).Milliseconds()), Number
}
