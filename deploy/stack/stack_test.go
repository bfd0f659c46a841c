package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/deploy/demo"

	_ "github.com/hopscope/hopscope/cmd" // so that go test runs these tests again when the program changes
)

// patience is how long anything may take on a machine that is busy.
const patience = 4 * time.Minute

var stackProgram, hopscope string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

// buildAndRun builds the two programs: the processes of a stack are not this test's.
func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hopscope-stack-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	stackProgram, hopscope = filepath.Join(dir, "stack"), filepath.Join(dir, "hopscope")
	for program, source := range map[string]string{stackProgram: "", hopscope: "/../.."} {
		name := filepath.Join("github.com/hopscope/hopscope/deploy/stack", source)
		build := exec.Command("go", "build", "-pgo=off", "-buildvcs=false", "-o", program, name)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build %s: %v\n%s", name, err, out)
			return 1
		}
	}
	return m.Run()
}

// running is a stack that a test has started.
type running struct {
	t   *testing.T
	p   *backends.Process
	dir string
}

func startRunning(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{t: t, dir: t.TempDir()}
	cmd := exec.Command(stackProgram, append([]string{"--dir", r.dir, "--hopscope", hopscope, "--admin", "127.0.0.1:0"}, args...)...)
	p, err := backends.Spawn("stack", cmd)
	if err != nil {
		t.Fatal(err)
	}
	r.p = p
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("the stack said:\n%s", p.Output())
		}
	})
	return r
}

// finds waits until the stack has printed what the pattern matches, and returns its group.
func (r *running) finds(pattern string) (group string) {
	r.t.Helper()
	re := regexp.MustCompile(pattern)
	backends.Await(r.t, patience, func() error {
		m := re.FindStringSubmatch(r.p.Output())
		if m == nil {
			select {
			case <-r.p.Exited():
				r.t.Fatalf("it has ended without %s", pattern)
			default:
			}
			return fmt.Errorf("it has not printed %s", pattern)
		}
		group = m[1]
		return nil
	})
	return group
}

// fault runs the command for faults.
func (r *running) fault(names ...string) (string, error) {
	out, err := exec.Command(stackProgram, append([]string{"fault", "--dir", r.dir}, names...)...).CombinedOutput()
	return string(out), err
}

// children are the processes that the stack has started, by their ids, with when they were:
// an id may be used again.
func (r *running) children() map[string]string {
	r.t.Helper()
	found := map[string]string{}
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		r.t.Fatal(err)
	}
	for _, path := range paths {
		if parent, began, ok := stat(path); ok && parent == fmt.Sprint(r.p.PID()) {
			found[path] = began
		}
	}
	return found
}

// stat reads who a process's parent is and when it began; a zombie is none.
func stat(path string) (parent, began string, ok bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", "", false
	}
	_, after, _ := strings.Cut(string(text), ") ") // what is before may have spaces
	fields := strings.Fields(after)
	if len(fields) < 20 || fields[0] == "Z" {
		return "", "", false
	}
	return fields[1], fields[19], true
}

// gone waits until none of the processes is there.
func (r *running) gone(children map[string]string) {
	r.t.Helper()
	backends.Await(r.t, patience, func() error {
		for path, began := range children {
			if _, now, ok := stat(path); ok && now == began {
				name, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
				return fmt.Errorf("still there: %s", bytes.ReplaceAll(name, []byte{0}, []byte(" ")))
			}
		}
		return nil
	})
}

// why asks as a user would, who is at fault for most.
func (r *running) why(admin string) (service, edge string) {
	r.t.Helper()
	out, _ := exec.Command(hopscope, "why", "--admin", admin, "--json", "--timeout", "30s").Output() // the exit code is 3 when requests fail
	var found struct {
		Causes []struct {
			Culprit struct{ Service, Edge string }
		}
	}
	if err := json.Unmarshal(out, &found); err != nil {
		r.t.Fatalf("%v: %s", err, out)
	}
	if len(found.Causes) == 0 {
		return "", ""
	}
	return found.Causes[0].Culprit.Service, found.Causes[0].Culprit.Edge
}

