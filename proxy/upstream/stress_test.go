package upstream

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
)

// TestStress has many callers acquire, give up and release at once; in the end
// every count is back where it began, which the group's end checks.
func TestStress(t *testing.T) {
	const callers, turns, limit = 32, 150, 5
	g := newTestGroup(t, func(o *Options) { o.MaxConnections, o.MaxPending, o.MaxIdle = limit, 12, 2 })
	servers := []*server{newServer(t), newServer(t), newServer(t)}
	fixed := g.Endpoint(servers[0].address)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(i)))
			for range turns {
				e := fixed
				switch random.IntN(4) {
				case 0:
					e = g.Dynamic([]byte(servers[1].address), nil)
				case 1:
					e = g.Dynamic([]byte(servers[2].address), nil)
				case 2:
					e = g.Dynamic([]byte("127.0.0.1:1"), nil)
				}
				now := g.shared.Now()
				giveUp := now + time.Duration(random.IntN(int(2*time.Millisecond)))
				var s Stream
				var err error
				if random.IntN(4) == 0 {
					s, err = g.Fresh(context.Background(), e, now, giveUp)
				} else {
					s, err = g.Acquire(context.Background(), e, now, giveUp, random.IntN(2) == 0)
				}
				if err != nil {
					if k := kindOf(err); k != fault.Overflow && k != fault.ConnectRefused && k != fault.UpstreamTimeout {
						t.Errorf("acquire: %v", err)
					}
					continue
				}
				c := s.(*Conn)
				if c.endpoint.Address != e.Address {
					t.Errorf("a connection to %s for %s", c.endpoint.Address, e.Address)
				}
				if s := g.Stats(); s.Active+s.Idle > limit {
					t.Errorf("stats %+v", s)
				}
				if random.IntN(8) == 0 {
					g.sweep()
				}
				c.Release(g.shared.Now(), random.IntN(3) > 0)
			}
		})
	}
	wg.Wait()
	if s := g.Stats(); s.Active != 0 || s.Pending != 0 || s.Dialled == 0 || s.Reused == 0 || s.Overflow == 0 {
		t.Errorf("stats %+v", s)
	}
}
