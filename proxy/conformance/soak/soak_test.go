package soak_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// soakVariable says how long the soak test lasts: make soak sets 10m.
const soakVariable = "HOPSCOPE_SOAK"

// TestSoak mixes HTTP/1, HTTP/2, gRPC streams and resets for a while: nothing
// fails that the clients did not break off, and in the end everything is as it
// was.
func TestSoak(t *testing.T) {
	lasts := 3 * time.Second
	if text := os.Getenv(soakVariable); text != "" {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil {
			t.Fatalf("%s: %v", soakVariable, err)
		}
	}
	before, files := goleak.IgnoreCurrent(), proxytest.OpenFiles(t)
	t.Cleanup(func() { // when all else has ended
		proxytest.Eventually(t, "the descriptors being closed", func() bool { return proxytest.OpenFiles(t) <= files })
		goleak.VerifyNone(t, before)
	})
	s := startSoak(t)
	s.run(lasts / 10) // what is made once, and kept, is made now
	heap := s.heap()
	s.run(lasts)
	if after := s.heap(); after > heap+heap/2+16<<20 {
		t.Errorf("the heap grew from %d to %d bytes", heap, after)
	}
	s.check()
	s.close()
	t.Logf("%d requests, of which the clients broke off %d", s.done.Load(), s.broken.Load())
}

// soak is a proxy between clients and endpoints of each protocol.
type soak struct {
	t            *testing.T
	lab          *proxytest.Proxy
	client       map[string]*http.Client
	calls        *grpc.ClientConn
	ends         []func()
	done, broken atomic.Int64
}

func startSoak(t *testing.T) *soak {
	ca := proxytest.NewAuthority(t)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		io.Copy(w, r.Body)
	})
	s := &soak{t: t}
	plain := s.serve(h, nil)
	encrypted := s.serve(h, &tls.Config{Certificates: []tls.Certificate{ca.Load(ca.Issue("127.0.0.1"))}})
	rpc := s.serveHealth()
	s.lab = proxytest.StartWithViews(t, plain, func(s *proxytest.Settings) {
		c := s.Config.Clusters
		for name, protocol := range map[string]string{"http1": "http1", "h2c": "http2"} {
			cluster := config.NewCluster(plain)
			cluster.Protocol = protocol
			c[name] = cluster
		}
		cluster := config.NewCluster(encrypted)
		cluster.TLS = config.NewClusterTLS()
		cluster.TLS.CA = ca.File
		c["tls"] = cluster
		cluster = config.NewCluster(rpc)
		cluster.Protocol = "http2"
		c["rpc"] = cluster
		for _, name := range []string{"http1", "h2c", "tls"} {
			route := config.NewRoute(name)
			route.Match.PathPrefix = "/" + name
			s.Listener.Routes = append(s.Listener.Routes, route)
		}
		s.Route = config.NewRoute("rpc")
		s.Config.Telemetry.Traces.Sample = 0
		s.Listener.HTTP2.MaxResets = 1_000_000 // they break off more than honest clients do
		s.Config.Telemetry.AccessLog.Path = "off"
	})
	s.client = map[string]*http.Client{}
	for _, name := range []string{"http1", "h2c"} {
		transport := &http.Transport{Protocols: new(http.Protocols), MaxIdleConnsPerHost: 100}
		transport.Protocols.SetHTTP1(name == "http1")
		transport.Protocols.SetUnencryptedHTTP2(name == "h2c")
		s.client[name] = &http.Client{Transport: transport}
	}
	calls, err := grpc.NewClient(s.lab.Ingress(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	s.calls = calls
	return s
}

// serve runs a server that speaks HTTP/1.1 and HTTP/2, with TLS or without.
func (s *soak) serve(h http.Handler, encrypt *tls.Config) string {
	t := s.t
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h, Protocols: new(http.Protocols), TLSConfig: encrypt}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	var wg sync.WaitGroup
	wg.Go(func() {
		if encrypt != nil {
			server.ServeTLS(l, "", "")
		} else {
			server.Serve(l)
		}
	})
	s.ends = append(s.ends, func() {
		server.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

// serveHealth runs a gRPC server.
func (s *soak) serveHealth() string {
	t := s.t
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, health.NewServer())
	var wg sync.WaitGroup
	wg.Go(func() { server.Serve(l) })
	s.ends = append(s.ends, func() {
		server.Stop()
		wg.Wait()
	})
	return l.Addr().String()
}

// run keeps a dozen clients busy.
func (s *soak) run(lasts time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), lasts)
	defer cancel()
	var wg sync.WaitGroup
	for n := range 12 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(4, uint64(n)))
			for ctx.Err() == nil && !s.t.Failed() {
				if n%4 == 3 {
					s.call(random)
				} else {
					s.echo(random)
				}
				s.done.Add(1)
			}
		})
	}
	wg.Wait()
	for _, c := range s.client {
		c.CloseIdleConnections()
	}
}

