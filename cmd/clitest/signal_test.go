package clitest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// longDrain is a configuration under which draining takes longer than any test
// waits.
const longDrain = `service: web
admin: {address: 127.0.0.1:0}
listeners: [{name: ingress, address: "127.0.0.1:0", routes: [{cluster: web, timeout: 10m}]}]
clusters: {web: {endpoints: [%s]}}
drain: {timeout: 10m}
`

// slow is a service that answers when release is closed.
type slow struct {
	address          string
	arrived, release chan struct{}
}

func newSlow(t *testing.T) *slow {
	s := &slow{arrived: make(chan struct{}, 1), release: make(chan struct{})}
	s.address = serve(t, func(w http.ResponseWriter, r *http.Request) {
		s.arrived <- struct{}{}
		select {
		case <-s.release:
			io.WriteString(w, "at last")
		case <-r.Context().Done():
		}
	})
	return s
}

// connection is a connection to the proxy on which a test sees every byte.
type connection struct {
	net.Conn
	r *bufio.Reader
	t *testing.T
}

func connect(t *testing.T, address string) *connection {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, proxytest.Patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(proxytest.Patience))
	return &connection{c, bufio.NewReader(c), t}
}

func (c *connection) send(path string) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path); err != nil {
		c.t.Fatal(err)
	}
}

func (c *connection) receive() (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp, string(body)
}

// TestDrain drains a proxy with a request in flight, in every way to ask for it.
func TestDrain(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*process){
		"SIGTERM": func(p *process) { p.signal(syscall.SIGTERM) },
		"SIGINT":  func(p *process) { p.signal(syscall.SIGINT) },
		"POST /drain": func(p *process) {
			resp, body, err := tryGet(newClient(p.t), http.MethodPost, p.admin()+"/drain")
			if err != nil || resp.StatusCode != http.StatusAccepted {
				p.t.Fatalf("/drain: %v, %s", err, body)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend := newSlow(t)
			p := runProxy(t, backend.address)
			address, admin := p.address("ingress"), p.admin()
			idle := connect(t, address)
			busy := connect(t, address)
			busy.send("/in-flight")
			<-backend.arrived

			end(p)
			p.find("msg=(draining)")
			refused(t, address)
			if _, err := idle.r.ReadByte(); err != io.EOF {
				t.Errorf("an idle connection ends with %v, want EOF", err)
			}
			if resp, body := get(t, admin+"/ready"); resp.StatusCode != 503 || !strings.Contains(body, "draining") {
				t.Errorf("/ready: status %d, %s", resp.StatusCode, body)
			}
			if !p.running() {
				t.Fatal("it ended before the request did")
			}

			close(backend.release)
			resp, body := busy.receive()
			if resp.StatusCode != 200 || body != "at last" || !resp.Close {
				t.Errorf("status %d, %q, Connection: close: %t", resp.StatusCode, body, resp.Close)
			}
			if _, err := busy.r.ReadByte(); err != io.EOF {
				t.Errorf("behind the response comes %v, want EOF", err)
			}
			busy.Close()
			if code := p.exit(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			lines := accessLines(p.stdout.String())
			if len(lines) != 1 || lines[0]["path"] != "/in-flight" || lines[0]["status"] != 200.0 {
				t.Errorf("access log:\n%s", p.stdout.String())
			}
		})
	}
}

