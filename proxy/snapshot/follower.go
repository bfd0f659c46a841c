package snapshot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hopscope/hopscope/discovery/cache"
	"github.com/hopscope/hopscope/discovery/consul"
	"github.com/hopscope/hopscope/proxy/config"
)

// follower follows a service catalog for all generations that serve it, and keeps its
// last answer. It lives as long as one of them does.
type follower struct {
	asked config.Consul // the agent, and what it is asked for
	watch *consul.Catalog
	log   *slog.Logger

	cancel context.CancelFunc
	done   sync.WaitGroup
	ready  chan struct{} // closed when the catalog has answered, well or badly

	mu     *sync.Mutex   // Proxy.applying
	served []*generation // those who are told
	source catalogState
}

// catalogState is what is known of a catalog.
type catalogState struct {
	// services are its last answer, nil before the first.
	services map[string][]consul.Instance
	// known is when services were last known to be up to date: now, while err is nil.
	known    time.Time
	recalled bool  // it was said to another process, and not yet to this one
	err      error // why it may be out of date
	since    time.Time
	updated  time.Time
	updates  uint64
	errs     uint64
	answered bool // it has, well or badly
}

// errUnasked is why a catalog is not known at first.
var errUnasked = errors.New("it has not answered yet")

// newFollower makes a follower that begins with an answer that is known, nil for none.
func newFollower(client *consul.Client, asked config.Consul, known *cache.Catalog, mu *sync.Mutex, log *slog.Logger) (*follower, error) {
	f := &follower{asked: asked, log: log, ready: make(chan struct{}), mu: mu}
	f.source.err = errUnasked
	o := consul.CatalogOptions{
		Datacenter: asked.Datacenter, Namespace: asked.Namespace, Partition: asked.Partition, Stale: asked.Stale, Wait: asked.Wait,
	}
	if known != nil {
		f.source.services, f.source.known, f.source.since, f.source.recalled = known.Services, known.At, known.At, true
		o.Known = known.Services
	}
	var err error
	f.watch, err = client.Catalog(o)
	return f, err
}

// begin follows the catalog until the last generation leaves.
func (f *follower) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	f.done.Go(func() { f.watch.Run(ctx, f.update) })
}

// wait waits until the catalog has answered; false if ctx is done first.
func (f *follower) wait(ctx context.Context) bool {
	select {
	case <-f.ready:
		return true
	case <-ctx.Done():
	}
	select { // both may have been there
	case <-f.ready:
		return true
	default:
		return false
	}
}

// join tells a generation what is known now, and from then on what changes.
func (f *follower) join(g *generation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.served = append(f.served, g)
	g.learn(&f.source)
}

// leave undoes join.
func (f *follower) leave(g *generation) {
	f.mu.Lock()
	f.served = slices.DeleteFunc(f.served, func(other *generation) bool { return other == g })
	last := len(f.served) == 0
	f.mu.Unlock()
	if last && f.cancel != nil {
		f.cancel()
		f.done.Wait()
	}
}

// update takes an answer of the catalog, or the reason why there is none.
func (f *follower) update(u consul.CatalogUpdate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note(u)
	if !f.source.answered {
		f.source.answered = true
		defer close(f.ready)
	}
	for _, g := range f.served {
		g.learn(&f.source)
	}
}

// note keeps an update. It logs once that the catalog can't be asked, and once that it
// can be again.
func (f *follower) note(u consul.CatalogUpdate) {
	s, now := &f.source, time.Now()
	if u.Services != nil {
		s.services = u.Services
	}
	if u.Err == nil {
		if s.err != nil && s.answered {
			f.log.Info("the catalog is there again")
		}
		s.err, s.since, s.updated, s.known, s.recalled = nil, time.Time{}, now, now, false
		s.updates++
		return
	}
	s.errs++
	if s.err == nil { // it was fresh until now
		s.known, s.since = now, now
	}
	if s.since.IsZero() {
		s.since = now
	}
	if s.err == nil || !s.answered {
		what := "the catalog can't be asked; what was known of it stays"
		if s.services == nil {
			what = "the catalog can't be asked, and nothing is known of it yet: requests for its services are answered with 503"
		}
		f.log.Warn(what, "error", u.Err)
	}
	if s.services != nil && s.known.IsZero() { // a part of it has answered
		s.known = now
	}
	s.err = u.Err
}

// remembered returns what is known of the catalog, nil for nothing.
func (f *follower) remembered() *cache.Catalog {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &f.source
	if s.services == nil {
		return nil
	}
	c := &cache.Catalog{Services: s.services, At: s.known}
	if s.err == nil {
		c.At = time.Now()
	}
	return c
}

// unknown returns why nothing is known of the catalog, "" if something is.
func (f *follower) unknown() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.source.unknown()
}

func (s *catalogState) unknown() string {
	if s.services != nil {
		return ""
	}
	return fmt.Sprintf("nothing is known of the catalog of Consul yet: %v", s.err)
}
