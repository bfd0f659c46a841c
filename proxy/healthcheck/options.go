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

// Options are one check. One of HTTP, TCP and GRPC says how endpoints are asked;
// everything else has a default. The fields are named as in Envoy's HealthCheck.
type Options struct {
	HTTP *HTTP
	TCP  *TCP
	GRPC *GRPC

	// Interval is the time from the end of a probe to the next; default is 5 s.
	// UnhealthyInterval is that after a probe that failed; default is Interval.
	// NoTrafficInterval is either's while the cluster gets no requests; default
	// is 60 s.
	Interval, UnhealthyInterval, NoTrafficInterval time.Duration
	// IntervalJitter is the most that is added to an interval, at random; default
	// is 0.
	IntervalJitter time.Duration
	// InitialJitter is the most that an endpoint's first probe is put off, at
	// random. At 0, the default, first probes begin one a millisecond.
	InitialJitter time.Duration
	// Timeout is how long a probe may take, connecting included; default is 1 s.
	Timeout time.Duration
	// UnhealthyThreshold is how many probes in a row must fail until a healthy
	// endpoint is unhealthy; default is 3. Some answers are enough at once: see
	// [FailedNow].
	UnhealthyThreshold int
	// HealthyThreshold is how many probes in a row must pass until an unhealthy
	// endpoint is healthy; default is 2.
	HealthyThreshold int
	// Port is where the check is answered, 0 for the endpoint's own port. Envoy
	// has it as the endpoint's health_check_config.port_value.
	Port int
	// CloseConnection opens a connection for each probe of HTTP and gRPC, where
	// otherwise one is kept: Envoy's reuse_connection: false. Those of TCP are
	// always new.
	CloseConnection bool
}

// HTTP is a check by a request. It passes if the answer has a status that is
// expected. Redirects are not followed, and no proxy of the environment is used.
type HTTP struct {
	// Method is the request's; default is GET.
	Method string
	// Path is the request's, with its query; default is "/".
	Path string
	// Host is the request's Host; default is the endpoint's address. (Envoy says
	// the cluster's name: pass it.)
	Host string
	// Header is added to the request, and may replace its User-Agent.
	Header http.Header
	// ExpectedStatuses pass; default is 200. RetriableStatuses count toward
	// UnhealthyThreshold; any other makes the endpoint unhealthy at once.
	ExpectedStatuses, RetriableStatuses []StatusRange
	// Receive is text that must be in the first 64 KiB of the body; "" is any.
	Receive string
	// HTTP2 speaks HTTP/2, without TLS with prior knowledge.
	HTTP2 bool
}

// StatusRange is a range of statuses that has both ends.
type StatusRange struct{ First, Last int }

// TCP is a check by a connection. It passes if the endpoint accepts one and, where
// that is asked for, answers as it should.
type TCP struct {
	// Send is sent first; nothing if it is empty.
	Send []byte
	// Receive are blocks that must all be in what the endpoint sends, in this
	// order, whatever is between them; within the first 64 KiB.
	Receive [][]byte
}

// GRPC is a check by grpc.health.v1.Health/Check. It passes if the answer is
// SERVING.
type GRPC struct {
	// ServiceName is the service to ask for; "" is the server as a whole.
	ServiceName string
	// Authority is the call's; default is the endpoint's address. (Envoy says the
	// cluster's name: pass it.)
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
		return nil, fmt.Errorf("a health check is one of http, tcp and grpc, not %d of them", kinds)
	case o.Port < 0 || o.Port > 65535:
		return nil, fmt.Errorf("the health check's port %d is none: use 1 to 65535, or 0 for the endpoint's own", o.Port)
	case o.Interval < 0 || o.UnhealthyInterval < 0 || o.NoTrafficInterval < 0 ||
		o.Timeout < 0 || o.IntervalJitter < 0 || o.InitialJitter < 0:
		return nil, errors.New("a health check's times are not negative")
	case o.UnhealthyThreshold < 0 || o.HealthyThreshold < 0:
		return nil, errors.New("a health check's thresholds are at least 1")
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
		return fmt.Errorf("the health check's path %q is none: it begins with / and has no fragment", h.Path)
	case !httpguts.ValidHeaderFieldName(h.Method): // RFC 9110 section 9.1: both are tokens
		return fmt.Errorf("the health check's method %q is none", h.Method)
	case h.Method == http.MethodConnect:
		return errors.New("a health check can't be a CONNECT: use tcp")
	case !httpguts.ValidHostHeader(h.Host):
		return fmt.Errorf("the health check's host %q is none", h.Host)
	case h.Method == http.MethodHead && h.Receive != "":
		return errors.New("the answer to a HEAD has no body, so nothing can be received: use GET")
	}
	for name, values := range h.Header {
		if !httpguts.ValidHeaderFieldName(name) || textproto.CanonicalMIMEHeaderKey(name) == "Host" {
			return fmt.Errorf("the health check's header %q can't be set; the host has a setting of its own", name)
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				return fmt.Errorf("the value of the health check's header %q has characters that it can't have", name)
			}
		}
	}
	for _, ranges := range [][]StatusRange{h.ExpectedStatuses, h.RetriableStatuses} {
		for _, r := range ranges {
			if r.First < 100 || r.First > r.Last || r.Last > 999 {
				return fmt.Errorf("%d to %d is no range of statuses: they are from 100 to 999", r.First, r.Last)
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
