package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// asApplication makes the test's binary an application that reads what comes and answers
// nothing.
const asApplication = "EVIDENCE_TEST_APPLICATION"

func TestMain(m *testing.M) {
	if os.Getenv(asApplication) != "" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		fmt.Println(l.Addr())
		for {
			c, err := l.Accept()
			if err != nil {
				panic(err)
			}
			go io.Copy(io.Discard, c)
		}
	}
	goleak.VerifyTestMain(m)
}

// waited is an attempt that gave up.
var waited = Attempt{Who: "the application", Sent: true, Waited: 2 * time.Second}

// kernel is one whose log must stay empty.
func kernel(t *testing.T) *Kernel {
	return New(slog.New(slog.NewTextHandler(t.Output(), nil)))
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func send(t *testing.T, c net.Conn, n int) {
	t.Helper()
	if _, err := c.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
}

// want asks until the answer is what it should be. What one end sent takes a moment to
// arrive at the other, even on one machine.
func want(t *testing.T, pattern string, ask func() string) {
	t.Helper()
	var got string
	for by := time.Now().Add(30 * time.Second); time.Now().Before(by); time.Sleep(time.Millisecond) {
		if got = ask(); regexp.MustCompile(pattern).MatchString(got) {
			return
		}
	}
	t.Errorf("%q, want %s", got, pattern)
}

func TestConnectionWithinThisMachine(t *testing.T) {
	for _, listening := range []string{"127.0.0.1:0", "[::1]:0", ":0", "[::]:0"} {
		t.Run(listening, func(t *testing.T) {
			l := listen(t, listening)
			_, port, _ := net.SplitHostPort(l.Addr().String())
			for _, host := range []string{"127.0.0.1", "::1"} {
				if only, _, _ := net.SplitHostPort(listening); only != "" && only != "::" && only != host {
					continue
				}
				k := kernel(t)
				c := dial(t, net.JoinHostPort(host, port))
				send(t, c, 118)
				want(t, `^the kernel took the connection, but the application has not accepted it \(118 bytes wait\); 1 connection waits to be accepted \(the limit is \d+\)$`,
					func() string { return k.Connection(c, waited) })
				accepted, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer accepted.Close()
				want(t, `^the kernel took the request, but the application has left 118 bytes unread for [\d.]+ m?s$`,
					func() string { return k.Connection(c, waited) })
				io.ReadFull(accepted, make([]byte, 100))
				want(t, `left 18 bytes unread`, func() string { return k.Connection(c, waited) })
				io.ReadFull(accepted, make([]byte, 18))
				want(t, `^the application has read the whole request, and sent no response for 2 s, but`, func() string { return k.Connection(c, waited) })
				slow := waited
				slow.Outcome = Slow
				want(t, `^$`, func() string { return k.Connection(c, slow) })
			}
		})
	}
}

// TestConnectionTakesNoMore: an application stopped reading amid a large request.
func TestConnectionTakesNoMore(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	c := dial(t, l.Addr().String())
	c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	for err := error(nil); err == nil; {
		_, err = c.Write(make([]byte, 1<<20))
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	k := kernel(t)
	want(t, `^the kernel took the request, but the application has left \d+ bytes unread for [\d.]+ m?s$`,
		func() string { return k.Connection(c, waited) })
	near, ok := look(c)
	if remote := waited.say(&near, nil, nil); !ok || !regexp.MustCompile(`^the endpoint takes no more: it has left \d+ bytes unacknowledged, \d+ of them not sent yet, and sent nothing`).MatchString(remote) &&
		!strings.Contains(remote, "alive") {
		t.Errorf("of another machine it would say %q", remote)
	}
}

func TestConnectionThatEnded(t *testing.T) {
	broke := waited
	broke.Outcome = Broke
	for _, reset := range []bool{false, true} {
		k, l := kernel(t), listen(t, "127.0.0.1:0")
		c := dial(t, l.Addr().String())
		send(t, c, 10)
		accepted, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		io.ReadFull(accepted, make([]byte, 10))
		if reset {
			accepted.(*net.TCPConn).SetLinger(0)
		}
		accepted.Close()
		c.Read(make([]byte, 1))
		closed := "the endpoint acknowledged the whole request before it closed the connection"
		if reset {
			closed = ""
		}
		if got := k.Connection(c, broke); got != closed {
			t.Errorf("reset %t: %q", reset, got)
		}
		l.Close()
		if closed != "" {
			closed += "; "
		}
		want(t, "^"+closed+"nobody listens at its address any more$", func() string { return k.Connection(c, broke) })
		c.Close()
		if got := k.Connection(c, broke); got != "" {
			t.Errorf("of a connection that this side has closed: %q", got)
		}
	}
}

// TestStoppedProcess: a process that is stopped looks alive to the network.
func TestStoppedProcess(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(exe)
	child.Env = append(os.Environ(), asApplication+"=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		child.Process.Kill()
		child.Wait()
	})
	var address string
	if _, err := fmt.Fscanln(out, &address); err != nil {
		t.Fatal(err)
	}
	k := kernel(t)
	before := dial(t, address)
	send(t, before, 10)
	want(t, `^the application has read the whole request`, func() string { return k.Connection(before, waited) })
	if err := child.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(child.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatal(err, status)
	}
	send(t, before, 118)
	want(t, `^the kernel took the request, but the application has left 118 bytes unread for [\d.]+ m?s$`,
		func() string { return k.Connection(before, waited) })
	after := dial(t, address)
	send(t, after, 118)
	want(t, `^the kernel took the connection, but the application has not accepted it \(118 bytes wait\); 1 connection waits`,
		func() string { return k.Connection(after, waited) })
}

// TestUnacknowledged: the network loses everything. It is a network of the test's own.
func TestUnacknowledged(t *testing.T) {
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skip("a network of its own:", err)
	}
	loopback(t, true)
	l := listen(t, "127.0.0.1:0")
	c := dial(t, l.Addr().String())
	loopback(t, false)
	send(t, c, 118)
	want(t, `^the endpoint acknowledges nothing: \d+ retransmits?, 118 bytes unacknowledged, nothing received for [\d.]+ m?s$`, func() string {
		near, _ := look(c)
		return waited.say(&near, nil, nil)
	})
}

