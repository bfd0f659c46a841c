package forward

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/grpc"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/active"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// RetryOn is a set of what is retried.
type RetryOn uint16

// What is retried; see Envoy's x-envoy-retry-on and x-envoy-retry-grpc-on.
const (
	On5xx RetryOn = 1 << iota
	OnGatewayError
	OnReset
	OnConnectFailure
	OnRefusedStream
	On4xx
	OnStatusCodes
	OnHeaders
	OnCancelled
	OnDeadlineExceeded
	OnInternal
	OnResourceExhausted
	OnUnavailable
)

var retryWords = [...]string{"5xx", "gateway-error", "reset", "connect-failure", "refused-stream", "retriable-4xx", "retriable-status-codes",
	"retriable-headers", "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"}

// RetryWord is the set of one word, empty for a word that there is not.
func RetryWord(word string) RetryOn {
	if i := slices.Index(retryWords[:], word); i >= 0 {
		return 1 << i
	}
	return 0
}

// Retry is a retry policy.
type Retry struct {
	On       RetryOn
	Statuses []int    // of OnStatusCodes
	Headers  []string // of OnHeaders, in lower case
	// Attempts is how often a request is sent at most.
	Attempts int
	// PerTry is the time for each attempt; 0 is the route's.
	PerTry time.Duration
	// Base and Max bound the wait before a retry.
	Base, Max time.Duration
	// Budget bounds retries in place of the circuit breaker; nil is none.
	Budget *cluster.Budget
	// MaxBody is how many bytes of content that is not whole are kept.
	MaxBody int
}

// The defaults of what has no policy.
const (
	redispatches = 3 // attempts where none of them reaches an endpoint
	retryBase    = 25 * time.Millisecond
	retryMax     = 250 * time.Millisecond
)

// retryPlan is a retry policy as one request has it.
type retryPlan struct {
	policy   *Retry
	on       RetryOn
	attempts int
}

func (r *Retry) plan() retryPlan {
	if r == nil {
		return retryPlan{on: OnConnectFailure, attempts: redispatches}
	}
	return retryPlan{policy: r, on: r.On, attempts: r.Attempts}
}

// override applies what the caller asks for. With a policy, the caller can only lower
// the number of attempts. Without one it may say what is retried, up to the default
// number of attempts.
func (p *retryPlan) override(r *message.Head) {
	said, most := p.on, p.attempts
	for _, id := range [...]message.FieldID{message.XEnvoyRetryOn, message.XEnvoyRetryGRPCOn} {
		value, _ := r.Get(id)
		for word := range bytes.SplitSeq(value, []byte(",")) {
			said |= RetryWord(string(bytes.TrimSpace(word)))
		}
	}
	if said != p.on && p.policy == nil {
		p.policy, p.on, p.attempts = &Retry{Base: retryBase, Max: retryMax}, said, 2
	}
	if value, ok := r.Get(message.XEnvoyMaxRetries); ok && p.policy != nil {
		if n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 31); err == nil {
			p.attempts = min(int(n)+1, most)
		}
	}
}

// keepAlways is how many bytes of an upload are kept without any policy. An endpoint may
// refuse a stream, and then a small message must be there to be sent again, whether it
// came with the head or just behind it.
const keepAlways = 16 << 10

// keep is how many bytes of an upload are kept for a retry.
func (p *retryPlan) keep() int {
	if p.policy == nil {
		return keepAlways
	}
	return max(keepAlways, p.policy.MaxBody)
}

// budget bounds the retries; nil is none.
func (p *retryPlan) budget() *cluster.Budget {
	if p.policy == nil {
		return nil
	}
	return p.policy.Budget
}

// tries is what the attempts of one request have come to.
type tries struct {
	n       int           // retries, those of stale connections aside
	counted bool          // the last of them counts in the cluster
	at      time.Duration // when it is due, from the start of the Hop
}

// leaveRetry ends the last retry, if it counts.
func (d *delivery) leaveRetry() {
	if d.tries.counted {
		d.target.Cluster.LeaveRetry(d.action.Priority)
		d.tries.counted = false
	}
}

