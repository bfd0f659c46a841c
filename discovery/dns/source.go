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
}

// Run delivers what the name stands for, and again whenever that changes.
func (s *Source) Run(ctx context.Context, deliver func(discovery.Update)) {
	known := newKeeper(&s.options)
	backoff := s.options.Backoff
	var last discovery.Update
	for first := true; ; first = false {
		found := s.lookup(ctx)
		if ctx.Err() != nil {
			return
		}
		update, failed := known.learn(found)
		if first || !update.Same(last) {
			last = update
			deliver(update)
		}
		wait := s.refresh(found.ttl)
		if failed {
			wait = backoff.Next()
		} else {
			backoff.Reset()
		}
		if !discovery.Sleep(ctx, wait) {
			return
		}
	}
}

// refresh is how long an answer of that TTL is good. A TTL of 0, which is all
// that Consul gives unless told otherwise, would mean a question a request:
// like Envoy, we take the rate of what has none.
func (s *Source) refresh(ttl uint32) time.Duration {
	if ttl == 0 || ttl == noTTL {
		return s.options.RefreshRate
	}
	return min(max(time.Duration(ttl)*time.Second, s.options.MinTTL), s.options.MaxTTL)
}
