package process

import (
	"bytes"
	"io"
	"log/slog"
	"time"

	"github.com/hopscope/hopscope/telemetry/redact"
)

// NewLog returns a logger that writes text to w. No line shows a credential, whoever
// wrote it: errors quote URLs, and URLs hold passwords and keys.
func NewLog(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: hideCredentials}))
}

func hideCredentials(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString, slog.KindAny: // an error, a list
		text := a.Value.String()
		if shown := redact.Text(text); shown != text {
			a.Value = slog.StringValue(shown)
		}
	}
	return a
}

// lines writes the lines of the log in a goroutine of its own, so that a reader who
// does not read holds nobody up. Lines that the queue has no room for are lost.
type lines struct {
	queue      chan []byte
	quit, done chan struct{}
}

func startLines(out io.Writer) *lines {
	l := &lines{make(chan []byte, 1024), make(chan struct{}), make(chan struct{})}
	go func() {
		defer close(l.done)
		for {
			select {
			case line := <-l.queue:
				out.Write(line)
			case <-l.quit:
				for len(l.queue) > 0 {
					out.Write(<-l.queue)
				}
				return
			}
		}
	}()
	return l
}

// Write queues a line.
func (l *lines) Write(line []byte) (int, error) {
	select {
	case l.queue <- bytes.Clone(line):
	default:
	}
	return len(line), nil
}

// stop waits until the queued lines are written, but only a moment.
func (l *lines) stop() {
	close(l.quit)
	select {
	case <-l.done:
	case <-time.After(lastMoment):
	}
}
