package forward

import (
	"time"

	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/upstream"
)

// delivery is one request on its way to a target: what its attempts share. It belongs to
// the exchange and its goroutine. While attempts race they only read it.
type delivery struct {
	f      *Forwarder
	x      *filter.Exchange
	action *Forward
	target *Target
	// fixed is the endpoint that the request itself named, nil where the
	// cluster picks one.
	fixed   *upstream.Endpoint
	content content
	limits  limits
	// retry is what may follow an attempt that failed, and tries what there was.
	retry retryPlan
	tries tries
	// sticky is the cookie that is to keep the client at the target, and cookie the one that
	// is to keep it at the endpoint.
	sticky, cookie given
	// asked is the request as it came to the route, nil where no redirect of it is followed.
	asked *message.Head
	// before is how many attempts there were of what redirects have led here from.
	before int
	// host is the one that the route has for the endpoint, "" for the client's.
	host string
	// nameless is true where the request names no host, and the route none for it.
	nameless bool
	// entered is true once the hop is in the table of those under way.
	entered bool
	// attempt is the present one, or the best of those that raced.
	attempt attempt
}

// deliver readies the delivery of a request. The exchange keeps it for the next one, so
// that it costs no memory.
func (f *Forwarder) deliver(x *filter.Exchange, action *Forward, target *Target, fixed *upstream.Endpoint) *delivery {
	d, _ := x.Scratch.(*delivery)
	if d == nil {
		d = new(delivery)
		x.Scratch = d
	}
	*d = delivery{} // with its fields in the literal, all of it would be made on the stack and copied
	d.f, d.x, d.action, d.target, d.fixed = f, x, action, target, fixed
	d.attempt.d, d.attempt.x = d, x
	return d
}

// forward takes a request to a target and the response back.
func (f *Forwarder) forward(x *filter.Exchange, action *Forward, target *Target, fixed *upstream.Endpoint) error {
	return f.deliver(x, action, target, fixed).carryOut()
}

// carryOut takes the request to the target and the response back.
func (d *delivery) carryOut() error {
	err := d.run()
	d.content = content{} // it keeps no buffer alive
	return err
}

// now is the time since the request began: the clock of all that the delivery decides.
func (d *delivery) now() time.Duration { return now(d.x.Hop) }

// run carries it out: by one attempt, or by as many as its policy lets it have.
func (d *delivery) run() error {
	x, cl := d.x, d.target.Cluster
	http1.StripHopByHop(&x.Request)
	here, whole := x.Body.Whole()
	if d.f.dry == nil {
		if err := cl.Enter(d.action.Priority); err != nil {
			return err
		}
		defer cl.Leave(d.action.Priority)
	}
	d.expect()
	switch {
	case whole && x.Followed > 0:
		d.limits.begin(d.now())
	case whole:
		d.limits.begin(x.Hop.Routed)
	}
	d.choose()
	d.host = d.action.hostFor(&x.Request)
	d.nameless = d.host == "" && !x.Request.Has(message.Host)
	if d.action.KeepHost && d.host != "" {
		keep(&x.Request, originalHost, x.Request.Host())
	}
	if d.f.dry != nil {
		return d.f.dry.delivered(d)
	}
	d.content = content{here: here}
	if !whole {
		d.content.from = newSource(x, d.retry.keep())
		defer d.content.forget()
	}
	return d.late(d.attempts())
}

// attempts makes attempts until one has the response, or none may follow, and
// takes the response to the client.
func (d *delivery) attempts() error {
	defer d.leaveRetry()
	if budget := d.retry.budget(); budget != nil {
		budget.Deposit(d.action.Priority)
	}
	a := &d.attempt
	for {
		err := d.respond()
		again := d.repeats(fault.Of(err))
		switch {
		case err != nil:
			a.fail(fault.Of(err))
			if !again {
				return err
			}
		case !again:
			if o := d.follow(); o != nil {
				a.discard()
				return o
			}
			return a.relay()
		default:
			a.discard()
		}
		if err := d.backOff(); err != nil {
			return err
		}
	}
}

// respond gets the head of a response by one attempt, or by several that race.
func (d *delivery) respond() error {
	e, err := d.pick(d.x)
	switch {
	case err != nil:
		return err
	case d.hedges():
		return d.race(e)
	}
	return d.attempt.try(e)
}

// pick chooses the endpoint of the next attempt; nil is the one that the request
// itself named.
func (d *delivery) pick(x *filter.Exchange) (*cluster.Endpoint, error) {
	if d.fixed != nil {
		return nil, nil
	}
	h := x.Hop
	at := h.Routed // a moment ago
	if len(h.Attempts) > 0 {
		at = now(h)
	}
	x.Pick.Random, x.Pick.Now = x.Random(), clock(x, at)
	var e *cluster.Endpoint
	var err error
	if s := d.target.Session; s != nil {
		if e, err = s.endpoint(d.target.Cluster, &x.Request, &x.Pick); e != nil {
			d.target.Cluster.InSession()
		}
	}
	if e == nil && err == nil {
		e, err = d.target.Cluster.Pick(&x.Pick)
	}
	if err == nil {
		x.Pick.Tried = append(x.Pick.Tried, e.Load)
	}
	return e, err
}

// hostOf is the host that the route wants an attempt to ask for: its own, or the
// endpoint's address, also where an HTTP/1.0 client sent none, which HTTP/1.1 requires;
// "" is the one that the client asked for.
func (d *delivery) hostOf(endpoint string) string {
	if d.nameless || d.host == "endpoint" {
		return endpoint
	}
	return d.host
}
