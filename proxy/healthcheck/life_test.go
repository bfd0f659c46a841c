package healthcheck

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// probes makes a few probes with one prober and returns their outcomes.
func probes(t *testing.T, n int, address string, o Options) string {
	t.Helper()
	p := newProber(t.Context(), address, must(t, o), nil)
	defer p.close()
	var b strings.Builder
	for range n {
		r := timed(t.Context(), p, long)
		fmt.Fprint(&b, r.Outcome)
	}
	return b.String()
}

// A connection is kept from one probe to the next, unless that is not wanted.
func TestConnectionsAreKept(t *testing.T) {
	var opened atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	address := s.Listener.Addr().String()
	for _, tt := range []struct {
		options Options
		want    int32
	}{
		{Options{HTTP: &HTTP{}}, 1},
		{Options{HTTP: &HTTP{HTTP2: true}}, 1},
		{Options{HTTP: &HTTP{}, CloseConnection: true}, 3},
		{Options{TCP: &TCP{}}, 3},
	} {
		opened.Store(0)
		if got := probes(t, 3, address, tt.options); got != "000" {
			t.Errorf("outcomes %s", got)
		}
		eventually(t, fmt.Sprintf("%d connections, as there are %d", tt.want, opened.Load()), func() bool { return opened.Load() == tt.want })
	}
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(long); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited for %s in vain", what)
		}
	}
}

// A server flips between well and not, and the Checker says so each time. When the
// endpoint is removed, its connection is gone.
func TestCheckerWithARealServer(t *testing.T) {
	var status, open atomic.Int32
	status.Store(200)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	c, err := New([]Options{{HTTP: &HTTP{}, Interval: time.Millisecond, Timeout: long}, {TCP: &TCP{}, Interval: time.Millisecond, Timeout: long}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetTraffic(true)
	changes := make(chan Report, 10)
	e := c.Add(s.Listener.Addr().String(), func(r Report) {
		if r.Changed {
			changes <- r
		}
	})
	for i, want := range []Health{Healthy, Unhealthy, Healthy, Unhealthy} {
		r := <-changes
		if r.Health != want || r.Detail == "" {
			t.Errorf("change %d: %+v, want %s", i, r, want)
		}
		status.Store(700 - status.Load())
	}
	e.Remove()
	eventually(t, "the end of all connections", func() bool { return open.Load() == 0 })
}

// A connection on which a probe was lost is not kept for the next.
func TestALostConnectionIsNotKept(t *testing.T) {
	for name, o := range map[string]Options{"HTTP": {HTTP: &HTTP{}}, "HTTP/2": {HTTP: &HTTP{HTTP2: true}}, "gRPC": {GRPC: &GRPC{}}} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			p := newProber(t.Context(), l.Addr().String(), must(t, o), nil)
			defer p.close()
			accepted := make(chan net.Conn, 1)
			go func() {
				if conn, err := l.Accept(); err == nil {
					accepted <- conn
				}
			}()
			// A busy machine may not even connect in so short a time.
			for limit := 50 * time.Millisecond; ; limit *= 2 {
				if r := timed(t.Context(), p, limit); r.Outcome != Failed {
					t.Fatal(r.Detail)
				}
				select {
				case conn := <-accepted:
					defer conn.Close()
					io.Copy(io.Discard, conn) // returns when the connection is closed
					return
				default:
				}
			}
		})
	}
}

// The removal of an endpoint ends a probe that is under way, and its connection.
func TestRemovalEndsAProbe(t *testing.T) {
	for name, o := range map[string]Options{
		"HTTP": {HTTP: &HTTP{}}, "HTTP/2": {HTTP: &HTTP{HTTP2: true}}, "gRPC": {GRPC: &GRPC{}},
		"TCP": {TCP: &TCP{Receive: [][]byte{{1}}}},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			o.Timeout = time.Hour
			c, err := New([]Options{o}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			e := c.Add(l.Addr().String(), func(r Report) { t.Errorf("a report: %+v", r) })
			conn, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			e.Remove()
			io.Copy(io.Discard, conn) // returns when the connection is closed
		})
	}
}