// loopback turns the loopback interface of the thread's network on or off.
func loopback(t *testing.T, on bool) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	if on {
		request.SetUint16(unix.IFF_UP)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		t.Skip("setting up its network:", err)
	}
}

func TestAddress(t *testing.T) {
	k, l := kernel(t), listen(t, "127.0.0.1:0")
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for address, want := range map[string]string{
		"127.0.0.1:" + port:          "somebody listens at 127.0.0.1:" + port + " now, and no connection waits to be accepted",
		"localhost:" + port:          "somebody listens at localhost:" + port + " now, and no connection waits to be accepted",
		"0.0.0.0:" + port:            "somebody listens at 0.0.0.0:" + port + " now, and no connection waits to be accepted",
		"[::ffff:127.0.0.1]:" + port: "somebody listens at [::ffff:127.0.0.1]:" + port + " now, and no connection waits to be accepted",
		"127.0.0.2:" + port:          "nobody listens at 127.0.0.2:" + port,
		"[::1]:" + port:              "nobody listens at [::1]:" + port,
		"example.invalid:" + port:    "",
		"nonsense":                   "",
	} {
		if got := k.Address(address); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
	dial(t, l.Addr().String())
	want(t, `^somebody listens at 127.0.0.1:\d+; 1 connection waits to be accepted \(the limit is \d+\)$`,
		func() string { return k.Address(l.Addr().String()) })
	if k := (*Kernel)(nil); k.Address("127.0.0.1:"+port) != "" || k.Connection(dial(t, l.Addr().String()), waited) != "" {
		t.Error("nobody says something")
	}
}

// TestOwnAddress: an address of this machine is known as such, and no other is.
func TestOwnAddress(t *testing.T) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil && !p.Addr().IsLinkLocalUnicast() && !here(p.Addr()) {
			t.Errorf("%v is not known", p)
		}
	}
	for _, a := range []string{"192.0.2.1", "255.255.255.255", "2001:db8::1"} {
		if here(netip.MustParseAddr(a)) {
			t.Errorf("%s is not this machine's", a)
		}
	}
}

// TestV6Only: a listener of IPv6 alone is not there for IPv4.
func TestV6Only(t *testing.T) {
	l, err := net.Listen("tcp6", "[::]:0")
	if err != nil {
		t.Skip(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	k := kernel(t)
	if got := k.Address("127.0.0.1:" + port); got != "nobody listens at 127.0.0.1:"+port {
		t.Error(got)
	}
	if got := k.Address("[::1]:" + port); !strings.HasPrefix(got, "somebody") {
		t.Error(got)
	}
}

// TestRefusal: a kernel that does not answer is asked once, and the log has one line.
func TestRefusal(t *testing.T) {
	var log bytes.Buffer
	k := New(slog.New(slog.NewTextHandler(&log, nil)))
	asked := 0
	k.inquire = func([]byte, func(socket)) error {
		asked++
		return os.NewSyscallError("socket", unix.EPERM)
	}
	l := listen(t, "127.0.0.1:0")
	c := dial(t, l.Addr().String())
	send(t, c, 10)
	for range 3 {
		want(t, `^the endpoint has acknowledged the whole request, and sent no`, func() string { return k.Connection(c, waited) })
		if got := k.Address(l.Addr().String()); got != "" {
			t.Error(got)
		}
	}
	if n := strings.Count(log.String(), "sock_diag"); n != 1 || asked != 1 {
		t.Errorf("asked %d times, log %q", asked, &log)
	}
}

// TestPassingFailure: after other errors the kernel is asked again.
func TestPassingFailure(t *testing.T) {
	k, asked := kernel(t), 0
	k.inquire = func([]byte, func(socket)) error {
		asked++
		return unix.EMFILE
	}
	for range 3 {
		if got := k.Address("127.0.0.1:1"); got != "" {
			t.Error(got)
		}
	}
	if asked != 3 || k.refused.Load() {
		t.Errorf("asked %d times", asked)
	}
}

// TestStorm: a storm of failures asks no more than the limit allows.
func TestStorm(t *testing.T) {
	k, asked := kernel(t), 0
	k.inquire = func([]byte, func(socket)) error {
		asked++
		return errors.New("busy")
	}
	k.limit.SetLimit(0) // no more than the first hundred
	for range 10 * mostQuestions {
		k.Address("127.0.0.1:1")
	}
	if asked != mostQuestions {
		t.Errorf("asked %d times", asked)
	}
}
