package listener

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/telemetry/hop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = time.Minute

// answerer is a server that answers each request with 204 when it is told to.
type answerer struct {
	got, answer chan struct{}
	between     func() // what happens when the head is written
}

func (a *answerer) Serve(x *filter.Exchange, refused error) {
	x.Hop = x.Conn.Info().Sink.Open()
	a.got <- struct{}{}
	<-a.answer
	r := &x.Response
	r.Begin(nil)
	r.Status, r.Framing = 204, message.NoBody
	x.Writer.Head(r)
	if a.between != nil {
		a.between()
	}
	x.Writer.End(nil)
	x.Finished = x.Conn.(*http1Conn).listener.Shared.Now()
}

func (a *answerer) Lost(*filter.ConnInfo, hop.Version, *fault.Error) {}

type noSink struct{}

func (noSink) Open() *hop.Hop  { return &hop.Hop{} }
func (noSink) Record(*hop.Hop) {}

func newTestListener(t *testing.T, change func(*Options)) (*Listener, *answerer) {
	t.Helper()
	o := Options{
		Name: "ingress", Address: "127.0.0.1:0", HeadTimeout: time.Minute, IdleTimeout: time.Minute, StreamIdle: time.Minute,
		Shared: netio.NewShared(), Sink: func(uint64) hop.Sink { return noSink{} }, Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&o)
	}
	a := &answerer{got: make(chan struct{}, 1000), answer: make(chan struct{})}
	socket, err := Bind(o.Name, o.Address)
	if err != nil {
		t.Fatal(err)
	}
	return New(o, a, socket), a
}

func dial(t *testing.T, l *Listener) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { c.Close() })
	return c
}

func TestListenErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	tests := []struct{ name, address, want string }{
		{"taken", taken.Addr().String(), "already in use: stop what listens there, or choose another port"},
		{"not ours", "192.0.2.1:0", "192.0.2.1:0 is not one of this machine's"},
		{"no address", "127.0.0.1:99999", "127.0.0.1:99999"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Bind("ingress", tt.address)
			if err == nil || !strings.HasPrefix(err.Error(), "listener ingress: address ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one that says %q", err, tt.want)
			}
		})
	}
	if err := explain(":80", syscall.EACCES); !strings.Contains(err.Error(), "CAP_NET_BIND_SERVICE") {
		t.Errorf("error %v does not say what to do", err)
	}
}

// failing is a socket whose Accept fails a few times before it works.
type failing struct {
	net.Listener
	left int
}

func (f *failing) Accept() (net.Conn, error) {
	if f.left > 0 {
		f.left--
		return nil, syscall.EMFILE
	}
	return f.Listener.Accept()
}

// TestAcceptFails for a while, which ends neither the listener nor costs it a
// place for a connection.
func TestAcceptFails(t *testing.T) {
	l, a := newTestListener(t, func(o *Options) { o.MaxConns = 1 })
	l.socket = &failing{l.socket, 3}
	var wg sync.WaitGroup
	wg.Go(l.Serve)
	c := dial(t, &Listener{socket: l.socket.(*failing).Listener})
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	a.answer <- struct{}{}
	if b := make([]byte, 12); readAll(c, b) != nil || string(b) != "HTTP/1.1 204" {
		t.Errorf("received %q", b)
	}
	drain(l, patience)
	wg.Wait()
	if n := l.Active.Load(); n != 0 {
		t.Errorf("%d connections are active", n)
	}
}

func readAll(c net.Conn, b []byte) error {
	_, err := io.ReadFull(c, b)
	return err
}

func drain(l *Listener, limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	l.Drain(ctx)
}

// TestLateConnection: one that was accepted just as the listener began to drain
// is closed, and not forgotten.
func TestLateConnection(t *testing.T) {
	l, _ := newTestListener(t, func(o *Options) { o.MaxConns = 1 })
	client := dial(t, l)
	l.Budget.enter(l, false)
	nc, err := l.socket.Accept()
	if err != nil {
		t.Fatal(err)
	}
	l.StopAccepting()
	l.start(nc)
	if n, err := client.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("read %d bytes, %v", n, err)
	}
	if l.Budget.open != 0 || len(l.conns) != 0 {
		t.Errorf("%d places are taken, %d connections known", l.Budget.open, len(l.conns))
	}
	drain(l, patience)
}

// TestRequestBeatsDrain: a connection that drain took for idle, and on which a
// request arrived at the same moment, serves it.
func TestRequestBeatsDrain(t *testing.T) {
	l, _ := newTestListener(t, nil)
	defer l.StopAccepting()
	client := dial(t, l)
	nc, err := l.socket.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := newHTTP1(l, netio.New(nc, l.Shared), l.newInfo(nc, 1))
	defer c.nio.Done()
	c.drain()
	if s := c.state.Load(); s != woken {
		t.Errorf("state %d, want woken", s)
	}
	c.occupy()
	c.drain() // which is no more its business
	if s := c.state.Load(); s != busy {
		t.Errorf("state %d, want busy", s)
	}
	io.WriteString(client, "x")
	c.nio.Await(c.nio.Now(), c.nio.Now()+patience)
	if err := c.nio.Fill(); err != nil {
		t.Errorf("a wait within the request ended with %v", err)
	}
}

// TestDrainBehindTheHead: a response whose head is out already can't say that
// it is the last, but it is.
func TestDrainBehindTheHead(t *testing.T) {
	l, a := newTestListener(t, nil)
	a.between = l.StopAccepting
	var wg sync.WaitGroup
	wg.Go(l.Serve)
	c := dial(t, l)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	a.answer <- struct{}{}
	if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 204 ") || strings.Contains(string(got), "close") {
		t.Errorf("received %q, %v", got, err)
	}
	c.Close()
	drain(l, patience)
	wg.Wait()
}

// TestCutOffInAnAnswer: the limit of a drain does not wait for whoever answers.
func TestCutOffInAnAnswer(t *testing.T) {
	l, a := newTestListener(t, nil)
	var wg sync.WaitGroup
	wg.Go(l.Serve)
	var clients []net.Conn
	for range 10 {
		c := dial(t, l)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		<-a.got
		clients = append(clients, c)
	}
	l.each(connection.cutOff) // it returns, though all of them are busy
	for range clients {
		a.answer <- struct{}{}
	}
	for _, c := range clients {
		if got, err := io.ReadAll(c); err == nil && len(got) > 0 {
			t.Errorf("received %q, %v", got, err)
		}
	}
	drain(l, patience)
	wg.Wait()
}

// TestLingeringIsCut: nor is a client waited for that does not close its side.
func TestLingeringIsCut(t *testing.T) {
	l, a := newTestListener(t, nil)
	var wg sync.WaitGroup
	wg.Go(l.Serve)
	c := dial(t, l)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	a.answer <- struct{}{}
	if got, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 204 ") {
		t.Errorf("received %q, %v", got, err)
	}
	drain(l, time.Millisecond)
	wg.Wait()
}
