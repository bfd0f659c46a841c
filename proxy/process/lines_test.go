package process

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// gate is a writer that lets nothing through until it is open.
type gate struct {
	bytes.Buffer
	open chan struct{}
}

func (g *gate) Write(b []byte) (int, error) {
	<-g.open
	return g.Buffer.Write(b)
}

// TestLinesAreWritten has the log end while lines wait to be written.
func TestLinesAreWritten(t *testing.T) {
	t.Parallel()
	out := &gate{open: make(chan struct{})}
	l := startLines(out)
	var want strings.Builder
	line := []byte("line 000\n") // the log reuses its buffer
	for i := range 100 {
		copy(line[5:], fmt.Sprintf("%03d", i))
		l.Write(line)
		want.Write(line)
	}
	go func() {
		<-l.quit
		close(out.open)
	}()
	l.stop()
	<-l.done
	if got := out.String(); got != want.String() {
		t.Errorf("written:\n%s", got)
	}
}

// TestLinesDoNotWait has nobody read them.
func TestLinesDoNotWait(t *testing.T) {
	t.Parallel()
	out := &gate{open: make(chan struct{})}
	l := startLines(out)
	for range 3 * cap(l.queue) {
		if n, err := l.Write([]byte("line\n")); n != 5 || err != nil {
			t.Fatalf("Write: %d, %v", n, err)
		}
	}
	l.stop()
	close(out.open)
	<-l.done
	if n := strings.Count(out.String(), "\n"); n < cap(l.queue) || n > cap(l.queue)+1 {
		t.Errorf("%d lines were kept, want the queue's %d and the one being written", n, cap(l.queue))
	}
}
