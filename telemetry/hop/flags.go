package hop

import "math/bits"

// Flags is a set of response flags. They are Envoy's, with Envoy's meaning, so that
// people who know its access log can read ours. Only PANIC is our own.
type Flags uint64

// The flags, in the order in which several are written.
const (
	NoHealthyUpstream         Flags = 1 << iota // UH
	UpstreamConnectionFailure                   // UF
	UpstreamOverflow                            // UO
	NoRoute                                     // NR
	NoCluster                                   // NC
	RetriesExhausted                            // URX
	UpstreamTimeout                             // UT
	UpstreamConnectionClosed                    // UC
	UpstreamReset                               // UR
	UpstreamProtocolError                       // UPE
	DNSFailure                                  // DF
	DownstreamClosed                            // DC
	DownstreamReset                             // DR
	DownstreamProtocolError                     // DPE
	InvalidHeader                               // IH
	StreamIdleTimeout                           // SI
	DurationTimeout                             // DT
	MaxStreamDuration                           // UMSDR
	LocalReset                                  // LR
	LocalHealthFailure                          // LH
	DelayInjected                               // DI
	FaultInjected                               // FI
	RateLimited                                 // RL
	RateLimitServiceError                       // RLSE
	Unauthorized                                // UAEX
	Overload                                    // OM
	ProxyPanic                                  // PANIC, hopscope's own
	lastFlag
)

// Failures are the flags that make a hop failed at any status. It has no flags for a
// client's own mistakes (NR, DPE, IH, RL, UAEX) or choice (DC), nor for an injected
// delay.
const Failures = NoHealthyUpstream | UpstreamConnectionFailure | UpstreamOverflow |
	NoCluster | RetriesExhausted | UpstreamTimeout | UpstreamConnectionClosed |
	UpstreamReset | UpstreamProtocolError | DNSFailure | StreamIdleTimeout |
	MaxStreamDuration | LocalReset | LocalHealthFailure | RateLimitServiceError | Overload | ProxyPanic

var flags = [...]struct{ code, hint string }{
	{"UH", "no healthy endpoint in the cluster"},
	{"UF", "the connection to the endpoint could not be made"},
	{"UO", "a limit was reached: a circuit breaker of the cluster, or one of the route"},
	{"NR", "no route matched the request"},
	{"NC", "the route's cluster does not exist"},
	{"URX", "every retry was used up"},
	{"UT", "the endpoint did not answer in time"},
	{"UC", "the endpoint closed the connection before its response was whole"},
	{"UR", "the endpoint reset the stream"},
	{"UPE", "the endpoint sent a response that breaks the protocol"},
	{"DF", "the name could not be resolved"},
	{"DC", "the client went away before the response was whole"},
	{"DR", "the client reset the stream"},
	{"DPE", "the client sent a request that breaks the protocol"},
	{"IH", "the request's header was refused"},
	{"SI", "the stream was idle for too long"},
	{"DT", "the connection reached its maximum duration"},
	{"UMSDR", "the stream reached its maximum duration"},
	{"LR", "the proxy reset the stream"},
	{"LH", "the proxy's own health check failed"},
	{"DI", "a delay was injected"},
	{"FI", "a fault was injected"},
	{"RL", "the rate limit was reached"},
	{"RLSE", "the rate limit service failed"},
	{"UAEX", "the request was not authorized"},
	{"OM", "the proxy is overloaded"},
	{"PANIC", "the proxy has a defect, and panicked"},
}

// All returns every flag there is, in order.
func All() []Flags {
	var all []Flags
	for f := Flags(1); f < lastFlag; f <<= 1 {
		all = append(all, f)
	}
	return all
}

// First returns the first flag of the set, or 0.
func (f Flags) First() Flags { return f & -f }

// Code returns the code of the first flag of the set, "" if it is empty. It is for metric
// labels: it has few values, and allocates nothing.
func (f Flags) Code() string {
	if f == 0 {
		return ""
	}
	return flags[bits.TrailingZeros64(uint64(f))].code
}

// Hint says in words what the first flag of the set means, "" if it is empty.
func (f Flags) Hint() string {
	if f == 0 {
		return ""
	}
	return flags[bits.TrailingZeros64(uint64(f))].hint
}

// Append appends the codes of all flags in the set to dst, joined by commas.
func (f Flags) Append(dst []byte) []byte {
	for sep := false; f != 0; f &= f - 1 {
		if sep {
			dst = append(dst, ',')
		}
		dst, sep = append(dst, f.Code()...), true
	}
	return dst
}

// String returns the codes joined by commas, "" for the empty set.
func (f Flags) String() string { return string(f.Append(nil)) }