// TestStack starts all of it, switches a fault on, and asks who is at fault. Spans have to be
// in both backends, metrics in Prometheus. Then it ends all of it, as Ctrl-C does.
func TestStack(t *testing.T) {
	for _, part := range []string{"consul", "jaeger", "zipkin", "prometheus", "chromium"} {
		backends.Require(t, part)
	}
	t.Chdir("../..") // as make does
	r := startRunning(t, "--rate", "5")
	admin := r.finds(`console +http://(\S+?)/console/`)
	jaeger, zipkin, prometheus := r.finds(`Jaeger +(http://\S+)/`), r.finds(`Zipkin +(http://\S+)/`), r.finds(`Prometheus +(http://\S+)/`)
	r.finds(`(make stack-fault off)`)

	if out, err := r.fault(); err != nil || strings.Count(out, "off  ") != len(faults()) {
		t.Errorf("the list of faults: %v\n%s", err, out)
	}
	if out, err := r.fault("refused"); err != nil || !strings.Contains(out, "ON   refused") {
		t.Fatalf("switching it on: %v\n%s", err, out)
	}
	backends.Await(t, patience, func() error {
		if service, edge := r.why(admin); service != "bank" || edge != "payments -> bank" {
			return fmt.Errorf("why says %q, %q", service, edge)
		}
		return nil
	})
	inBrowser(t, admin)
	for _, url := range []string{jaeger + "/api/services", zipkin + "/api/v2/services"} {
		backends.Await(t, patience, func() error {
			var answer any
			if err := backends.Get(url, &answer); err != nil {
				return err
			}
			for _, name := range append(withSidecars(), gateway) {
				if text := fmt.Sprint(answer); !strings.Contains(text, name) {
					return fmt.Errorf("no spans of %s: %s", name, text)
				}
			}
			return nil
		})
	}
	backends.Await(t, patience, func() error {
		var answer struct {
			Data struct {
				Result []struct{ Metric map[string]string }
			}
		}
		if err := backends.Get(prometheus+"/api/v1/query?query=sum+by+(service)+(hopscope_requests_total)", &answer); err != nil {
			return err
		}
		if n, want := len(answer.Data.Result), len(withSidecars())+1; n != want {
			return fmt.Errorf("requests of %d services, want %d: %v", n, want, answer)
		}
		return nil
	})
	if out, err := r.fault("off"); err != nil || strings.Contains(out, "ON ") {
		t.Errorf("switching it off: %v\n%s", err, out)
	}
	traffic := r.finds(`traffic +(http://\S+)`)
	backends.Await(t, patience, func() error { return answersOK(traffic) })

	children := r.children()
	if want := 4 + len(demo.Names()) + len(withSidecars()) + 1; len(children) != want {
		t.Errorf("%d processes, want %d", len(children), want)
	}
	if err := syscall.Kill(r.p.PID(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-r.p.Exited():
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
	r.gone(children)
	if _, err := os.Stat(r.dir); !os.IsNotExist(err) {
		t.Errorf("its files are still there: %v", err)
	}
}

// TestFaults switches every fault on and off once, and kills the stack, whose processes end
// with it.
func TestFaults(t *testing.T) {
	backends.Require(t, "consul")
	t.Chdir("../..")
	r := startRunning(t, "--rate", "5", "--jaeger=false", "--zipkin=false", "--prometheus=false")
	admin, traffic := r.finds(`console +http://(\S+?)/console/`), r.finds(`traffic +(http://\S+)`)

	if out, err := r.fault("refused", "abacus"); err == nil || !strings.Contains(out, `"abacus"`) {
		t.Errorf("a fault that there is not: %v\n%s", err, out)
	}
	if out, err := exec.Command(stackProgram, "--dir", r.dir, "--hopscope", hopscope).CombinedOutput(); err == nil || !strings.Contains(string(out), errRuns.Error()) {
		t.Errorf("a second stack: %v\n%s", err, out)
	}
	kinds := map[string]string{ // of what fails; the others only slow requests down, or cut traces
		"refused": "connect_refused", "bad-certificate": "cert_expired", "errors": "error_response", "black-hole": "upstream_timeout",
		"killed": "connect_refused upstream_reset upstream_closed no_healthy", "critical": "no_healthy",
	}
	for _, f := range faults() {
		if out, err := r.fault(f.Name); err != nil || !strings.Contains(out, "ON   "+f.Name) {
			t.Fatalf("%s: %v\n%s", f.Name, err, out)
		}
		if want := kinds[f.Name]; want != "" {
			backends.Await(t, patience, func() error { return blames(admin, f.service, want) })
		} else {
			backends.Await(t, patience, func() error { return answersOK(traffic) })
		}
		if out, err := r.fault("off"); err != nil {
			t.Fatalf("%s off: %v\n%s", f.Name, err, out)
		}
		backends.Await(t, patience, func() error { return answersOK(traffic) })
	}

	children := r.children()
	if err := syscall.Kill(r.p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-r.p.Exited()
	r.gone(children)
}

// inBrowser has a real browser find the hop that fails, in the console of a mesh of separate
// processes. dashboards/console tests the rest of it, on the demo.
func inBrowser(t *testing.T, admin string) {
	t.Helper()
	const console = "dashboards/console"
	if _, err := os.Stat(console + "/node_modules/playwright-core"); err != nil {
		if os.Getenv(backends.RequireVariable) == "1" {
			t.Fatal("the console's npm packages are missing: run make test-console")
		}
		t.Log("no browser: the console's npm packages are missing, make test-console installs them")
		return
	}
	c := exec.Command("node", "test/browser.mjs", "http://"+admin+"/", "--steps", "threeClicks,keyboard,narrowScreen")
	c.Dir = console
	c.Env = append(os.Environ(), "CHROMIUM="+backends.Require(t, "chromium"), "TMPDIR="+t.TempDir())
	p, err := backends.Spawn("browser", c)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	select {
	case <-p.Exited():
	case <-time.After(10 * time.Minute):
		p.Kill()
	}
	if !c.ProcessState.Success() {
		t.Errorf("%v\n%s", c.ProcessState, p.Output())
	}
}

// blames asks for traces that failed, and is nil if the service is at fault for one of them
// by one of the kinds.
func blames(admin, service, kinds string) error {
	out, err := exec.Command(hopscope, "traces", "--admin", admin, "--failed", "--culprit", service, "--limit", "100", "--json", "--timeout", "30s").Output()
	if err != nil {
		return err
	}
	var found struct {
		Traces []struct {
			Culprit struct{ Service, Kind string }
		}
	}
	if err := json.Unmarshal(out, &found); err != nil {
		return err
	}
	for _, t := range found.Traces {
		if t.Culprit.Service == service && slices.Contains(strings.Fields(kinds), t.Culprit.Kind) {
			return nil
		}
	}
	return fmt.Errorf("no trace that %s is at fault for by %s: %+v", service, kinds, found)
}

// answersOK is nil if a request to the mesh goes well.
func answersOK(url string) error {
	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return nil
}

func withSidecars() (names []string) {
	for _, name := range demo.Names() {
		if demo.HasSidecar(name) {
			names = append(names, name)
		}
	}
	return names
}
