package accesslog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Options are the limits of a Log. The zero value is right for production.
type Options struct {
	// Limit is about how many bytes of lines may wait while the file can't be written;
	// further lines are dropped and counted. Default 8 MiB.
	Limit int
	// Name is the view's name in metrics and logs; default is "access_log".
	Name string
	// Layout is what lines look like; nil is the default line.
	Layout *Layout
	// Selection says which hops have a line; nil is all.
	Selection *Selection
	// Log receives reports of lost lines and why, at most one a minute, and one when it
	// is over; default is to discard them.
	Log *slog.Logger
}

// Log writes Hops as lines to a file. It is a record.View: one goroutine calls Observe,
// Tick and Close; any may call the other methods.
type Log struct {
	path      string
	name      string
	format    formatter
	layout    *Layout
	selection *Selection
	chunk     []byte // being filled; whole lines
	buffer    buffer
	writer    writer
}

// Open opens the log at path: a file that is appended to, or created with mode 0640, or
// the word "stdout" or "stderr". It does not wait for the reader of a FIFO: lines wait in
// the FIFO, then in memory, and are dropped and counted beyond the limit. Call
// [Log.Close] in the end.
func Open(path string, o Options) (*Log, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	file, err := open(path, o.Log)
	if err != nil {
		return nil, err
	}
	return newLog(path, file, o), nil
}

func newLog(path string, file *os.File, o Options) *Log {
	if o.Limit <= 0 {
		o.Limit = 8 << 20
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := &Log{path: path, name: cmp.Or(o.Name, "access_log"), layout: o.Layout, selection: o.Selection}
	l.buffer.limit = o.Limit
	l.buffer.ready = make(chan struct{}, 1)
	l.writer.start(file, &l.buffer, o.Log.With("path", path))
	return l
}

func open(path string, log *slog.Logger) (*os.File, error) {
	switch path {
	case "stdout":
		return duplicate(os.Stdout, path)
	case "stderr":
		return duplicate(os.Stderr, path)
	}
	const mode = os.O_APPEND | unix.O_NONBLOCK
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|mode, 0o640)
	if errors.Is(err, unix.ENXIO) && isFIFO(path) {
		// A FIFO that is also opened for reading needs no reader.
		if file, err = os.OpenFile(path, os.O_RDWR|mode, 0); err == nil {
			log.Warn("nobody reads the access log's FIFO: lines wait for a reader, and are dropped if that takes too long", "path", path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("access log: %w: give a file in an existing, writable directory, or stdout, stderr or off", err)
	}
	return file, nil
}

func isFIFO(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&os.ModeNamedPipe != 0
}

// duplicate gives the log its own descriptor. On descriptors 1 and 2 a write to a broken
// pipe ends the program; on others it returns an error.
func duplicate(std *os.File, name string) (*os.File, error) {
	fd, err := unix.FcntlInt(std.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("access log: %s: %w: give a file instead", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Name is the view's name.
func (l *Log) Name() string { return l.name }

// Observe adds the line of h. It never waits for the file.
func (l *Log) Observe(h *hop.Hop) {
	if l.selection != nil && !l.selection.Takes(h) {
		return
	}
	if len(l.chunk) >= chunkFull {
		l.Tick(time.Time{})
	}
	if len(l.chunk) == 0 {
		chunk, ok := l.buffer.begin(l.chunk)
		if !ok {
			l.writer.lost.drop()
			return
		}
		l.chunk = chunk
	}
	if l.layout != nil {
		l.chunk = l.layout.appendLine(&l.format, l.chunk, h)
		return
	}
	l.chunk = l.format.appendLine(l.chunk, h)
}

// Tick passes the lines so far to the writing goroutine.
func (l *Log) Tick(time.Time) {
	if len(l.chunk) > 0 {
		l.chunk = l.buffer.add(l.chunk)
	}
}

// Reopen opens the path again, after the file was renamed. The next write goes to the new
// file. On an error the old file stays in use. Standard output, standard error and an
// unchanged FIFO stay as they are.
func (l *Log) Reopen() error {
	if l.path == "stdout" || l.path == "stderr" || isFIFO(l.path) && l.writer.writesTo(l.path) {
		return nil
	}
	file, err := open(l.path, l.writer.log)
	if err != nil {
		return err
	}
	l.writer.turnTo(file)
	return nil
}

// Dropped calls emit with the number of lost lines so far, with the labels view and
// reason: "buffer_full" if the file could not be written for too long, "write_error" if a
// write failed. It is for a metric that is read at each scrape.
func (l *Log) Dropped(emit func(value float64, labelValues ...string)) {
	emit(float64(l.writer.lost.full.Load()), l.Name(), "buffer_full")
	emit(float64(l.writer.lost.cut.Load()), l.Name(), "write_error")
}

// Close writes the remaining lines and closes the file. If ctx ends first, because nobody
// reads the pipe, it gives up with an error. A write that can't be interrupted, as to an
// inherited standard output, then stays blocked until it ends.
func (l *Log) Close(ctx context.Context) error {
	before := l.writer.lost.cut.Load()
	l.Tick(time.Time{})
	err := l.writer.stop(ctx)
	if err == nil && l.writer.lost.cut.Load() != before {
		err = errUnwritten
	}
	if err != nil {
		return fmt.Errorf("access log: %s: %w", l.path, err)
	}
	return nil
}

// errUnwritten is what Close returns if it lost lines.
var errUnwritten = errors.New("lines could not be written; the log says why")
