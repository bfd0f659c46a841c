package demo

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	peers "github.com/hopscope/hopscope/mesh"
	"github.com/hopscope/hopscope/telemetry/diagnose"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRun runs the demo whole: real services, real sidecars, real traffic. Whether it draws
// a failed or a slow trace first depends on how busy the machine is; TestWhileItRuns waits
// for a failed one.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	err := Run(t.Context(), Options{Out: &out, Admin: "127.0.0.1:0", Rate: 20, Requests: 60, outageEvery: 15, slowEvery: 20})
	if err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{
		"A mesh of 7 services",
		"curl -i http://127.0.0.1:",
		"\n  trace ",
		"Ended. After ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	if !regexp.MustCompile(`(?m)^(FAILED  payments -> bank \(connection refused\)|SLOW    \S)`).MatchString(text) {
		t.Error("no trace is drawn")
	}
	end := text[strings.LastIndex(text, "Ended."):]
	for _, pattern := range []string{
		`failing hop: payments -> bank \(connection refused\), [1-9]\d* of 60 requests`,
		`slow hop: +recommendations \(up to \d+\.\d s\), [1-9]\d* of 60 requests`,
	} {
		if !regexp.MustCompile(pattern).MatchString(end) {
			t.Errorf("no %s", pattern)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// TestWhileItRuns asks the demo what a newcomer would, and ends it as Ctrl-C
// does.
func TestWhileItRuns(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := newOutput()
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{Out: out, Admin: taken.Addr().String(), outageEvery: 15, Seed: 2, Version: "1.2.3"})
	}()

	admin := out.find(t, `admin +(http://127\.0\.0\.1:\d+/)`)
	if strings.Contains(admin, taken.Addr().String()) {
		t.Errorf("the admin API is on the address that was taken: %s", admin)
	}
	shop := out.find(t, `curl -i (http://\S+)`)
	failed := out.find(t, `(?m)^FAILED  payments -> bank \(connection refused\)[^\n]*\n  trace ([0-9a-f]{32})`)

	resp, body := fetch(t, shop)
	trace := regexp.MustCompile(`"trace": "([0-9a-f]{32})"`).FindStringSubmatch(body)
	if trace == nil {
		t.Fatalf("%s: the reply names no trace: %s", resp.Status, body)
	}
	for path, want := range map[string][]string{
		"":                                      {"demo mesh", "payments → bank", "/traces/"},
		"traces/" + failed:                      {"payments → bank: connection refused", "14 hops"},
		"traces/" + failed + "?format=json":     {`"service": "payments"`, `"flags": "UF"`},
		"traces?failed=1&service=inventory":     {`"failed_hop": "bank"`, `"service": "web"`, `"hops": 14`},
		"server_info":                           {`"version": "1.2.3"`},
		"v1/peers":                              {`"mesh": "demo"`, `"service": "inventory"`, `"version": "1.2.3"`},
		"listeners":                             {`"recommendations": {`, `"outbound"`},
		"clusters":                              {`"bank"`},
		"config_dump":                           {`"forward_proxy"`},
		"store":                                 {`"inventory": {`, `"hops":`},
		"metrics":                               {`hopscope_build_info{`, `service="inventory"`, "\ngo_goroutines "},
		"hops?trace=" + strings.Repeat("1", 32): {"[]"},
	} {
		resp, body := fetch(t, admin+path)
		if resp.StatusCode != 200 {
			t.Errorf("%s: %s", path, resp.Status)
		}
		for _, w := range want {
			if !strings.Contains(body, w) {
				t.Errorf("%s: no %s in\n%s", path, w, body)
			}
		}
	}
	commands, err := peers.New(peers.Options{Admin: []string{strings.TrimSuffix(strings.TrimPrefix(admin, "http://"), "/")}})
	if err != nil {
		t.Fatal(err)
	}
	found := commands.Why(ctx, time.Hour)
	if text := string(found.AppendText(nil, diagnose.TextOptions{})); !strings.Contains(text, "\n1. ") || !strings.Contains(text, "payments -> bank, connection refused") || !strings.Contains(text, "\n7 proxies answered\n") {
		t.Errorf("hopscope why says\n%s", text)
	}
	commands.Close()
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if text := out.String(); !strings.Contains(text, "Ended. After ") {
		t.Errorf("no summary at the end of\n%s", text)
	}
}

// output keeps what is written and lets a test wait for it.
type output struct {
	mu      sync.Mutex
	written *sync.Cond
	text    bytes.Buffer
}

func newOutput() *output {
	o := &output{}
	o.written = sync.NewCond(&o.mu)
	return o
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.written.Broadcast()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// find waits for text that matches and returns its first group. That it never
// comes is for the test's own time limit.
func (o *output) find(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		if m := re.FindStringSubmatch(o.text.String()); m != nil {
			return m[1]
		}
		o.written.Wait()
	}
}

func fetch(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// TestBadOptions has an admin address that nothing here can listen on, and rates
// that make no sense.
func TestBadOptions(t *testing.T) {
	for _, o := range []Options{{Admin: "192.0.2.1:1"}, {Rate: -1}, {Rate: 1e9}} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if err := Run(ctx, o); err == nil {
			t.Errorf("%+v: no error", o)
		}
		cancel()
	}
}
