package upstream

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
)

// TestSharedDialIsGivenUp: whoever dials may give up, because it is not wanted any
// more or has no more time; those who waited for its connection try themselves.
func TestSharedDialIsGivenUp(t *testing.T) {
	for _, tt := range []struct {
		name string
		left time.Duration // of the one that dials; 0 is as long as it may take
		want fault.Kind
	}{
		{"not wanted", 0, fault.Draining},
		{"no more time", 20 * time.Millisecond, fault.UpstreamTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, address := newServer2(t, func(http.ResponseWriter, *http.Request) {})
			var dials atomic.Int32
			begun := make(chan struct{})
			g := newGroup2(t, func(o *Options) {
				o.ConnectTimeout = patience
				o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
					if dials.Add(1) == 1 {
						close(begun)
						<-ctx.Done()
						return nil, ctx.Err()
					}
					return new(net.Dialer).DialContext(ctx, network, address)
				}
			})
			e := g.Endpoint(address)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			gaveUp := make(chan error)
			go func() {
				giveUp := time.Duration(0)
				if tt.left > 0 {
					giveUp = g.shared.Now() + tt.left
				}
				_, err := g.Acquire(ctx, e, g.shared.Now(), giveUp, false)
				gaveUp <- err
			}()
			<-begun
			other := make(chan Stream, 1)
			go func() {
				s, err := g.Acquire(context.Background(), e, g.shared.Now(), 0, false)
				if err != nil {
					t.Errorf("the other: %v", err)
				}
				other <- s
			}()
			if tt.left == 0 {
				g.begun(t, 1)
				cancel()
			}
			if err := <-gaveUp; kindOf(err) != tt.want {
				t.Errorf("the one that dialled: %v, want %s", err, tt.want)
			}
			s := <-other
			if s == nil {
				return
			}
			if status := roundTrip(t, g, s); status != 200 {
				t.Errorf("status %d", status)
			}
			s.Release(g.shared.Now(), true)
		})
	}
}
