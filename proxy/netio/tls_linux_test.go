package netio_test

import (
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/hopscope/hopscope/proxy/netio"
)

// TestHowItEnds ends a connection in each way, and asks its peer, a Conn too,
// what came of it.
func TestHowItEnds(t *testing.T) {
	cases := []struct {
		name string
		end  func(*netio.Conn)
		err  error
	}{
		{"CloseWrite", func(c *netio.Conn) { c.CloseWrite() }, io.EOF},
		{"CloseWrite twice", func(c *netio.Conn) { c.CloseWrite(); c.CloseWrite(); c.Done() }, io.EOF},
		{"Done", (*netio.Conn).Done, io.EOF},
		{"Close", func(c *netio.Conn) { c.Close() }, io.ErrUnexpectedEOF},
		{"Close, then Done", func(c *netio.Conn) { c.Close(); c.Done() }, io.ErrUnexpectedEOF},
		{"Abort", func(c *netio.Conn) { c.Abort(); c.Done() }, syscall.ECONNRESET},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			each(t, raw, func(t *testing.T, tr transport) {
				if !encrypted(tr) || strings.Contains(tr.name, "unix") && tc.name == "Abort" {
					t.Skip("plain, or a socket that knows no reset")
				}
				one, other := pairOf(t, tr)
				other.Await(other.Now(), 0)
				tc.end(one)
				if err := within(t, other.Fill); !errors.Is(err, tc.err) {
					t.Errorf("the peer's read ended with %v, want %v", err, tc.err)
				}
				if other.Quiet() {
					t.Error("the peer takes it for a good connection")
				}
			})
		})
	}
}

// TestResumption reads the session tickets of one connection by asking whether it
// is quiet, and uses one for the next.
func TestResumption(t *testing.T) {
	each(t, func(tr transport) bool { return plain(tr) && tr.raw }, func(t *testing.T, tr transport) {
		mine, its := encryption{tls.VersionTLS13, false}.configs()
		mine.ClientSessionCache, mine.ServerName = tls.NewLRUClientSessionCache(1), "hop.test"
		for i := range 3 {
			r := newRig(t, tr)
			p := newPeer(r.far, its, true)
			r.start(func() { p.Handshake() })
			state, err := r.StartTLS(mine, false, 0)
			if err != nil {
				t.Fatal(err)
			}
			if state.DidResume != (i > 0) {
				t.Errorf("connection %d resumed: %t", i, state.DidResume)
			}
			r.aside.Wait() // the tickets are there now
			for range 3 {
				if !r.Quiet() || r.Peer().State != netio.PeerOpen || r.Borrows() {
					t.Errorf("quiet %t, the peer is %+v, a buffer: %t", r.Quiet(), r.Peer(), r.Borrows())
				}
			}
			r.start(func() { io.WriteString(p, "bytes") })
			r.await(0)
			r.expect(t, "bytes")
		}
	})
}

// TestIdleHoldsNoBuffer looks at a connection while it waits.
func TestIdleHoldsNoBuffer(t *testing.T) {
	each(t, raw, func(t *testing.T, tr transport) {
		r := newRig(t, tr)
		r.sends("hello\n")
		served, held := 0, false
		r.Watch(func() bool {
			held = held || r.Borrows() || r.Size() > 0
			return served > 0
		})
		r.await(0)
		r.wantErr(t, within(t, func() error { return r.Turns(r.lines(&served)) }), netio.ErrGone)
		if held {
			t.Error("it holds a buffer while it waits")
		}
	})
}
