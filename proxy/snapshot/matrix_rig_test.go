package snapshot_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/hopscope/hopscope/proxy/config"
)

// side is what is spoken on one side of the proxy.
type side struct {
	name       string
	http2, tls bool
}

var sides = []side{
	{name: "http1"}, {name: "h2c", http2: true},
	{name: "http1-tls", tls: true}, {name: "http2-tls", http2: true, tls: true},
}

// version is the side's as the access log has it, number as spans do.
func (s side) version() string {
	if s.http2 {
		return "HTTP/2"
	}
	return "HTTP/1.1"
}

func (s side) number() string {
	if s.http2 {
		return "2"
	}
	return "1.1"
}

func (s side) scheme() string {
	if s.tls {
		return "https"
	}
	return "http"
}

// alpn is the side's name in a TLS handshake.
func (s side) alpn() string {
	if s.http2 {
		return "h2"
	}
	return "http/1.1"
}

// speaks says so to a client or a server of net/http.
func (s side) speaks() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(!s.http2)
	p.SetHTTP2(s.http2 && s.tls)
	p.SetUnencryptedHTTP2(s.http2 && !s.tls)
	return p
}

// eachPair runs a test for every pair of what clients speak and what endpoints do.
func eachPair(t *testing.T, test func(t *testing.T, down, up side)) {
	t.Parallel()
	for _, down := range sides {
		for _, up := range sides {
			t.Run(down.name+" to "+up.name, func(t *testing.T) {
				t.Parallel()
				test(t, down, up)
			})
		}
	}
}

// webHost is what clients of the matrix ask for, whatever they connect to.
const webHost = "web.test"

// cross is a lab between a client and an endpoint that each speak what its pair
// says. The endpoint answers each path by a handler of its own.
type cross struct {
	*rig
	down, up side
	alpn     string // what the client agrees on with the proxy, over TLS
	ca       *authority
	client   *http.Client

	mu       sync.Mutex
	handlers map[string]http.HandlerFunc
	conns    []net.Conn // the client's, encrypted or not
	want     []outcome
}

// newCross starts them. A nil endpoint is net/http's server.
func newCross(t *testing.T, down, up side, endpoint func(x *cross) string) *cross {
	t.Helper()
	x := &cross{down: down, up: up, alpn: down.alpn(), ca: newAuthority(t), handlers: map[string]http.HandlerFunc{}}
	if endpoint == nil {
		endpoint = func(x *cross) string { return x.serve(t) }
	}
	x.rig = startLab(t, endpoint(x), func(s *settings) {
		leavesAtOnce(s)
		s.Route.Timeout = patience // which much content needs on a busy machine
		if down.tls {
			listenTLS(&s.Listener, x.ca.issue(webHost))
		}
		s.Cluster.Protocol = "http1"
		if up.http2 {
			s.Cluster.Protocol = "http2"
		}
		if up.tls {
			s.Cluster.Protocol = "auto" // and ALPN says what it is
			s.Cluster.TLS = config.NewClusterTLS()
			s.Cluster.TLS.CA = x.ca.File
		}
	})
	x.client = x.newClient(t, down)
	return x
}

