package clitest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// chain is web, which calls orders, each with a sidecar in a process of its own.
type chain struct {
	web, orders *process
	fails       atomic.Bool // the application of orders
	loses       atomic.Bool // the application of web passes no trace context on
}

func startChain(t *testing.T) *chain {
	t.Helper()
	c := &chain{}
	c.orders = runProxy(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if c.fails.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}), "--service=orders")
	next := c.orders.url()
	var egress atomic.Pointer[http.Client]
	c.web = runProxy(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		call, _ := http.NewRequestWithContext(r.Context(), http.MethodGet, next, nil)
		if !c.loses.Load() {
			call.Header.Set("traceparent", r.Header.Get("traceparent"))
		}
		resp, err := egress.Load().Do(call)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
	}), "--egress=127.0.0.1:0", "--service=web")
	client := newClient(t)
	client.Transport.(*http.Transport).Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: c.web.address("egress")})
	egress.Store(client)
	return c
}

// ask sends a request to web, and returns the id of its trace when all hops are known.
func (c *chain) ask(t *testing.T, status int) (trace string) {
	t.Helper()
	trace = c.send(t, status)
	for _, p := range []*process{c.web, c.orders} {
		if !p.running() {
			continue
		}
		admin := p.admin()
		proxytest.Eventually(t, "the hops of "+admin, func() bool {
			_, body := get(t, admin+"/hops?trace="+trace)
			return strings.Contains(body, `"direction": "inbound"`) && (p != c.web || strings.Contains(body, "outbound"))
		})
	}
	return trace
}

