package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/deploy/backends"
)

// TestMain lets the test binary serve as the sink process, as the program does.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == sinkArgument {
		exit(serveSink(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// needPrograms skips a test on a machine without the programs it runs.
func needPrograms(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := findProgram(name); err != nil {
			t.Skip(err)
		}
	}
}

func TestRunMeasuresRealProxies(t *testing.T) {
	needPrograms(t, "haproxy", "nginx", "wrk")
	checkRun(t, 8, "-bodies", "98,10240",
		"-only", "haproxy-plain,haproxy-dressed,haproxy-dressed-stdout,nginx-plain")
}

func TestRunMeasuresEveryProtocol(t *testing.T) {
	needPrograms(t, "haproxy", "nginx", "wrk", "h2load")
	checkRun(t, 12, "-bodies", "98",
		"-only", "haproxy-h2,nginx-h2,haproxy-h2h2,haproxy-grpc,nginx-grpc,haproxy-tls,nginx-tls,haproxy-plain,haproxy-one,haproxy-many")
}

// checkRun makes one round of short loads and looks at what it saves: rows is how many
// rows there must be, one for each variant under each load.
func checkRun(t *testing.T, rows int, args ...string) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	out := t.TempDir()
	var stdout, stderr bytes.Buffer
	args = append(args, "-rounds", "1", "-duration", "1s", "-warmup", "0s", "-connections", "2", "-out", out)
	if err := run(t.Context(), args, &stdout, &stderr); err != nil {
		t.Fatalf("run: %v\n%s", err, &stderr)
	}
	text, err := os.ReadFile(filepath.Join(out, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	var res result
	if err := json.Unmarshal(text, &res); err != nil {
		t.Fatal(err)
	}
	if len(res.Rows) != rows {
		t.Errorf("%d rows, want %d, one for each variant under each load", len(res.Rows), rows)
	}
	for _, r := range res.Rows {
		if r.CPUMicros <= 0 || r.RequestsPerSecond <= 0 || r.Ratio == nil {
			t.Errorf("%s, %s: %+v", r.Variant, r.cell, r)
		}
	}
	for _, d := range res.Views {
		if d.Undelivered {
			t.Errorf("%s: %s: %.3f a request arrived, want %g", d.Variant, d.View, d.PerRequest, d.Promised)
		}
	}
	saved, err := os.ReadFile(filepath.Join(out, "results.md"))
	if err != nil {
		t.Fatal(err)
	}
	if stdout.String() != string(saved) {
		t.Errorf("printed report differs from results.md")
	}
	expectCleanedUp(t)
}

// firstLine closes seen when something whose text holds mark is written.
type firstLine struct {
	mark string
	once sync.Once
	seen chan struct{}
}

func (f *firstLine) Write(p []byte) (int, error) {
	if strings.Contains(string(p), f.mark) {
		f.once.Do(func() { close(f.seen) })
	}
	return len(p), nil
}

func TestInterruptLeavesNothing(t *testing.T) {
	needPrograms(t, "haproxy", "nginx", "wrk")
	t.Setenv("TMPDIR", t.TempDir())
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	progress := &firstLine{mark: "round 1/", seen: make(chan struct{})}
	ended := make(chan error, 1)
	out := filepath.Join(t.TempDir(), "results")
	go func() {
		ended <- run(ctx, []string{"-rounds", "1000", "-duration", "1s", "-warmup", "0s", "-connections", "2",
			"-bodies", "98", "-only", "haproxy-plain,nginx-plain", "-out", out}, io.Discard, progress)
	}()
	select {
	case err := <-ended:
		t.Fatalf("ended before the interrupt: %v", err)
	case <-progress.seen:
	}
	interrupt()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("run: %v, want %v", err, context.Canceled)
	}
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an interrupted run has saved results: %v", err)
	}
	expectCleanedUp(t)
}

