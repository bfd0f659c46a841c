package handover

import (
	"net"
	"testing"
	"time"
)

func TestOverlap(t *testing.T) {
	for _, tt := range []struct {
		a, b          string
		same, overlap bool
	}{
		{"127.0.0.1:80", "127.0.0.1:80", true, true},
		{"127.0.0.1:80", "127.0.0.1:81", false, false},
		{"127.0.0.1:80", "127.0.0.2:80", false, false},
		{"127.0.0.1:80", "0.0.0.0:80", false, true},
		{"127.0.0.1:80", "[::]:80", false, true},
		{"[::1]:80", "[::]:80", false, true},
		{"[::1]:80", "127.0.0.1:80", false, false},
		{"[::]:80", "0.0.0.0:80", true, true},
		{":80", "[::]:80", true, true},
		{":80", "[::]:81", false, false},
		{"[::ffff:127.0.0.1]:80", "127.0.0.1:80", true, true},
		{"[fe80::1%a]:80", "[fe80::1%b]:80", false, false},
	} {
		a, b := resolve(t, tt.a), resolve(t, tt.b)
		if Same(a, b) != tt.same || Same(b, a) != tt.same || Overlap(a, b) != tt.overlap || Overlap(b, a) != tt.overlap {
			t.Errorf("%s and %s: same %t, overlap %t", tt.a, tt.b, Same(a, b), Overlap(a, b))
		}
	}
}

func resolve(t *testing.T, address string) *net.TCPAddr {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestBindInThePlaceOfAnother: the old socket is left when nobody waits there, and the
// new one takes what comes then.
func TestBindInThePlaceOfAnother(t *testing.T) {
	old, err := Bind("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(old.Addr().String())
	if l, err := Bind(":" + port); err == nil {
		l.Close()
		t.Fatal("the system binds addresses that overlap by itself")
	}
	l, err := Bind(":"+port, old)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	waits, err := net.Dial("tcp", old.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer waits.Close()
	left := make(chan struct{})
	go func() {
		defer close(left)
		Leave(old, nil)
	}()
	accepted, err := old.Accept()
	if err != nil {
		t.Fatal(err)
	}
	accepted.Close()
	select {
	case <-left:
	case <-time.After(patience):
		t.Fatal("the old socket is not left")
	}
	if _, err := old.Accept(); err == nil {
		t.Error("the old socket is still open")
	}
	reach(t, l)
}

// TestLeaveAtOnce does not wait for who would accept.
func TestLeaveAtOnce(t *testing.T) {
	l := listen(t)
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	enough := make(chan struct{})
	close(enough)
	Leave(l, enough)
	if _, err := l.Accept(); err == nil {
		t.Error("the socket is still open")
	}
}
