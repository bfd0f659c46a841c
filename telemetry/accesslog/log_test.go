package accesslog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// asChild makes the test binary write a log to a standard output whose reader
// is gone, and say on standard error what became of it.
const asChild = "HOPSCOPE_TEST_BROKEN_STDOUT"

func TestMain(m *testing.M) {
	if os.Getenv(asChild) != "" {
		writeToBrokenStdout()
		return
	}
	goleak.VerifyTestMain(m)
}

func writeToBrokenStdout() {
	l, err := Open("stdout", Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	l.Observe(success())
	err = l.Close(context.Background())
	fmt.Fprintf(os.Stderr, "alive: %v, lost %v", err != nil, lost(l))
}

// records is what slog was told, for tests to read while the log writes.
type records struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *records) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *records) count(part string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Count(r.text.String(), part)
}

func lost(l *Log) map[string]int {
	counts := map[string]int{}
	l.Dropped(func(value float64, labelValues ...string) {
		if value > 0 {
			counts[labelValues[1]] = int(value)
		}
	})
	return counts
}

// numbered is a hop whose line carries n.
func numbered(n int) *hop.Hop {
	h := success()
	h.BytesOut = int64(n)
	return h
}

// numbers parses text as whole lines, and returns what each carries.
func numbers(t *testing.T, text []byte) []int {
	t.Helper()
	var all []int
	for line := range bytes.Lines(text) {
		var fields struct {
			BytesOut *int `json:"bytes_out"`
		}
		if err := json.Unmarshal(line, &fields); err != nil || fields.BytesOut == nil || line[len(line)-1] != '\n' {
			t.Fatalf("%v: not a whole line: %q", err, line)
		}
		all = append(all, *fields.BytesOut)
	}
	return all
}

// until waits for what another goroutine does in its own time.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("still not so: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func mustOpen(t *testing.T, path string, o Options) *Log {
	t.Helper()
	l, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLogWritesEveryLineInOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	for run := range 2 { // the second appends
		l := mustOpen(t, path, Options{})
		for n := range 1000 { // more than a chunk
			l.Observe(numbered(1000*run + n))
			if n%400 == 0 {
				l.Tick(time.Now())
			}
		}
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := lost(l); len(n) != 0 {
			t.Errorf("lost %v", n)
		}
	}
	got := numbers(t, read(t, path))
	for i, n := range got {
		if n != i {
			t.Fatalf("line %d carries %d", i, n)
		}
	}
	if len(got) != 2000 {
		t.Errorf("%d lines, want 2000", len(got))
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm()&^0o640 != 0 {
		t.Errorf("mode %v, want at most 0640", info.Mode())
	}
}

// A tick is enough for lines to be in the file.
func TestTickFlushes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	l := mustOpen(t, path, Options{})
	defer l.Close(t.Context())
	l.Observe(numbered(7))
	l.Tick(time.Now())
	until(t, "the line is in the file", func() bool { return len(read(t, path)) > 0 })
	if got := numbers(t, read(t, path)); len(got) != 1 || got[0] != 7 {
		t.Errorf("lines %v", got)
	}
}

func TestOpenErrors(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "missing", "access.log"), t.TempDir(), ""} {
		if l, err := Open(path, Options{}); err == nil {
			l.Close(t.Context())
			t.Errorf("Open(%q) succeeded", path)
		} else if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "give a file") {
			t.Errorf("Open(%q): %v: names no place or no remedy", path, err)
		}
	}
}

