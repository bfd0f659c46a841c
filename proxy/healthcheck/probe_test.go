package healthcheck

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// long is a timeout that no test waits for.
const long = time.Minute

// want probes once. Detail may have ADDR for the address; unless it is that of a
// timeout, the probe has all the time in the world.
func want(t *testing.T, address string, o Options, config TLSConfig, outcome Outcome, detail string) {
	t.Helper()
	o.Timeout = long
	if strings.Contains(detail, "no answer within") {
		o.Timeout = 50 * time.Millisecond
	}
	r, err := Check(t.Context(), address, o, config)
	if err != nil {
		t.Fatal(err)
	}
	if detail = strings.ReplaceAll(detail, "ADDR", address); r.Outcome != outcome || !strings.Contains(r.Detail, detail) {
		t.Errorf("outcome %d, %q; want %d, %q", r.Outcome, r.Detail, outcome, detail)
	}
	if strings.Contains(r.Detail, "secret") {
		t.Errorf("%q tells a secret", r.Detail)
	}
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// answer is a server that writes text to whoever connects, after a request's head
// where that is so, and keeps the connection until the other side ends it, or
// closes it.
func answer(t *testing.T, text string, head, keep bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer conn.Close()
				if head {
					if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
						return
					}
				}
				io.WriteString(conn, text)
				if keep {
					io.Copy(io.Discard, conn)
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); open.Wait() })
	return l.Addr().String()
}

// nobody is an address where nobody listens, nor anyone else will until the test
// ends or calls free.
func nobody(t *testing.T) (address string) { address, _ = reserve(t); return address }

func reserve(t *testing.T) (address string, free func()) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	free = sync.OnceFunc(func() { syscall.Close(fd) })
	t.Cleanup(free)
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", at.(*syscall.SockaddrInet4).Port), free
}

// deaf is an address where connections are made and never accepted.
func deaf(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func TestHTTP(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		status := 0
		fmt.Sscan(r.URL.Query().Get("status"), &status)
		for _, name := range r.URL.Query()["header"] {
			w.Header().Set(name, "true")
		}
		if status == 302 {
			w.Header().Set("Location", "/?status=200")
		}
		w.WriteHeader(status)
		io.WriteString(w, "all is well")
	})
	const url = "/health?token=secret&status="
	for _, tt := range []struct {
		name    string
		check   HTTP
		outcome Outcome
		detail  string
	}{
		{"200", HTTP{Path: url + "200"}, Passed, "GET /health on ADDR answered 200"},
		{"503", HTTP{Path: url + "503"}, FailedNow, "GET /health on ADDR answered 503"},
		{"204 is not 200", HTTP{Path: url + "204"}, FailedNow, "answered 204"},
		{"302 is not followed", HTTP{Path: url + "302"}, FailedNow, "answered 302"},
		{"expected", HTTP{Path: url + "404", ExpectedStatuses: []StatusRange{{200, 200}, {400, 404}}}, Passed, "answered 404"},
		{"no longer expected", HTTP{Path: url + "200", ExpectedStatuses: []StatusRange{{201, 299}}}, FailedNow, "answered 200"},
		{"retriable", HTTP{Path: url + "503", RetriableStatuses: []StatusRange{{500, 599}}}, Failed, "answered 503"},
		{"expected and retriable", HTTP{Path: url + "200", RetriableStatuses: []StatusRange{{100, 599}}}, Passed, "answered 200"},
		{"not retriable", HTTP{Path: url + "404", RetriableStatuses: []StatusRange{{500, 599}}}, FailedNow, "answered 404"},
		{"text", HTTP{Path: url + "200", Receive: "is well"}, Passed, "answered 200"},
		{"other text", HTTP{Path: url + "200", Receive: "unwell"}, FailedNow, "answered 200, but its body lacks the expected text"},
		{"HEAD", HTTP{Method: "HEAD", Path: url + "200"}, Passed, "HEAD /health on ADDR answered 200"},
		{"degraded", HTTP{Path: url + "200&header=x-envoy-degraded"}, PassedDegraded, "answered 200 with x-envoy-degraded"},
		{"failing and degraded", HTTP{Path: url + "500&header=x-envoy-degraded"}, FailedNow, "answered 500"},
		{"says that it is to be left alone", HTTP{Path: url + "200&header=x-envoy-immediate-health-check-fail"}, FailedNow, "x-envoy-immediate-health-check-fail"},
		{"closes", HTTP{Path: url + "200&header=connection"}, Passed, "answered 200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want(t, address, Options{HTTP: &tt.check}, nil, tt.outcome, tt.detail)
		})
	}
}

