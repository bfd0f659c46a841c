package config

import (
	"strings"
	"testing"
)

// route is a configuration with one route, which has these keys.
func routeWith(keys string) string {
	return "listeners: [{name: in, address: \":0\", routes: [{cluster: a, " + keys + "}]}]\nclusters: {a: {endpoints: [\"a:1\"]}}\n"
}

// TestPolicyErrors: what is wrong with a route's policies is told with its place and a
// remedy.
func TestPolicyErrors(t *testing.T) {
	for _, tt := range []struct{ keys, want string }{
		{"fault: {}", "routes[0].fault: it does nothing; expected delay, abort or headers: true"},
		{"fault: {headers: false}", "routes[0].fault: it does nothing; expected delay, abort or headers: true"},
		{"fault: {delay: {}}", "routes[0].fault.delay.fixed: required key is missing; expected a duration such as 250ms"},
		{"fault: {delay: {fixed: 1s, percent: 101}}", "routes[0].fault.delay.percent: expected a number from 0 to 100, found 101"},
		{"fault: {delay: {fixed: 0}}", "routes[0].fault.delay.fixed: expected a duration of at least 1ms, found 0s"},
		{"fault: {abort: {status: 100}}", "routes[0].fault.abort.status: expected an integer from 200 to 599, found 100"},
		{"fault: {abort: {grpc_status: 17}}", "routes[0].fault.abort.grpc_status: expected an integer from 0 to 16, found 17"},
		{"fault: {abort: {code: 1}}", "routes[0].fault.abort.code: unknown key"},
	} {
		_, err := Parse("test.yaml", []byte(routeWith(tt.keys)))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("%s: %v, want %q", tt.keys, err, tt.want)
		}
	}
}
