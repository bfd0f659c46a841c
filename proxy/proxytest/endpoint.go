package proxytest

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"sync"
	"syscall"
	"testing"
)

// Endpoint runs a server each of whose connections is served by handle; n
// counts them from 0. It returns its address. The connection is closed when
// handle returns.
func Endpoint(t testing.TB, handle func(n int, p *Peer)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			p := NewPeer(t, c)
			p.Fail = func(format string, args ...any) {
				t.Errorf("endpoint, connection %d: "+format, append([]any{n}, args...)...)
				runtime.Goexit()
			}
			wg.Go(func() {
				defer c.Close()
				handle(n, p)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

// Answering is an endpoint that reads heads without content, and sends what
// answer makes of each, until it makes nothing.
func Answering(t testing.TB, answer func(first string, fields []string) string) string {
	return Endpoint(t, func(_ int, p *Peer) {
		for {
			lines, err := p.TryReadHead()
			if err != nil {
				return
			}
			text := answer(lines[0], lines[1:])
			if text == "" {
				return
			}
			p.Send(text)
		}
	})
}

// Serve runs Go's own server as an endpoint.
func Serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	s.Start()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.Listener.Addr().String()
}

// Echo answers with the path and the content of the request.
func Echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%s %s", r.URL.Path, body)
}

// ServeTLS runs Go's own server as an endpoint that speaks TLS; http2 makes
// it speak HTTP/2 besides.
func ServeTLS(t testing.TB, c *tls.Config, http2 bool, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	s.TLS, s.EnableHTTP2 = c, http2
	s.StartTLS()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.Listener.Addr().String()
}

// Always is an endpoint that answers every request alike.
func Always(answer string) func(testing.TB) string {
	return func(t testing.TB) string {
		return Answering(t, func(string, []string) string { return answer })
	}
}

// RefusingAddress is the address of a port where nothing listens: it stays bound, so
// that nobody else gets it.
func RefusingAddress(t testing.TB) string {
	t.Helper()
	fd, address := Bound(t)
	t.Cleanup(func() { syscall.Close(fd) })
	return address
}

// Bound returns a socket of a port where nothing listens, which the caller closes.
func Bound(t testing.TB) (fd int, address string) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(name.(*syscall.SockaddrInet4).Port)
	return fd, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port).String()
}