// send sends a request to web, and returns the id of its trace.
func (c *chain) send(t *testing.T, status int) (trace string) {
	t.Helper()
	id, parent := proxytest.NewTrace()
	req, err := http.NewRequest(http.MethodGet, c.web.url(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("traceparent", strings.TrimSpace(strings.TrimPrefix(parent, "traceparent:")))
	resp, err := newClient(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	proxytest.Finish(resp)
	if resp.StatusCode != status {
		t.Fatalf("web answered %d, want %d", resp.StatusCode, status)
	}
	return id.String()
}

func (c *chain) peers() string { return host(c.web.admin()) + "," + host(c.orders.admin()) }

func host(url string) string { return strings.TrimPrefix(url, "http://") }

// verdict is what a text says of a trace before it draws it, without the first line, which
// has a time.
func verdict(text string) string {
	_, text, _ = strings.Cut(text, "\n")
	text, _, _ = strings.Cut(text, "\n\n")
	return text
}

// TestTraceOverProxies asks two real proxies, one that lies and one that is dead, for a
// trace that failed and one that did not.
func TestTraceOverProxies(t *testing.T) {
	t.Parallel()
	c := startChain(t)
	well := c.ask(t, 200)
	c.fails.Store(true)
	failed := c.ask(t, 500)
	liar := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `[{"trace_id":"`+failed+`","end_ns":-1}]`)
	})

	stdout, stderr, code := hopscope(t, "trace", failed, "--peers", c.peers(), "--timeout=1m")
	if lines := strings.Split(stdout, "\n"); code != 3 || stderr != "" || !strings.HasPrefix(lines[0], "trace "+failed+"  500 in ") ||
		!strings.HasPrefix(lines[1], "culprit: orders: the application at 127.0.0.1:") || !strings.HasSuffix(stdout, "\n2 proxies answered\n") {
		t.Errorf("exit code %d, standard error %q:\n%s", code, stderr, stdout)
	}
	if strings.Contains(stdout, "\x1b") {
		t.Errorf("there is colour where there is no terminal: %q", stdout)
	}
	if stdout, stderr, code = hopscope(t, "trace", well, "--peers", c.peers(), "--timeout=1m"); code != 0 || stderr != "" || !strings.Contains(stdout, ", 3 hops\n") {
		t.Errorf("exit code %d, standard error %q:\n%s", code, stderr, stdout)
	}

	stdout, stderr, code = hopscope(t, "trace", failed, "--json", "--admin="+host(c.web.admin()), "--admin="+host(c.orders.admin()), "--peers="+liar+",127.0.0.1:1", "--timeout=1m")
	var report struct {
		Failed  bool
		Culprit struct{ Service, Part, Kind, Edge string }
		Hops    []any
		Peers   []struct{ Address, Error string }
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || code != 3 || stderr != "" {
		t.Fatalf("exit code %d, standard error %q, JSON %v:\n%s", code, stderr, err, stdout)
	}
	if u := report.Culprit; !report.Failed || u.Service != "orders" || u.Part != "application" || u.Kind != "error_response" || u.Edge != "orders" || len(report.Hops) != 3 {
		t.Errorf("%+v", report)
	}
	if p := report.Peers; len(p) != 4 || p[0].Error != "" || p[1].Error != "" || !strings.Contains(p[2].Error, "left out") || p[3].Error != "connection refused" {
		t.Errorf("%+v", p)
	}

	// The logs say the same, with nothing running.
	live, _, _ := hopscope(t, "trace", failed, "--peers", c.peers(), "--timeout=1m")
	c.web.drained()
	c.orders.drained()
	web, orders := file(t, "web.log", c.web.stdout.String()), file(t, "orders.log", c.orders.stdout.String())
	logged, stderr, code := hopscope(t, "trace", failed, "--logs", web, orders)
	if code != 3 || stderr != "" || verdict(logged) != verdict(live) || !strings.HasPrefix(verdict(logged), "culprit: ") {
		t.Errorf("exit code %d, standard error %q, the logs say\n%s\nthe proxies\n%s", code, stderr, logged, live)
	}
	piped := newProcess(t, "trace", failed, "--logs=-")
	piped.cmd.Stdin, piped.cmd.Stdout = strings.NewReader(c.web.stdout.String()+c.orders.stdout.String()), &piped.stdout
	if piped.begin(); piped.exit() != 3 || piped.stdout.String() != logged {
		t.Errorf("from standard input:\n%s", piped.stdout.String())
	}
}

// TestTraceOfAKilledProxy: what the others know is still shown, and so is who is at fault
// for the requests that come after, by the proxies as by their logs.
func TestTraceOfAKilledProxy(t *testing.T) {
	t.Parallel()
	c := startChain(t)
	c.fails.Store(true)
	failed := c.ask(t, 500)
	c.orders.signal(syscall.SIGKILL)
	c.orders.exit()
	stdout, _, code := hopscope(t, "trace", failed, "--peers", c.peers(), "--timeout=1m")
	if want := "1 of 2 proxies answered; not, or not all, from:\n  " + host(c.orders.admin()) + ": connection refused\n"; code != 3 || !strings.Contains(stdout, "culprit: ") || !strings.HasSuffix(stdout, want) {
		t.Errorf("exit code %d, want at the end %q:\n%s", code, want, stdout)
	}

	refused := c.ask(t, 503)
	live, _, code := hopscope(t, "trace", refused, "--admin", host(c.web.admin()), "--timeout=1m")
	if code != 3 || !strings.Contains(verdict(live), "connection refused by "+c.orders.address("ingress")) {
		t.Errorf("exit code %d:\n%s", code, live)
	}
	c.web.drained()
	logged, _, code := hopscope(t, "trace", refused, "--logs", file(t, "web.log", c.web.stdout.String()))
	if code != 3 || verdict(logged) != verdict(live) {
		t.Errorf("exit code %d, the log says\n%s\nthe proxy\n%s", code, logged, live)
	}
}

func TestTraceThatIsNotThere(t *testing.T) {
	t.Parallel()
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	p := runProxy(t, serve(t, hello))
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{id + " --admin " + host(p.admin()), 4, "no hop of trace " + id + " is known"},
		{id + " --admin 127.0.0.1:1", 1, "no proxy answered"},
		{"", 2, "give one trace id, not 0\nhopscope trace --help"},
		{"web", 2, `"web" is not a trace id: it has 32 hex digits`},
		{id + " --admin x", 2, `"x" is not the address of an admin API: give host:port`},
		{id + " --timeout 0", 2, "--timeout must be more than 0"},
		{id + " web.log", 2, "give one trace id, not 2"},
		{id + " --logs /dev/null --peers 127.0.0.1:1", 2, "--logs asks no proxies"},
		{id + " --logs /dev/null", 4, "no line of these logs has trace " + id},
		{id + " --logs /dev/null /nowhere/at/all", 1, "open /nowhere/at/all: no such file"},
		{id + " --fly", 2, "unknown flag: --fly"},
	} {
		_, stderr, code := hopscope(t, append([]string{"trace"}, strings.Fields(tt.args)...)...)
		if code != tt.code || !strings.HasPrefix(stderr, "hopscope: ") || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: exit code %d, want %d, standard error %q, want %q", tt.args, code, tt.code, stderr, tt.want)
		}
	}
}
