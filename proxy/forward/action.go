package forward

import (
	"time"

	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/header"
	"github.com/hopscope/hopscope/proxy/message"
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
	// Idle is how long a request may go on without a byte moving; 0 is the listener's.
	Idle time.Duration
	// Response changes the fields of responses; nil changes nothing.
	Response *header.Changes
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
	// ClusterHeader is the field of a request that names the cluster of its target; "" goes by
	// the weights.
	ClusterHeader string
	// Sticky is what keeps a client at one target; nil for nothing. Variants in the labels of
	// the targets tell them apart.
	Sticky *HashOn
	// Priority says which of the circuit breakers of a cluster counts.
	Priority cluster.Priority
	// Timeout is for the whole response; 0 is none.
	Timeout time.Duration
	// Held is a target that may get another weight meanwhile; nil for none.
	Held *Held
	// Strip is taken from the front of the path, and Prepend put there. Rewrite makes
	// another path in their place; nil is none.
	Strip, Prepend string
	Rewrite        *Rewrite
	// Undo takes back in responses what was rewritten; nil is none.
	Undo *Undo
	// Follow says which redirects are followed; nil is none.
	Follow *Follow
	// Host is what the endpoint sees in the Host field: "" for what the
	// client sent, "endpoint" for the endpoint's address, else itself.
	Host string
	// HostFrom is a field of the request that has the host in the place of Host; "" is none.
	HostFrom string
	// KeepHost tells the endpoint of the host that the client sent, if it sees another.
	KeepHost bool
	// Request changes the fields of requests, before the path is changed; nil changes
	// nothing.
	Request *header.Changes
	// Mirrors send copies of requests to other clusters.
	Mirrors []*Mirror
	// Upstream are hooks that see each attempt, after the proxy's own.
	Upstream []Upstream
}

// Held is a weight that a target has in the place of its own while it is held back.
type Held struct {
	Target int
	Weight uint32
	// Back reports whether it is held back.
	Back func() bool
}

// held is the target that is held back now, -1 for none.
func (a *Forward) held() int {
	if a.Held == nil || !a.Held.Back() {
		return -1
	}
	return a.Held.Target
}

// weight is that of the i-th target while another, or it, is held back.
func (a *Forward) weight(i, held int) uint32 {
	if i == held {
		return a.Held.Weight
	}
	return a.Targets[i].Weight
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
	// Request and Response change the fields of its requests and responses, after those of
	// the route; nil changes nothing.
	Request, Response *header.Changes
}

func (a *Forward) act(f *Forwarder, x *filter.Exchange) error {
	t, cookie, err := a.choose(x)
	if err != nil {
		return err
	}
	if f.dry != nil {
		t = f.dry.target(x, a, t)
	}
	var asked *message.Head
	if a.Follow != nil && f.dry == nil {
		asked = x.Request.Detach() // what follows changes it
	}
	x.Hop.Labels = t.Labels
	if x.Followed == 0 {
		x.Hop.Routed = now(x.Hop)
	}
	x.Changes[1] = t.Response
	for _, c := range [...]*header.Changes{a.Request, t.Request} {
		c.Apply(&x.Request, x.Hop, &x.Request, nil)
	}
	if a.Strip != "" || a.Prepend != "" || a.Rewrite != nil {
		a.rewrite(&x.Request)
		x.Hop.Rewrite(x.Request.Path())
	}
	d := f.deliver(x, a, t, nil)
	d.sticky, d.asked, d.before = cookie, asked, len(x.Hop.Attempts)
	if len(a.Mirrors) > 0 && f.dry == nil {
		return a.mirrored(d)
	}
	return d.carryOut()
}
