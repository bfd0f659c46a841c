package clitest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestLostContextOverProxies: a service that passes no trace context on is named, and the
// two traces that it makes of one are shown as one, with the join marked as inferred.
func TestLostContextOverProxies(t *testing.T) {
	t.Parallel()
	c := startChain(t)
	c.fails.Store(true)
	c.loses.Store(true)
	id := c.send(t, 500)
	for p, hops := range map[*process]int{c.web: 2, c.orders: 1} {
		proxytest.Eventually(t, "all hops", func() bool {
			_, body := get(t, p.admin()+"/traces")
			return strings.Count(body, `"trace_id"`) == hops
		})
	}

	const cut = "cut at web: 1 of its 1 calls began a trace of their own while it answered a request"
	text, stderr, code := hopscope(t, "trace", id, "--peers", c.peers(), "--timeout=1m")
	for _, want := range []string{", 3 hops\n", "\nculprit: orders: ", "inferred from the time: web passes no trace context on", "└┄web → ", "the call began a trace of its own\n", cut} {
		if code != 3 || stderr != "" || !strings.Contains(strings.Join(strings.Fields(text), " "), strings.Join(strings.Fields(want), " ")) {
			t.Errorf("exit code %d, standard error %q, no %q in\n%s", code, stderr, want, text)
		}
	}
	if _, page := get(t, c.web.admin()+"/traces/"+id+"?format=text"); !strings.Contains(page, "└┄web → ") || !strings.Contains(page, cut) {
		t.Errorf("the page of web says\n%s", page)
	}
	var r struct {
		Failed, Requests int
		Causes           []struct{ Culprit struct{ Service string } }
		Lost             []struct {
			Service string
			Calls   int
		} `json:"lost_context"`
	}
	body, _, _ := hopscope(t, "why", "--json", "--peers", c.peers(), "--timeout=1m")
	if err := json.Unmarshal([]byte(body), &r); err != nil || r.Failed != 1 || len(r.Causes) != 1 || r.Causes[0].Culprit.Service != "orders" || len(r.Lost) != 1 || r.Lost[0].Service != "web" || r.Lost[0].Calls != 1 {
		t.Errorf("%v: %s", err, body)
	}
	if _, metrics := get(t, c.web.admin()+"/metrics"); !strings.Contains(metrics, `hopscope_lost_context_calls_total{service="web"} 1`) {
		t.Error("the metric of calls without their trace is missing")
	}
	if text, _, _ := hopscope(t, "top", "--once", "--interval=100ms", "--peers", c.peers(), "--timeout=1m"); !strings.Contains(text, "trace context is lost at web: 1 of its calls began a trace of their own\n") {
		t.Error(text)
	}
}
