package live_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// Every endpoint fails every request, at once or after a while: what the retries add
// to the load of the endpoints stays within the budget's 20 per cent.
func TestLiveRetryStorm(t *testing.T) {
	proxytest.NoLeaks(t)
	consul := startAgent(t, backends.ConsulOptions{})
	for _, tt := range []struct {
		name string
		slow time.Duration
		// least is how many retries there are, for however long that takes: there are few
		// of requests that fail at once, since they are bounded at each moment too.
		least int
	}{{"at once", 0, 50}, {"after a while", 50 * time.Millisecond, 250}} {
		t.Run(tt.name, func(t *testing.T) { storm(t, consul, tt.slow, tt.least) })
	}
}

func storm(t *testing.T, consul *agent, slow time.Duration, least int) {
	const percent, atLeast = 20, 3
	b := startBackends(t, 3)
	for _, each := range b {
		each.slow.Store(int64(slow))
	}
	consul.add(b...)
	l := startLive(t, 3, consul.web(fmt.Sprintf(", retry: {on: [5xx], attempts: 5, budget: {percent: %d, min: %d}}", percent, atLeast)))
	l.begin("GET")
	l.load.more(500)
	fail := func(percent int64) {
		for _, each := range b {
			each.failing.Store(percent)
		}
	}
	began := l.load.now()
	fail(100)
	l.load.pass(4 * time.Second) // a budget is one of a time
	retries := func() int { return int(l.Scrape().Sum("hopscope_retries_total", "cluster", "web")) }
	proxytest.Eventually(t, fmt.Sprintf("%d retries", least), func() bool { return retries() >= least })
	fail(0)
	over := l.load.now()
	l.load.more(500)
	all := l.load.end()

	var arrived, failed, stormy int
	for _, each := range b {
		arrived += int(each.got.Load())
		consul.remove(each)
	}
	for _, o := range all {
		if o.done >= began && o.sent <= over {
			stormy++
		}
		if !o.ok() {
			failed++
			if o.status != 500 || o.done < began || o.sent > over {
				t.Errorf("not of the storm: %s", l.tell(o))
			}
		}
	}
	// What there may be in any case: so many a second, and ten seconds' worth saved up
	// in good times.
	extra, minimum := arrived-len(all), int(atLeast*(10+(over-began).Seconds()+1))
	most := stormy*percent/100 + minimum
	t.Logf("%d requests in a storm of %s, of which %d failed, made %d more: %.1f %% (at most %d %% and %d)",
		stormy, (over - began).Round(time.Millisecond), failed, extra, 100*float64(extra)/float64(stormy), percent, minimum)
	if extra > most {
		t.Errorf("the endpoints got %d requests more than were sent, want at most %d", extra, most)
	}
	if failed < stormy/2 {
		t.Errorf("%d requests failed of %d in the storm", failed, stormy)
	}
	proxytest.Same(t, "retries in metrics", retries(), extra)
}
