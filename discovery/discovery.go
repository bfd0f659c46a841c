package discovery

import "context"

// Endpoint is an address where a service answers, and what its source knows of
// it. It is never changed once it was delivered.
type Endpoint struct {
	// Address is host and port; IPv6 addresses are in brackets. A host that is a
	// name is resolved with each connection.
	Address string
	// Weight is the endpoint's share of requests beside the others'. At 0 it gets
	// none, not even in a panic. A source that knows of no weights says 1.
	Weight int
	// Priority is 0 for endpoints that are to be used first; those of a higher
	// number take over as far as those of lower ones fail.
	Priority int
	// Locality is where the endpoint runs.
	Locality Locality
	// Health is what the source says of the endpoint's health.
	Health Health
	// Why says why it is not healthy, in the source's words and a few hundred bytes at
	// most; empty where there are none.
	Why string `json:",omitempty"`
	// Metadata is for subsets, and for people. Nil is none.
	Metadata map[string]string
}

// Locality is where an endpoint, or this proxy, runs. Empty is unknown.
type Locality struct{ Region, Zone string }

// Health is what a source says of an endpoint. The zero value is Healthy.
type Health uint8

const (
	// Healthy endpoints get requests.
	Healthy Health = iota
	// Degraded endpoints get requests as far as healthy ones do not suffice: a
	// warning in Consul.
	Degraded
	// Unhealthy endpoints get none, not even in a panic, which is for when the
	// proxy's own checks may be wrong: critical in Consul.
	Unhealthy
	// Draining endpoints get none, not even in a panic: they are being taken
	// out of service. Maintenance mode in Consul.
	Draining
)

func (h Health) String() string {
	return [...]string{"healthy", "degraded", "unhealthy", "draining"}[h]
}

// Update is all that a source knows at one moment. Each takes the place of the
// one before.
type Update struct {
	// Endpoints are the endpoints there are, in an order that does not change
	// from one update to the next without reason.
	Endpoints []Endpoint
	// Missing is true where the source knows that there is no such service, as
	// opposed to one that has no endpoint just now.
	Missing bool
	// Nearest is the name that was most likely meant where Missing is true; "" if there is
	// none like it, or the source can't tell.
	Nearest string
	// Err is why the source could not be asked: Endpoints and Missing are its
	// last good answer, which may be out of date. Without any good answer yet,
	// Endpoints is nil and Missing false.
	Err error
}

// Source delivers the endpoints of one service.
type Source interface {
	// Run calls deliver with the first answer, and then whenever the answer
	// changes, goes stale or is fresh again, until ctx is done. All calls come
	// from Run's own goroutine, one after the other. Deliver may keep the
	// update, and changes nothing in it. Run leaves no goroutine behind.
	Run(ctx context.Context, deliver func(Update))
}
