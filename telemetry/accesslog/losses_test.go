package accesslog

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Lines that found the buffer full are told while the reader is stuck, and all of them
// when it reads again.
func TestDroppedLinesAreReported(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	var told records
	l := mustOpen(t, path, Options{Limit: 256 << 10, Log: slog.New(slog.NewTextHandler(&told, nil))})
	for n := range 5000 {
		l.Observe(numbered(n))
	}
	l.Tick(time.Now())
	dropped := lost(l)["buffer_full"]
	if dropped == 0 {
		t.Fatal("no line was dropped")
	}
	until(t, "the drops are reported", func() bool { return told.count("lines of the access log are dropped") == 1 })
	go io.Copy(io.Discard, reader)
	again := fmt.Sprintf(`msg="the access log is written again" path=%s lines_lost=%d buffer_full=%[2]d write_error=0`, path, dropped)
	until(t, again, func() bool { return told.count(again) == 1 })
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// Where writes fail, those that waited and those that found no room are in the sum.
func TestLostLinesAreSummed(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	const lines = 5000
	var told records
	l := mustOpen(t, "/dev/full", Options{Limit: 256 << 10, Log: slog.New(slog.NewTextHandler(&told, nil))})
	for n := range lines {
		l.Observe(numbered(n))
	}
	l.Close(t.Context())
	counts := lost(l)
	full, cut := counts["buffer_full"], counts["write_error"]
	if full == 0 || cut == 0 || full+cut != lines {
		t.Errorf("lost %v, want %d of both reasons", counts, lines)
	}
	want := fmt.Sprintf("lines_lost=%d buffer_full=%d write_error=%d", lines, full, cut)
	if told.count(want) != 1 {
		t.Errorf("%q is not reported:\n%s", want, &told.text)
	}
}
