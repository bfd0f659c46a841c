//go:build linux && !race

package netio_test

import (
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/netio"
)

// TestRoundTripsAllocateNothing goes back and forth between two Conns, with a
// deadline for each wait. (The race detector makes sync.Pool forget.)
func TestRoundTripsAllocateNothing(t *testing.T) {
	const size = 300
	shared := netio.NewShared()
	near, far := tcp(t)
	client, server := netio.New(near, shared), netio.New(far, shared)
	client.WriteTimeout, server.WriteTimeout = time.Minute, time.Minute
	head, body, answer := make([]byte, size/2), make([]byte, size/2), make([]byte, size)
	over := make(chan error, 1)
	go func() {
		defer server.Done()
		server.Await(server.Now(), 0)
		over <- server.Turns(func() bool {
			server.Consume(len(server.Buffered()))
			now := server.Now()
			server.Await(now, now+time.Minute)
			return server.WriteTwo(answer[:100], answer[100:]) == nil
		})
	}()
	client.Watch(func() bool { return false })
	allocated := testing.AllocsPerRun(2000, func() {
		now := client.Now()
		client.Await(now, now+time.Minute)
		if _, err := client.Exchange(head, body); err != nil {
			t.Fatal(err)
		}
		for len(client.Buffered()) < size {
			if err := client.Fill(); err != nil {
				t.Fatal(err)
			}
		}
		client.Consume(size)
		client.Release()
	})
	if allocated != 0 {
		t.Errorf("%v allocations a round trip", allocated)
	}
	client.Done()
	<-over
}