func TestHTTPRequest(t *testing.T) {
	var got atomic.Pointer[http.Request]
	address := serve(t, func(_ http.ResponseWriter, r *http.Request) { got.Store(r) })
	want(t, address, Options{HTTP: &HTTP{}}, nil, Passed, "GET / on ADDR answered 200")
	r := got.Load()
	if r.Method != "GET" || r.RequestURI != "/" || r.Host != address || r.UserAgent() != "hopscope-health-check/1" || r.Header.Get("Accept-Encoding") != "" {
		t.Errorf("%s %s, host %s, %v", r.Method, r.RequestURI, r.Host, r.Header)
	}
	want(t, address, Options{HTTP: &HTTP{
		Method: "OPTIONS", Path: "/a?b=c", Host: "payments",
		Header: http.Header{"user-agent": {"mine"}, "X-Token": {"1", "2"}},
	}}, nil, Passed, "OPTIONS /a on ADDR answered 200")
	r = got.Load()
	if r.Method != "OPTIONS" || r.RequestURI != "/a?b=c" || r.Host != "payments" || r.UserAgent() != "mine" || len(r.Header["X-Token"]) != 2 {
		t.Errorf("%s %s, host %s, %v", r.Method, r.RequestURI, r.Host, r.Header)
	}

	// Another port than the endpoint's own.
	_, port, _ := net.SplitHostPort(address)
	o := Options{HTTP: &HTTP{}}
	fmt.Sscan(port, &o.Port)
	if r, err := Check(t.Context(), "127.0.0.1:1", o, nil); err != nil || r.Outcome != Passed || !strings.Contains(r.Detail, address) {
		t.Errorf("%+v, %v", r, err)
	}
}

// A proxy of the environment is not asked.
func TestHTTPUsesNoProxy(t *testing.T) {
	p := newProber(t.Context(), nobody(t), must(t, Options{HTTP: &HTTP{}}), nil).(*httpProber)
	defer p.close()
	if p.begin().Proxy != nil {
		t.Error("asks for a proxy")
	}
}

func must(t *testing.T, o Options) *Options {
	t.Helper()
	complete, err := o.complete()
	if err != nil {
		t.Fatal(err)
	}
	return complete
}

func TestNoAnswer(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
	h, c, g := Options{HTTP: &HTTP{}}, Options{TCP: &TCP{}}, Options{GRPC: &GRPC{}}
	text := Options{TCP: &TCP{Receive: [][]byte{[]byte("PONG")}}}
	h2 := Options{HTTP: &HTTP{HTTP2: true}}
	for _, tt := range []struct {
		name    string
		address string
		options Options
		detail  string
	}{
		{"HTTP refused", nobody(t), h, "GET / on ADDR: connection refused"},
		{"HTTP/2 refused", nobody(t), h2, "GET / on ADDR: connection refused"},
		{"TCP refused", nobody(t), c, "TCP to ADDR: connection refused"},
		{"gRPC refused", nobody(t), g, "grpc health of ADDR: connection refused"},
		{"HTTP, hangs in accept", deaf(t), h, "GET / on ADDR: no answer within 50ms"},
		{"HTTP/2, hangs in accept", deaf(t), h2, "GET / on ADDR: no answer within 50ms"},
		{"gRPC, hangs in accept", deaf(t), g, "grpc health of ADDR: no answer within 50ms"},
		{"TCP, hangs", deaf(t), text, "sent 0 bytes, but not the expected ones: no answer within 50ms"},
		{"hangs in the head", answer(t, "HTTP/1.1 200 OK\r\nA: b", true, true), h, "no answer within 50ms"},
		{"hangs in the body", answer(t, head+"123456789", true, true), h, "GET / on ADDR answered 200, but did not finish its answer: no answer within 50ms"},
		{"closes at once", answer(t, "", true, false), h, "it closed the connection before it had answered"},
		{"closes in the head", answer(t, "HTTP/1.1 200 OK\r\nA: b", true, false), h, "it closed the connection before it had answered"},
		{"closes in the body", answer(t, head+"123456789", true, false), h, "it closed the connection before it had answered"},
		{"speaks something else", answer(t, "SSH-2.0-x\r\n\r\n", true, false), h, "malformed HTTP"},
		{"a head without end", answer(t, "HTTP/1.1 200 OK\r\n"+strings.Repeat("A: "+strings.Repeat("b", 1000)+"\r\n", 200), true, true), h, "exceeded"},
		{"TCP, other text", answer(t, "NO", false, true), text, "no answer within 50ms"},
		{"TCP, closes", answer(t, "PON", false, false), text, "ADDR sent 3 bytes, but not the expected ones: it closed the connection"},
		{"TCP, too much", answer(t, strings.Repeat("x", most+1)+"PONG", false, true), text, "ADDR sent 65536 bytes, but not the expected ones"},
		{"gRPC, speaks HTTP/1", answer(t, "HTTP/1.1 400 Bad Request\r\n\r\n", false, false), g, "grpc health of ADDR: "},
		{"no address", "nowhere", h, "missing port"},
		{"no address for TCP", "nowhere", c, "missing port"},
		{"no address for gRPC", "nowhere", g, "missing port"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want(t, tt.address, tt.options, nil, Failed, tt.detail)
		})
	}
}

