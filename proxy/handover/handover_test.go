package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience ends a hung test.
const patience = time.Minute

// serve runs a Server, which ends with the test, and hands out those sockets.
func serve(t *testing.T, address string, sockets ...Socket) *Server {
	t.Helper()
	s, err := Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	offering(t, s, sockets...)
	return s
}

func offering(t *testing.T, s *Server, sockets ...Socket) { offer(t, s, 0, sockets...) }

func offer(t *testing.T, s *Server, ready time.Duration, sockets ...Socket) {
	var wg sync.WaitGroup
	wg.Go(func() {
		s.Serve(Offer{Version: "v1", ReadyTime: ready, Log: slog.New(slog.DiscardHandler), Sockets: func() ([]Socket, error) {
			var all []Socket
			for _, socket := range sockets {
				own, err := Dup(socket.Listener)
				if err != nil {
					return all, err
				}
				socket.Listener = own
				all = append(all, socket)
			}
			return all, nil
		}})
	})
	t.Cleanup(func() {
		s.Close()
		wg.Wait()
	})
}

func abstractName(t *testing.T) string {
	return fmt.Sprintf("@hopscope-%s-%d", strings.ReplaceAll(t.Name(), "/", "-"), os.Getpid())
}

// TestTakeover passes sockets on, twice in a row, in both kinds of places, and a
// number of them that takes several messages.
func TestTakeover(t *testing.T) {
	for _, n := range []int{0, 1, 252, 253, 600} {
		for name, address := range map[string]string{"path": filepath.Join(t.TempDir(), "s"), "abstract": abstractName(t)} {
			t.Run(fmt.Sprintf("%d sockets, %s", n, name), func(t *testing.T) { takeover(t, address, n) })
		}
	}
}

func takeover(t *testing.T, address string, n int) {
	var sockets []Socket
	for i := range n {
		sockets = append(sockets, Socket{"listener", fmt.Sprint("l", i), "127.0.0.1:0", listen(t)})
	}
	s := serve(t, address, sockets...)
	for range 2 {
		taken, err := Take(t.Context(), address, "v2")
		if err != nil {
			t.Fatal(err)
		}
		if taken.From != (Peer{"v1", os.Getpid()}) {
			t.Errorf("from %+v", taken.From)
		}
		if len(taken.Sockets) != n {
			t.Fatalf("%d sockets, want %d", len(taken.Sockets), n)
		}
		for i, got := range taken.Sockets {
			want := sockets[i]
			if got.Kind != want.Kind || got.Name != want.Name || got.Address != want.Address || got.Listener.Addr().String() != want.Listener.Addr().String() {
				t.Errorf("socket %d is %+v, want %+v", i, got, want)
			}
		}
		if n > 0 {
			reach(t, taken.Sockets[n-1].Listener)
		}
		select {
		case <-s.Taken():
			t.Fatal("it was said to be taken before it was")
		default:
		}
		if err := taken.Ready("web-1", "web-2"); err != nil {
			t.Fatal(err)
		}
		select {
		case peer := <-s.Taken():
			if peer.Peer != (Peer{"v2", os.Getpid()}) || peer.Registered == nil || !slices.Equal(*peer.Registered, []string{"web-1", "web-2"}) {
				t.Errorf("taken by %+v", peer)
			}
		case <-time.After(patience):
			t.Fatal("it is not said to be taken")
		}
		for _, got := range taken.Sockets {
			t.Cleanup(func() { got.Listener.Close() })
		}
		s.Close()
		s = taken.Server
		offering(t, s, sockets...)
	}
	s.Close()
	if _, err := os.Lstat(address); err == nil {
		t.Error("the last one left its socket behind")
	}
	if _, err := Take(t.Context(), address, "v2"); !errors.Is(err, ErrNobody) {
		t.Errorf("from nobody: %v", err)
	}
}

// TestGivenBack: whoever does not say that it is ready changes nothing.
func TestGivenBack(t *testing.T) {
	address := filepath.Join(t.TempDir(), "s")
	l := listen(t)
	s := serve(t, address, Socket{"listener", "a", "127.0.0.1:0", l})
	for range 3 {
		taken, err := Take(t.Context(), address, "v2")
		if err != nil {
			t.Fatal(err)
		}
		taken.Close()
		reach(t, l)
	}
	select {
	case peer := <-s.Taken():
		t.Errorf("taken by %+v", peer)
	default:
	}
	if info, err := os.Lstat(address); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}
}

