package healthcheck

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
)

func serveGRPC(t *testing.T, h healthpb.HealthServer, options ...grpc.ServerOption) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(options...)
	if h != nil {
		healthpb.RegisterHealthServer(s, h)
	}
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return l.Addr().String()
}

func TestGRPC(t *testing.T) {
	h := health.NewServer()
	h.SetServingStatus("payments", healthpb.HealthCheckResponse_NOT_SERVING)
	var seen atomic.Pointer[metadata.MD]
	address := serveGRPC(t, h, grpc.UnaryInterceptor(func(ctx context.Context, in any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		seen.Store(&md)
		return next(ctx, in)
	}))
	want(t, address, Options{GRPC: &GRPC{}}, nil, Passed, "grpc health of ADDR: status SERVING")
	if md := *seen.Load(); md.Get(":authority")[0] != address || !strings.HasPrefix(md.Get("user-agent")[0], "hopscope-health-check/1") {
		t.Errorf("%v", md)
	}
	want(t, address, Options{GRPC: &GRPC{ServiceName: "payments", Authority: "pay"}}, nil, FailedNow, "grpc health of payments on ADDR: status NOT_SERVING")
	if md := *seen.Load(); md.Get(":authority")[0] != "pay" {
		t.Errorf("%v", md)
	}
	want(t, address, Options{GRPC: &GRPC{ServiceName: "other"}}, nil, FailedNow, "status NotFound")
	want(t, serveGRPC(t, nil), Options{GRPC: &GRPC{}}, nil, FailedNow, "status Unimplemented")

	https, config := secured(t, true, func(http.ResponseWriter, *http.Request) {})
	want(t, https, Options{GRPC: &GRPC{}}, config, FailedNow, "grpc health of ADDR: status")

	s := httptest.NewUnstartedServer(nil) // for its certificate
	s.StartTLS()
	certificate := s.TLS.Certificates[0]
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	s.Close()
	address = serveGRPC(t, h, grpc.Creds(credentials.NewServerTLSFromCert(&certificate)))
	want(t, address, Options{GRPC: &GRPC{}}, func(string) *tls.Config { return &tls.Config{RootCAs: roots} }, Passed, "SERVING")
}

func TestConnectionsAreKeptByGRPC(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	counted := &counting{Listener: l}
	s := grpc.NewServer()
	healthpb.RegisterHealthServer(s, health.NewServer())
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(counted) }()
	t.Cleanup(func() { s.Stop(); <-done })
	for once, want := range map[bool]int32{false: 1, true: 3} {
		counted.n.Store(0)
		if got := probes(t, 3, l.Addr().String(), Options{GRPC: &GRPC{}, CloseConnection: once}); got != "000" || counted.n.Load() != want {
			t.Errorf("outcomes %s, %d connections, want %d", got, counted.n.Load(), want)
		}
	}
}

type counting struct {
	net.Listener
	n atomic.Int32
}

func (c *counting) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.n.Add(1)
	}
	return conn, err
}

// A server that comes back is found by the next probe, not when gRPC thinks fit.
func TestGRPCServerComesBack(t *testing.T) {
	address, free := reserve(t)
	p := newProber(t.Context(), address, must(t, Options{GRPC: &GRPC{}}), nil)
	defer p.close()
	for range 5 { // so often that gRPC would wait for seconds
		if r := timed(t.Context(), p, long); r.Outcome != Failed {
			t.Fatal(r.Detail)
		}
	}
	free()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("somebody else has the address now: %v", err)
	}
	s := grpc.NewServer() // it is back, and knows of no health
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	if r := timed(t.Context(), p, long); r.Outcome != FailedNow || !strings.Contains(r.Detail, "Unimplemented") {
		t.Error(r.Detail)
	}
}
