package clitest

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/hopscope/hopscope/cmd" // so that go test runs these tests again when the program changes
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// testVersion is the version that the program is built with.
const testVersion = "v1.2.3-test"

// binary is the path of the program that the tests run.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hopscope")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "hopscope")
	build := exec.Command("go", "build", fmt.Sprintf("-race=%t", raced), "-buildvcs=false", "-ldflags=-X main.version="+testVersion, "-o", binary, "github.com/hopscope/hopscope")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// process is a running program.
type process struct {
	t              testing.TB
	cmd            *exec.Cmd
	stdout, stderr proxytest.Log
	exited         chan struct{}
}

// start starts the program, and kills it at the end of the test if it still runs.
func start(t testing.TB, args ...string) *process {
	t.Helper()
	p := newProcess(t, args...)
	p.cmd.Stdout = &p.stdout
	p.begin()
	return p
}

// newProcess returns a process that has not started, so that its standard output can
// still be set.
func newProcess(t testing.TB, args ...string) *process {
	p := &process{t: t, cmd: exec.Command(binary, args...), exited: make(chan struct{})}
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0") // else each takes a second to end
	p.cmd.Stderr = &p.stderr
	return p
}

func (p *process) begin() {
	p.t.Helper()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		p.cmd.Wait() // ProcessState has what there is to know
	}()
	p.t.Cleanup(func() {
		p.cmd.Process.Kill() // fails if it has ended
		<-p.exited
		said := p.stderr.String()
		if strings.Contains(said, "DATA RACE") || strings.Contains(said, "panic: ") {
			p.t.Errorf("the program is broken:\n%s", said)
		} else if p.t.Failed() {
			p.t.Logf("%s said:\n%s", p.cmd, said)
		}
	})
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// exit waits until the program ends, and returns its exit code.
func (p *process) exit() int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(proxytest.Patience):
		p.t.Fatal("the program does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// drained ends a proxy by SIGTERM, and expects exit code 0.
func (p *process) drained() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		p.t.Errorf("exit code %d, want 0", code)
	}
}

// running reports whether the program has not ended.
func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// find waits until standard error has what the pattern matches, and returns its
// first group.
func (p *process) find(pattern string) string {
	p.t.Helper()
	return find(p, &p.stderr, pattern)
}

func find(p *process, o *proxytest.Log, pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	var m []string
	proxytest.Eventually(p.t, "output like "+pattern, func() bool {
		ended := !p.running()
		m = re.FindStringSubmatch(o.String())
		if m == nil && ended {
			p.t.Fatalf("the program ended without output like %s; it said\n%s\n%s", pattern, p.stdout.String(), p.stderr.String())
		}
		return m != nil
	})
	return m[len(m)-1]
}

// address returns where a listener listens.
func (p *process) address(listener string) string {
	p.t.Helper()
	return p.find(`msg=listening listener=` + listener + ` address=(\S+)`)
}

// url returns the URL of the listener "ingress".
func (p *process) url() string { return "http://" + p.address("ingress") + "/" }

// admin returns the admin API's URL, without a slash at its end.
func (p *process) admin() string { return p.find(`msg="admin API" url=(\S+)/`) }

// runProxy runs a proxy in front of endpoints, on free ports.
func runProxy(t testing.TB, to string, args ...string) *process {
	t.Helper()
	return start(t, proxyArgs(to, args...)...)
}

func proxyArgs(to string, args ...string) []string {
	return append([]string{"run", "--listen=127.0.0.1:0", "--to=" + to, "--admin=127.0.0.1:0", "--service=web"}, args...)
}

// hopscope runs the program until it ends.
func hopscope(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	p := start(t, args...)
	code = p.exit()
	return p.stdout.String(), p.stderr.String(), code
}

// serve runs a server until the test has ended, and returns its address.
func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	go s.Serve(socket)
	t.Cleanup(func() { s.Close() })
	return socket.Addr().String()
}

// hello answers every request.
func hello(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }

// newClient returns a client with connections of its own, which end with the test.
func newClient(t testing.TB) *http.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: proxytest.Patience}
}

// get sends a request on a connection of its own, and returns the response with
// its content.
func get(t testing.TB, url string) (*http.Response, string) {
	t.Helper()
	resp, body, err := tryGet(newClient(t), http.MethodGet, url)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}

func tryGet(c *http.Client, method, url string) (*http.Response, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), proxytest.Patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// refused waits until nobody listens on the address any more.
func refused(t testing.TB, address string) {
	t.Helper()
	proxytest.Eventually(t, address+" refuses connections", func() bool {
		c, err := net.DialTimeout("tcp", address, proxytest.Patience)
		if err == nil {
			c.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
}

// accessLines returns the lines of an access log among others.
func accessLines(text string) []map[string]any {
	var all []map[string]any
	for line := range strings.Lines(text) {
		fields := map[string]any{}
		if json.Unmarshal([]byte(line), &fields) == nil && fields["trace_id"] != nil {
			all = append(all, fields)
		}
	}
	return all
}

// file writes a file that ends with the test, and returns its path.
func file(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