// TestEndsMeanwhile: a process that ends by itself, while another takes over from
// it, tells that one.
func TestEndsMeanwhile(t *testing.T) {
	address := abstractName(t)
	s := serve(t, address)
	taken, err := Take(t.Context(), address, "v2")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s.Close()
	if err := taken.Ready(); !errors.Is(err, ErrGone) {
		t.Errorf("it had ended, and says %v", err)
	}
}

// TestHangs: one that takes the sockets and then hangs holds the next one up for as
// long as it may take to be ready. Should it wake, it hears that it is too late.
func TestHangs(t *testing.T) {
	address := filepath.Join(t.TempDir(), "s")
	l := listen(t)
	s, err := Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	offer(t, s, 20*time.Millisecond, Socket{"listener", "a", "127.0.0.1:0", l})
	hung, err := Take(t.Context(), address, "v2")
	if err != nil {
		t.Fatal(err)
	}
	defer hung.Close()
	var next *Takeover
	for end := time.Now().Add(patience); next == nil; {
		if next, err = Take(t.Context(), address, "v3"); err != nil && time.Now().After(end) {
			t.Fatal(err)
		}
	}
	defer next.Close()
	if err := hung.Ready(); err == nil || errors.Is(err, ErrGone) || !strings.Contains(err.Error(), "was not ready within 20ms") {
		t.Errorf("the one that hung is told %v", err)
	}
	hung.Server.Close()
	if _, err := os.Lstat(address); err != nil {
		t.Errorf("the one that hung took the socket with it: %v", err)
	}
	next.Close()
	reach(t, l)
}

// TestHangsItself: a process that does not answer is not taken over from, also when it
// goes on later.
func TestHangsItself(t *testing.T) {
	pair := func() (*net.UnixConn, *net.UnixConn) {
		address := abstractName(t)
		socket, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: address})
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		a, err := net.DialUnix("unix", nil, &net.UnixAddr{Net: "unix", Name: address})
		if err != nil {
			t.Fatal(err)
		}
		b, err := socket.AcceptUnix()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { a.Close(); b.Close() })
		return a, b
	}
	// It answered at the last moment, or too late.
	for _, inTime := range []bool{true, false} {
		own, other := pair()
		taken := &Takeover{conn: own}
		if inTime {
			if err := send(other, message{State: isRetiring}, nil); err != nil {
				t.Fatal(err)
			}
		}
		err := taken.lastWord()
		if (err == nil) != inTime || errors.Is(err, ErrGone) {
			t.Errorf("answered in time %t: %v", inTime, err)
		}
		if err := send(other, message{State: isRetiring}, nil); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("a later answer: %v, want that it can't be given", err)
		}
	}
}

func TestMayTalk(t *testing.T) {
	for _, tt := range []struct {
		peer, own int
		ok        bool
	}{{0, 0, true}, {1000, 1000, true}, {0, 1000, true}, {1000, 0, false}, {1000, 1001, false}, {65534, 1000, false}} {
		if err := mayTalk(tt.peer, tt.own); (err == nil) != tt.ok {
			t.Errorf("user %d to user %d: %v", tt.peer, tt.own, err)
		}
	}
}

// TestListen replaces what nobody listens on, and nothing else.
func TestListen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "another process listens there") {
		t.Errorf("where one listens: %v", err)
	}
	stale.Close()
	s, err := Listen(path)
	if err != nil {
		t.Fatalf("where one listened: %v", err)
	}
	s.Close()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("where there is a file: %v", err)
	}
	if _, err := Listen(filepath.Join(dir, "nowhere", "s")); err == nil {
		t.Error("in a folder that there is not")
	}
	name := abstractName(t)
	s = serve(t, name)
	if _, err := Listen(name); err == nil || !strings.Contains(err.Error(), "another process listens there") {
		t.Errorf("a name that is taken: %v", err)
	}
	s.Close()
}

