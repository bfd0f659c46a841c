package forward

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

const ms = time.Millisecond

// TestTimes: what retries, hedging and timeouts take, to the millisecond.
func TestTimes(t *testing.T) {
	var (
		blackHole = behaviour{silent: true}
		refuses   = behaviour{refuses: true}
		in        = func(d time.Duration, status int) behaviour { return behaviour{after: d, status: status} }
		on5xx     = func(attempts int, perTry time.Duration) *Retry {
			return &Retry{On: On5xx, Attempts: attempts, PerTry: perTry}
		}
	)
	for _, tt := range []struct {
		name     string
		script   []behaviour
		timeout  time.Duration
		retry    *Retry
		hedge    *Hedge
		fields   []string
		pieces   []piece
		leaves   time.Duration // 0 is never
		status   int           // 0 for no response
		took     time.Duration
		attempts int
		flags    hop.Flags
	}{
		{name: "one attempt", script: []behaviour{in(40*ms, 200)}, timeout: time.Second, status: 200, took: 40 * ms, attempts: 1},
		{name: "the route's timeout", script: []behaviour{blackHole}, timeout: 300 * ms, status: 504, took: 300 * ms, attempts: 1, flags: hop.UpstreamTimeout},
		{name: "just in time", script: []behaviour{in(299*ms, 200)}, timeout: 300 * ms, status: 200, took: 299 * ms, attempts: 1},
		{name: "a retry", script: []behaviour{in(40*ms, 503), in(30*ms, 200)}, timeout: time.Second, retry: on5xx(3, 0), status: 200, took: 70 * ms, attempts: 2},
		{name: "no more retries", script: []behaviour{in(40*ms, 503)}, timeout: time.Second, retry: on5xx(3, 0), status: 503, took: 120 * ms, attempts: 3, flags: hop.RetriesExhausted},
		{name: "each attempt's time", script: []behaviour{blackHole}, timeout: time.Second, retry: on5xx(3, 100*ms), status: 504, took: 300 * ms, attempts: 3, flags: hop.UpstreamTimeout | hop.RetriesExhausted},
		{name: "the route's time within an attempt's", script: []behaviour{blackHole}, timeout: 250 * ms, retry: on5xx(5, 100*ms), status: 504, took: 250 * ms, attempts: 3, flags: hop.UpstreamTimeout},
		{name: "the second attempt is quick", script: []behaviour{blackHole, in(20*ms, 200)}, timeout: time.Second, retry: on5xx(3, 100*ms), status: 200, took: 120 * ms, attempts: 2},
		{name: "an attempt's time is for its response to begin", script: []behaviour{in(99*ms, 200)}, timeout: time.Second, retry: on5xx(3, 100*ms), status: 200, took: 99 * ms, attempts: 1},
		{name: "refused, and another endpoint", script: []behaviour{refuses, in(20*ms, 200)}, timeout: time.Second, status: 200, took: 20 * ms, attempts: 2},
		{name: "refused everywhere", script: []behaviour{refuses}, timeout: time.Second, status: 503, attempts: 3, flags: hop.UpstreamConnectionFailure},
		{name: "a caller's shorter timeout", script: []behaviour{blackHole}, timeout: time.Second, fields: []string{"x-envoy-upstream-rq-timeout-ms: 150"}, status: 504, took: 150 * ms, attempts: 1, flags: hop.UpstreamTimeout},
		{name: "a call's deadline", script: []behaviour{blackHole}, timeout: time.Second, fields: []string{"content-type: application/grpc", "grpc-timeout: 120m"}, status: 200, took: 120 * ms, attempts: 1, flags: hop.UpstreamTimeout},
		{name: "the time runs from the end of the content", script: []behaviour{blackHole}, timeout: 300 * ms, pieces: []piece{{200 * ms, "a"}, {300 * ms, "b"}}, status: 504, took: 800 * ms, attempts: 1, flags: hop.UpstreamTimeout},
		{name: "the client leaves", script: []behaviour{blackHole}, timeout: 10 * time.Second, leaves: 600 * ms, took: 750 * ms, attempts: 1, flags: hop.DownstreamClosed}, // it is looked for each 250 ms

		{name: "hedged, and the second is first", script: []behaviour{blackHole, in(20*ms, 200)}, timeout: time.Second, hedge: &Hedge{50 * ms, 3}, status: 200, took: 70 * ms, attempts: 2},
		{name: "hedged, and the first is first", script: []behaviour{in(60*ms, 200), blackHole}, timeout: time.Second, hedge: &Hedge{50 * ms, 3}, status: 200, took: 60 * ms, attempts: 2},
		{name: "quicker than the hedge", script: []behaviour{in(49*ms, 200)}, timeout: time.Second, hedge: &Hedge{50 * ms, 3}, status: 200, took: 49 * ms, attempts: 1},
		{name: "the third of a hedge", script: []behaviour{blackHole, blackHole, in(10*ms, 200)}, timeout: time.Second, hedge: &Hedge{50 * ms, 3}, status: 200, took: 110 * ms, attempts: 3},
		{name: "hedges are bounded", script: []behaviour{blackHole}, timeout: 400 * ms, hedge: &Hedge{50 * ms, 2}, status: 504, took: 400 * ms, attempts: 2, flags: hop.UpstreamTimeout},
		{name: "a bad response has the next one sent at once", script: []behaviour{blackHole, in(10*ms, 503), in(10*ms, 200)}, timeout: time.Second, retry: on5xx(2, 0), hedge: &Hedge{50 * ms, 3}, status: 200, took: 70 * ms, attempts: 3},
		{name: "the only attempt failed before a hedge", script: []behaviour{in(10*ms, 503), in(10*ms, 200)}, timeout: time.Second, retry: on5xx(2, 0), hedge: &Hedge{50 * ms, 3}, status: 200, took: 20 * ms, attempts: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newInBubble(t, tt.script...)
				b.action.Timeout, b.target.Retry, b.target.Hedge = tt.timeout, tt.retry, tt.hedge
				c := &caller{pieces: tt.pieces}
				if tt.leaves > 0 {
					c.leaves = time.Now().Add(tt.leaves)
				}
				took := b.serve(c, tt.fields...)
				if c.status != tt.status || took != tt.took {
					t.Errorf("%d after %s, want %d after %s", c.status, took, tt.status, tt.took)
				}
				if n := len(c.hop.Attempts); n != tt.attempts || c.hop.Flags != tt.flags {
					t.Errorf("%d attempts, flags %s, want %d, %s", n, c.hop.Flags, tt.attempts, tt.flags)
				}
				if c.hop.Timeout != tt.timeout {
					t.Errorf("the Hop says that the timeout is %s, not %s", c.hop.Timeout, tt.timeout)
				}
				if c.hop.End != took {
					t.Errorf("the Hop took %s, the request %s", c.hop.End, took)
				}
			})
		})
	}
}
