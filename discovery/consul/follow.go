package consul

import (
	"context"
	"time"

	"github.com/hashicorp/consul/api"
	"golang.org/x/time/rate"

	"github.com/hopscope/hopscope/discovery"
)

const (
	defaultWait = 5 * time.Minute
	maxWait     = 10 * time.Minute // Consul's own limit

	// A catalog that changes all the time answers at once each time. After a burst it
	// is asked five times a second: changes still arrive within one.
	questionEvery = 200 * time.Millisecond
	questionBurst = 10

	answerLimit = 15 * time.Second // beyond the time that Consul was asked to wait
)

// question is one that is asked again and again.
type question[T any] struct {
	ask func(*api.QueryOptions) (T, *api.QueryMeta, error)
	// options are those of each request, but for the index and the wait.
	options api.QueryOptions
	// wait is how long Consul may hold the answer back until there is a new one.
	wait time.Duration
	// every is for questions that Consul does not hold back: when to ask again. Zero is
	// for those that it does.
	every   time.Duration
	backoff discovery.Backoff
	// away is true where something is known of before: Consul may have lost it since.
	away bool
}

// reply is an answer, or why there is none.
type reply[T any] struct {
	value T
	err   error
	// forgotten is true where Consul may have lost what it knew before: its index fell,
	// or it could not be asked before this answer.
	forgotten bool
}

// follow asks until ctx is done. Each reply goes to tell, which says how long at most
// the next may take, zero being as long as it likes.
func (q question[T]) follow(ctx context.Context, tell func(reply[T]) time.Duration) {
	limit := rate.NewLimiter(rate.Every(questionEvery), questionBurst)
	at := cursor{away: q.away}
	wait := q.wait
	for limit.Wait(ctx) == nil {
		value, meta, err := q.once(ctx, at.index, wait)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			at.lost()
			tell(reply[T]{err: err})
			if !discovery.Sleep(ctx, q.backoff.Next()) {
				return
			}
			continue
		}
		q.backoff.Reset()
		// X-Consul-KnownLeader is no help: answers of the streaming backend have it false.
		forgotten := at.advance(meta.LastIndex)
		soon := tell(reply[T]{value: value, forgotten: forgotten})
		wait = sooner(q.wait, soon)
		if q.every > 0 && !discovery.Sleep(ctx, sooner(q.every, soon)) {
			return
		}
	}
}

// once asks one time. An agent that takes a connection and never answers costs no more
// than the wait and a little.
func (q question[T]) once(ctx context.Context, index uint64, wait time.Duration) (T, *api.QueryMeta, error) {
	limit := answerLimit
	options := q.options
	if q.every == 0 && index > 0 {
		options.WaitIndex, options.WaitTime = index, wait
		limit += wait + wait/16 // Consul adds up to a sixteenth, so that not all ask at once
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return q.ask(options.WithContext(ctx))
}

func sooner(d, limit time.Duration) time.Duration {
	if limit > 0 && limit < d {
		return limit
	}
	return d
}

// cursor is how far in Consul's history the question has been answered.
type cursor struct {
	index uint64 // what to send with the next question; 0 asks for an answer at once
	last  uint64 // that of the last answer
	away  bool   // there was no answer since
}

// lost notes a failure. The next question asks for an answer at once: a Consul that began
// anew has a lower index, and would hold a question for a higher one until the wait is
// over.
func (c *cursor) lost() { c.index, c.away = 0, true }

// advance notes an answer, and reports whether Consul may have begun anew.
func (c *cursor) advance(index uint64) (forgotten bool) {
	fell := index < c.last
	forgotten = fell || c.away
	c.last, c.away = index, false
	c.index = max(index, 1) // 0 would be answered at once, for ever
	if fell {
		c.index = 0
	}
	return forgotten
}