// TestStrangers say what nobody understands: it is answered, or the connection ends,
// and the Server goes on.
func TestStrangers(t *testing.T) {
	address := abstractName(t)
	l := listen(t)
	s := serve(t, address, Socket{"listener", "a", "127.0.0.1:0", l})
	for name, said := range map[string]string{
		"nothing":        "",
		"no JSON":        "GET / HTTP/1.1\r\n\r\n",
		"another type":   "[]\n",
		"no sockets":     `{"protocol":1,"sockets":[{}]}` + "\n",
		"much":           strings.Repeat("x", maxMessage+100<<10),
		"a later one":    `{"protocol":7,"news":[1]}` + "\n",
		"half a message": `{"protocol":1`,
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("unix", address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			_, err = io.WriteString(c, said)
			if err != nil && !errors.Is(err, syscall.EPIPE) {
				t.Fatal(err)
			}
			c.(*net.UnixConn).CloseWrite()
			_, err = io.ReadAll(c)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the conversation does not end")
			}
		})
	}
	hungry, err := Take(t.Context(), address, "v2")
	if err != nil {
		t.Fatal(err)
	}
	if err := send(hungry.conn, message{State: "hungry"}, nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := receive(hungry.conn); !errors.Is(err, io.EOF) {
		t.Errorf("one that is hungry, and not ready, is told %v", err)
	}
	hungry.Close()

	taken, err := Take(t.Context(), address, "v2")
	if err != nil {
		t.Fatal(err)
	}
	if err := taken.Ready(); err != nil {
		t.Error(err)
	}
	<-s.Taken()
	taken.Close()
	for _, socket := range taken.Sockets {
		socket.Listener.Close()
	}
}

// TestOddOffers: what a later version may offer is left alone, and what can't be true
// is refused; no descriptor is kept.
func TestOddOffers(t *testing.T) {
	files := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("no /proc/self/fd here")
		}
		return len(entries)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	fd := int(r.Fd())
	other, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: abstractName(t) + "-other"})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	listening, err := dup(other)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(listening)
	for name, tt := range map[string]struct {
		line string
		fds  []int
		want string // in the error; "" for none
	}{
		"no listening socket":   {`{"protocol":2,"sockets":[{"kind":"new"}]}`, []int{fd}, ""},
		"another kind":          {`{"protocol":2,"sockets":[{"kind":"new"}]}`, []int{listening}, ""},
		"more than is said":     {`{"protocol":1}`, []int{fd, fd}, "2 descriptors came with 0 sockets"},
		"fewer":                 {`{"protocol":1,"sockets":[{},{}]}`, []int{fd}, "EOF"},
		"a refusal":             {`{"error":"not today"}`, nil, "not today"},
		"a refusal, with gifts": {`{"error":"not today"}`, []int{fd}, "not today"},
		"no sense":              {`{"protocol":"x"}`, []int{fd}, "invalid message"},
	} {
		t.Run(name, func(t *testing.T) {
			before := files()
			address := abstractName(t)
			l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: address})
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				defer l.Close()
				c, err := l.AcceptUnix()
				if err != nil {
					return
				}
				defer c.Close()
				if _, _, err := receive(c); err != nil {
					t.Error(err)
				}
				var rights []byte
				if len(tt.fds) > 0 {
					rights = syscall.UnixRights(tt.fds...)
				}
				c.WriteMsgUnix([]byte(tt.line+"\n"), rights, nil)
			})
			taken, err := Take(context.Background(), address, "v2")
			wg.Wait()
			switch {
			case err == nil && tt.want != "":
				t.Error("it was taken")
			case err != nil && (tt.want == "" || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if err == nil {
				if len(taken.Sockets) != 0 || taken.Server != nil {
					t.Errorf("%+v", taken)
				}
				taken.Close()
			}
			if after := files(); after != before {
				t.Errorf("%d files are open, and were %d", after, before)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"protocol":1,"version":"v1","pid":1,"sockets":[{"kind":"listener","name":"a","address":":80"}]}`,
		`{"state":"ready"}`, `{"error":"x"}`, `{}`, `[]`, ``, `{"sockets":null}`, `{"protocol":1e9}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := parse(line)
		if err == nil && (m.Error != "" || len(m.Sockets) > maxSockets) {
			t.Errorf("%+v", m)
		}
	})
}
