package route_test

import (
	"testing"

	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/route"
)

// TestPreflights: a preflight matches by the method that it asks for where the route has
// CORS, and as OPTIONS elsewhere.
func TestPreflights(t *testing.T) {
	table := route.Compile([]route.Match{
		{Path: "/a", Methods: []string{"GET"}},
		{Path: "/a", Methods: []string{"PUT"}, Preflights: true},
		{Path: "/a", Methods: []string{"OPTIONS"}},
		{Path: "/a"},
	})
	for asks, want := range map[string]int{"GET": 2, "PUT": 1, "DELETE": 2, "": 2} {
		h := headOf("OPTIONS", "/a", "web.test")
		h.Method = message.OPTIONS
		h.Add(message.Unknown, "origin", "https://a.test")
		if asks != "" {
			h.Add(message.Unknown, "access-control-request-method", asks)
		}
		if got := table.Match(&route.Request{Head: h}); got != want {
			t.Errorf("a preflight for %q matches %d, want %d", asks, got, want)
		}
	}
	if got := table.Match(&route.Request{Head: headOf("PUT", "/a", "web.test")}); got != 1 {
		t.Errorf("PUT matches %d", got)
	}
}
