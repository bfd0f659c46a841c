package config

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// RoutePolicies are what a route does besides sending requests on. A filter of its own
// does each of them. A policy that is absent costs nothing.
type RoutePolicies struct {
	// BasicAuth asks clients for a name and a password.
	BasicAuth *BasicAuth `yaml:"basic_auth"`
	// Bandwidth bounds how fast content passes.
	Bandwidth *Bandwidth `yaml:"bandwidth"`
	// Body bounds the content of requests.
	Body *Body `yaml:"body"`
	// Compress compresses responses.
	Compress *Compress `yaml:"compress"`
	// CORS lets pages of other origins read the responses.
	CORS *CORS `yaml:"cors"`
	// ErrorBodies are the content of error responses. The first for the status is taken.
	ErrorBodies []ErrorBody `yaml:"error_bodies"`
	// Decompress decompresses the content of requests.
	Decompress *Decompress `yaml:"decompress"`
	// Fault delays or fails a share of the requests, as a test.
	Fault *Fault `yaml:"fault"`
	// Upgrades are the protocols that requests may change to, such as websocket, or "none"
	// for none. Others are refused with 403. Without it, all are allowed.
	Upgrades []string `yaml:"upgrades" format:"protocol"`
	// EarlyData refuses requests that came in TLS early data.
	EarlyData *EarlyData `yaml:"early_data"`
	// MaxRequests is how many requests of the route may be under way at once; 0 is no limit.
	// Beyond that they are shed (UO): see "shed".
	MaxRequests int `yaml:"max_requests" default:"0" min:"0"`
	// AdaptiveConcurrency bounds how many requests of the route are under way by how long they
	// take.
	AdaptiveConcurrency *AdaptiveConcurrency `yaml:"adaptive_concurrency"`
	// AdmissionControl refuses a share of the route's requests while too few succeed.
	AdmissionControl *AdmissionControl `yaml:"admission_control"`
	// Queue lets requests wait that are too many at once; without it they are shed.
	Queue *Queue `yaml:"queue"`
	// Shed is the answer to requests that a limit of the route does not let through. Without
	// it they get 503, and may try again after a second.
	Shed *Shed `yaml:"shed"`
	// Transcode makes gRPC calls of requests with JSON.
	Transcode *Transcode `yaml:"transcode"`
}

// Bandwidth bounds how fast content passes, for all requests of the route together. What is
// too fast waits, and its sender with it. It counts what the connections of clients carry.
// Tunnels, such as WebSockets, are not bounded.
type Bandwidth struct {
	// Request is how many bytes of requests' content pass in a second, such as 1MiB; 0 is no
	// limit.
	Request string `yaml:"request" default:"0" format:"size"`
	// Response is the same for responses.
	Response string `yaml:"response" default:"0" format:"size"`
}

// leastRate is the least of a bandwidth that is set, in bytes a second. With less a single
// read buffer would take a quarter of a minute.
const leastRate = 1 << 10

// Body bounds the content of requests. One with more is answered with 413: at once if its
// length is told, which also answers Expect: 100-continue, and else when too much has come.
type Body struct {
	// Max is the most bytes of content, such as 10MiB.
	Max string `yaml:"max" required:"true" format:"size"`
	// Buffer sends a request on when all of its content is here, so that a slow client does
	// not occupy an endpoint, and the request can be sent again. It is not for gRPC streams
	// and other conversations, whose endpoint would wait for a content that waits for it.
	// The memory counts for the connection: see overload.
	Buffer bool `yaml:"buffer" default:"false"`
}

// Decompress decompresses the content of requests whose Content-Encoding is listed, for
// endpoints that can't. Other codings, several in a row, and gRPC calls are left to the
// endpoint. Content that is not what it says is answered with 400. What its window takes (up
// to 16 MiB for br, 8 MiB for zstd, 64 KiB for gzip) is counted for the connection: see
// overload. A limit of body is one for the content as it is sent on.
type Decompress struct {
	// Algorithms are the codings that are decompressed.
	Algorithms []string `yaml:"algorithms" default:"zstd,br,gzip" enum:"zstd,br,gzip"`
	// Max is the most bytes of content when it is decompressed, such as 10MiB; more is answered
	// with 413.
	Max string `yaml:"max" default:"10MiB" format:"size"`
}