// repeats decides whether another attempt follows. The last one failed with why, or has
// a response if why is nil. Where the policy wants a retry that is not possible, the Hop's
// flags say why.
func (d *delivery) repeats(why *fault.Error) bool {
	x, p, t, cl := d.x, &d.retry, &d.tries, d.target.Cluster
	d.leaveRetry()
	wanted := false
	if why != nil {
		wanted = p.failure(why)
	} else {
		wanted = p.response(x)
	}
	if !wanted || d.fixed != nil || !d.content.replayable() {
		return false
	}
	d.content.pause()
	d.countTime()
	now := d.now()
	elsewhere := cl.Others(&x.Pick)
	switch {
	case d.limits.over(now) || x.Conn.Gone()():
		return false
	case p.policy == nil && !elsewhere: // it would fail in the same way
		return false
	case t.n+1 >= p.attempts:
		if t.n > 0 {
			x.Hop.Flags |= hop.RetriesExhausted
		}
		return false
	}
	// A request that no endpoint has seen is no extra load: it needs no budget and no
	// wait.
	t.at = 0
	if unseen := why != nil && why.Kind.Connecting() && elsewhere; !unseen {
		at := now + p.policy.backOff(t.n+1)
		if d.limits.over(at) || d.f.Deadlines.spent(d.limits.beginBy(), at) {
			return false // what there is now is better than nothing then
		}
		if !cl.EnterRetry(d.action.Priority, p.policy.Budget, d.onClock(now)) {
			x.Hop.Flags |= hop.UpstreamOverflow
			return false
		}
		t.counted, t.at = true, at
	}
	if !d.content.hold() { // too much of it came just now
		d.leaveRetry()
		return false
	}
	t.n++
	return true
}

// failure reports whether an attempt that ended in this way is retried.
func (p *retryPlan) failure(why *fault.Error) bool {
	k := why.Kind
	switch {
	case k == fault.PortsExhausted: // for this endpoint, which was not asked
		return p.on&(On5xx|OnGatewayError|OnReset|OnConnectFailure) != 0
	case k.Side() != fault.Upstream || k == fault.UpstreamTimeout:
		return false
	case p.on&(On5xx|OnGatewayError|OnReset) != 0:
		return true
	case k.Connecting():
		return p.on&OnConnectFailure != 0
	case k == fault.UpstreamRefused:
		return p.on&OnRefusedStream != 0
	}
	return false
}

// repeatsLate reports whether an endpoint that answers that its time was over is asked
// again if one is that does not answer in an attempt's time. Else the endpoint is not told
// of that time: it would give up a little earlier, and its answer would be the last.
func (p *retryPlan) repeatsLate(call bool) bool {
	silent, answer := On5xx|OnGatewayError|OnReset, On5xx|OnGatewayError
	if call {
		answer = OnDeadlineExceeded
	}
	return p.on&silent == 0 || p.on&answer != 0
}

// response reports whether the response that has begun is retried.
func (p *retryPlan) response(x *filter.Exchange) bool {
	if p.policy == nil {
		return false
	}
	r := &x.Response
	status := r.Status
	switch {
	case r.Framing == message.Tunnel || r.Has(message.XEnvoyRateLimited), status == 425 && early(&x.Request):
		return false
	case status >= 500 && p.on&On5xx != 0,
		status >= 502 && status <= 504 && p.on&OnGatewayError != 0,
		status == 409 && p.on&On4xx != 0,
		p.on&OnStatusCodes != 0 && slices.Contains(p.policy.Statuses, status):
		return true
	}
	if p.on&OnHeaders != 0 {
		for _, name := range p.policy.Headers {
			if _, ok := r.Lookup(name); ok {
				return true
			}
		}
	}
	return x.Hop.GRPC && p.call(r)
}

// early reports whether a request came in TLS early data. Only the client can send it
// again outside of that (RFC 8470 section 5.2).
func early(r *message.Head) bool {
	_, ok := r.Lookup("early-data")
	return ok
}

// call reports whether a gRPC status in a response's head is retried.
func (p *retryPlan) call(r *message.Head) bool {
	status, _, ok := grpc.Status(r)
	if !ok {
		return false
	}
	switch status.Code() {
	case 1:
		return p.on&OnCancelled != 0
	case 4:
		return p.on&OnDeadlineExceeded != 0
	case 8:
		return p.on&OnResourceExhausted != 0
	case 13:
		return p.on&OnInternal != 0
	case 14:
		return p.on&OnUnavailable != 0
	}
	return false
}

// backOff is how long to wait before the n-th retry: a random time up to (2^n - 1)
// times the base, at most the longest.
func (r *Retry) backOff(n int) time.Duration {
	most := r.Max
	if n < 62 {
		if units := time.Duration(1)<<n - 1; r.Base <= most/units {
			most = units * r.Base
		}
	}
	return rand.N(most + 1)
}

// lookEvery is how long to wait for the end of an upload that may be about to come.
const lookEvery = 25 * time.Millisecond

// backOff waits until the next attempt is due, unless the client goes away.
func (d *delivery) backOff() error {
	x := d.x
	x.Until = d.limits.beginBy()
	at := d.now()
	x.Active.Wait(active.Retry, at)
	if left := d.tries.at - at; left > 0 {
		if err := x.Wait(left); err != nil {
			return err
		}
	}
	if d.limits.over(d.now()) {
		return fault.New(fault.UpstreamTimeout, "the route's timeout was over before the request could be sent again")
	}
	return nil
}