// expectCleanedUp checks that a run has left no file in TMPDIR, and no process
// that names it.
func expectCleanedUp(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range left {
		t.Errorf("left behind: %s", file.Name())
	}
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range commands {
		line, err := os.ReadFile(path)
		if err == nil && bytes.Contains(line, []byte(os.Getenv("TMPDIR"))) {
			t.Errorf("still running: %s", bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
		}
	}
}

func TestProxyThatDoesNotStartSaysWhy(t *testing.T) {
	p, err := start("broken", t.TempDir(), unpinned, []string{"sh", "-c", "echo no such luck >&2; exit 3"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	addrs, err := freeAddresses(1)
	if err != nil {
		t.Fatal(err)
	}
	err = p.awaitListen(t.Context(), addrs[0])
	if err == nil || !strings.Contains(err.Error(), "no such luck") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error %v, want one with the output and the exit status", err)
	}
}

func TestStopEndsTheWholeGroup(t *testing.T) {
	p, err := start("family", t.TempDir(), unpinned, []string{"sh", "-c", "sleep 1000 & wait"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the shell has a child", func() bool {
		members, err := groupMembers(p.pid())
		return err == nil && len(members) == 2
	})
	p.stop()
	await(t, "nothing is left of the group", func() bool {
		_, err := groupMembers(p.pid())
		return err != nil
	})
}

// await polls until something outside this process has come about.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	limit := time.After(10 * time.Second)
	for !done() {
		select {
		case <-limit:
			t.Fatalf("waited in vain until %s", what)
		case <-poll.C:
		}
	}
}

func TestIdleOfARealServer(t *testing.T) {
	needPrograms(t, "nginx", "wrk")
	t.Setenv("TMPDIR", t.TempDir())
	opts, err := parseOptions([]string{"-only", "nginx-plain", "-bodies", "98"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRig(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.measureIdle(t.Context(), opts.variants[0], 500)
	if err != nil {
		t.Error(err)
	} else if got.AfterBytes <= got.BeforeBytes || got.PerConnection <= 0 || got.Connections != 500 {
		t.Errorf("500 connections cost nothing: %+v", got)
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
	expectCleanedUp(t)
}

// The measurements without rounds, of the hopscope of this module and with the real Consul.
func TestEndpointsAndConsul(t *testing.T) {
	needPrograms(t, "nginx", "wrk")
	consul := backends.Require(t, "consul")
	t.Setenv("TMPDIR", t.TempDir())
	out := t.TempDir()
	var stderr bytes.Buffer
	args := []string{"-rounds", "0", "-only", hopscopeOne, "-endpoints", "500", "-changes", "2", "-consul", consul, "-out", out}
	if err := run(t.Context(), args, io.Discard, &stderr); err != nil {
		t.Fatalf("run: %v\n%s", err, &stderr)
	}
	text, err := os.ReadFile(filepath.Join(out, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	var res result
	if err := json.Unmarshal(text, &res); err != nil {
		t.Fatal(err)
	}
	if m := res.Memory; m == nil || m.Endpoints != 500 || m.OneBytes == 0 || m.ManyBytes == 0 {
		t.Errorf("memory of endpoints: %+v", m)
	}
	if d := res.Discovery; d == nil || d.Registered.Changes != 2 || d.Deregistered.Changes != 2 || d.Registered.MaxMillis <= 0 || d.Consul == "" {
		t.Errorf("changes in Consul: %+v", d)
	}
	expectCleanedUp(t)
}

func TestPinned(t *testing.T) {
	if _, err := exec.LookPath("taskset"); err != nil {
		t.Skip("taskset is not installed")
	}
	plan := planCores()
	if plan.load == unpinned {
		t.Skip(plan.note)
	}
	out, err := newCommand(plan.load, []string{"cat", "/proc/self/status"}, nil).Output()
	if err != nil {
		t.Fatal(err)
	}
	list, _ := procField(string(out), "Cpus_allowed_list")
	cores, err := parseCPUList(list)
	if err != nil || len(cores) != 1 || cores[0] != plan.load {
		t.Errorf("runs on cores %q (%v), want %d alone", list, err, plan.load)
	}
}
