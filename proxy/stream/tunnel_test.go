package stream

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/netio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = time.Minute

// rig is a tunnel between two connections, at whose far ends a test stands.
type rig struct {
	client, endpoint *net.TCPConn
	tunnel           Tunnel
}

func newRig(t *testing.T, idle time.Duration) *rig {
	t.Helper()
	shared := netio.NewShared()
	r := &rig{}
	var near [2]net.Conn
	for i, far := range []**net.TCPConn{&r.client, &r.endpoint} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		near[i], err = l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		*far = c.(*net.TCPConn)
		c.SetDeadline(time.Now().Add(patience))
		t.Cleanup(func() { c.Close() })
	}
	client, endpoint := netio.New(near[0], shared), netio.New(near[1], shared)
	r.tunnel = Tunnel{Client: client, Endpoint: endpoint, Name: "web:1", Idle: idle, Shared: shared}
	t.Cleanup(client.Done)
	t.Cleanup(endpoint.Done)
	return r
}

type result struct {
	up, down int64
	err      error
}

func (r *rig) run() <-chan result {
	done := make(chan result, 1)
	go func() {
		up, down, err := r.tunnel.Run()
		done <- result{up, down, err}
	}()
	return done
}

func TestTunnel(t *testing.T) {
	const short, long = 50 * time.Millisecond, time.Hour
	tests := []struct {
		name     string
		idle     time.Duration
		act      func(t *testing.T, client, endpoint *net.TCPConn)
		up, down int64
		kind     fault.Kind
		says     string
	}{
		{"both end", long, func(t *testing.T, client, endpoint *net.TCPConn) {
			io.WriteString(client, "to the endpoint")
			io.WriteString(endpoint, "to the client")
			client.CloseWrite()
			endpoint.CloseWrite()
			all(t, client, "to the client")
			all(t, endpoint, "to the endpoint")
		}, 15, 13, fault.None, ""},
		{"one end closes, the other goes on", long, func(t *testing.T, client, endpoint *net.TCPConn) {
			client.CloseWrite()
			all(t, endpoint, "")
			io.WriteString(endpoint, "still here")
			endpoint.CloseWrite()
			all(t, client, "still here")
		}, 0, 10, fault.None, ""},
		{"the client resets", long, func(t *testing.T, client, endpoint *net.TCPConn) {
			client.SetLinger(0)
			client.Close()
			io.ReadAll(endpoint)
		}, 0, 0, fault.ClientReset, "the client reset the tunnel"},
		{"the endpoint resets", long, func(t *testing.T, client, endpoint *net.TCPConn) {
			endpoint.SetLinger(0)
			endpoint.Close()
			io.ReadAll(client)
		}, 0, 0, fault.UpstreamReset, "web:1 reset the tunnel"},
		{"nothing moves", short, func(t *testing.T, client, endpoint *net.TCPConn) {
			io.ReadAll(client)
			io.ReadAll(endpoint)
		}, 0, 0, fault.UpstreamIdle, "no byte moved through the tunnel for 50ms"},
		{"nothing moves after one end closed", short, func(t *testing.T, client, endpoint *net.TCPConn) {
			client.CloseWrite()
			io.ReadAll(client)
		}, 0, 0, fault.UpstreamIdle, "no byte moved through the tunnel for 50ms"},
		{"one direction keeps the other alive", 10 * short, func(t *testing.T, client, endpoint *net.TCPConn) {
			for range 14 {
				time.Sleep(short)
				io.WriteString(client, "x")
			}
			io.WriteString(endpoint, "y")
			client.CloseWrite()
			endpoint.CloseWrite()
			all(t, client, "y")
			all(t, endpoint, strings.Repeat("x", 14))
		}, 14, 1, fault.None, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.idle)
			done := r.run()
			tt.act(t, r.client, r.endpoint)
			select {
			case got := <-done:
				if got.up != tt.up || got.down != tt.down {
					t.Errorf("%d bytes up, %d down; want %d, %d", got.up, got.down, tt.up, tt.down)
				}
				var f *fault.Error
				if errors.As(got.err, &f) != (tt.kind != fault.None) || f != nil && (f.Kind != tt.kind || f.Reason != tt.says) {
					t.Errorf("ended with %v, want %v, %q", got.err, tt.kind, tt.says)
				}
			case <-time.After(patience):
				t.Fatal("the tunnel does not end")
			}
		})
	}
}

// all reads to the end.
func all(t *testing.T, c net.Conn, want string) {
	t.Helper()
	if got, err := io.ReadAll(c); string(got) != want || err != nil {
		t.Errorf("received %q, %v; want %q", got, err, want)
	}
}

// TestTunnelBuffered: what the connections have buffered goes first.
func TestTunnelBuffered(t *testing.T) {
	r := newRig(t, time.Hour)
	io.WriteString(r.client, "up, ")
	io.WriteString(r.endpoint, "down, ")
	for _, c := range []netio.Duplex{r.tunnel.Client, r.tunnel.Endpoint} {
		now := r.tunnel.Shared.Now()
		c.Await(now, now+patience)
		if err := c.Fill(); err != nil {
			t.Fatal(err)
		}
	}
	done := r.run()
	io.WriteString(r.client, "and away")
	io.WriteString(r.endpoint, "and out")
	r.client.CloseWrite()
	r.endpoint.CloseWrite()
	all(t, r.endpoint, "up, and away")
	all(t, r.client, "down, and out")
	if got := <-done; got.up != 12 || got.down != 13 || got.err != nil {
		t.Errorf("%+v", got)
	}
}

// TestTunnelClosedUnderneath: whoever closes one of the connections ends the
// tunnel, and that is no failure.
func TestTunnelClosedUnderneath(t *testing.T) {
	for name, which := range map[string]func(*rig) netio.Duplex{
		"client":   func(r *rig) netio.Duplex { return r.tunnel.Client },
		"endpoint": func(r *rig) netio.Duplex { return r.tunnel.Endpoint },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, time.Hour)
			done := r.run()
			which(r).Close()
			all(t, r.client, "")
			all(t, r.endpoint, "")
			if got := <-done; got.err != nil {
				t.Errorf("ended with %v", got.err)
			}
		})
	}
}
