package discovery

import (
	"context"
	"sync"
)

// Feed is a [Source] for whoever learns of endpoints in another way: a catalog or
// a control plane that tells of many services at once. Each [Feed.Push] is
// delivered, unless a newer one comes first. Use [NewFeed].
type Feed struct {
	pushing sync.Mutex
	latest  chan Update // holds the update that was not delivered yet
}

// NewFeed returns a feed that delivers this update first.
func NewFeed(first Update) *Feed {
	f := &Feed{latest: make(chan Update, 1)}
	f.latest <- first
	return f
}

// Push has the feed deliver an update, in place of one that was not delivered yet.
// It never waits, whether Run is called or not, and is safe for concurrent use.
func (f *Feed) Push(u Update) {
	f.pushing.Lock()
	defer f.pushing.Unlock()
	select {
	case <-f.latest:
	default:
	}
	f.latest <- u
}

// Run delivers what is pushed until ctx is done. A feed has one Run at a time.
func (f *Feed) Run(ctx context.Context, deliver func(Update)) {
	for {
		select {
		case u := <-f.latest:
			deliver(u)
		case <-ctx.Done():
			return
		}
	}
}