// echo sends something and gets it back; or breaks off somewhere.
func (s *soak) echo(random *rand.Rand) {
	from := []string{"http1", "h2c"}[random.IntN(2)]
	to := []string{"http1", "h2c", "tls"}[random.IntN(3)]
	size := []int{0, 1, 1000, 64 << 10, 300 << 10}[random.IntN(5)]
	breaks := random.IntN(8) == 0
	ctx, cancel := context.WithTimeout(context.Background(), proxytest.Patience)
	defer cancel()
	if breaks {
		defer time.AfterFunc(time.Duration(random.IntN(int(5*time.Millisecond))), cancel).Stop()
		s.broken.Add(1)
	}
	body := proxytest.Pattern(size)
	r, err := http.NewRequestWithContext(ctx, "POST", fmt.Sprintf("http://%s/%s", s.lab.Ingress(), to), strings.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return
	}
	if random.IntN(2) == 0 {
		r.ContentLength = -1
	}
	response, err := s.client[from].Do(r)
	var got []byte
	if err == nil {
		got, err = io.ReadAll(response.Body)
		response.Body.Close()
	}
	switch {
	case err != nil && breaks && errors.Is(err, context.Canceled):
	case err != nil:
		s.t.Errorf("%s to %s, %d bytes: %v", from, to, size, err)
	case response.StatusCode != 200 || !bytes.Equal(got, []byte(body)):
		s.t.Errorf("%s to %s: status %d, %d bytes, want %d: %.100q", from, to, response.StatusCode, len(got), size, got)
	}
}

// call makes a call, or begins one that streams and breaks it off.
func (s *soak) call(random *rand.Rand) {
	ctx, cancel := context.WithTimeout(context.Background(), proxytest.Patience)
	defer cancel()
	client := healthpb.NewHealthClient(s.calls)
	if random.IntN(2) == 0 {
		if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{}); err != nil {
			s.t.Errorf("a call: %v", err)
		}
		return
	}
	s.broken.Add(1)
	stream, err := client.Watch(ctx, &healthpb.HealthCheckRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if err != nil {
		s.t.Errorf("a stream: %v", err)
		return
	}
	cancel()
	if _, err := stream.Recv(); status.Code(err) != codes.Canceled {
		s.t.Errorf("a stream that was cancelled: %v", err)
	}
}

// heap is how much is in use, with nothing going on.
func (s *soak) heap() uint64 {
	s.lab.FlushViews()
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// check looks for failures that the clients did not cause.
func (s *soak) check() {
	for _, m := range s.lab.Scrape()["hopscope_requests_total"].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == "flag" && l.GetValue() != "" && l.GetValue() != "DC" && l.GetValue() != "DR" {
				s.t.Errorf("%g requests with the flag %s: %v", m.GetCounter().GetValue(), l.GetValue(), m.GetLabel())
			}
		}
	}
}

func (s *soak) close() {
	s.calls.Close()
	for _, c := range s.client {
		c.CloseIdleConnections()
	}
	ctx, cancel := context.WithTimeout(context.Background(), proxytest.Patience)
	defer cancel()
	if err := s.lab.Close(ctx); err != nil {
		s.t.Errorf("closing the proxy: %v", err)
	}
	for _, end := range s.ends {
		end()
	}
}
