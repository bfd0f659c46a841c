package process

import (
	"bytes"
	"io"
	"time"
)

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
