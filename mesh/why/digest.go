package why

import (
	"time"

	"github.com/hopscope/hopscope/telemetry/events"
)

// The limits on a digest.
const (
	// MaxHops is how many hops a digest has of traces in which something failed.
	MaxHops = 4000
	// MaxCounts, MaxGroups, MaxEvents and MaxEndpoints limit its lists.
	MaxCounts    = 1000
	MaxGroups    = 500
	MaxEvents    = 200
	MaxEndpoints = 500
	maxLost      = 20
	maxListens   = 50
)

// Digest is what one proxy knows of a time, in few words.
type Digest struct {
	// Service is the service of the proxy, Instance the address at which it takes requests
	// for it, and Zone where it runs; empty if that is not known. Listens are all addresses
	// at which it takes requests for the service.
	Service  string   `json:"service"`
	Instance string   `json:"instance"`
	Zone     string   `json:"zone"`
	Listens  []string `json:"listens"`
	// Since is from when on Counts are, until Until. Failures is from when on every hop
	// that failed is in Groups; it is after Since if there was no room for all.
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
	Failures time.Time `json:"failures_since"`
	// Counts are exact: of all hops. Groups are the hops of traces in which something
	// failed.
	Counts    []Count        `json:"counts"`
	Groups    []Group        `json:"groups"`
	Endpoints []Endpoint     `json:"endpoints"`
	Lost      []Lost         `json:"lost_context"`
	Events    []events.Event `json:"events"`
}

// Facts are what hops may have in common.
type Facts struct {
	Direction string `json:"direction"`
	// Callee is the service that was called; empty for the proxy's own.
	Callee string `json:"callee"`
	Route  string `json:"route"`
	Method string `json:"method"`
	// Endpoint is the address that was tried last, Protocol what was spoken with it.
	Endpoint string `json:"endpoint"`
	Protocol string `json:"protocol"`
}

// Count is how many hops there were with the same facts.
type Count struct {
	Facts
	Requests uint64 `json:"requests"`
	Failed   uint64 `json:"failed"`
	// Roots are those that named no parent; Attempts are tries at an endpoint.
	Roots    uint64 `json:"roots"`
	Attempts uint64 `json:"attempts"`
}

// Group are hops of traces in which something failed, with the same facts and the same
// verdict of the proxy.
type Group struct {
	Facts
	// Failed is false for hops that went well though something below them failed.
	Failed bool `json:"failed"`
	// Origin, Service, Part, Kind, Caller, Instance, Inferred and Reason are those of
	// hop.Failure. They may be there where the hop itself did not fail, as of an attempt that
	// was repeated.
	Origin   string `json:"origin"`
	Service  string `json:"service"`
	Part     string `json:"part"`
	Kind     string `json:"kind"`
	Caller   string `json:"caller"`
	Instance string `json:"instance"`
	Inferred bool   `json:"inferred"`
	Reason   string `json:"reason"`
	// Hops has a string for each hop: trace id, span id, parent span id or "-", start in
	// microseconds of Unix time, duration in microseconds, and the span ids of its attempts,
	// with spaces between. A call that began its trace, but was made for a request of
	// another, has at its end "for:", that trace id, ":" and the span id of the attempt that
	// was under way; that was inferred from the time.
	Hops []string `json:"hops"`
}

// Endpoint is what the proxy knows of an endpoint, by its source.
type Endpoint struct {
	Address string `json:"address"`
	Version string `json:"version"`
	Zone    string `json:"zone"`
}

// Lost is a service that passes no trace context on.
type Lost struct {
	Service string `json:"service"`
	// Calls is how many calls began a trace of their own while the service answered a
	// request.
	Calls  int    `json:"calls"`
	Reason string `json:"reason"`
}
