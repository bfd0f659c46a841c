package grpc_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// callee is grpc-go's server with the service of the interoperability tests. What
// a request asks for comes back: its content, responses of the sizes that it
// lists, its status, and its metadata "x-echo-bin" in the head and in the trailers.
type callee struct {
	pb.UnimplementedTestServiceServer
	address string
	ca      *proxytest.Authority // of a server over TLS, nil for a plain one
	options []grpc.ServerOption

	gave chan struct{} // of hanging: its callers that have given up

	// In the place of the above, if they are there.
	unary  func(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error)
	output func(*pb.StreamingOutputCallRequest, grpc.ServerStreamingServer[pb.StreamingOutputCallResponse]) error
	duplex func(grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]) error
}

// start runs the server until the test ends.
func (c *callee) start(t testing.TB) {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.serve(t, socket)
}

func (c *callee) serve(t testing.TB, socket net.Listener) {
	t.Helper()
	c.address = socket.Addr().String()
	o := c.options
	if c.ca != nil {
		pair := c.ca.Load(c.ca.Issue("127.0.0.1"))
		o = append(o, grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{pair}})))
	}
	server := grpc.NewServer(o...)
	pb.RegisterTestServiceServer(server, c)
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(socket) })
	t.Cleanup(func() {
		server.Stop()
		wg.Wait()
	})
}

// echoed is the metadata that goes back to the caller.
func echoed(ctx context.Context) metadata.MD {
	md, _ := metadata.FromIncomingContext(ctx)
	return metadata.MD{"x-echo-bin": md.Get("x-echo-bin")}
}

func asked(s *pb.EchoStatus) error { return status.Error(codes.Code(s.GetCode()), s.GetMessage()) }

func (c *callee) UnaryCall(ctx context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	if c.unary != nil {
		return c.unary(ctx, r)
	}
	if err := asked(r.ResponseStatus); err != nil {
		return nil, err
	}
	_ = grpc.SetHeader(ctx, echoed(ctx))
	_ = grpc.SetTrailer(ctx, echoed(ctx))
	return &pb.SimpleResponse{Payload: r.Payload}, nil
}

func (c *callee) StreamingInputCall(s grpc.ClientStreamingServer[pb.StreamingInputCallRequest, pb.StreamingInputCallResponse]) error {
	_ = s.SetHeader(echoed(s.Context()))
	s.SetTrailer(echoed(s.Context()))
	sum := int32(0)
	for {
		r, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return s.SendAndClose(&pb.StreamingInputCallResponse{AggregatedPayloadSize: sum})
		}
		if err != nil {
			return err
		}
		sum += int32(len(r.GetPayload().GetBody()))
	}
}

func (c *callee) StreamingOutputCall(r *pb.StreamingOutputCallRequest, s grpc.ServerStreamingServer[pb.StreamingOutputCallResponse]) error {
	if c.output != nil {
		return c.output(r, s)
	}
	_ = s.SetHeader(echoed(s.Context()))
	s.SetTrailer(echoed(s.Context()))
	return sendAsked(r, s)
}

func (c *callee) FullDuplexCall(s grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]) error {
	if c.duplex != nil {
		return c.duplex(s)
	}
	_ = s.SetHeader(echoed(s.Context()))
	s.SetTrailer(echoed(s.Context()))
	for {
		r, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = sendAsked(r, s)
		}
		if err != nil {
			return err
		}
	}
}

// sendAsked sends what a request asks for.
func sendAsked(r *pb.StreamingOutputCallRequest, s interface {
	Send(*pb.StreamingOutputCallResponse) error
}) error {
	if r.Payload != nil {
		if err := s.Send(&pb.StreamingOutputCallResponse{Payload: r.Payload}); err != nil {
			return err
		}
	}
	for _, p := range r.ResponseParameters {
		if err := s.Send(&pb.StreamingOutputCallResponse{Payload: payload(int(p.Size))}); err != nil {
			return err
		}
	}
	return asked(r.ResponseStatus)
}

// payload is n bytes of content.
func payload(n int) *pb.Payload {
	return &pb.Payload{Body: bytes.Repeat([]byte("hopscope"), n/8+1)[:n]}
}

// sizes asks for a response of each size.
func sizes(all ...int32) (list []*pb.ResponseParameters) {
	for _, n := range all {
		list = append(list, &pb.ResponseParameters{Size: n})
	}
	return list
}

// wiring is how a call goes on the two sides of a proxy: plain (h2c) or over TLS.
type wiring struct {
	name     string
	down, up bool // TLS
}

