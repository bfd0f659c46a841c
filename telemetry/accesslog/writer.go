package accesslog

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// pause is the time between a write that failed and the next.
	pause = time.Second
	// grace is how long stop waits for a write that it interrupted.
	grace = 100 * time.Millisecond
	// reportEvery is the time between two reports while writes fail.
	reportEvery = time.Minute
)

// writer is the goroutine that writes chunks. A chunk of which a write failed
// is lost, but a line that was cut in the middle is finished first, whenever
// that is: in one file no line ever follows half of another.
type writer struct {
	buffer *buffer
	log    *slog.Logger
	lost   atomic.Uint64 // lines

	rest     []byte    // of the line that the last write cut
	reported time.Time // when a failure was last reported
	ailing   bool      // whether the end of that failure is yet to be reported

	mu     sync.Mutex
	file   *os.File
	next   *os.File      // takes the place of file; nil if none
	ended  bool          // file is closed for good
	turned chan struct{} // one token: there is a next
	quit   chan struct{} // closed by stop
	done   chan struct{} // closed when the goroutine has ended
}

func (w *writer) start(file *os.File, b *buffer, log *slog.Logger) {
	w.file, w.buffer, w.log = file, b, log
	w.turned = make(chan struct{}, 1)
	w.quit = make(chan struct{})
	w.done = make(chan struct{})
	go w.run()
}

// turnTo makes file the one to write to next. The writer closes it.
func (w *writer) turnTo(file *os.File) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		file.Close()
		return
	}
	if w.next != nil {
		w.next.Close() // nothing was written to it
	}
	w.next = file
	select {
	case w.turned <- struct{}{}:
	default:
	}
}

// writesTo reports whether the present file is the one at path.
func (w *writer) writesTo(path string) bool {
	there, err := os.Stat(path)
	if err != nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return false
	}
	mine, err := w.file.Stat()
	return err == nil && os.SameFile(mine, there)
}

// stop writes what is queued and ends the goroutine, within ctx.
func (w *writer) stop(ctx context.Context) error {
	close(w.quit)
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		return w.interrupt(context.Cause(ctx))
	}
}

// interrupt makes the write that goes on, and those that follow, fail, where
// the file is of a kind that can be interrupted; it does not rely on that. It
// returns cause, unless the goroutine had already ended.
func (w *writer) interrupt(cause error) error {
	select {
	case <-w.done:
		return nil
	default:
	}
	w.mu.Lock()
	err := w.file.SetWriteDeadline(time.Now())
	w.mu.Unlock()
	if err != nil {
		return cause
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-w.done:
	case <-timer.C:
	}
	return cause
}

func (w *writer) run() {
	defer close(w.done)
	for {
		w.turn()
		if chunk := w.buffer.take(); chunk != nil {
			w.write(chunk)
			w.buffer.done(chunk)
			continue
		}
		select {
		case <-w.buffer.ready:
		case <-w.turned:
		case <-w.quit:
			if chunk := w.buffer.take(); chunk != nil {
				w.write(chunk)
				w.buffer.done(chunk)
				continue
			}
			w.finish()
			return
		}
	}
}

// turn goes over to the next file, if there is one.
func (w *writer) turn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.next == nil {
		return
	}
	if err := w.file.Close(); err != nil {
		w.log.Warn("closing the access log's old file", "error", err)
	}
	w.file, w.next = w.next, nil
	w.giveUpRest()
}

// finish closes the file for good.
func (w *writer) finish() {
	w.turn()
	w.giveUpRest()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	if w.next != nil {
		w.next.Close()
	}
	if err := w.file.Close(); err != nil {
		w.log.Warn("closing the access log", "error", err)
	}
}

// giveUpRest counts a line of which only a part will ever be in a file.
func (w *writer) giveUpRest() {
	if len(w.rest) > 0 {
		w.lost.Add(1)
		w.rest = w.rest[:0]
	}
}

// write writes chunk behind the rest of an earlier line. Where that fails, it
// counts what is lost and waits a while.
func (w *writer) write(chunk []byte) {
	if len(w.rest) > 0 {
		n, err := w.file.Write(w.rest)
		w.rest = append(w.rest[:0], w.rest[n:]...)
		if err != nil {
			w.fail(err, chunk)
			return
		}
	}
	n, err := w.file.Write(chunk)
	if err == nil {
		if w.ailing {
			w.ailing = false
			w.log.Info("the access log is written again", "lines_lost", w.lost.Load())
		}
		return
	}
	left := chunk[n:]
	if n > 0 && chunk[n-1] != '\n' {
		end := bytes.IndexByte(left, '\n') + 1
		w.rest = append(w.rest[:0], left[:end]...)
		left = left[end:]
	}
	w.fail(err, left)
}

// fail counts the lines of left as lost, reports err, and pauses.
func (w *writer) fail(err error, left []byte) {
	w.lost.Add(uint64(bytes.Count(left, []byte{'\n'})))
	if now := time.Now(); now.Sub(w.reported) >= reportEvery {
		w.reported, w.ailing = now, true
		w.log.Error("the access log can't be written; lines are lost until it can",
			"error", err, "lines_lost", w.lost.Load())
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.turned:
	case <-w.quit:
	}
}
