package healthcheck

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Options describe one check. Set exactly one of HTTP, TCP and GRPC; everything else has
// a default. The fields are named as in Envoy's HealthCheck.
type Options struct {
	HTTP *HTTP
	TCP  *TCP
	GRPC *GRPC

	// Interval is the time from the end of a probe to the next; default is 5 s.
	// UnhealthyInterval is used after a failed probe; default is Interval.
	// NoTrafficInterval replaces both while the cluster gets no requests; default is 60
	// s.
	Interval, UnhealthyInterval, NoTrafficInterval time.Duration
	// IntervalJitter is the maximum random time added to an interval; default is 0.
	IntervalJitter time.Duration
	// InitialJitter is the maximum random delay of an endpoint's first probe. With 0, the
	// default, first probes start one millisecond apart.
	InitialJitter time.Duration
	// Timeout is how long a probe may take, connecting included; default is 1 s.
	Timeout time.Duration
	// UnhealthyThreshold is how many probes in a row must fail until a healthy endpoint
	// is unhealthy; default is 3. Some answers make it unhealthy at once: see
	// [FailedNow].
	UnhealthyThreshold int
	// HealthyThreshold is how many probes in a row must pass until an unhealthy
	// endpoint is healthy; default is 2.
	HealthyThreshold int
	// Port is the port to probe, 0 for the endpoint's own. It is Envoy's
	// health_check_config.port_value of the endpoint.
	Port int
	// CloseConnection opens a new connection for each HTTP or gRPC probe instead of
	// keeping one: Envoy's reuse_connection: false. TCP probes always do.
	CloseConnection bool
}

// HTTP is a check by a request. It passes if the answer has an expected status. It does
// not follow redirects, and ignores HTTP_PROXY and the like.
type HTTP struct {
	// Method is the request method; default is GET.
	Method string
	// Path is the request path with its query; default is "/".
	Path string
	// Host is the request's Host; default is the endpoint's address. (Envoy's default is
	// the cluster's name; pass that for the same behaviour.)
	Host string
	// Header is added to the request. It may replace the User-Agent.
	Header http.Header
	// ExpectedStatuses pass; default is 200. RetriableStatuses count toward
	// UnhealthyThreshold. Any other status makes the endpoint unhealthy at once.
	ExpectedStatuses, RetriableStatuses []StatusRange
	// Receive is text that the first 64 KiB of the body must contain; "" allows any body.
	Receive string
	// HTTP2 uses HTTP/2, without TLS by prior knowledge.
	HTTP2 bool
}

// StatusRange is a range of statuses, both ends included.
type StatusRange struct{ First, Last int }

// TCP is a check by a connection. It passes if the endpoint accepts the connection and
// sends what Receive asks for, if anything.
type TCP struct {
	// Send is sent first; nothing if it is empty.
	Send []byte
	// Receive lists blocks that must all be in the first 64 KiB that the endpoint sends,
	// in this order, with anything between them.
	Receive [][]byte
}

// GRPC is a check by grpc.health.v1.Health/Check. It passes if the answer is
// SERVING.
type GRPC struct {
	// ServiceName is the service to ask for; "" is the server as a whole.
	ServiceName string
	// Authority is the call's authority; default is the endpoint's address. (Envoy's
	// default is the cluster's name; pass that for the same behaviour.)
	Authority string
}

// complete returns the options with their defaults, or what is wrong with them.
func (o Options) complete() (*Options, error) {
	kinds := 0
	for _, is := range []bool{o.HTTP != nil, o.TCP != nil, o.GRPC != nil} {
		if is {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return nil, fmt.Errorf("a health check needs exactly one of http, tcp and grpc, not %d of them", kinds)
	case o.Port < 0 || o.Port > 65535:
		return nil, fmt.Errorf("the health check's port %d is invalid: use 1 to 65535, or 0 for the endpoint's own", o.Port)
	case o.Interval < 0 || o.UnhealthyInterval < 0 || o.NoTrafficInterval < 0 ||
		o.Timeout < 0 || o.IntervalJitter < 0 || o.InitialJitter < 0:
		return nil, errors.New("a health check's times must not be negative")
	case o.UnhealthyThreshold < 0 || o.HealthyThreshold < 0:
		return nil, errors.New("a health check's thresholds must be at least 1")
	}
	o.Interval = or(o.Interval, 5*time.Second)
	o.UnhealthyInterval = or(o.UnhealthyInterval, o.Interval)
	o.NoTrafficInterval = or(o.NoTrafficInterval, time.Minute)
	o.Timeout = or(o.Timeout, time.Second)
	o.UnhealthyThreshold = or(o.UnhealthyThreshold, 3)
	o.HealthyThreshold = or(o.HealthyThreshold, 2)
	if o.HTTP != nil {
		h := *o.HTTP
		o.HTTP = &h
		if err := h.complete(); err != nil {
			return nil, err
		}
	}
	return &o, nil
}

func (h *HTTP) complete() error {
	h.Method, h.Path = or(h.Method, http.MethodGet), or(h.Path, "/")
	if len(h.ExpectedStatuses) == 0 {
		h.ExpectedStatuses = []StatusRange{{http.StatusOK, http.StatusOK}}
	}
	switch _, err := url.ParseRequestURI(h.Path); {
	case err != nil || h.Path[0] != '/' || strings.Contains(h.Path, "#"):
		return fmt.Errorf("the health check's path %q is invalid: it must begin with / and have no fragment", h.Path)
	case !httpguts.ValidHeaderFieldName(h.Method): // RFC 9110 section 9.1: both are tokens
		return fmt.Errorf("the health check's method %q is invalid", h.Method)
	case h.Method == http.MethodConnect:
		return errors.New("a health check can't be a CONNECT: use tcp")
	case !httpguts.ValidHostHeader(h.Host):
		return fmt.Errorf("the health check's host %q is invalid", h.Host)
	case h.Method == http.MethodHead && h.Receive != "":
		return errors.New("the answer to HEAD has no body to check for the expected text: use GET")
	}
	for name, values := range h.Header {
		if !httpguts.ValidHeaderFieldName(name) || textproto.CanonicalMIMEHeaderKey(name) == "Host" {
			return fmt.Errorf("the health check's header %q can't be set here; use the host setting for Host", name)
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				return fmt.Errorf("the value of the health check's header %q has invalid characters", name)
			}
		}
	}
	for _, ranges := range [][]StatusRange{h.ExpectedStatuses, h.RetriableStatuses} {
		for _, r := range ranges {
			if r.First < 100 || r.First > r.Last || r.Last > 999 {
				return fmt.Errorf("%d to %d is not a range of statuses: use 100 to 999", r.First, r.Last)
			}
		}
	}
	return nil
}

func within(status int, ranges []StatusRange) bool {
	for _, r := range ranges {
		if r.First <= status && status <= r.Last {
			return true
		}
	}
	return false
}

// or returns v, or the default if v is zero.
func or[T comparable](v, otherwise T) T {
	if v == *new(T) {
		return otherwise
	}
	return v
}
