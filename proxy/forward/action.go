package forward

import (
	"time"

	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/tracecontext"
)

// Route is what is done with the requests that match.
type Route struct {
	// Labels are those of its requests, until the action has others for them.
	Labels *hop.Labels
	// Handler is the chain of its filters, made by [filter.Chain] in front of
	// [filter.Act]; nil for no filters. Routes with the same filters share one.
	Handler filter.Handler
	Action  Action
	// Sampler decides on traces that begin with its requests; nil for the forwarder's.
	Sampler *tracecontext.Sampler
}

// Action is what a route does: a [Forward], a [Redirect] or an [Answer].
type Action interface {
	act(*Forwarder, *filter.Exchange) error
}

// Answer is the action of a route that is answered here. It is an error for
// [fault.AnswerTo] to find.
type Answer fault.Answer

func (a *Answer) act(*Forwarder, *filter.Exchange) error { return (*fault.Answer)(a) }

// Forward is the action of a route that leads to endpoints.
type Forward struct {
	// Targets are where requests go, by their weights. There is at least one.
	Targets []Target
	// Timeout is for the whole response; 0 is none.
	Timeout time.Duration
	// Strip is taken from the front of the path, and Prepend put there. Rewrite makes
	// another path in their place; nil is none.
	Strip, Prepend string
	Rewrite        *Rewrite
	// Host is what the endpoint sees in the Host field: "" for what the
	// client sent, "endpoint" for the endpoint's address, else itself.
	Host string
	// HostFrom is a field of the request that has the host in the place of Host; "" is none.
	HostFrom string
	// Upstream are hooks that see each attempt, after the proxy's own.
	Upstream []Upstream
}

// Target is where a part of a route's requests go.
type Target struct {
	// Weight is its share of the requests, as against the sum of all. The weight of
	// an only target does not matter.
	Weight uint32
	// Labels are those of its requests.
	Labels *hop.Labels
	// Cluster is where the endpoints are.
	Cluster *cluster.Cluster
	// Own says that the cluster is the service's own application, unless the service
	// behind it turns out to be another.
	Own bool
	// Open says that the requests themselves name their endpoints.
	Open bool
	// Retry says what is sent again; nil is what can't have reached an endpoint.
	Retry *Retry
	// Hedge sends a request to a second endpoint that takes long; nil is off.
	Hedge *Hedge
	// Subset is the metadata that endpoints must have, nil for any.
	Subset *balance.Criteria
	// Session keeps clients at their endpoint; nil is off.
	Session *Session
	// Hash is what the endpoint is chosen by, for policies that hash.
	Hash []HashOn
}

func (a *Forward) act(f *Forwarder, x *filter.Exchange) error {
	t := &a.Targets[0]
	if len(a.Targets) > 1 {
		t = a.target(x.Random())
	}
	x.Hop.Labels = t.Labels
	x.Hop.Routed = now(x.Hop)
	if a.Strip != "" || a.Prepend != "" || a.Rewrite != nil {
		a.rewrite(&x.Request)
	}
	return f.forward(x, a, t, nil)
}

// target picks the target of one request, by a random number.
func (a *Forward) target(random uint64) *Target {
	last := len(a.Targets) - 1
	var sum uint64
	for i := range a.Targets {
		sum += uint64(a.Targets[i].Weight)
	}
	if sum == 0 {
		return &a.Targets[random%uint64(len(a.Targets))]
	}
	at := random % sum
	for i := range a.Targets[:last] {
		w := uint64(a.Targets[i].Weight)
		if at < w {
			return &a.Targets[i]
		}
		at -= w
	}
	return &a.Targets[last]
}
