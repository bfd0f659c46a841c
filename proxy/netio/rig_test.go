package netio_test

import (
	"crypto/tls"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hopscope/hopscope/proxy/netio"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// Most of these tests wait, and may do so together.
	if err := flag.Set("test.parallel", "64"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// transport is a kind of connection. Conn uses the first two by its own system
// calls on Linux, and the others by their methods.
type transport struct {
	name string
	pair func(t testing.TB) (near, far net.Conn)
	// raw is true where Conn makes its own system calls, if it does at all.
	raw bool
	// socket is true where a side can be closed, and the kernel keeps bytes.
	socket bool
	// tls is nil for plain text.
	tls *encryption
}

var transports = []transport{
	{"tcp", tcp, true, true, nil},
	{"unix", unixPair, true, true, nil},
	{"tcp by its methods", tcpByMethods, false, true, nil},
	{"pipe", pipe, false, false, nil},
	{"tls server", tcp, true, true, &encryption{tls.VersionTLS13, true}},
	{"tls client", tcp, true, true, &encryption{tls.VersionTLS13, false}},
	{"tls 1.2 over unix", unixPair, true, true, &encryption{tls.VersionTLS12, true}},
	{"tls by methods", tcpByMethods, false, true, &encryption{tls.VersionTLS13, true}},
}

func tcp(t testing.TB) (near, far net.Conn) { return connected(t, "tcp", "127.0.0.1:0") }
func unixPair(t testing.TB) (near, far net.Conn) {
	return connected(t, "unix", filepath.Join(t.TempDir(), "s"))
}
func pipe(testing.TB) (near, far net.Conn) { return net.Pipe() }

// methods hides what kind of connection it is.
type methods struct{ *net.TCPConn }

func tcpByMethods(t testing.TB) (near, far net.Conn) {
	near, far = tcp(t)
	return methods{near.(*net.TCPConn)}, far
}

func connected(t testing.TB, network, address string) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if far, err = net.Dial(network, l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if near, err = l.Accept(); err != nil {
		far.Close()
		t.Fatal(err)
	}
	return near, far
}

// each runs the test over every kind of connection, or over sockets only.
func each(t *testing.T, only func(transport) bool, test func(t *testing.T, tr transport)) {
	for _, tr := range transports {
		if only == nil || only(tr) {
			t.Run(tr.name, func(t *testing.T) {
				t.Parallel()
				test(t, tr)
			})
		}
	}
}

func sockets(tr transport) bool { return tr.socket }
func plain(tr transport) bool   { return tr.tls == nil }

// rig is a Conn, the connection under it, and its peer.
type rig struct {
	*netio.Conn
	near, far net.Conn
	aside     sync.WaitGroup
}

func newRig(t *testing.T, tr transport) *rig {
	t.Helper()
	near, far := tr.pair(t)
	r := &rig{Conn: netio.New(near, netio.NewShared()), near: near, far: far}
	t.Cleanup(func() {
		r.Close()
		far.Close()
		r.aside.Wait()
	})
	if tr.tls != nil {
		r.far = tr.tls.encrypt(t, r.Conn, far)
	}
	return r
}

// go runs f, which ends by itself or when the connections are closed.
func (r *rig) start(f func()) { r.aside.Go(f) }

// sends has the peer send the pieces one after the other, while the test goes
// on.
func (r *rig) sends(pieces ...string) {
	r.start(func() {
		for _, p := range pieces {
			if _, err := io.WriteString(r.far, p); err != nil {
				return
			}
		}
	})
}

// reads is what the peer receives, n bytes of it.
func (r *rig) reads(t *testing.T, n int) string {
	t.Helper()
	b := make([]byte, n)
	r.far.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(r.far, b); err != nil {
		t.Fatalf("the peer, waiting for %d bytes: %v", n, err)
	}
	return string(b)
}

// patience is how long a test waits for what must happen.
const patience = time.Minute

// within calls f, and fails the test if it does not come back.
func within[T any](t *testing.T, f func() T) T {
	t.Helper()
	done := make(chan T, 1)
	go func() { done <- f() }()
	select {
	case v := <-done:
		return v
	case <-time.After(patience):
		t.Fatal("it still waits")
		panic("not reached")
	}
}

// await begins waits that end after d; 0 is never.
func (r *rig) await(d time.Duration) (by time.Duration) {
	now := r.Now()
	if d != 0 {
		by = now + d
	}
	r.Await(now, by)
	return by
}

// receive fills until n bytes are buffered.
func (r *rig) receive(t *testing.T, n int) {
	t.Helper()
	for len(r.Buffered()) < n {
		if err := within(t, r.Fill); err != nil {
			t.Fatalf("%d of %d bytes, then %v", len(r.Buffered()), n, err)
		}
	}
}

func (r *rig) expect(t *testing.T, want string) {
	t.Helper()
	r.receive(t, len(want))
	if got := string(r.Buffered()); got != want {
		t.Fatalf("buffered %.80q, want %.80q", got, want)
	}
}

// waits are the three ways to wait. None ends before bytes come or it fails.
var waits = []struct {
	name string
	wait func(*netio.Conn) error
}{
	{"Fill", (*netio.Conn).Fill},
	{"Turns", func(c *netio.Conn) error { return c.Turns(func() bool { return false }) }},
	{"Exchange", func(c *netio.Conn) error {
		n, err := c.Exchange([]byte("?"), nil)
		if n == 0 && err == nil { // the socket had no room: the wait is for the caller
			err = c.Fill()
		}
		return err
	}},
}

// eachWait runs the test over every kind of connection, for each way to wait.
// The peer reads whatever it is sent.
func eachWait(t *testing.T, test func(t *testing.T, r *rig, wait func() error)) {
	each(t, nil, func(t *testing.T, tr transport) {
		for _, w := range waits {
			t.Run(w.name, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, tr)
				r.start(func() { io.Copy(io.Discard, r.far) })
				test(t, r, func() error { return w.wait(r.Conn) })
			})
		}
	})
}

// wantErr checks that got is want, and that nothing is held for a wait that
// failed with nothing received.
func (r *rig) wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("it ended with %v, want %v", got, want)
	}
	if len(r.Buffered()) == 0 && r.Size() > 0 {
		t.Errorf("a buffer of %d bytes is kept for nothing", r.Size())
	}
}

// pattern is n bytes of which no two neighbourhoods are alike.
func pattern(n int) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(b)
	return string(b)
}
