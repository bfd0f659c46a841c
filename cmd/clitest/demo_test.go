package clitest

import (
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	p := start(t, "demo", "--admin=127.0.0.1:0", "--rate=100")
	admin := find(p, &p.stdout, `admin +(http://\S+)/\n`)
	entry := find(p, &p.stdout, `requests a second to (http://\S+)`)
	find(p, &p.stdout, `(FAILED|SLOW) +\S`) // whichever comes first is drawn
	if resp, body := get(t, admin+"/ready"); resp.StatusCode != 200 {
		t.Errorf("/ready: status %d, %s", resp.StatusCode, body)
	}
	if _, body := get(t, admin+"/server_info"); !strings.Contains(body, testVersion) {
		t.Errorf("/server_info: %s", body)
	}
	if resp, _ := get(t, entry); resp.Header.Get("Proxy-Status") == "" {
		t.Errorf("%s answers without Proxy-Status", entry)
	}
	p.signal(os.Interrupt)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	said := p.stdout.String()
	graph, _, _ := strings.Cut(said, "  admin ")
	for _, service := range []string{"web", "payments", "bank"} {
		if !strings.Contains(graph, service) {
			t.Errorf("the graph has no %s:\n%s", service, graph)
		}
	}
	_, summary, ended := strings.Cut(said, "Ended. After ")
	if !ended || !strings.Contains(summary, " requests\n") || !strings.Contains(summary, " hop: ") {
		t.Errorf("the demo ends with\n%s", summary)
	}
	if p.stderr.String() != "" {
		t.Errorf("the log complains:\n%s", p.stderr.String())
	}
	if strings.Contains(said, "\x1b[") {
		t.Error("there are colours, though this is no terminal")
	}
	refused(t, strings.TrimPrefix(admin, "http://"))
}

// TestDemoEndsByItself after --duration. The admin API moves to a free port, since its
// own is taken.
func TestDemoEndsByItself(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	addr := taken.Addr().String()
	stdout, stderr, code := hopscope(t, "demo", "--admin="+addr, "--rate=50", "--duration=1s")
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d, standard error:\n%s", code, stderr)
	}
	if !strings.Contains(stdout, addr+" is taken") || !regexp.MustCompile(`(?m)^Ended\. After \d+s: \d+ requests$`).MatchString(stdout) {
		t.Errorf("the demo printed\n%s", stdout)
	}
}
