package cluster

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/outlier"
)

// replaced is the cluster that comes in the place of another, with other settings.
func (r *rig) replaced(change func(*Options)) *rig {
	r.t.Helper()
	next := &rig{t: r.t, feed: make(feed), log: r.log}
	o := r.options
	known, ok := r.Known()
	if !ok {
		r.t.Fatal("nothing is known")
	}
	o.Source, o.Before, o.Known = next.feed, r.Cluster, &known
	if change != nil {
		change(&o)
	}
	next.Cluster = New("web", nil, o, r.shared)
	r.t.Cleanup(next.Close)
	return next
}

// What does not depend on what changed is the same in the cluster that comes in the
// place of another.
func TestWhatIsTakenOver(t *testing.T) {
	ejecting := outlier.Defaults()
	ejecting.Consecutive5xx = 1
	other := ejecting
	other.Interval *= 2
	for _, tt := range []struct {
		name                    string
		change                  func(*Options)
		pools, latency, ejected bool
	}{
		{"nothing", nil, true, true, true},
		{"balancing", func(o *Options) { o.Balance.Policy = balance.PolicyRandom }, true, true, true},
		{"circuit breakers", func(o *Options) { o.Limits.MaxRequests, o.High.MaxRequests = 7, 7 }, true, true, true},
		{"the circuit breaker of connections", func(o *Options) { o.Limits.MaxConnections = 7 }, false, true, true},
		{"that of important requests", func(o *Options) { o.High.MaxPending = 7 }, false, true, true},
		{"slow start", func(o *Options) { o.SlowStart = &SlowStart{Window: time.Minute, Aggression: 1} }, true, true, true},
		{"decay", func(o *Options) { o.Decay = time.Minute }, true, true, true},
		{"outliers", func(o *Options) { o.Outlier = &other }, true, true, false},
		{"no outliers", func(o *Options) { o.Outlier = nil }, true, true, false},
		{"connections", func(o *Options) { o.Upstream.ConnectTimeout *= 2 }, false, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				old := newFed(t, Options{Outlier: &ejecting})
				old.found("a:1", "b:1", "c:1")
				now := old.shared.Now()
				slow := old.endpoint("a:1")
				slow.Begin(now)
				slow.Answer(now, now+time.Second, true)
				slow.End()
				old.endpoint("b:1").Note(now, outlier.Error5xx)
				old.pass(time.Second)
				if err := old.Act("c:1", Drain); err != nil {
					t.Fatal(err)
				}
				if err := old.Enter(Default); err != nil {
					t.Fatal(err)
				}
				next := old.replaced(tt.change)
				if next.isReady() {
					t.Error("it is ready before its source has answered")
				}
				if s := next.SourceStatus(); !s.Known || !s.Stale || !s.Remembered {
					t.Errorf("the source is %+v", s)
				}
				for range 2 { // while the old one is there, and then alone
					if got := next.Connections(Default) == old.Connections(Default) && next.endpoint("a:1").Endpoint == old.endpoint("a:1").Endpoint; got != tt.pools {
						t.Errorf("the pools are the same: %t", got)
					}
					if ms := next.status("a:1").LatencyMS; (ms > 500) != tt.latency {
						t.Errorf("the latency is %f ms", ms)
					}
					if got := next.status("b:1").Ejected; got != tt.ejected {
						t.Errorf("the outlier is ejected: %t", got)
					}
					if why := next.status("c:1").Why; why != "drained by hand" {
						t.Errorf("what was drained by hand is %q", why)
					}
					if n := next.Status().Requests; n != 1 {
						t.Errorf("%d requests are under way, want the one of before", n)
					}
					if err := old.Act("c:1", Restore); err != nil { // as long as the old one is there, it is the one to ask
						t.Fatal(err)
					}
					if err := old.Act("c:1", Drain); err != nil {
						t.Fatal(err)
					}
					old.Close()
				}
				old.Leave(Default)
				if n := next.Status().Requests; n != 0 {
					t.Errorf("%d requests are under way", n)
				}
				next.found("a:1", "b:1", "c:1")
				if s := next.SourceStatus(); s.Stale || s.Remembered || !next.isReady() {
					t.Errorf("the source has answered, and is %+v", s)
				}
			})
		})
	}
}

// What is done by hand while the new cluster is made is not lost.
func TestByHandMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := newFed(t, Options{})
		old.found("a:1", "b:1")
		next := old.replaced(nil)
		if err := old.Act("a:1", Drain); err != nil {
			t.Fatal(err)
		}
		old.Close()
		next.wantPicked("b:1")
	})
}

