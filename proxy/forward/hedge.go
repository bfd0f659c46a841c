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
)

// Hedge is a hedging policy: a request whose response has not begun after some time
// is sent to another endpoint as well, up to Attempts times in all.
type Hedge struct {
	After    time.Duration
	Attempts int
}

// hedges reports whether the request is one that may be sent twice at once.
func (d *destination) hedges(x *filter.Exchange, b content) bool {
	r := &x.Request
	return d.target.Hedge != nil && b.whole() && d.fixed == nil && !r.Upgrade && r.Method != message.CONNECT
}

// race is several attempts of which the first acceptable response is taken. All of
// it belongs to the exchange's goroutine; the runners have goroutines of their own,
// and share nothing with each other.
type race struct {
	f *Forwarder
	x *filter.Exchange
	d destination
	b content // whole, so that they only read it

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

// runner is one attempt of a race, with all that an attempt changes for itself.
type runner struct {
	x       filter.Exchange
	d       destination
	from    int  // where its attempts are in the Hop's
	counted bool // it counts as a retry
	way     way
	err     error
}

// unwatched is the client's connection as a runner sees it: it is the race that looks
// whether the client still waits.
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

// lookAgain is how often it is looked, during a race, whether the client still
// waits: as often as during any other attempt.
const lookAgain = 250 * time.Millisecond

// race makes an attempt at the endpoint, and others while it takes long. What comes
// of it is as if the best of them had been the only one, but for the Hop, which has
// them all: that one is the last. sent is how often the request was sent.
func (f *Forwarder) race(x *filter.Exchange, d destination, b content, first *cluster.Endpoint) (w way, sent int, err error) {
	r := race{f: f, x: x, d: d, b: b, ended: make(chan *runner)}
	r.context, r.cancel = context.WithCancel(f.Context)
	defer r.cancel()
	r.start(first, false)
	r.run()
	w, err = r.finish()
	return w, len(r.runners), err
}

// start sends a runner to an endpoint.
func (r *race) start(e *cluster.Endpoint, counted bool) {
	c := &runner{d: r.d, counted: counted}
	c.d.context = r.context
	// It sees the attempts that came before as they are now: only their number
	// matters to it.
	record := r.x.Hop.Fork()
	for range r.runners {
		record.Attempt()
	}
	c.from = len(record.Attempts)
	c.x = filter.Exchange{
		Request: r.x.Request.Clone(), Hop: record, Trace: r.x.Trace, Pick: r.x.Pick,
		Conn: unwatched{r.x.Conn}, Body: r.x.Body, Writer: shared{r.x.Writer, r},
	}
	c.x.Pick.Tried = slices.Clone(r.x.Pick.Tried)
	r.runners = append(r.runners, c)
	r.live++
	go func() {
		c.way, c.err = r.f.try(&c.x, &c.d, r.b, e)
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
	more := time.NewTimer(r.d.target.Hedge.After)
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
				more.Reset(r.d.target.Hedge.After)
			}
		case <-look.C:
			r.why = gone(r.x, "before it had a response")
		}
	}
}

// more sends the request to another endpoint, if there is one, and reports whether
// it did. It is a retry to the circuit breaker or the budget.
func (r *race) more() bool {
	cl, h := r.d.target.Cluster, r.x.Hop
	if len(r.runners) >= r.d.target.Hedge.Attempts || r.d.over(now(h)) || !cl.Others(&r.x.Pick) {
		return false
	}
	if !cl.EnterRetry(r.d.retry.budget(), r.f.clock(h, now(h))) {
		return false
	}
	e, err := r.f.pick(r.x, &r.d)
	if err != nil {
		cl.LeaveRetry()
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
		unwanted = r.d.retry.response(&c.x)
	} else {
		unwanted = r.d.retry.failure(fault.Of(c.err))
	}
	r.won = c.err == nil && !unwanted || c.err != nil && fault.Of(c.err).Kind.Side() == fault.Downstream
	loser := c
	if r.won || r.best == nil || r.best.err != nil { // any response is better than none
		loser, r.best = r.best, c
	}
	if loser != nil {
		r.f.drop(loser)
	}
	return unwanted
}

// leave notes that a runner has come to its end.
func (r *race) leave(c *runner) {
	r.live--
	if c.counted {
		r.d.target.Cluster.LeaveRetry()
	}
}

// finish stops whoever still runs, writes every attempt into the Hop, and makes the
// best of them that of the exchange.
func (r *race) finish() (way, error) {
	r.cancel()
	if r.why != nil && r.best != nil {
		r.f.drop(r.best)
		r.best = nil
	}
	for r.live > 0 {
		c := <-r.ended
		r.leave(c)
		if r.why != nil {
			c.err = r.why
		}
		if r.best != nil {
			r.f.lose(c)
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
	return r.best.way, r.best.err
}

// ask is attempt for a runner: its connection is closed when it has lost.
func (f *Forwarder) ask(x *filter.Exchange, d *destination, w *way, b content) (err error) {
	c, closed := w.stream, make(chan struct{})
	stop := context.AfterFunc(d.context, func() {
		c.Close()
		close(closed)
	})
	defer func() {
		if stop() {
			return
		}
		<-closed // it is closed before it is released
		if err == nil {
			err = fault.New(fault.UpstreamClosed, "the connection was closed when its response began")
		}
	}()
	return f.attempt(x, d, w, b)
}

// drop ends a runner whose outcome is not used.
func (f *Forwarder) drop(c *runner) {
	if c.err != nil {
		f.give(&c.x, &c.way, fault.Of(c.err))
		return
	}
	f.discard(&c.x, &c.way)
}

// lose ends a runner that another one outran, or that the client left to itself,
// which is no failure of its endpoint's.
func (f *Forwarder) lose(c *runner) {
	a := c.x.Hop.LastAttempt()
	if why := fault.Of(c.err); why != nil && why.Kind.Side() == fault.Downstream || a.End != 0 {
		f.drop(c)
		return
	}
	a.Details, a.Reason = "hedge_lost", "another attempt answered first"
	if c.err == nil {
		f.discard(&c.x, &c.way)
		return
	}
	a.End = now(c.x.Hop)
	f.end(c.x.Hop, &c.way, false)
}
