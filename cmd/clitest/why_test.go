package clitest

import (
	"encoding/json"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// reasons is what hopscope why --json prints.
type reasons struct {
	Requests, Failed int
	Verdict          string
	Causes           []struct {
		Culprit struct{ Service, Instance, Part, Kind, Edge string }
		Reason  string
		Failed  int `json:"requests"`
		Relays  []string
		TraceID string `json:"trace_id"`
		Next    string
		Changed []struct{ Kind, Service, Text string }
	}
	NotAtFault []string `json:"not_at_fault"`
	Peers      []struct{ Address, Error string }
}

func (c *chain) why(t *testing.T, code int) (r reasons, text string) {
	t.Helper()
	text, stderr, got := hopscope(t, "why", "--peers", c.peers(), "--timeout=1m")
	if got != code || stderr != "" {
		t.Fatalf("exit code %d, want %d, standard error %q:\n%s", got, code, stderr, text)
	}
	body, _, got := hopscope(t, "why", "--since=5m", "--json", "--peers", c.peers(), "--timeout=1m")
	if err := json.Unmarshal([]byte(body), &r); err != nil || got != code {
		t.Fatalf("exit code %d, want %d, JSON %v:\n%s", got, code, err, body)
	}
	return r, text
}

// TestWhyOverProxies asks two real proxies. At first nothing fails, then the application of
// one does, and then that one's proxy is killed.
func TestWhyOverProxies(t *testing.T) {
	t.Parallel()
	c := startChain(t)
	for range 3 {
		c.ask(t, 200)
	}
	r, text := c.why(t, 0)
	if r.Requests != 3 || r.Failed != 0 || r.Verdict != "nothing failed" || !strings.HasPrefix(text, "nothing failed: 3 requests in the last ") || !strings.HasSuffix(text, "\n2 proxies answered\n") {
		t.Errorf("%+v\n%s", r, text)
	}

	c.fails.Store(true)
	failed := ""
	for range 5 {
		failed = c.ask(t, 500)
	}
	r, text = c.why(t, 3)
	if r.Requests != 8 || r.Failed != 5 || len(r.Causes) != 1 || !slices.Equal(r.NotAtFault, []string{"web"}) {
		t.Fatalf("%+v\n%s", r, text)
	}
	cause := r.Causes[0]
	if u := cause.Culprit; u.Service != "orders" || u.Part != "application" || u.Kind != "error_response" || u.Edge != "orders" || cause.Failed != 5 || !slices.Equal(cause.Relays, []string{"web"}) {
		t.Errorf("%+v", cause)
	}
	if next := "hopscope trace " + cause.TraceID + " --peers " + c.peers(); cause.TraceID != failed || cause.Next != next || !strings.Contains(text, "\n   next:    "+next+"\n") {
		t.Errorf("the latest is %s, and next %q:\n%s", failed, cause.Next, text)
	}
	if _, _, code := hopscope(t, append(strings.Fields(cause.Next)[1:], "--timeout=1m")...); code != 3 {
		t.Errorf("%s: exit code %d, want 3", cause.Next, code)
	}
	for _, want := range []string{"5 of 8 requests failed (62 %) in the last ", "1. 100 % of 5 failed requests: orders, ", " answered 500", "at fault: orders, its application", "through: web", "the proxy started"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}

	gone, admin := c.orders.address("ingress"), host(c.orders.admin())
	c.orders.signal(syscall.SIGKILL)
	c.orders.exit()
	for range 7 {
		c.ask(t, 503)
	}
	r, text = c.why(t, 3)
	if r.Failed < 7 || len(r.Causes) == 0 || r.Causes[0].Culprit.Kind != "connect_refused" || r.Causes[0].Culprit.Instance != gone || r.Causes[0].Culprit.Edge != "web -> "+gone {
		t.Errorf("%+v\n%s", r, text)
	}
	if want := "1 of 2 proxies answered; not, or not all, from:\n  " + admin + ": connection refused\n"; !strings.HasSuffix(text, want) {
		t.Errorf("want at the end %q:\n%s", want, text)
	}
}

func TestWhyMisuse(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{"web": `unexpected argument "web"`, "--since 0": "--since must be more than 0", "--admin x": "give host:port"} {
		_, stderr, code := hopscope(t, append([]string{"why"}, strings.Fields(args)...)...)
		if code != 2 || !strings.Contains(stderr, want) || !strings.Contains(stderr, "hopscope why --help") {
			t.Errorf("%s: exit code %d, want 2, standard error %q, want %q", args, code, stderr, want)
		}
	}
	if _, stderr, code := hopscope(t, "why", "--admin=127.0.0.1:1"); code != 1 || !strings.Contains(stderr, "no proxy answered") {
		t.Errorf("exit code %d, standard error %q", code, stderr)
	}
}
