package dns

import (
	"context"
	"time"

	"github.com/hopscope/hopscope/discovery"
)

// Source is a [discovery.Source] that looks a name up again and again.
type Source struct {
	options       Options
	servers       *servers
	hosts, resolv string // the files of the system
	port          string // of its servers

	// The clock: time.Now and discovery.Sleep, but in tests.
	now   func() time.Time
	sleep func(context.Context, time.Duration) bool
}

// Run delivers what the name stands for, and again whenever that changes.
func (s *Source) Run(ctx context.Context, deliver func(discovery.Update)) {
	known := newLastGood(&s.options)
	failures := s.options.Backoff
	// What is said to be gone, and is not believed yet, is asked for soon.
	doubts := discovery.Backoff{Min: time.Second, Max: 5 * time.Second}
	var last discovery.Update
	for first := true; ; first = false {
		found := s.lookup(ctx)
		if ctx.Err() != nil {
			return
		}
		now, wait := s.now(), s.refresh(found.ttl)
		update, how := known.learn(found, now, wait)
		if first || !update.Same(last) {
			last = update
			deliver(update)
		}
		switch how {
		case failed:
			wait = failures.Next()
		case doubted:
			wait = min(wait, doubts.Next(), known.doubt(now))
		case settled:
			failures.Reset()
			doubts.Reset()
		}
		if !s.sleep(ctx, wait) {
			return
		}
	}
}

// refresh is how long an answer with that TTL is good. Consul gives a TTL of 0 unless told
// otherwise; taken by the letter, that is a lookup for each request. Like Envoy, we use
// RefreshRate for it.
func (s *Source) refresh(ttl uint32) time.Duration {
	if ttl == 0 || ttl == noTTL {
		return s.options.RefreshRate
	}
	return min(max(time.Duration(ttl)*time.Second, s.options.MinTTL), s.options.MaxTTL)
}
