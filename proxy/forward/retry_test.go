package forward

import (
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/outlier"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// TestBackOff: the n-th wait is anything up to (2^n - 1) times the base, and no longer
// than the longest.
func TestBackOff(t *testing.T) {
	const base, longest = 25 * time.Millisecond, 250 * time.Millisecond
	for n, most := range map[int]time.Duration{
		1: base, 2: 3 * base, 3: 7 * base, 4: longest, 5: longest, 20: longest, 63: longest, 64: longest, 1000: longest,
	} {
		r := Retry{Base: base, Max: longest}
		low, high := longest, time.Duration(0)
		for range 10_000 {
			wait := r.backOff(n)
			low, high = min(low, wait), max(high, wait)
		}
		if low < 0 || high > most || low > most/100 || high < most-most/100 {
			t.Errorf("the %d-th wait is between %v and %v, want 0 and %v", n, low, high, most)
		}
	}
	for _, r := range []Retry{{Base: time.Hour, Max: time.Millisecond}, {Base: 1 << 62, Max: time.Millisecond}} {
		for n := range 70 {
			if wait := r.backOff(n + 1); wait < 0 || wait > r.Max {
				t.Errorf("%v of base %v, want up to %v", wait, r.Base, r.Max)
			}
		}
	}
}

// TestRetryWords: each word is a set of its own, and what is no word is empty.
func TestRetryWords(t *testing.T) {
	var all RetryOn
	for _, word := range retryWords {
		one := RetryWord(word)
		if one == 0 || all&one != 0 {
			t.Errorf("%s is %b beside %b", word, one, all)
		}
		all |= one
	}
	if RetryWord("5XX") != 0 || RetryWord("") != 0 {
		t.Error("what is no word is none")
	}
}

// TestOverride: a trusted caller may ask for less than the policy has; where there is
// none it says what is retried.
func TestOverride(t *testing.T) {
	policy := &Retry{On: OnReset, Attempts: 4}
	for _, tt := range []struct {
		name     string
		policy   *Retry
		on       string
		most     string
		want     RetryOn
		attempts int
	}{
		{"nothing", policy, "", "", OnReset, 4},
		{"a word", policy, "5xx", "", OnReset, 4},
		{"several", policy, " 5xx ,retriable-4xx,,nonsense", "", OnReset, 4},
		{"attempts", policy, "", "1", OnReset, 2},
		{"no retry", policy, "5xx", "0", OnReset, 1},
		{"too many", policy, "", "4", OnReset, 4},
		{"far too many", policy, "", "1000", OnReset, 4},
		{"nonsense", policy, "", "-1", OnReset, 4},
		{"no policy", nil, "5xx", "", OnConnectFailure | On5xx, 2},
		{"no policy, attempts", nil, "5xx", "2", OnConnectFailure | On5xx, redispatches},
		{"no policy, no retry", nil, "5xx", "0", OnConnectFailure | On5xx, 1},
		{"no policy, too many", nil, "5xx", "63", OnConnectFailure | On5xx, redispatches},
		{"no policy, attempts alone", nil, "", "5", OnConnectFailure, redispatches},
		{"no policy, nonsense", nil, "nonsense", "5", OnConnectFailure, redispatches},
	} {
		var r message.Head
		if tt.on != "" {
			r.Add(message.XEnvoyRetryOn, "x-envoy-retry-on", tt.on)
		}
		if tt.most != "" {
			r.Add(message.XEnvoyMaxRetries, "x-envoy-max-retries", tt.most)
		}
		p := tt.policy.plan()
		p.override(&r)
		if p.on != tt.want || p.attempts != tt.attempts {
			t.Errorf("%s: on %b, %d attempts; want %b, %d", tt.name, p.on, p.attempts, tt.want, tt.attempts)
		}
	}
}

// TestFailures: which failures of an attempt a policy retries.
func TestFailures(t *testing.T) {
	none := RetryOn(0)
	for _, k := range fault.All() {
		p := func(on RetryOn) bool { return (&retryPlan{on: on}).failure(fault.New(k, "")) }
		upstream := k.Side() == fault.Upstream && k != fault.UpstreamTimeout ||
			k == fault.PortsExhausted // for one endpoint
		for on, want := range map[RetryOn]bool{
			On5xx: upstream, OnGatewayError: upstream, OnReset: upstream, OnConnectFailure: k.Connecting(),
			OnRefusedStream: k == fault.UpstreamRefused, On4xx | OnStatusCodes | OnHeaders | OnUnavailable: false, none: false,
		} {
			if got := p(on); got != want {
				t.Errorf("%s with %b: %t", k, on, got)
			}
		}
	}
}

// TestJudge: an endpoint is judged by what it did, not by what the client or the
// proxy did to it.
func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		name string
		a    hop.Attempt
		want outlier.Result
		ok   bool
	}{
		{"answered", hop.Attempt{Status: 200}, outlier.Success, true},
		{"answered 404", hop.Attempt{Status: 404}, outlier.Success, true},
		{"answered 500", hop.Attempt{Status: 500}, outlier.Error5xx, true},
		{"answered 503", hop.Attempt{Status: 503}, outlier.GatewayError, true},
		{"a call that is unavailable", hop.Attempt{Status: 200, GRPCStatus: hop.GRPCStatusOf(14)}, outlier.GatewayError, true},
		{"a call that failed", hop.Attempt{Status: 200, GRPCStatus: hop.GRPCStatusOf(13)}, outlier.Error5xx, true},
		{"a call that was not found", hop.Attempt{Status: 200, GRPCStatus: hop.GRPCStatusOf(5)}, outlier.Success, true},
		{"no connection", hop.Attempt{Flags: hop.UpstreamConnectionFailure, ProxyError: "connection_refused"}, outlier.LocalOrigin, true},
		{"no answer in time", hop.Attempt{Flags: hop.UpstreamTimeout, ProxyError: "http_response_timeout"}, outlier.LocalOrigin, true},
		{"no room in the pool", hop.Attempt{Flags: hop.UpstreamOverflow, ProxyError: "connection_limit_reached"}, 0, false},
		{"no descriptor", hop.Attempt{Flags: hop.Overload, ProxyError: "proxy_internal_error"}, 0, false},
		{"the proxy shuts down", hop.Attempt{Flags: hop.LocalReset, ProxyError: "proxy_internal_response"}, 0, false},
		{"the client left", hop.Attempt{Flags: hop.DownstreamClosed}, 0, false},
		{"the client's content stalled", hop.Attempt{}, 0, false},
		{"another attempt answered first", hop.Attempt{Details: "hedge_lost"}, 0, false},
	} {
		if got, ok := judge(&tt.a); got != tt.want || ok != tt.ok {
			t.Errorf("%s: %v %t, want %v %t", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}