// A body trickles in for longer than the timeout.
func TestTrickle(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
			case <-time.After(time.Millisecond):
			}
		}
	})
	want(t, address, Options{HTTP: &HTTP{}}, nil, Failed, "no answer within 50ms")
}

// A body without end passes by its status: 64 KiB of it are read.
func TestHugeBody(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			w.Write(make([]byte, 64<<10))
		}
	})
	want(t, address, Options{HTTP: &HTTP{}}, nil, Passed, "answered 200")
	want(t, address, Options{HTTP: &HTTP{Receive: "x"}}, nil, FailedNow, "lacks the expected text")
}

func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() { // an echo, byte by byte
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { defer conn.Close(); io.CopyBuffer(struct{ io.Writer }{conn}, conn, make([]byte, 1)) })
		}
	})
	t.Cleanup(func() { l.Close(); open.Wait() })
	address := l.Addr().String()
	want(t, address, Options{TCP: &TCP{}}, nil, Passed, "ADDR accepted a connection")
	want(t, address, Options{TCP: &TCP{Send: []byte("PING")}}, nil, Passed, "ADDR accepted a connection")
	want(t, address, Options{TCP: &TCP{Send: []byte("+OK\x00 PONG"), Receive: [][]byte{[]byte("OK\x00"), []byte("PONG")}}}, nil,
		Passed, "ADDR sent the expected bytes")
	want(t, address, Options{TCP: &TCP{Send: []byte("PONG OK"), Receive: [][]byte{[]byte("OK"), []byte("PONG")}}}, nil,
		Failed, "ADDR sent 7 bytes, but not the expected ones: no answer within 50ms")
	want(t, address, Options{TCP: &TCP{Send: []byte("OK"), Receive: [][]byte{[]byte("OK"), []byte("OK")}}}, nil,
		Failed, "no answer within 50ms") // one can't be both
}

// secured starts a server with TLS, and returns its address and a configuration
// that knows its certificate.
func secured(t *testing.T, http2 bool, h http.HandlerFunc) (string, TLSConfig) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = http2
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // refusals are what is tested
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s.Listener.Addr().String(), func(host string) *tls.Config {
		if host != "127.0.0.1" {
			t.Errorf("asked for the configuration of %q", host)
		}
		return &tls.Config{RootCAs: roots, NextProtos: []string{"h2", "http/1.1"}}
	}
}

func TestTLS(t *testing.T) {
	var version atomic.Int64
	h := func(_ http.ResponseWriter, r *http.Request) { version.Store(int64(r.ProtoMajor)) }
	one, config := secured(t, false, h)
	both, config2 := secured(t, true, h)
	unknown := func(string) *tls.Config { return &tls.Config{RootCAs: x509.NewCertPool()} }

	want(t, one, Options{HTTP: &HTTP{}}, config, Passed, "GET / on ADDR answered 200")
	want(t, both, Options{HTTP: &HTTP{}}, config2, Passed, "answered 200")
	if version.Load() != 1 {
		t.Error("HTTP/1 was asked for")
	}
	want(t, both, Options{HTTP: &HTTP{HTTP2: true}}, config2, Passed, "answered 200")
	if version.Load() != 2 {
		t.Error("HTTP/2 was asked for")
	}
	want(t, one, Options{HTTP: &HTTP{HTTP2: true}}, config, Failed, "TLS handshake failed")
	want(t, one, Options{HTTP: &HTTP{}}, unknown, Failed, "GET / on ADDR: the TLS handshake failed: tls: failed to verify certificate")
	want(t, one, Options{TCP: &TCP{}}, config, Passed, "ADDR accepted a connection")
	want(t, one, Options{TCP: &TCP{}}, unknown, Failed, "TCP to ADDR: the TLS handshake failed")
	want(t, one, Options{GRPC: &GRPC{}}, unknown, Failed, "grpc health of ADDR: the TLS handshake failed")
	want(t, deaf(t), Options{HTTP: &HTTP{}}, config, Failed, "no answer within 50ms")
	want(t, deaf(t), Options{TCP: &TCP{}}, config, Failed, "no answer within 50ms")
	want(t, deaf(t), Options{GRPC: &GRPC{}}, config, Failed, "no answer within 50ms")
	want(t, one, Options{HTTP: &HTTP{}}, nil, FailedNow, "answered 400") // it speaks TLS, and says so
}

// A server that speaks HTTP/2 without TLS, and nothing else.
func TestUnencryptedHTTP2(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			w.WriteHeader(500)
		}
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	want(t, s.Listener.Addr().String(), Options{HTTP: &HTTP{HTTP2: true}}, nil, Passed, "answered 200")
}
