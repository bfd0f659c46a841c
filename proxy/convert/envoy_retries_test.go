package convert_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/convert"
)

// The policy of a route takes the place of that around it, also if it retries nothing.
func TestEnvoyRetries(t *testing.T) {
	const host = `retry_policy: {retry_on: 5xx, num_retries: 3}`
	for _, tt := range []struct {
		host, route string
		attempts    int // 0 is no retry
		perTry      time.Duration
		hedge       int // its attempts; 0 is none
		after       time.Duration
		notes       int
	}{
		{"", "", 0, 0, 0, 0, 0},
		{host, "", 4, 0, 0, 0, 0},
		{host, "retry_policy: {retry_on: reset}", 2, 0, 0, 0, 0},
		{host, "retry_policy: {num_retries: 2}", 0, 0, 0, 0, 0},
		{host, "retry_policy: {retry_on: 5xx, num_retries: 0}", 0, 0, 0, 0, 0},
		{"", "retry_policy: {retry_on: 5xx, num_retries: 2, per_try_timeout: 0.3s}", 3, 300 * time.Millisecond, 0, 0, 0},
		{"", "retry_policy: {retry_on: 5xx, num_retries: 2, per_try_timeout: 0.3s}, hedge_policy: {hedge_on_per_try_timeout: true}", 3, 0, 3, 300 * time.Millisecond, 1},
		{"hedge_policy: {hedge_on_per_try_timeout: true}", "retry_policy: {retry_on: 5xx, num_retries: 20, per_try_timeout: 0.3s}", 21, 0, 10, 300 * time.Millisecond, 1},
		{"hedge_policy: {hedge_on_per_try_timeout: true}", "retry_policy: {retry_on: 5xx, per_try_timeout: 0.3s}, hedge_policy: {}", 2, 300 * time.Millisecond, 0, 0, 0},
		{"", "retry_policy: {retry_on: 5xx}, hedge_policy: {hedge_on_per_try_timeout: true}", 2, 0, 0, 0, 0},
		{"", "retry_policy: {retry_on: 5xx}, hedge_policy: {initial_requests: 2}", 2, 0, 0, 0, 1},
		{"", "hash_policy: [{cookie: {name: c, ttl: 0s}}]", 0, 0, 0, 0, 0},
		{"", "hash_policy: [{cookie: {name: c}}]", 0, 0, 0, 0, 1}, // which Envoy does not set
	} {
		text := strings.Replace(string(envoyWith("{name: envoy.filters.http.router}", "route: {cluster: a, "+tt.route+"}")), `domains: ["*"]`, `domains: ["*"]`+"\n              "+tt.host, 1)
		r, err := convert.Envoy("envoy.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		route := r.Config.Listeners[0].Routes[0]
		var attempts, hedge int
		var perTry, after time.Duration
		if x := route.Retry; x != nil {
			attempts, perTry = x.Attempts, x.PerTryTimeout
		}
		if x := route.Hedge; x != nil {
			hedge, after = x.Attempts, x.After
		}
		if attempts != tt.attempts || perTry != tt.perTry || hedge != tt.hedge || after != tt.after || len(r.Notes) != tt.notes {
			t.Errorf("%s, %s: %d attempts of %v, %d hedges after %v, notes %v", tt.host, tt.route, attempts, perTry, hedge, after, r.Notes)
		}
	}
}
