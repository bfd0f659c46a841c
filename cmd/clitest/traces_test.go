package clitest

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestTracesOverProxies lists what two real proxies know, and follows the list to a trace.
func TestTracesOverProxies(t *testing.T) {
	t.Parallel()
	c := startChain(t)
	well := c.ask(t, 200)
	c.fails.Store(true)
	failed := c.ask(t, 500)

	stdout, stderr, code := hopscope(t, "traces", "--failed", "--since=1h", "--peers", c.peers(), "--timeout=1m")
	next := "hopscope trace " + failed + " --peers " + c.peers()
	for _, want := range []string{"  500 in ", "  web  GET ", "\n  orders: ", "\n  " + next + "\n", "\n2 proxies answered\n"} {
		if strings.Count(stdout, want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, stdout)
		}
	}
	if code != 0 || stderr != "" || strings.Contains(stdout, well) {
		t.Errorf("exit code %d, standard error %q:\n%s", code, stderr, stdout)
	}
	if _, _, code := hopscope(t, append(strings.Fields(next)[1:], "--timeout=1m")...); code != 3 {
		t.Errorf("%s: exit code %d, want 3", next, code)
	}

	for culprit, want := range map[string]int{"orders": 1, "web": 0} {
		stdout, _, _ := hopscope(t, "traces", "--culprit", culprit, "--peers", c.peers(), "--timeout=1m")
		if n := strings.Count(stdout, "hopscope trace "); n != want {
			t.Errorf("%d traces are the fault of %s, want %d:\n%s", n, culprit, want, stdout)
		}
	}

	stdout, _, code = hopscope(t, "traces", "--json", "--service=orders", "--limit=1", "--peers", c.peers()+",127.0.0.1:1", "--timeout=1m")
	var list struct {
		Traces []struct {
			TraceID   string `json:"trace_id"`
			Service   string
			Culprit   struct{ Service, Part, Kind, Edge string }
			FailedHop string `json:"failed_hop"`
			Next      string
		}
		Peers []struct{ Error string }
	}
	if err := json.Unmarshal([]byte(stdout), &list); err != nil || code != 0 || len(list.Traces) != 1 || len(list.Peers) != 3 {
		t.Fatalf("exit code %d, JSON %v:\n%s", code, err, stdout)
	}
	if got := list.Traces[0]; got.TraceID != failed || got.Service != "orders" || got.FailedHop != "orders" || got.Culprit.Kind != "error_response" || got.Culprit.Edge != "orders" || got.Next != next+",127.0.0.1:1" || list.Peers[2].Error != "connection refused" {
		t.Errorf("%+v", list)
	}
}

func TestTracesMisuse(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"web": `unexpected argument "web"`, "--limit 0": "--limit is a number from 1 to 1000", "--since -1s": "--since must not be negative",
		"--since yesterday": "yesterday", "--admin x": "give host:port",
	} {
		_, stderr, code := hopscope(t, append([]string{"traces"}, strings.Fields(args)...)...)
		if code != 2 || !strings.Contains(stderr, want) || !strings.Contains(stderr, "hopscope traces --help") {
			t.Errorf("%s: exit code %d, want 2, standard error %q, want %q", args, code, stderr, want)
		}
	}
	if _, stderr, code := hopscope(t, "traces", "--admin=127.0.0.1:1"); code != 1 || !strings.Contains(stderr, "no proxy answered") {
		t.Errorf("exit code %d, standard error %q", code, stderr)
	}
}