// TestSecondSignal: a second signal ends a proxy although a request hangs.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	for _, second := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(second.String(), func(t *testing.T) {
			t.Parallel()
			backend := newSlow(t)
			p := start(t, "run", "-c", file(t, "hopscope.yaml", fmt.Sprintf(longDrain, backend.address)))
			c := connect(t, p.address("ingress"))
			c.send("/hangs")
			<-backend.arrived
			p.signal(syscall.SIGTERM)
			p.find("msg=(draining)")
			p.signal(syscall.SIGUSR1) // ends nothing
			p.find("access log (reopened)")
			if !p.running() {
				t.Fatal("the first signal ended it")
			}
			p.signal(second)
			if code := p.exit(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			if n, err := io.ReadAll(c.r); err == nil && len(n) > 0 && !strings.Contains(string(n), " 50") {
				t.Errorf("the client received %q", n)
			}
			if lines := accessLines(p.stdout.String()); len(lines) != 1 || lines[0]["path"] != "/hangs" || lines[0]["flags"] == nil {
				t.Errorf("access log:\n%s", p.stdout.String())
			}
		})
	}
}

// TestSignalsBehindAReload: a reload waits for the health check of a silent endpoint.
// Signals that come meanwhile are not lost, and the proxy ends at once.
func TestSignalsBehindAReload(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	asked := make(chan struct{})
	go func() {
		c, err := silent.Accept()
		if err != nil {
			return
		}
		close(asked)
		io.Copy(io.Discard, c)
		c.Close()
	}()
	const text = "admin: {address: \"off\"}\nclusters: {web: {endpoints: [%q]%s}}\n" +
		"listeners: [{name: ingress, address: \"127.0.0.1:0\", routes: [{cluster: web}]}]\n"
	address := silent.Addr().String()
	path := file(t, "hopscope.yaml", fmt.Sprintf(text, address, ""))
	p := start(t, "run", "-c", path)
	p.address("ingress")
	replace(t, path, fmt.Sprintf(text, address, ", health_checks: [{tcp: {send: \"ping\", receive: pong}, timeout: 1m}]"))
	p.signal(syscall.SIGHUP)
	select {
	case <-asked:
	case <-time.After(proxytest.Patience):
		t.Fatal("the reload does not check the endpoint")
	}
	for range 10 {
		p.signal(syscall.SIGHUP)
	}
	p.signal(syscall.SIGUSR1)
	p.find("access log (reopened)")
	p.signal(syscall.SIGTERM)
	p.find("msg=(draining)")
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if said := p.stderr.String(); strings.Contains(said, "was reloaded") || !strings.Contains(said, "the proxy is draining") {
		t.Errorf("the reload did not end with the proxy:\n%s", said)
	}
}

// TestRotation renames the access log, as logrotate does.
func TestRotation(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access.log")
	p := runProxy(t, serve(t, hello), "--access-log="+path)
	for i := range 3 {
		get(t, fmt.Sprintf("%s%d", p.url(), i))
		proxytest.Eventually(t, "a line in the file", func() bool { return len(paths(t, path)) == 1 })
		if got := paths(t, path); got[0] != fmt.Sprintf("/%d", i) {
			t.Errorf("file %d has the lines of %v", i, got)
		}
		if err := os.Rename(path, fmt.Sprintf("%s.%d", path, i)); err != nil {
			t.Fatal(err)
		}
		p.signal(syscall.SIGUSR1)
		proxytest.Eventually(t, "a new file", func() bool {
			_, err := os.Stat(path)
			return err == nil
		})
	}
	get(t, p.url()+"last")
	p.drained()
	if got := paths(t, path); len(got) != 1 || got[0] != "/last" {
		t.Errorf("the last file has the lines of %v", got)
	}
}

// paths returns the paths of the requests in an access log.
func paths(t *testing.T, path string) (all []string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range accessLines(string(content)) {
		all = append(all, l["path"].(string))
	}
	return all
}

// TestRotationFails: the directory of the access log is gone, and the proxy goes on.
func TestRotationFails(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "log")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	p := runProxy(t, serve(t, hello), "--access-log="+filepath.Join(dir, "access.log"))
	get(t, p.url())
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGUSR1)
	p.find("level=ERROR .*(could not be reopened)")
	get(t, p.url()+"more")
	p.drained()
	if got := paths(t, filepath.Join(dir+".old", "access.log")); len(got) != 2 {
		t.Errorf("the old file has the lines of %v, want two", got)
	}
}