var wirings = []wiring{
	{"h2c to h2c", false, false}, {"h2c to TLS", false, true},
	{"TLS to h2c", true, false}, {"TLS to TLS", true, true},
}

// callRig is a proxy in front of a gRPC server, and a client of it.
type callRig struct {
	*proxytest.Proxy
	pb.TestServiceClient
	conn *grpc.ClientConn
	ca   *proxytest.Authority // of the listener, nil for a plain one
}

// startCalls runs a server, a proxy in front of it, and a client.
func startCalls(t *testing.T, w wiring, c *callee, change ...func(*proxytest.Settings)) *callRig {
	t.Helper()
	if w.up {
		c.ca = proxytest.NewAuthority(t)
	}
	c.start(t)
	return callThrough(t, w, c, change...)
}

// callThrough is startCalls where the server runs.
func callThrough(t *testing.T, w wiring, c *callee, change ...func(*proxytest.Settings)) *callRig {
	t.Helper()
	x := &callRig{}
	if w.down {
		x.ca = proxytest.NewAuthority(t)
	}
	x.Proxy = proxytest.StartWithViews(t, c.address, append([]func(*proxytest.Settings){func(s *proxytest.Settings) {
		s.Cluster.Protocol = "http2"
		if c.ca != nil {
			s.Cluster.Protocol, s.Cluster.TLS = "auto", config.NewClusterTLS()
			s.Cluster.TLS.CA = c.ca.File
		}
		if w.down {
			proxytest.ListenTLS(&s.Listener, x.ca.Issue(hostOf(t, s.Listener.Address)))
		}
	}}, change...)...)
	x.conn = dialCalls(t, x.Ingress(), x.ca)
	x.TestServiceClient = pb.NewTestServiceClient(x.conn)
	return x
}

// dialCalls makes a client of the server at the address.
func dialCalls(t *testing.T, address string, ca *proxytest.Authority, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	secure := insecure.NewCredentials()
	if ca != nil {
		secure = credentials.NewTLS(&tls.Config{RootCAs: ca.Pool()})
	}
	// A retry of the client's own would hide what the proxy did.
	options = append(options, grpc.WithTransportCredentials(secure), grpc.WithDisableRetry(), grpc.WithNoProxy())
	conn, err := grpc.NewClient("passthrough:///"+address, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// limited is the context of a call that is to end in time; what is sent with it
// are names and values by turns.
func limited(t *testing.T, sent ...string) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), proxytest.Patience)
	t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, sent...)
}

// wantCode checks the status that a call ended with.
func wantCode(t *testing.T, what string, err error, want codes.Code) {
	t.Helper()
	if got := status.Code(err); got != want {
		t.Errorf("%s: %v (%v), want %v", what, got, err, want)
	}
}

// end ends the client, and then the proxy: its connection would be drained else.
func (x *callRig) end(n int) *proxytest.Views {
	x.T.Helper()
	return x.endExported(n, n)
}

func (x *callRig) endExported(n, exported int) *proxytest.Views {
	x.T.Helper()
	x.conn.Close()
	return x.Proxy.EndExported(n, exported)
}

// spansOf are the SERVER span of a line, and its attempts' spans: itself, where it had one.
func spansOf(v *proxytest.Views, one proxytest.Line) (server proxytest.Span, attempts []proxytest.Span) {
	v.T.Helper()
	for _, s := range v.Kind(tracepb.Span_SPAN_KIND_SERVER) {
		if fmt.Sprintf("%x", s.SpanId) == one.Text("span_id") {
			server = s
		}
	}
	if server.Span == nil {
		v.T.Fatalf("no SERVER span %s", one.Text("span_id"))
	}
	return server, v.Attempts(server)
}

// h2Client is net/http's client speaking HTTP/2 alone, in plain text or over TLS:
// for calls whose every field the test wants to see.
func h2Client(t *testing.T, ca *proxytest.Authority) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	if ca != nil {
		transport.Protocols.SetHTTP2(true)
		transport.TLSClientConfig = &tls.Config{RootCAs: ca.Pool()}
	} else {
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: proxytest.Patience}
}

// postCall posts a call and reads the response to its end. Its fields are names and
// values by turns.
func postCall(t *testing.T, c *http.Client, url string, content io.Reader, fields ...string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", url, content)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/grpc")
	r.Header.Set("TE", "trailers")
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading the response (%s): %v after %.200q", resp.Status, err, body)
	}
	return resp, body
}

// unaryPath is the path of UnaryCall.
const unaryPath = "/grpc.testing.TestService/UnaryCall"

// hostOf is the host of an address.
func hostOf(t testing.TB, address string) string {
	t.Helper()
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return host
}
