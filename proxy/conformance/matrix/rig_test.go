package matrix_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// webHost is what clients of the matrix ask for, whatever they connect to.
const webHost = "web.test"

// cross is a proxy between a client and an endpoint that each speak what its pair
// says. The endpoint answers each path by a handler of its own.
type cross struct {
	*proxytest.Proxy
	down, up proxytest.Side
	alpn     string // what the client agrees on with the proxy, over TLS
	ca       *proxytest.Authority
	client   *http.Client

	mu       sync.Mutex
	handlers map[string]http.HandlerFunc
	conns    []net.Conn // the client's, encrypted or not
	want     []outcome
}

// newCross starts them. A nil endpoint is net/http's server.
func newCross(t *testing.T, down, up proxytest.Side, endpoint func(x *cross) string) *cross {
	t.Helper()
	x := &cross{down: down, up: up, alpn: down.ALPN(), ca: proxytest.NewAuthority(t), handlers: map[string]http.HandlerFunc{}}
	if endpoint == nil {
		endpoint = func(x *cross) string { return x.serve(t) }
	}
	x.Proxy = proxytest.StartWithViews(t, endpoint(x), func(s *proxytest.Settings) {
		proxytest.AbortOnClose(s)
		s.Route.Timeout = proxytest.Patience // which much content needs on a busy machine
		if down.TLS {
			proxytest.ListenTLS(&s.Listener, x.ca.Issue(webHost))
		}
		s.Cluster.Protocol = "http1"
		if up.HTTP2 {
			s.Cluster.Protocol = "http2"
		}
		if up.TLS {
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
		Handler: http.HandlerFunc(x.answer), Protocols: x.up.Protocols(),
		ErrorLog:    slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, ownConn{}, c) },
	}
	var wg sync.WaitGroup
	if x.up.TLS {
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{x.ca.Load(x.ca.Issue("127.0.0.1"))}}
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
func (x *cross) newClient(t *testing.T, speaks proxytest.Side) *http.Client {
	t.Helper()
	transport := &http.Transport{
		Protocols: speaks.Protocols(), TLSClientConfig: &tls.Config{RootCAs: x.ca.Pool(), NextProtos: []string{speaks.ALPN()}},
		MaxIdleConnsPerHost: 100, ExpectContinueTimeout: proxytest.Patience, DisableCompression: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, x.Ingress())
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
		x.T.Errorf("the endpoint was asked for %q", r.URL.Path)
		return
	}
	if got := r.Proto; got != x.up.Version() && got != x.up.Version()+".0" {
		x.T.Errorf("%s: the endpoint was asked by %s, want %s", r.URL.Path, got, x.up.Version())
	}
	if r.Host != webHost {
		x.T.Errorf("%s: the endpoint was asked for the host %q", r.URL.Path, r.Host)
	}
	h(w, r)
}

// request makes one for a path.
func (x *cross) request(ctx context.Context, method, path string, body io.Reader) *http.Request {
	x.T.Helper()
	r, err := http.NewRequestWithContext(ctx, method, x.down.Scheme()+"://"+webHost+path, body)
	if err != nil {
		x.T.Fatal(err)
	}
	return r
}

// upload is a request with size bytes of content, whose length is told or not.
func (x *cross) upload(ctx context.Context, path string, size int64, told bool) (*http.Request, *proxytest.Source) {
	x.T.Helper()
	body := proxytest.NewSource(size)
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
	x.T.Helper()
	response, err := x.client.Do(r)
	if err != nil {
		x.T.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	x.T.Cleanup(func() { response.Body.Close() })
	if got := response.Proto; got != x.down.Version() && got != x.down.Version()+".0" {
		x.T.Errorf("%s: the client was answered by %s, want %s", r.URL.Path, got, x.down.Version())
	}
	return response
}

// digestOfSource is that of a source of size bytes.
func digestOfSource(size int64) string {
	s := proxytest.NewSource(size)
	io.Copy(io.Discard, s)
	return s.Digest()
}

// expectContent reads a response to its end, and compares.
func expectContent(t testing.TB, response *http.Response, want string) {
	t.Helper()
	got, err := proxytest.Digest(response.Body)
	if err != nil || got != want {
		t.Errorf("%s: the content is of %s (%v), want %s", response.Request.URL.Path, got, err, want)
	}
}

// expectText is the same for content that can be read.
func expectText(t testing.TB, response *http.Response, status int, want string) {
	t.Helper()
	got, err := io.ReadAll(response.Body)
	if err != nil || string(got) != want || response.StatusCode != status {
		t.Errorf("%s: %d %.200q (%v), want %d %.200q", response.Request.URL.Path, response.StatusCode, got, err, status, want)
	}
}

// refuses fails the test from within a handler, and answers 500.
func (x *cross) refuses(w http.ResponseWriter, r *http.Request, format string, args ...any) {
	x.T.Errorf("the endpoint, asked for "+r.URL.Path+": "+format, args...)
	w.WriteHeader(http.StatusInternalServerError)
}
