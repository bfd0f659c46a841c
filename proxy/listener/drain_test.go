package listener

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// retire begins to retire a listener, which is then within its grace.
func retire(t *testing.T, l *Listener) (wait func()) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	var wg sync.WaitGroup
	wg.Go(func() { l.Retire(ctx, patience) })
	for l.phase.Load() != retiring {
		time.Sleep(time.Millisecond) // a hung test ends by the go command's own limit
	}
	return func() {
		t.Helper()
		defer cancel()
		wg.Wait()
		if ctx.Err() != nil {
			t.Error("it did not end by itself")
		}
	}
}

// TestRetireBehindTheHead: a response that can't say any more that it is the last
// is not; the next one is.
func TestRetireBehindTheHead(t *testing.T) {
	l, a := newTestListener(t, nil)
	began, goOn := make(chan struct{}), make(chan struct{})
	a.between = func() {
		began <- struct{}{}
		<-goOn
	}
	var wg sync.WaitGroup
	wg.Go(l.Serve)
	c := dial(t, l)
	const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	io.WriteString(c, request)
	a.answer <- struct{}{}
	<-began
	wait := retire(t, l)
	goOn <- struct{}{}
	first := make([]byte, len("HTTP/1.1 204 No Content\r\n\r\n"))
	if err := readAll(c, first); err != nil || strings.Contains(string(first), "close") {
		t.Errorf("received %q, %v", first, err)
	}
	io.WriteString(c, request)
	a.answer <- struct{}{}
	<-began
	goOn <- struct{}{}
	if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 204 ") || !strings.Contains(string(got), "Connection: close\r\n") {
		t.Errorf("then %q, %v", got, err)
	}
	c.Close()
	wait()
	wg.Wait()
}

// TestRetireLateConnection: one that was accepted just as the listener began to
// retire is served.
func TestRetireLateConnection(t *testing.T) {
	l, a := newTestListener(t, nil)
	client := dial(t, l)
	nc, err := l.socket.Accept()
	if err != nil {
		t.Fatal(err)
	}
	l.accepting.Lock() // as Serve has it
	l.Leave()
	var wg sync.WaitGroup
	wg.Go(func() { l.Retire(context.Background(), patience) })
	l.start(nc)
	l.accepting.Unlock()
	io.WriteString(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	a.answer <- struct{}{}
	if got, err := io.ReadAll(client); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 204 ") {
		t.Errorf("received %q, %v", got, err)
	}
	client.Close()
	wg.Wait()
}

// TestRetireWithoutRoom: a listener that waits for a connection to end, before it
// accepts the next, need not wait to retire, nor does it take one more.
func TestRetireWithoutRoom(t *testing.T) {
	l, _ := newTestListener(t, func(o *Options) { o.MaxConns = 1 })
	l.Budget.enter(l, false)
	var wg sync.WaitGroup
	wg.Go(l.Serve)
	l.Retire(context.Background(), time.Millisecond)
	wg.Wait()
	if n := l.Accepted.Load(); n != 0 {
		t.Errorf("%d connections were accepted", n)
	}
}
