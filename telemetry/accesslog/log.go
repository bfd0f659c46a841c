package accesslog

import (
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
	// Limit is about how many bytes of lines wait while the file can't be
	// written; lines beyond it are dropped and counted. Default 8 MiB.
	Limit int
	// Log receives what is lost and why, at most one line a minute while it lasts and
	// one when it is over; default is to discard them.
	Log *slog.Logger
}

// Log is the view of Hops as lines in a file. It is a record.View: Observe,
// Tick and Close belong to one goroutine, the other methods to any.
type Log struct {
	path   string
	format formatter
	chunk  []byte // being filled; whole lines
	buffer buffer
	writer writer
}

// Open opens the log at path: a file that is created with mode 0640 or
// appended to, or the word "stdout" or "stderr". It does not wait for the reader
// of a FIFO: lines wait in it, then in memory, and are dropped and counted beyond
// the limit. The caller ends it with [Log.Close].
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
	l := &Log{path: path}
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
		// Opened for reading, too, it needs no reader.
		if file, err = os.OpenFile(path, os.O_RDWR|mode, 0); err == nil {
			log.Warn("nobody reads the FIFO that is the access log: lines wait for a reader, and are dropped where it takes too long", "path", path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("access log: %w: give a file in a directory that exists and may be written, or stdout, stderr or off", err)
	}
	return file, nil
}

func isFIFO(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&os.ModeNamedPipe != 0
}

// duplicate gives the log a descriptor of its own: the runtime ends a program
// that writes to a broken pipe on descriptor 1 or 2, on others it is an error.
func duplicate(std *os.File, name string) (*os.File, error) {
	fd, err := unix.FcntlInt(std.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("access log: %s: %w: give a file instead", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Name is "access_log".
func (l *Log) Name() string { return "access_log" }

// Observe adds the line of h. It never waits for the file.
func (l *Log) Observe(h *hop.Hop) {
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
	l.chunk = l.format.appendLine(l.chunk, h)
}

// Tick hands the lines so far to the goroutine that writes them.
func (l *Log) Tick(time.Time) {
	if len(l.chunk) > 0 {
		l.chunk = l.buffer.add(l.chunk)
	}
}

// Reopen opens the path anew, for when the file was renamed, and goes on in
// the new file with the next write. On an error the old file stays in use.
// Standard output and error are left as they are, and so is the same FIFO.
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

// Dropped tells emit how many lines were lost so far, with the labels view and
// reason: "buffer_full" where the file could not be written for too long,
// "write_error" where a write failed. It has the form that a metric read at
// each scrape wants.
func (l *Log) Dropped(emit func(value float64, labelValues ...string)) {
	emit(float64(l.writer.lost.full.Load()), l.Name(), "buffer_full")
	emit(float64(l.writer.lost.cut.Load()), l.Name(), "write_error")
}

// Close writes what is left and closes the file. Where that takes longer than
// ctx, because nobody reads the pipe, it gives up with an error; a write that
// can't be interrupted, as to an inherited standard output, then stays behind
// until it is let go.
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

// errUnwritten is what Close returns where lines that it had to write are lost.
var errUnwritten = errors.New("lines could not be written; the log says why")
