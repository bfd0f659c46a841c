package consul

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/discovery"
)

// A catalog that changes all the time is asked ten times in a row, and then five times
// a second.
func TestABusyCatalogIsNoHotLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		asked := 0
		q := question[int]{wait: defaultWait, ask: func(*api.QueryOptions) (int, *api.QueryMeta, error) {
			asked++
			return asked, &api.QueryMeta{LastIndex: uint64(asked)}, nil
		}}
		told := 0
		q.follow(ctx, func(reply[int]) time.Duration { told++; return 0 })
		if asked < 55 || asked > 61 || told < asked-1 {
			t.Errorf("asked %d times in 10 s and told %d times, want about 60", asked, told)
		}
	})
}

// An agent that takes connections and never answers.
func TestAHangIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		q := question[int]{wait: time.Minute, ask: func(o *api.QueryOptions) (int, *api.QueryMeta, error) {
			if o.WaitIndex == 0 {
				return 1, &api.QueryMeta{LastIndex: 5}, nil
			}
			if o.WaitTime != time.Minute {
				t.Errorf("asks Consul to wait %s", o.WaitTime)
			}
			<-o.Context().Done()
			return 0, nil, o.Context().Err()
		}}
		began := time.Now()
		replies := 0
		q.follow(ctx, func(r reply[int]) time.Duration {
			switch replies++; replies {
			case 1:
				if r.err != nil || r.forgotten {
					t.Errorf("first: %+v", r)
				}
			case 2:
				if took := time.Since(began); !errors.Is(r.err, context.DeadlineExceeded) || took != 78750*time.Millisecond {
					t.Errorf("after %s: %v, want an end after the minute, its sixteenth and 15 s", took, r.err)
				}
			case 3:
				if r.err != nil || !r.forgotten {
					t.Errorf("after the hang: %+v, want an answer that may be of a new Consul", r)
				}
				cancel()
			}
			return 0
		})
	})
}

// Whoever doubts an answer gets another one in time.
func TestAsksSooner(t *testing.T) {
	for _, every := range []time.Duration{0, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			q := question[int]{wait: defaultWait, every: every, ask: func(o *api.QueryOptions) (int, *api.QueryMeta, error) {
				if o.WaitIndex > 0 {
					discovery.Sleep(o.Context(), o.WaitTime)
				}
				return 1, &api.QueryMeta{LastIndex: 5}, nil
			}}
			began := time.Now()
			q.follow(ctx, func(reply[int]) time.Duration {
				if took := time.Since(began); took >= 7*time.Second {
					if took > 8*time.Second {
						t.Errorf("every %s: the second answer came after %s, want 7 s", every, took)
					}
					cancel()
				}
				return 7 * time.Second
			})
		})
	}
}

func TestMemory(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(1000+int64(s), 0) }
	g := grace{period: 10 * time.Second}
	if ok, _ := g.gone(at(0), false); !ok {
		t.Error("a disappearance in normal operation is doubted")
	}
	if ok, wait := g.gone(at(1), true); ok || wait != 10*time.Second {
		t.Errorf("from a Consul that forgot it is believed, or to be asked again after %s", wait)
	}
	if ok, wait := g.gone(at(4), false); ok || wait != 7*time.Second {
		t.Errorf("3 s later it is believed, or to be asked again after %s", wait)
	}
	if ok, _ := g.gone(at(11), false); !ok {
		t.Error("it is doubted beyond the grace")
	}
	g.gone(at(20), true)
	g.seen()
	if ok, _ := g.gone(at(21), false); !ok {
		t.Error("a disappearance is doubted although it was seen in between")
	}
}
