package accesslog

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/redact"
)

// secrets are fields that hold credentials. No line shows them.
var secrets = []string{"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"}

// request is a field of the request, or another if that is absent: REQ(X?Y).
func (c *compiler) request(argument string) (value, error) {
	return c.either(argument, c.requestField)
}

// requestWithoutQuery is the same, without the query of a path.
func (c *compiler) requestWithoutQuery(argument string) (value, error) {
	return c.either(argument, func(name string) (value, error) {
		switch name {
		case ":path":
			return func(_ *formatter, dst []byte, h *hop.Hop) ([]byte, kind) {
				path, _ := seenPath(h)
				return textOf(dst, h.Bytes(path))
			}, nil
		case "x-envoy-original-path":
			return func(_ *formatter, dst []byte, h *hop.Hop) ([]byte, kind) {
				if !rewritten(h) {
					return dst, none
				}
				return textOf(dst, h.Bytes(h.Path))
			}, nil
		}
		return c.requestField(name)
	})
}

// response is a field of the response, or another if that is absent: RESP(X?Y).
func (c *compiler) response(argument string) (value, error) {
	return c.either(argument, c.responseField)
}

// either compiles the one or two names of an argument.
func (c *compiler) either(argument string, of func(name string) (value, error)) (value, error) {
	first, second, two := strings.Cut(strings.ToLower(argument), "?")
	v, err := of(first)
	if err != nil || !two {
		return v, err
	}
	w, err := of(second)
	if err != nil {
		return nil, err
	}
	return func(f *formatter, dst []byte, h *hop.Hop) ([]byte, kind) {
		dst, k := v(f, dst, h)
		if k == none {
			return w(f, dst, h)
		}
		return dst, k
	}, nil
}

// requestField is what a Hop has of a field of the request. Others are recorded.
func (c *compiler) requestField(name string) (value, error) {
	switch name {
	case ":method":
		return func(_ *formatter, dst []byte, h *hop.Hop) ([]byte, kind) { return textOf(dst, methodOf(h)) }, nil
	case ":path":
		return func(_ *formatter, dst []byte, h *hop.Hop) ([]byte, kind) {
			path, query := seenPath(h)
			return appendTarget(dst, h, path, query)
		}, nil
	case "x-envoy-original-path":
		return func(_ *formatter, dst []byte, h *hop.Hop) ([]byte, kind) {
			if !rewritten(h) {
				return dst, none
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
	return c.recordedField(hop.RecordedField{Name: name})
}

// responseField is what a Hop has of a field of the response. Others are recorded.
func (c *compiler) responseField(name string) (value, error) {
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
	return c.recordedField(hop.RecordedField{Name: name, Response: true})
}

// recordedField is a field that is recorded for the log.
func (c *compiler) recordedField(f hop.RecordedField) (value, error) {
	switch {
	case f.Name == "":
		return nil, errors.New("expected the name of a header field")
	case slices.Contains(secrets, f.Name):
		return nil, fmt.Errorf("%s may hold credentials, and is not logged", f.Name)
	case strings.Trim(f.Name, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") != "":
		return nil, fmt.Errorf("%q is no name of a header field; there are :method, :path, :authority and :scheme of requests, and :status of responses", clip(f.Name))
	}
	i := c.recorded.index(f)
	return func(_ *formatter, dst []byte, h *hop.Hop) ([]byte, kind) {
		if i >= len(h.Recorded) {
			return dst, none
		}
		return textOf(dst, h.Bytes(h.Recorded[i]))
	}, nil
}

func ofText(of func(*hop.Hop) hop.Text) value {
	return func(_ *formatter, dst []byte, h *hop.Hop) ([]byte, kind) { return textOf(dst, h.Bytes(of(h))) }
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
func appendTarget(dst []byte, h *hop.Hop, path, query hop.Text) ([]byte, kind) {
	dst, k := textOf(dst, h.Bytes(path))
	if query.Len() > 0 {
		dst, k = redact.AppendQuery(append(dst, '?'), h.Bytes(query)), text
	}
	return dst, k
}

// serviceTime is how long the last endpoint took to answer, in milliseconds.
func serviceTime(_ *formatter, dst []byte, h *hop.Hop) ([]byte, kind) {
	a := h.LastAttempt()
	if a == nil || a.FirstByte == 0 {
		return dst, none
	}
	return appendInt(dst, max(a.FirstByte-a.Sent, 0).Milliseconds()), number
}