// serve runs the endpoint.
func (x *cross) serve(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler: http.HandlerFunc(x.answer), Protocols: x.up.speaks(),
		ErrorLog:    slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, ownConn{}, c) },
	}
	var wg sync.WaitGroup
	if x.up.tls {
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{x.ca.load(x.ca.issue("127.0.0.1"))}}
		wg.Go(func() { server.ServeTLS(l, "", "") })
	} else {
		wg.Go(func() { server.Serve(l) })
	}
	t.Cleanup(func() {
		server.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

// ownConn is the key of a request's connection in its context.
type ownConn struct{}

// connOf is the TCP connection that a request came by.
func connOf(r *http.Request) *net.TCPConn { return tcpOf(r.Context().Value(ownConn{}).(net.Conn)) }

func tcpOf(c net.Conn) *net.TCPConn {
	if encrypted, ok := c.(*tls.Conn); ok {
		c = encrypted.NetConn()
	}
	return c.(*net.TCPConn)
}

// newClient is net/http's, which asks the proxy for whatever it is asked for.
func (x *cross) newClient(t *testing.T, speaks side) *http.Client {
	t.Helper()
	transport := &http.Transport{
		Protocols: speaks.speaks(), TLSClientConfig: &tls.Config{RootCAs: x.ca.pool(), NextProtos: []string{speaks.alpn()}},
		MaxIdleConnsPerHost: 100, ExpectContinueTimeout: patience, DisableCompression: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, x.ingress())
			if err == nil {
				x.mu.Lock()
				x.conns = append(x.conns, c)
				x.mu.Unlock()
			}
			return c, err
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// handle has the endpoint answer a path.
func (x *cross) handle(path string, h http.HandlerFunc) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.handlers[path] = h
}

func (x *cross) answer(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	h := x.handlers[r.URL.Path]
	x.mu.Unlock()
	if h == nil {
		x.t.Errorf("the endpoint was asked for %q", r.URL.Path)
		return
	}
	if got := r.Proto; got != x.up.version() && got != x.up.version()+".0" {
		x.t.Errorf("%s: the endpoint was asked by %s, want %s", r.URL.Path, got, x.up.version())
	}
	if r.Host != webHost {
		x.t.Errorf("%s: the endpoint was asked for the host %q", r.URL.Path, r.Host)
	}
	h(w, r)
}

// request makes one for a path.
func (x *cross) request(ctx context.Context, method, path string, body io.Reader) *http.Request {
	x.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, x.down.scheme()+"://"+webHost+path, body)
	if err != nil {
		x.t.Fatal(err)
	}
	return r
}

// upload is a request with size bytes of content, whose length is told or not.
func (x *cross) upload(ctx context.Context, path string, size int64, told bool) (*http.Request, *source) {
	x.t.Helper()
	body := newSource(size)
	r := x.request(ctx, "POST", path, io.NopCloser(body))
	switch {
	case !told:
		r.ContentLength = -1
	case size == 0:
		r.Body = http.NoBody
	default:
		r.ContentLength = size
	}
	return r, body
}

// do sends a request, and fails the test if there is no response.
func (x *cross) do(r *http.Request) *http.Response {
	x.t.Helper()
	response, err := x.client.Do(r)
	if err != nil {
		x.t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	x.t.Cleanup(func() { response.Body.Close() })
	if got := response.Proto; got != x.down.version() && got != x.down.version()+".0" {
		x.t.Errorf("%s: the client was answered by %s, want %s", r.URL.Path, got, x.down.version())
	}
	return response
}

// within is the time that a test's requests have.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// digest is the length and the hash of all that comes.
func digest(r io.Reader) (string, error) {
	h := xxhash.New()
	n, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{r}, make([]byte, 64<<10))
	return digestOf(n, h.Sum64()), err
}

func digestOf(n int64, sum uint64) string { return fmt.Sprintf("%d bytes, %016x", n, sum) }

// digest is that of all that was read from a source.
func (s *source) digest() string { return digestOf(s.sent.Load(), s.total.Sum64()) }

// digestOfSource is that of a source of size bytes.
func digestOfSource(size int64) string {
	s := newSource(size)
	io.Copy(io.Discard, s)
	return s.digest()
}

// expectContent reads a response to its end, and compares.
func expectContent(t *testing.T, response *http.Response, want string) {
	t.Helper()
	got, err := digest(response.Body)
	if err != nil || got != want {
		t.Errorf("%s: the content is of %s (%v), want %s", response.Request.URL.Path, got, err, want)
	}
}

// expectText is the same for content that can be read.
func expectText(t *testing.T, response *http.Response, status int, want string) {
	t.Helper()
	got, err := io.ReadAll(response.Body)
	if err != nil || string(got) != want || response.StatusCode != status {
		t.Errorf("%s: %d %.200q (%v), want %d %.200q", response.Request.URL.Path, response.StatusCode, got, err, status, want)
	}
}

// refuses fails the test from within a handler, and answers 500.
func (x *cross) refuses(w http.ResponseWriter, r *http.Request, format string, args ...any) {
	x.t.Errorf("the endpoint, asked for "+r.URL.Path+": "+format, args...)
	w.WriteHeader(http.StatusInternalServerError)
}
