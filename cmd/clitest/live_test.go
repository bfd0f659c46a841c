package clitest

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestTopOverProxies: the rates of two real proxies while requests go on, by service and by
// edge.
func TestTopOverProxies(t *testing.T) {
	t.Parallel()
	c := startChain(t)
	c.fails.Store(true)
	type row struct {
		Service, Caller string
		Rate            float64 `json:"requests_per_second"`
		Failing         float64 `json:"failed_per_second"`
		P50             int     `json:"p50_ns"`
	}
	var table struct {
		Services, Edges []row
		Peers           []struct{ Error string }
	}
	proxytest.Eventually(t, "a table with requests", func() bool {
		p := newProcess(t, "top", "--once", "--interval=300ms", "--json", "--timeout=1m", "--peers", c.peers())
		p.cmd.Stdout = &p.stdout
		p.begin()
		for p.running() {
			c.ask(t, 500)
		}
		if p.exit() != 0 {
			t.Fatalf("exit code %d", p.exit())
		}
		if err := json.Unmarshal([]byte(p.stdout.String()), &table); err != nil {
			t.Fatalf("%v:\n%s", err, p.stdout.String())
		}
		return len(table.Edges) > 0 && len(table.Services) == 2 && table.Services[0].Rate > 0 && table.Services[1].Rate > 0 && table.Edges[0].Rate > 0
	})
	for _, all := range [][]row{table.Services, table.Edges} {
		for _, r := range all {
			if r.Failing != r.Rate || r.P50 <= 0 {
				t.Errorf("%+v", r)
			}
		}
	}
	if e := table.Edges[0]; e.Service != "orders" || e.Caller != "web" || len(table.Peers) != 2 {
		t.Errorf("%+v", table)
	}
	text, stderr, code := hopscope(t, "top", "--once", "--interval=100ms", "--timeout=1m", "--peers", c.peers())
	for _, want := range []string{"SERVICE ", "REQ/S", "EDGE ", "web -> orders ", "\norders ", "\n2 proxies answered\n"} {
		if code != 0 || stderr != "" || !strings.Contains(text, want) || strings.Contains(text, "\x1b") {
			t.Errorf("exit code %d, standard error %q, no %q in\n%s", code, stderr, want, text)
		}
	}
}

// TestTailOverProxies: a request that fails is shown once, with who is at fault, as soon as
// it has ended; one under way is, too.
func TestTailOverProxies(t *testing.T) {
	t.Parallel()
	c := startChain(t)
	c.fails.Store(true)
	tail := start(t, "tail", "--failed", "--json", "--peers", c.peers()+",127.0.0.1:1")
	plain := start(t, "tail", "--peers", c.peers())
	var failed []string
	proxytest.Eventually(t, "traces", func() bool {
		failed = append(failed, c.ask(t, 500))
		return strings.Count(tail.stdout.String(), "\n") > 2 && strings.Count(plain.stdout.String(), "  orders: ") > 2
	})
	tail.find("127.0.0.1:1: connection refused")
	for _, p := range []*process{tail, plain} {
		if p.signal(os.Interrupt); p.exit() != 0 {
			t.Errorf("exit code %d", p.exit())
		}
	}
	var seen []string
	for line := range strings.Lines(tail.stdout.String()) {
		var s struct {
			TraceID         string `json:"trace_id"`
			Service         string
			FailedHop, Next string
			Hops            int
			Culprit         struct{ Edge string }
		}
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if !slices.Contains(failed, s.TraceID) || slices.Contains(seen, s.TraceID) || s.Service != "web" || s.Culprit.Edge != "orders" || s.Next != "hopscope trace "+s.TraceID+" --peers "+c.peers()+",127.0.0.1:1" {
			t.Errorf("%+v", s)
		}
		seen = append(seen, s.TraceID)
	}
	if stdout, _, code := hopscope(t, "tail", "--admin=127.0.0.1:1"); code != 1 || stdout != "" {
		t.Errorf("exit code %d of a proxy that is not there:\n%s", code, stdout)
	}
	if _, stderr, code := hopscope(t, "tail", "--active", "--failed"); code != 2 || !strings.Contains(stderr, "has not failed yet") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if _, stderr, code := hopscope(t, "top", "--interval=1ms"); code != 2 || !strings.Contains(stderr, "--interval must be at least 100ms") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}
