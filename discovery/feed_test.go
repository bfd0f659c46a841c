package discovery_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/hopscope/hopscope/discovery"
)

var _ discovery.Source = (*discovery.Feed)(nil)

// at is an update with one endpoint.
func at(address string) discovery.Update {
	return discovery.Update{Endpoints: []discovery.Endpoint{{Address: address, Weight: 1}}}
}

func TestFeedDeliversTheLatest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f := discovery.NewFeed(at("first:1"))
		var got []string
		run := func() {
			f.Run(ctx, func(u discovery.Update) { got = append(got, u.Endpoints[0].Address) })
		}
		f.Push(at("before-it-runs:1"))
		f.Push(at("second:1")) // does not wait though nobody takes the one before
		go run()
		synctest.Wait()
		f.Push(at("third:1"))
		synctest.Wait()
		cancel()
		synctest.Wait()
		f.Push(at("too-late:1"))
		synctest.Wait()
		if want := "[second:1 third:1]"; fmt.Sprint(got) != want {
			t.Errorf("delivered %v, want %s", got, want)
		}
	})
}

func TestFeedDeliversItsFirstUpdate(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var got discovery.Update
	discovery.NewFeed(at("first:1")).Run(ctx, func(u discovery.Update) {
		got = u
		cancel()
	})
	if len(got.Endpoints) != 1 || got.Endpoints[0].Address != "first:1" {
		t.Errorf("delivered %+v", got)
	}
}

// What is pushed last is delivered last, however many push at once.
func TestFeedTakesManyPushers(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f := discovery.NewFeed(at("first:1"))
	last := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		f.Run(ctx, func(u discovery.Update) {
			if u.Endpoints[0].Address == "last:1" {
				close(last)
			}
		})
	})
	var pushing sync.WaitGroup
	for i := range 8 {
		pushing.Go(func() {
			for range 100 {
				f.Push(at(fmt.Sprintf("pusher-%d:1", i)))
			}
		})
	}
	pushing.Wait()
	f.Push(at("last:1"))
	<-last
	cancel()
	running.Wait()
}