// A pool that one of two clusters gives up stays as long as the other has it.
func TestPoolsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := newFed(t, Options{})
		old.found("a:1", "b:1")
		next := old.replaced(nil)
		a := next.endpoint("a:1").Endpoint
		old.found("b:1")
		if a.State().Removed {
			t.Error("a pool that the new cluster has is removed by the old one")
		}
		next.found("a:1", "c:1")
		old.Close()
		if a.State().Removed || next.endpoint("c:1").State().Removed {
			t.Error("a pool of the new cluster is removed with the old one")
		}
		if n := len(next.Connections(Default).Endpoints()); n != 2 {
			t.Errorf("%d pools, want those of a and c", n)
		}
	})
}

// A cluster that is made but never used does not change the old one.
func TestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := newFed(t, Options{})
		old.found("a:1", "b:1")
		next := old.replaced(nil)
		next.found("a:1", "c:1")
		next.Close()
		if n := len(old.Connections(Default).Endpoints()); n != 2 || old.endpoint("a:1").State().Removed {
			t.Errorf("%d pools, want those of a and b", n)
		}
		old.wantPicked("a:1", "b:1")
		old.replaced(nil).wantPicked("a:1", "b:1")
	})
}

// What was known before stays until the source says something, well or badly.
func TestKnownBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at3 := time.Now().Add(-3 * time.Hour)
		r := newFed(t, Options{Known: &discovery.Known{Endpoints: at("a:1"), At: at3}})
		r.wantPicked("a:1")
		r.deliver(discovery.Update{Err: errors.New("gone")})
		r.wantPicked("a:1")
		if s := r.SourceStatus(); !s.Stale || !s.Remembered || !s.Since.Equal(at3) || s.Error != "gone" {
			t.Errorf("the source is %+v", s)
		}
		if k, ok := r.Known(); !ok || !k.At.Equal(at3) {
			t.Errorf("known as of %v, want %v: nobody has said it again", k.At, at3)
		}
		r.deliver(discovery.Update{Endpoints: []discovery.Endpoint{}})
		if s := r.SourceStatus(); s.Stale || s.Remembered {
			t.Errorf("the source is %+v", s)
		}
		if _, err := r.Pick(&balance.Request{}); fault.Of(err).Kind != fault.NoHealthy {
			t.Errorf("no endpoint any more: %v", err)
		}
		r.pass(time.Hour)
		if k, ok := r.Known(); !ok || !k.At.Equal(time.Now()) {
			t.Errorf("known as of %v, want now: the source can be asked", k.At)
		}
	})
}

// A source that has never said anything is told from one that says there is nothing.
func TestNeverKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFed(t, Options{})
		for _, deliver := range []func(){func() {}, func() { r.deliver(discovery.Update{Err: errors.New("refused")}) }} {
			deliver()
			if _, err := r.Pick(&balance.Request{}); fault.Of(err).Kind != fault.Undiscovered {
				t.Errorf("%v", err)
			}
			if _, ok := r.Known(); ok || r.Unknown() == "" || r.SourceStatus().Known {
				t.Error("something is known")
			}
		}
		r.deliver(discovery.Update{Missing: true})
		if _, err := r.Pick(&balance.Request{}); fault.Of(err).Kind != fault.NoCluster || r.Unknown() != "" {
			t.Errorf("no such service: %v", err)
		}
	})
}

// Another process knows what was done to endpoints, and how fast they are.
func TestMemory(t *testing.T) {
	ejecting := outlier.Defaults()
	ejecting.Consecutive5xx = 1
	other := ejecting
	other.BaseEjectionTime *= 2
	synctest.Test(t, func(t *testing.T) {
		old := newFed(t, Options{Outlier: &ejecting})
		old.found("a:1", "b:1", "c:1", "d:1")
		now := old.shared.Now()
		slow := old.endpoint("a:1")
		slow.Begin(now)
		slow.Answer(now, now+time.Second, true)
		slow.End()
		old.endpoint("b:1").Note(now, outlier.Error5xx)
		old.pass(10 * time.Second)
		if err := errors.Join(old.Act("c:1", Drain), old.Act("d:1", Eject)); err != nil {
			t.Fatal(err)
		}
		memory := old.Memory()
		for _, o := range []*outlier.Options{&ejecting, &other, nil} {
			next := newFed(t, Options{Outlier: o, Memory: &memory})
			next.found("a:1", "b:1", "c:1", "d:1")
			if ms := next.status("a:1").LatencyMS; ms < 200 {
				t.Errorf("the latency is %f ms", ms)
			}
			if c, d := next.status("c:1").Why, next.status("d:1").Why; c != "drained by hand" || d != "ejected by hand" {
				t.Errorf("by hand: %q, %q", c, d)
			}
			if got := next.status("b:1").Ejected; got != (o == &ejecting) {
				t.Errorf("ejected: %t", got)
			}
			if o == &ejecting {
				next.pass(ejecting.BaseEjectionTime - 11*time.Second)
				if !next.status("b:1").Ejected {
					t.Error("the ejection ends too early")
				}
				next.pass(5 * time.Second)
				if next.status("b:1").Ejected {
					t.Error("the ejection does not end")
				}
			}
		}
	})
}
