package handover

import (
	"net"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// reach connects to an address, and has a listener accept that.
func reach(t *testing.T, l net.Listener) {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	accepted.Close()
}

// TestDup: what waits to be accepted is the other's, once the first has closed.
func TestDup(t *testing.T) {
	first := listen(t)
	c, err := net.Dial("tcp", first.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	second, err := Dup(first)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	accepted, err := second.Accept()
	if err != nil {
		t.Fatal(err)
	}
	accepted.Close()
	reach(t, second)
	if _, err := Dup(first); err == nil {
		t.Error("a socket that is closed was copied")
	}
	if _, err := Dup(struct{ net.Listener }{second}); err == nil {
		t.Error("what has no descriptor was copied")
	}
}
