package live_test

import (
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// killed is what came of a load during which one of three endpoints was killed, each
// of which takes a moment, so that each has requests in flight.
type killed struct {
	*live
	victim string
	// The endpoint was killed between these two.
	before, after time.Duration
}

// killOne runs it. Consul has no check of the endpoints, so that it is of no help.
func killOne(t *testing.T, method, more string) *killed {
	t.Helper()
	consul := startAgent(t, backends.ConsulOptions{})
	var all []*endpointProcess
	for range 3 {
		p := startProcess(t, 100*time.Millisecond)
		all = append(all, p)
		host, port, err := net.SplitHostPort(p.address)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			t.Fatal(err)
		}
		consul.Register(t, &api.AgentServiceRegistration{Name: "web", ID: p.address, Address: host, Port: n})
	}
	k := &killed{live: startLive(t, 3, consul.web(more)), victim: all[0].address}
	k.begin(method)
	// From here on the pool has a connection for each of as many requests as come
	// together on a busy machine. One whose endpoint dies while it is on a connection
	// that is new is not taken for the victim of a stale one, and not sent again.
	k.load.burst(300)
	k.load.more(500)
	proxytest.Eventually(t, "requests in flight", func() bool { return k.load.busy() > loadBusy/2 })
	k.before = k.load.now()
	all[0].kill()
	k.after = k.load.now()
	k.load.more(1000)
	proxytest.Same(t, "endpoints in Consul", len(k.status().Endpoints), 3)
	return k
}

// inFlight is how many requests may have been at the endpoint when it was killed:
// those that were lost, and those that another endpoint answered in the end.
func (k *killed) inFlight(all []result) (n int) {
	for _, o := range all {
		if o.sent <= k.after && o.done >= k.before {
			n++
		}
	}
	return n
}

// With retries on connect failure, nobody notices that an endpoint was killed:
// requests that may be sent twice and were in flight are sent again, and no other
// gets through to it.
func TestLiveKillWithRetries(t *testing.T) {
	proxytest.NoLeaks(t)
	k := killOne(t, "GET", ", retry: {on: [connect-failure]}")
	all := k.faultless()
	t.Logf("killed within %s, with %d requests in flight", k.after-k.before, k.inFlight(all))
	for _, o := range all {
		if o.from == k.victim && o.sent > k.after {
			t.Errorf("request %d was answered by an endpoint that had been killed", o.n)
		}
	}
}

// Without retries, only those requests fail that were in flight to the endpoint and
// may not be sent twice, and each tells of its attempt. Those that come later, while
// Consul still names it, go elsewhere at once.
func TestLiveKillWithoutRetries(t *testing.T) {
	proxytest.NoLeaks(t)
	k := killOne(t, "POST", "")
	all := k.load.end()
	failed := k.failures(all)
	t.Logf("killed within %s: of %d requests in flight, %d failed", k.after-k.before, k.inFlight(all), len(failed))
	if len(failed) == 0 || len(failed) > k.inFlight(all) {
		t.Errorf("%d requests failed, of which none or more than were in flight", len(failed))
	}
	flags := map[string]int{"200 ": len(all) - len(failed)}
	for _, o := range failed {
		h := k.record(o)
		if h == nil {
			t.Errorf("no Hop: %s", k.tell(o))
			continue
		}
		flags["503 "+h.Flags.String()]++
		a := h.LastAttempt()
		lost := h.Flags == hop.UpstreamConnectionClosed || h.Flags == hop.UpstreamReset
		if o.status != 503 || o.sent > k.after || !lost || len(h.Attempts) != 1 ||
			a.Endpoint != k.victim || a.Flags != h.Flags || a.Reason == "" || h.Failure.Origin != hop.OriginProxy {
			t.Errorf("not a request that was in flight to %s: %s", k.victim, k.tell(o))
		}
	}
	k.counted(flags)
	if len(failed) > 0 {
		t.Log(k.tell(failed[0]))
	}
}

// Where a policy says that a request has one attempt, those fail that go to the
// endpoint until it is ejected, for five failures in a row: those of the connections
// that it took with it count, and may be enough.
func TestLiveKillWithOneAttempt(t *testing.T) {
	proxytest.NoLeaks(t)
	k := killOne(t, "GET", ", retry: {on: [connect-failure], attempts: 1}, outlier: {base_ejection: 60s}")
	all := k.load.end()
	failed := k.failures(all)
	t.Logf("%d requests failed before the endpoint was ejected", len(failed))
	if most := k.inFlight(all) + loadBusy; len(failed) > most { // those on their way then, and until it is ejected
		t.Errorf("%d requests failed, want %d at most", len(failed), most)
	}
	for _, o := range failed {
		if h := k.record(o); h == nil || len(h.Attempts) != 1 || h.Attempts[0].Endpoint != k.victim || h.Flags&hop.Failures == 0 {
			t.Errorf("not one of the endpoint that was killed: %s", k.tell(o))
		}
	}
	proxytest.Same(t, "the endpoint is ejected", fmt.Sprint(k.endpoint(k.victim).Ejected), "true")
}
