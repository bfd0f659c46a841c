package accesslog

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"sync"
	"time"
)

const (
	// pause is the time between a failed write and the next.
	pause = time.Second
	// grace is how long stop waits for a write that it interrupted.
	grace = 100 * time.Millisecond
)

// writer is the goroutine that writes chunks. When a write fails, the rest of its chunk
// is lost, except for the rest of a line that was cut: that is always written first. So
// no line in a file ever follows half of another.
type writer struct {
	buffer *buffer
	log    *slog.Logger
	lost   losses

	rest []byte // of the line that the last write cut

	mu     sync.Mutex
	file   *os.File
	next   *os.File      // replaces file; nil if none
	ended  bool          // file is closed for good
	turned chan struct{} // one token: there is a next
	quit   chan struct{} // closed by stop
	done   chan struct{} // closed when the goroutine has ended, and that of losses
}

func (w *writer) start(file *os.File, b *buffer, log *slog.Logger) {
	w.file, w.buffer, w.log = file, b, log
	w.turned = make(chan struct{}, 1)
	w.quit = make(chan struct{})
	w.done = make(chan struct{})
	w.lost.init(log)
	var watching sync.WaitGroup
	watching.Go(func() { w.lost.watch(w.quit) })
	go func() {
		defer close(w.done)
		w.run()
		watching.Wait()
	}()
}

// turnTo sets the file to write to next. The writer closes it.
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

// interrupt makes the present write and later ones fail, if the file allows that; it does
// not rely on it. It returns cause, unless the goroutine has already ended.
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

// turn switches to the next file, if there is one.
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
	w.lost.over(slog.LevelWarn, "the access log ends, with lines lost")
}

// giveUpRest counts a line that will never be complete in a file.
func (w *writer) giveUpRest() {
	if len(w.rest) > 0 {
		w.lost.cut.Add(1)
		w.rest = w.rest[:0]
	}
}

// write writes the rest of an earlier line, and then chunk. If that fails, it counts the
// lost lines and pauses.
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
		if w.buffer.empty() {
			w.lost.over(slog.LevelInfo, "the access log is written again")
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
	w.lost.fail(bytes.Count(left, []byte{'\n'}), err)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.turned:
	case <-w.quit:
	}
}