// Fault delays or fails a share of a route's requests, to test what their callers make of
// it. The delay comes first. Whether a request is delayed and whether it is failed are
// independent of each other. The response flags DI and FI tell these requests from others.
type Fault struct {
	// Delay holds requests back before they are sent on.
	Delay *FaultDelay `yaml:"delay"`
	// Abort answers requests with a failure in place of sending them on.
	Abort *FaultAbort `yaml:"abort"`
	// Headers lets trusted callers (see trusted_callers) ask for faults, in Envoy's fields:
	// x-envoy-fault-delay-request (in milliseconds), x-envoy-fault-abort-request (an HTTP
	// status), x-envoy-fault-abort-grpc-request (a gRPC status), and
	// x-envoy-fault-delay-request-percentage and x-envoy-fault-abort-request-percentage
	// beside them. For their requests they take the place of delay and abort, whose percent,
	// if they are there, is the most that the fields get. They are sent on, so the next hop
	// may heed them too.
	Headers bool `yaml:"headers" default:"false"`
}

// FaultDelay holds requests back. The route's timeout begins after the delay. A request
// whose client goes away is not held any longer.
type FaultDelay struct {
	// Fixed is how long.
	Fixed time.Duration `yaml:"fixed" required:"true" min:"1ms"`
	// Percent is the share of the requests, in per cent.
	Percent float64 `yaml:"percent" default:"100" min:"0" max:"100"`
}

// FaultAbort answers requests with a failure.
type FaultAbort struct {
	// Status is the HTTP status.
	Status int `yaml:"status" default:"503" min:"200" max:"599"`
	// GRPCStatus is the status that gRPC calls get, from 1 to 16. 0 is the one that stands
	// for the HTTP status: 14 (UNAVAILABLE) for 503.
	GRPCStatus int `yaml:"grpc_status" default:"0" min:"0" max:"16"`
	// Percent is the share of the requests, in per cent.
	Percent float64 `yaml:"percent" default:"100" min:"0" max:"100"`
}

// EarlyData answers requests with 425 (Too Early) that came in TLS early data, which an
// attacker can send again: those with the field Early-Data, which a TLS terminator in front
// of hopscope sets (RFC 8470). Without it they are sent on, with the field. hopscope's own
// listeners take no early data.
type EarlyData struct {
	// Allow is which of them are sent on all the same: "safe" those whose method is GET,
	// HEAD, OPTIONS or TRACE, "none" none.
	Allow string `yaml:"allow" default:"safe" enum:"safe,none"`
}

// policies checks what spans the keys of a route's policies.
func (v validator) policies(p *place, r *RoutePolicies) {
	v.basicAuth(p.key("basic_auth"), r.BasicAuth)
	v.bandwidth(p.key("bandwidth"), r.Bandwidth)
	v.compress(p.key("compress"), r.Compress)
	v.cors(p.key("cors"), r.CORS)
	v.errorBodies(p.key("error_bodies"), r.ErrorBodies)
	v.upgrades(p.key("upgrades"), r.Upgrades)
	if d := r.Decompress; d != nil && len(d.Algorithms) == 0 && !p.key("decompress").key("algorithms").failed {
		v.errs.add(p.key("decompress").key("algorithms"), `must not be empty; expected some of "zstd", "br" and "gzip": remove the key for all`)
	}
	v.limits(p, r)
	if f := r.Fault; f != nil {
		at := p.key("fault")
		if f.Delay == nil && f.Abort == nil && !f.Headers && !at.key("delay").failed && !at.key("abort").failed && !at.key("headers").failed {
			v.errs.add(at, "it does nothing; expected delay, abort or headers: true")
		}
	}
}

// upgrades checks a route's list of protocols.
func (v validator) upgrades(p *place, protocols []string) {
	switch {
	case p.failed:
	case p.written && len(protocols) == 0:
		v.errs.add(p, `must not be empty; expected protocols, such as "websocket", or "none"; remove the key to allow all`)
	case len(protocols) > 1 && slices.Contains(protocols, "none"):
		v.errs.add(p, `"none" does not go with other protocols; remove one or the other`)
	}
}

// checkProtocol checks the name of a protocol (RFC 9110 section 7.8).
func checkProtocol(s string) error {
	name, version, ok := strings.Cut(s, "/")
	if !isToken(name) || ok && !isToken(version) {
		return errors.New(`it is a name, such as "websocket", or a name, "/" and a version`)
	}
	return nil
}

// bandwidth checks the rates of a route.
func (v validator) bandwidth(p *place, b *Bandwidth) {
	if b == nil || p.broken() {
		return
	}
	request, err := Size(b.Request)
	response, err2 := Size(b.Response)
	switch {
	case err != nil || err2 != nil: // reported
	case request == 0 && response == 0:
		v.errs.add(p, "it bounds nothing; expected request or response")
	case request > 0 && request < leastRate:
		v.errs.add(p.key("request"), "expected at least 1KiB, found %s", clip(b.Request))
	case response > 0 && response < leastRate:
		v.errs.add(p.key("response"), "expected at least 1KiB, found %s", clip(b.Response))
	}
}
