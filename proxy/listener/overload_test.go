package listener

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/overload"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// judge is a server that tells why requests are refused, and answers them with 204.
type judge struct{ why chan *fault.Error }

func (j *judge) Serve(x *filter.Exchange, refused error) {
	x.Hop = x.Conn.Info().Sink.Open()
	j.why <- fault.Of(refused)
	r := &x.Response
	r.Begin(nil)
	r.Status, r.Framing = 204, message.NoBody
	x.Writer.Head(r)
	x.Writer.End(nil)
	x.Finished = x.Conn.(*http1Conn).listener.Shared.Now()
}

func (j *judge) Lost(_ *filter.ConnInfo, _ hop.Version, why *fault.Error) { j.why <- why }

// judged is a listener that serves by a judge, and ends with the test.
func judged(t *testing.T) (*Listener, *judge) {
	t.Helper()
	l, _ := newTestListener(t, nil)
	j := &judge{why: make(chan *fault.Error, 1000)}
	l.Use(j)
	l.Shared.Memory.SetLimit(64 << 20)
	served := make(chan struct{})
	go func() {
		defer close(served)
		l.Serve()
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		l.Drain(ctx)
		<-served
		if used := l.Shared.Memory.Used(); used > l.Shared.Memory.Limit() {
			t.Errorf("%d bytes are in use after the end", used)
		}
	})
	return l, j
}

// verdict is what the judge has heard next.
func (j *judge) verdict(t *testing.T) *fault.Error {
	t.Helper()
	select {
	case why := <-j.why:
		return why
	case <-time.After(patience):
		t.Fatal("no request was served")
		return nil
	}
}

const askOnce = "GET / HTTP/1.1\r\nHost: web.test\r\n\r\n"

// TestRequestWhereMemoryIsFull: it is refused, and the proxy blames itself, with OM.
func TestRequestWhereMemoryIsFull(t *testing.T) {
	l, j := judged(t)
	c := dial(t, l)
	io.WriteString(c, askOnce)
	if why := j.verdict(t); why != nil {
		t.Fatal(why)
	}
	c.Read(make([]byte, 1000))
	m := l.Shared.Memory
	m.Take(int(m.Limit()))
	io.WriteString(c, askOnce)
	if why := j.verdict(t); why == nil || why.Kind != fault.Overload || why.Kind.Flag().String() != "OM" || why.Kind.Status() != 503 {
		t.Errorf("the request was refused for %v", why)
	}
	if n := m.Refused(overload.Request); n != 1 {
		t.Errorf("%d requests are counted as refused", n)
	}
	m.Give(int(m.Limit()))
}

// TestHeadWhereMemoryIsShort: a head that does not fit into a usual buffer is refused
// then, and one that does is not.
func TestHeadWhereMemoryIsShort(t *testing.T) {
	l, j := judged(t)
	m := l.Shared.Memory
	m.Take(int(m.Limit() / 100 * 65))
	small, large := dial(t, l), dial(t, l)
	io.WriteString(small, askOnce)
	if why := j.verdict(t); why != nil {
		t.Errorf("a small head was refused for %v", why)
	}
	io.WriteString(large, "GET / HTTP/1.1\r\nHost: web.test\r\nCookie: "+strings.Repeat("c", 30<<10))
	if why := j.verdict(t); why == nil || why.Kind != fault.Overload {
		t.Errorf("a large head was refused for %v", why)
	}
	m.Give(int(m.Limit() / 100 * 65))
}

// TestConnectionWhereMemoryIsShort: a new one waits for others to be closed, and is
// closed itself where that does not help.
func TestConnectionWhereMemoryIsShort(t *testing.T) {
	l, _ := judged(t)
	m := l.Shared.Memory
	m.Take(int(m.Limit() / 100 * 85))
	c := dial(t, l)
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("the connection was served")
	} else if e, ok := err.(net.Error); ok && e.Timeout() {
		t.Error("the connection stays open")
	}
	if n := m.Refused(overload.Connection); n != 1 {
		t.Errorf("%d connections are counted as refused", n)
	}
	m.Give(int(m.Limit() / 100 * 85))
}

// TestShed: of the connections, those go first that hold most and get on with nothing;
// one whose requests are answered stays.
func TestShed(t *testing.T) {
	l, j := judged(t)
	good := dial(t, l)
	io.WriteString(good, askOnce)
	j.verdict(t)
	good.Read(make([]byte, 1000))
	var hostile []net.Conn
	for range 5 {
		c := dial(t, l)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: web.test\r\nx-")
		hostile = append(hostile, c)
	}
	m := l.Shared.Memory
	for end := time.Now().Add(patience); m.Used() < 6*connSize+5*(16<<10); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("only %d bytes are in use", m.Used())
		}
	}
	if n := Shed([]*Listener{l}, 5*(connSize+16<<10), l.Shared.Now()); n != 5 {
		t.Errorf("%d connections were closed, want 5", n)
	}
	for range hostile {
		if why := j.verdict(t); why == nil || why.Kind != fault.Overload {
			t.Errorf("a connection was closed for %v", why)
		}
	}
	io.WriteString(good, askOnce)
	if why := j.verdict(t); why != nil {
		t.Error(why)
	}
	if n, err := good.Read(make([]byte, 1000)); n == 0 {
		t.Errorf("the connection whose request was answered is closed: %v", err)
	}
}
