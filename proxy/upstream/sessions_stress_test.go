package upstream

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
)

// TestSessionsStress is TestStress for connections that many share: few streams,
// few connections, callers that give up, streams that are closed and connections
// that are cut.
func TestSessionsStress(t *testing.T) {
	const callers, turns, limit = 32, 60, 3
	hello := func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello")) }
	var servers []*httptest.Server
	var addresses []string
	for range 3 {
		s, address := newServer2(t, hello)
		servers, addresses = append(servers, s), append(addresses, address)
	}
	g := newGroup2(t, func(o *Options) { o.MaxConnections, o.MaxPending, o.HTTP2.MaxStreams = limit, 24, 2 })
	fixed := g.Endpoint(addresses[0])
	var done sync.WaitGroup
	for i := range callers {
		done.Go(func() {
			random := rand.New(rand.NewPCG(3, uint64(i)))
			for range turns {
				e := fixed
				switch random.IntN(5) {
				case 0:
					e = g.Dynamic([]byte(addresses[1]), nil)
				case 1:
					e = g.Dynamic([]byte(addresses[2]), nil)
				case 2:
					e = g.Dynamic([]byte("127.0.0.1:1"), nil)
				}
				if random.IntN(40) == 0 {
					servers[random.IntN(3)].CloseClientConnections()
				}
				g.stress(t, e, random)
				if s := g.Stats(); s.Active+s.Idle > limit {
					t.Errorf("stats %+v", s)
				}
			}
		})
	}
	done.Wait()
	eventually(t, "every count being back", func() bool {
		for _, s := range servers {
			s.CloseClientConnections() // more than once: it may not have accepted all of them yet
		}
		s := g.Stats()
		return s.Active+s.Idle+s.Pending == 0
	})
	if s := g.Stats(); s.Dialled == 0 || s.Reused == 0 || s.Overflow == 0 {
		t.Errorf("stats %+v", s)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.dynamic) != 0 || len(g.endpoints) != 1 || fixed.active != 0 || fixed.dialling != 0 || len(fixed.sessions) != 0 {
		t.Errorf("%d dynamic, %d endpoints, the fixed one %+v", len(g.dynamic), len(g.endpoints), fixed)
	}
}

// stress is a caller's turn: whatever happens is in order, but for what a caller
// can't be told.
func (g *Group) stress(t *testing.T, e *Endpoint, random *rand.Rand) {
	now := g.shared.Now()
	giveUp := now + time.Duration(random.IntN(int(4*time.Millisecond)))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if random.IntN(8) == 0 {
		time.AfterFunc(time.Duration(random.IntN(int(time.Millisecond))), cancel)
	}
	acquire := g.Fresh
	if random.IntN(4) > 0 {
		acquire = func(ctx context.Context, e *Endpoint, now, giveUp time.Duration) (Stream, error) {
			return g.Acquire(ctx, e, now, giveUp, true)
		}
	}
	s, err := acquire(ctx, e, now, giveUp)
	if err != nil {
		switch kindOf(err) {
		case fault.Overflow, fault.ConnectRefused, fault.ConnectTimeout, fault.UpstreamTimeout, fault.Draining:
		default:
			t.Errorf("acquire: %v", err)
		}
		return
	}
	defer s.Release(now, true)
	if c := s.(*stream2); c.session.endpoint.Address != e.Address {
		t.Errorf("a stream to %s for %s", c.session.endpoint.Address, e.Address)
	}
	s.Await(now, now+patience, 0)
	var response message.Head
	switch random.IntN(4) {
	case 0: // given up before anything was sent
	case 1: // reset while it is answered
		if _, err := s.Send(request()); err == nil {
			s.Close()
		}
	default:
		if _, _, err := s.RoundTrip(request(), nil, &response); err != nil {
			if k := kindOf(err); k != fault.UpstreamClosed && k != fault.UpstreamReset && k != fault.UpstreamRefused {
				t.Errorf("round trip: %v", err)
			}
		} else if response.Status != 200 {
			t.Errorf("status %d", response.Status)
		}
	}
}
