package forward

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Hedge is a hedging policy. A request without a response after some time is sent to
// another endpoint as well, up to Attempts times in all.
type Hedge struct {
	After    time.Duration
	Attempts int
}

// hedges reports whether the request is one that may be sent twice at once.
func (d *delivery) hedges() bool {
	r := &d.x.Request
	return d.target.Hedge != nil && d.content.whole() && d.fixed == nil && !r.Upgrade && r.Method != message.CONNECT
}

// race is several attempts at once; the first acceptable response wins. The exchange's
// goroutine runs the race. Each runner has a goroutine of its own, and shares only the
// delivery with the others; nobody changes that during the race.
type race struct {
	*delivery

	runners []*runner // in the order in which they began
	live    int
	ended   chan *runner
	best    *runner // whose outcome is the race's, as far as is known
	won     bool    // and it is one to take at once
	why     error   // what ended the race besides: the client left

	context context.Context // ends when the runners are to stop
	cancel  context.CancelFunc
	interim sync.Mutex // guards what is sent to the client meanwhile
}

// runner is one attempt of a race, with an exchange of its own.
type runner struct {
	attempt
	x       filter.Exchange
	from    int  // where its attempts are in the Hop's
	counted bool // it counts as a retry
	err     error
}

// unwatched is the client's connection as a runner sees it. The race itself watches the
// client.
type unwatched struct{ filter.Conn }

func (unwatched) Gone() func() bool { return nil }
func (unwatched) Left() error       { return nil }

// shared is the response as a runner sees it: interim responses are sent one at a time.
type shared struct {
	filter.Writer
	race *race
}

func (w shared) Interim(h *message.Head) error {
	w.race.interim.Lock()
	defer w.race.interim.Unlock()
	return w.Writer.Interim(h)
}

// lookAgain is how often a race checks that the client is still there: as often as any
// other attempt does.
const lookAgain = 250 * time.Millisecond

// race makes an attempt at the endpoint, and more of them while it takes long. The best
// becomes the delivery's attempt, as if it had been the only one. The Hop has all of them,
// the best last.
func (d *delivery) race(first *cluster.Endpoint) error {
	r := race{delivery: d, ended: make(chan *runner)}
	r.context, r.cancel = context.WithCancel(d.f.Context)
	defer r.cancel()
	if t := d.f.UnderWay; t != nil && !d.entered {
		d.enter(t, hop.SpanID{}, "") // before there is more than one goroutine
	}
	r.start(first, false)
	r.run()
	err := r.finish()
	d.tries.n += len(r.runners) - 1
	return err
}

// start sends a runner to an endpoint.
func (r *race) start(e *cluster.Endpoint, counted bool) {
	c := &runner{counted: counted}
	// The record has as many attempts as there are now. Only their number matters.
	record := r.x.Hop.Fork()
	for range r.runners {
		record.Attempt()
	}
	c.from = len(record.Attempts)
	c.x = filter.Exchange{
		Request: r.x.Request.Clone(), Hop: record, Trace: r.x.Trace, Pick: r.x.Pick, Began: r.x.Began,
		Conn: unwatched{r.x.Conn}, Body: r.x.Body, Writer: shared{r.x.Writer, r},
	}
	c.x.Pick.Tried = slices.Clone(r.x.Pick.Tried)
	c.attempt = attempt{d: r.delivery, x: &c.x, race: r.context}
	r.runners = append(r.runners, c)
	r.live++
	go func() {
		c.err = c.try(e)
		if c.err != nil && r.f.Context.Err() != nil {
			c.err = fault.New(fault.Draining, "the proxy is shutting down")
		}
		r.ended <- c
	}()
}

// run goes on until there is a response to take, or no runner is left, or the client
// has gone.
func (r *race) run() {
	defer r.f.rescue(r.x, "a race of attempts", &r.why)
	more := time.NewTimer(r.target.Hedge.After)
	defer more.Stop()
	look := time.NewTicker(lookAgain)
	defer look.Stop()
	for r.live > 0 && !r.won && r.why == nil {
		select {
		case c := <-r.ended:
			if r.take(c) && r.live > 0 {
				r.more() // in the place of the one that failed
			}
		case <-more.C:
			if r.more() {
				more.Reset(r.target.Hedge.After)
			}
		case <-look.C:
			r.why = r.x.Gone()
		}
	}
}

// more sends the request to another endpoint, if there is one, and reports whether
// it did. It is a retry to the circuit breaker or the budget.
func (r *race) more() bool {
	cl := r.target.Cluster
	if len(r.runners) >= r.target.Hedge.Attempts || r.limits.over(r.now()) || !cl.Others(&r.x.Pick) {
		return false
	}
	if !cl.EnterRetry(r.action.Priority, r.retry.budget(), r.onClock(r.now())) {
		return false
	}
	e, err := r.pick(r.x)
	if err != nil {
		cl.LeaveRetry(r.action.Priority)
		return false
	}
	r.start(e, true)
	return true
}

// take compares the outcome of a runner with the best so far. It reports whether it
// is one that the policy does not want.
func (r *race) take(c *runner) (unwanted bool) {
	r.leave(c)
	if c.err == nil {
		unwanted = r.retry.response(&c.x)
	} else {
		unwanted = r.retry.failure(fault.Of(c.err))
	}
	r.won = c.err == nil && !unwanted || c.err != nil && fault.Of(c.err).Kind.Side() == fault.Downstream
	loser := c
	if r.won || r.best == nil || r.best.err != nil { // any response is better than none
		loser, r.best = r.best, c
	}
	if loser != nil {
		loser.drop()
	}
	return unwanted
}

// leave notes that a runner has come to its end.
func (r *race) leave(c *runner) {
	r.live--
	if c.counted {
		r.target.Cluster.LeaveRetry(r.action.Priority)
	}
}

// finish stops whoever still runs, writes every attempt into the Hop, and makes the
// best of them that of the exchange.
func (r *race) finish() error {
	r.cancel()
	if r.why != nil && r.best != nil {
		r.best.drop()
		r.best = nil
	}
	for r.live > 0 {
		c := <-r.ended
		r.leave(c)
		if r.why != nil {
			c.err = r.why
		}
		if r.best != nil {
			c.lose()
			continue
		}
		r.best = c
	}
	h := r.x.Hop
	for _, c := range r.runners {
		if c != r.best {
			h.Join(c.x.Hop, c.from)
		}
	}
	h.Join(r.best.x.Hop, r.best.from)
	r.x.Response = r.best.x.Response
	r.attempt = r.best.attempt
	r.attempt.x, r.attempt.race = r.x, nil
	return r.best.err
}

// drop ends a runner whose response is not used.
func (c *runner) drop() {
	if c.err != nil {
		c.fail(fault.Of(c.err))
		return
	}
	c.discard()
}

// lose ends a runner that was slower than another, or whose client left. Its endpoint has
// not failed.
func (c *runner) lose() {
	record := c.x.Hop.LastAttempt()
	if why := fault.Of(c.err); why != nil && why.Kind.Side() == fault.Downstream || record.End != 0 {
		c.drop()
		return
	}
	record.Details, record.Reason = "hedge_lost", "another attempt answered first"
	if c.err == nil {
		c.discard()
		return
	}
	record.End = now(c.x.Hop)
	c.finish(false)
}