// piped starts the program with its standard output, and if both is set its standard error,
// on a pipe, which holds little. The test may read from it.
func piped(t *testing.T, both bool, args ...string) (p *process, r *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	p = newProcess(t, args...)
	p.cmd.Stdout = w
	if both {
		p.cmd.Stderr = w
	}
	p.begin()
	w.Close()
	return p, r
}

// addresses reads a log until it has said where the proxy listens.
func addresses(t *testing.T, r io.Reader) (ingress, admin string) {
	t.Helper()
	for s := bufio.NewScanner(r); s.Scan(); {
		if _, rest, ok := strings.Cut(s.Text(), "listener=ingress address="); ok {
			ingress, _, _ = strings.Cut(rest, " ")
		}
		if _, rest, ok := strings.Cut(s.Text(), "url="); ok {
			return ingress, strings.TrimSuffix(rest, "/")
		}
	}
	t.Fatal("the log does not say where it listens")
	return "", ""
}

// TestDeadReader: nobody reads what the proxy prints, because the reader has ended (as with
// "| head") or has stopped (as with "| less"). Requests go on, and the proxy ends when
// it is told to.
func TestDeadReader(t *testing.T) {
	t.Parallel()
	backend := serve(t, hello)
	for _, tt := range []struct {
		name         string
		closed, both bool
	}{
		{"standard output closed", true, false},
		{"standard output stalled", false, false},
		{"both closed", true, true},
		{"both stalled", false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, r := piped(t, tt.both, proxyArgs(backend, "--log-level=debug")...)
			var ingress, admin string
			if tt.both {
				ingress, admin = addresses(t, r)
			} else {
				ingress, admin = p.address("ingress"), p.admin()
			}
			if tt.closed {
				r.Close()
			}
			client := newClient(t)
			request := func(method, url string) {
				t.Helper()
				if resp, _, err := tryGet(client, method, url); err != nil || resp.StatusCode != 200 {
					t.Fatalf("%s %s: %v", method, url, err)
				}
			}
			for i := range 400 { // more than a pipe of 64 KiB holds
				request(http.MethodGet, "http://"+ingress+"/")
				if i%10 == 0 {
					request(http.MethodPost, admin+"/logging?level=debug") // a line of the log
				}
			}
			request(http.MethodGet, admin+"/ready")
			p.signal(syscall.SIGTERM)
			refused(t, ingress)
			// A log that can't be written holds that up, until a second signal.
			err := p.cmd.Process.Signal(syscall.SIGTERM)
			if err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err)
			}
			if code := p.exit(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			if said := p.stderr.String(); !tt.closed && !tt.both && err == nil && !strings.Contains(said, "ended before everything recorded") {
				t.Errorf("the second signal did not end it at once:\n%s", said)
			}
		})
	}
}

// TestSignalsToTheLast: signals that come until the process is gone don't kill it.
func TestSignalsToTheLast(t *testing.T) {
	t.Parallel()
	p := start(t, proxyArgs(serve(t, hello))...)
	p.url()
	go func() {
		for p.running() {
			for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGINT} {
				_ = p.cmd.Process.Signal(s) // it may have ended
			}
		}
	}()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// TestDrainTimeout: a drain cuts the requests that take longer than its timeout.
func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	backend := newSlow(t)
	c := strings.Replace(fmt.Sprintf(longDrain, backend.address), "{timeout: 10m}\n", "{timeout: 10ms}\n", 1)
	p := start(t, "run", "-c", file(t, "hopscope.yaml", c))
	conn := connect(t, p.address("ingress"))
	conn.send("/hangs")
	<-backend.arrived
	p.drained()
	if lines := accessLines(p.stdout.String()); len(lines) != 1 || lines[0]["flags"] == nil {
		t.Errorf("access log:\n%s", p.stdout.String())
	}
}
