package hop

import "time"

// Failure says who is at fault for a failure, and why: the culprit. A reader needs no
// other hop's record.
type Failure struct {
	// Origin says whether the failure was made here or relayed.
	Origin Origin
	// Hop is the name of the service at fault. It is the service's own name, or the one
	// that the catalog has for it, not what the caller's configuration calls it.
	Hop string
	// Part says which part of the service it is.
	Part Part
	// Kind is in a word what happened, such as "connect_refused": the kind of fault that a
	// proxy met, or "error_response" for an error that an application answered. There are
	// few.
	Kind string
	// Caller is the service that met the failure on its way to Hop. It is empty if the
	// failure is within Hop itself.
	Caller string
	// Endpoint is the address of the instance at fault, "host:port"; empty if there is none.
	Endpoint string
	// Inferred is true if it was found by times, without ids that were passed on, and so is
	// no fact.
	Inferred bool
	// Reason is a sentence for a person: what happened, to which endpoint.
	Reason string
}

// Edge is where a failure happened: "checkout -> payments", or the service alone.
func (f *Failure) Edge() string {
	if f.Caller == "" || f.Caller == f.Hop {
		return f.Hop
	}
	return f.Caller + " -> " + f.Hop
}

// size is how many bytes its texts take.
func (f *Failure) size() int { return len(f.Hop) + len(f.Reason) + len(f.Caller) + len(f.Endpoint) }

// Recovered is the failure of a call that an application made for a request which went
// well in spite of it, there or farther upstream. If there were several, it is the one that
// took the most time: calls after it may lack that time.
type Recovered struct {
	Failure
	// Took is how long the call took, or all of the calls that the same service failed.
	Took time.Duration
}

// Origin is where a failure was made.
type Origin uint8

const (
	// OriginNone means that nothing failed.
	OriginNone Origin = iota
	// OriginDownstream means that the client made it: it went away, or sent
	// what can't be understood.
	OriginDownstream
	// OriginProxy means that this proxy made the response: no route, no
	// healthy endpoint, connection refused, timeout.
	OriginProxy
	// OriginEndpoint means that the application behind this proxy answered
	// with the failure.
	OriginEndpoint
	// OriginRelayed means that a hop farther upstream made it, and this one
	// passed it on.
	OriginRelayed
)

func (o Origin) String() string {
	return [...]string{"", "downstream", "proxy", "endpoint", "relayed"}[o]
}

// Part is the part of a service that is at fault.
type Part uint8

const (
	// PartUnknown means that it is not known, or that the client is at fault.
	PartUnknown Part = iota
	// PartApplication is the application itself.
	PartApplication
	// PartProxy is the proxy in front of it.
	PartProxy
	// PartNetwork is the network on the way to it.
	PartNetwork
	// PartConfiguration is what its proxy was told: its routes, clusters and rules.
	PartConfiguration
	// PartCertificate is its certificate, or the authorities that it trusts.
	PartCertificate
	// PartCapacity is a limit of its own that was reached.
	PartCapacity
	// PartResolution is how its addresses are found: its name in DNS, or discovery.
	PartResolution
	lastPart = PartResolution
)

func (p Part) String() string {
	return [...]string{"", "application", "proxy", "network", "configuration", "certificate", "capacity", "name_resolution"}[p]
}

// ParsePart returns the part with the name s; PartUnknown if there is none.
func ParsePart(s string) Part { return parse(s, PartUnknown, lastPart) }