// As logrotate does it: rename, then reopen.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	path, old := filepath.Join(dir, "access.log"), filepath.Join(dir, "access.log.1")
	l := mustOpen(t, path, Options{})
	l.Observe(numbered(1))
	l.Tick(time.Now())
	until(t, "the first line is written", func() bool { return len(read(t, path)) > 0 })
	if err := os.Rename(path, old); err != nil {
		t.Fatal(err)
	}
	for range 3 { // the signal may come more than once
		if err := l.Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	l.Observe(numbered(2))
	l.Tick(time.Now())
	until(t, "the second line is written", func() bool { return len(read(t, path)) > 0 })
	if err := os.Rename(path, path+".2"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err == nil {
		t.Error("a directory was opened")
	}
	l.Observe(numbered(3)) // goes on where it was
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{old: "[1]", path + ".2": "[2 3]"} {
		if got := fmt.Sprint(numbers(t, read(t, file))); got != want {
			t.Errorf("%s has lines %s, want %s", filepath.Base(file), got, want)
		}
	}
	before := descriptors(t)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err != nil {
		t.Errorf("Reopen after Close: %v", err)
	}
	if after := descriptors(t); after != before {
		t.Errorf("Reopen after Close leaves %d descriptors open", after-before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(entries)
}

// Nobody reads the pipe: lines are dropped beyond the limit, nothing waits,
// and what was kept is whole once somebody reads again.
func TestReaderThatStopped(t *testing.T) {
	// Not os.Pipe: an inherited standard output is one whose writes block.
	var ends [2]int
	if err := unix.Pipe(ends[:]); err != nil {
		t.Fatal(err)
	}
	reader, end := os.NewFile(uintptr(ends[0]), "reader"), os.NewFile(uintptr(ends[1]), "end")
	const limit, lines = 256 << 10, 5000
	l := newLog("stdout", end, Options{Limit: limit})
	for n := range lines {
		l.Observe(numbered(n))
		if n%10 == 0 {
			l.Tick(time.Now())
		}
	}
	dropped := lost(l)["buffer_full"]
	if dropped == 0 || dropped == lines {
		t.Fatalf("%d of %d lines dropped", dropped, lines)
	}
	if l.buffer.held > limit+2*chunkSize {
		t.Errorf("%d bytes held, want about %d", l.buffer.held, limit)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close: %v, want %v", err, context.Canceled)
	}
	text, err := io.ReadAll(reader) // lets the writer go, which ends
	if err != nil {
		t.Fatal(err)
	}
	<-l.writer.done
	if got := numbers(t, text); len(got)+dropped != lines {
		t.Errorf("%d lines read and %d dropped, want %d", len(got), dropped, lines)
	}
	reader.Close()
}

// A pipe that can be interrupted leaves no goroutine behind, even though it is
// never read.
func TestCloseInterruptsFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(path, os.O_RDWR, 0) // opening it to write then does not wait
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	l := mustOpen(t, path, Options{})
	for n := range 1000 {
		l.Observe(numbered(n))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close: %v, want %v", err, context.Canceled)
	}
	<-l.writer.done
}

// A FIFO that nobody reads is opened at once, and again; what is written waits for
// the reader.
func TestFIFOWithoutReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	var said records
	l := mustOpen(t, path, Options{Log: slog.New(slog.NewTextHandler(&said, nil))})
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	if n := said.count("nobody reads the access log's FIFO"); n != 1 { // opened again, it has a reader: the first one
		t.Errorf("%d warnings that nobody reads, want 1", n)
	}
	l.Observe(numbered(1))
	l.Tick(time.Now())
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	line := make([]byte, 4096)
	n, err := reader.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(numbers(t, line[:n])); got != "[1]" {
		t.Errorf("read %s", got)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	var told records
	l := mustOpen(t, "/dev/full", Options{Log: slog.New(slog.NewTextHandler(&told, nil))})
	for n := range 10 {
		l.Observe(numbered(n))
	}
	l.Tick(time.Now())
	until(t, "ten lines are lost", func() bool { return lost(l)["write_error"] == 10 })
	l.Observe(numbered(10))
	if err := l.Close(t.Context()); !errors.Is(err, errUnwritten) {
		t.Errorf("Close: %v, want %v", err, errUnwritten)
	}
	if n := lost(l)["write_error"]; n != 11 {
		t.Errorf("%d lines lost, want 11", n)
	}
	if n := told.count("level=ERROR"); n != 1 {
		t.Errorf("%d reports, want 1:\n%s", n, &told.text)
	}
	if told.count("no space left on device") != 1 || told.count("path=/dev/full") == 0 {
		t.Errorf("the report names no cause or no path:\n%s", &told.text)
	}
}

// A write that stops in the middle of a line, because the file may not grow:
// when it may again, the line is finished before others follow.
func TestHalfALineIsFinished(t *testing.T) {
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(unix.SIGXFSZ)
	defer signal.Reset(unix.SIGXFSZ)
	const most = 10_000
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: most, Max: before.Max}); err != nil {
		t.Skip(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_FSIZE, &before)

	path := filepath.Join(t.TempDir(), "access.log")
	var told records
	l := mustOpen(t, path, Options{Log: slog.New(slog.NewTextHandler(&told, nil))})
	for n := range 50 {
		l.Observe(numbered(n))
	}
	l.Tick(time.Now())
	until(t, "lines are lost", func() bool { return lost(l)["write_error"] > 0 })
	if text := read(t, path); len(text) != most || text[most-1] == '\n' {
		t.Fatalf("the test needs a cut line; the file has %d bytes", len(text))
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		l.Observe(numbered(50 + n))
	}
	if err := l.Close(t.Context()); err != nil { // does not wait for the next try
		t.Fatal(err)
	}
	got := numbers(t, read(t, path))
	if len(got)+lost(l)["write_error"] != 55 || got[len(got)-1] != 54 {
		t.Errorf("lines %v and %v lost, want 55 in all", got, lost(l))
	}
	if told.count("written again") != 1 {
		t.Errorf("recovery is not reported:\n%s", &told.text)
	}
}

// The program lives on when the reader of its standard output is gone.
func TestBrokenStdout(t *testing.T) {
	reader, end, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	defer end.Close()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), asChild+"=1")
	var said bytes.Buffer
	child.Stdout, child.Stderr = end, &said
	if err := child.Run(); err != nil {
		t.Fatalf("%v: %s", err, &said)
	}
	if want := "alive: true, lost map[write_error:1]"; said.String() != want {
		t.Errorf("it said %q, want %q", &said, want)
	}
}

func TestReopenLeavesStdoutAlone(t *testing.T) {
	l := mustOpen(t, "stderr", Options{})
	if err := l.Reopen(); err != nil {
		t.Error(err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat("stderr"); err == nil {
		t.Error("there is a file named stderr")
	}
}

func TestObserveDoesNotAllocate(t *testing.T) {
	var f formatter
	out := make([]byte, 0, chunkSize)
	hops := []*hop.Hop{success(), relayed(), unconnected(), tunnel(), garbage()}
	if n := testing.AllocsPerRun(100, func() {
		for _, h := range hops {
			out = f.appendLine(out[:0], h)
		}
	}); n != 0 {
		t.Errorf("%v allocations for %d lines", n, len(hops))
	}
}

// The whole of the log but the disk.
func BenchmarkObserve(b *testing.B) {
	l, err := Open("/dev/null", Options{})
	if err != nil {
		b.Fatal(err)
	}
	h := success()
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		l.Observe(h)
		if n%64 == 63 {
			runtime.Gosched() // as the recorder does
		}
	}
	if err := l.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(lost(l)["buffer_full"])/float64(b.N), "dropped/op")
}
