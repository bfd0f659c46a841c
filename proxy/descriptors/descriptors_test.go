package descriptors

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestReserve(t *testing.T) {
	for limit, want := range map[int]int{8: 2, 64: 16, 256: 64, 1024: 64, 1 << 20: 64} {
		if got := Reserve(limit); got != want || Usable(limit) != limit-want {
			t.Errorf("of %d: %d are kept, %d left; want %d kept", limit, got, Usable(limit), want)
		}
	}
}

// TestDialerLeaves: the dialer leaves the reserve alone and says so in its error.
func TestDialerLeaves(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := Dialer(Limit, nil).Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if Reserved(c, Usable(Limit())) || !Reserved(c, 0) || Short() {
		t.Error("one of the first descriptors counts as one of the last")
	}
	c, err = Dialer(Limit, Limit).Dial("tcp", l.Addr().String())
	if err == nil {
		c.Close()
		t.Fatal("it dialled with a descriptor that is kept")
	}
	if _, ok := errors.AsType[*Kept](err); !ok || !Lacks(err) {
		t.Errorf("error %v", err)
	}
	if s, remedy := OfDial(err); s != Descriptors || !strings.Contains(remedy, fmt.Sprintf("which is %d now (ulimit -n", Limit())) {
		t.Errorf("shortage %d: %s", s, remedy)
	}
}

func TestOfDial(t *testing.T) {
	at := func(address string, err error) error {
		a, _ := net.ResolveTCPAddr("tcp", address)
		return &net.OpError{Op: "dial", Net: "tcp", Addr: a, Err: os.NewSyscallError("connect", err)}
	}
	for _, tt := range []struct {
		err  error
		want Shortage
	}{
		{at("127.0.0.1:1", syscall.EMFILE), Descriptors},
		{at("127.0.0.1:1", syscall.ENFILE), Descriptors},
		{at("127.0.0.1:1", syscall.ENOBUFS), Memory},
		{at("127.0.0.1:1", syscall.ENOMEM), Memory},
		{at("127.0.0.1:1", syscall.EADDRNOTAVAIL), Ports},
		{os.NewSyscallError("connect", syscall.EADDRNOTAVAIL), None}, // to nobody knows where
		{at("127.0.0.1:1", syscall.ECONNREFUSED), None},
		{&net.DNSError{Err: "no such host"}, None},
	} {
		if s, remedy := OfDial(tt.err); s != tt.want || (remedy == "") != (s == None) {
			t.Errorf("%v: %d, %q; want %d", tt.err, s, remedy, tt.want)
		}
	}
}

func TestNotice(t *testing.T) {
	var n Notice
	var said []uint64
	start := time.Now()
	for _, after := range []time.Duration{0, 1, 59 * time.Second, time.Minute, time.Minute + 1, 3 * time.Minute} {
		n.at(start.Add(after), func(times uint64) { said = append(said, times) })
	}
	if fmt.Sprint(said) != "[1 3 2]" {
		t.Errorf("said %v", said)
	}
}
