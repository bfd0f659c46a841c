package grpc_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// binaryText is metadata that goes in base64.
const binaryText = "\x00é\xff,"

// callKinds are the four kinds of call, each with one that exercises it and checks
// what comes back.
var callKinds = []struct {
	method string
	make   func(t *testing.T, c pb.TestServiceClient)
}{
	{"UnaryCall", func(t *testing.T, c pb.TestServiceClient) {
		var head, trailers metadata.MD
		r, err := c.UnaryCall(limited(t, "x-echo-bin", binaryText), &pb.SimpleRequest{Payload: payload(100_000)}, grpc.Header(&head), grpc.Trailer(&trailers))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(r.GetPayload().GetBody(), payload(100_000).Body) {
			t.Error("the content came back as another")
		}
		sawEcho(t, head, trailers)
	}},
	{"StreamingInputCall", func(t *testing.T, c pb.TestServiceClient) {
		s, err := c.StreamingInputCall(limited(t, "x-echo-bin", binaryText))
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			if err := s.Send(&pb.StreamingInputCallRequest{Payload: payload(5000)}); err != nil {
				t.Fatal(err)
			}
		}
		r, err := s.CloseAndRecv()
		if err != nil {
			t.Fatal(err)
		}
		proxytest.Same(t, "bytes that arrived", r.AggregatedPayloadSize, 50*5000)
		head, _ := s.Header()
		sawEcho(t, head, s.Trailer())
	}},
	{"StreamingOutputCall", func(t *testing.T, c pb.TestServiceClient) {
		s, err := c.StreamingOutputCall(limited(t, "x-echo-bin", binaryText), &pb.StreamingOutputCallRequest{ResponseParameters: sizes(0, 1, 70_000, 5, 200_000)})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, 1, 70_000, 5, 200_000} {
			r, err := s.Recv()
			if err != nil {
				t.Fatal(err)
			}
			proxytest.Same(t, "size of a response", len(r.GetPayload().GetBody()), n)
		}
		if _, err := s.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("after the last: %v", err)
		}
		head, _ := s.Header()
		sawEcho(t, head, s.Trailer())
	}},
	{"FullDuplexCall", func(t *testing.T, c pb.TestServiceClient) {
		s, err := c.FullDuplexCall(limited(t, "x-echo-bin", binaryText))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 50 { // each is sent when the one before has been answered
			pingPong(t, s, i*i)
		}
		if err := s.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("after the last: %v", err)
		}
		head, _ := s.Header()
		sawEcho(t, head, s.Trailer())
	}},
}

// pingPong sends n bytes and waits until they have come back.
func pingPong(t *testing.T, s grpc.BidiStreamingClient[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse], n int) {
	t.Helper()
	if err := s.Send(&pb.StreamingOutputCallRequest{Payload: payload(n)}); err != nil {
		t.Fatal(err)
	}
	r, err := s.Recv()
	if err != nil {
		t.Fatal(err)
	}
	proxytest.Same(t, "size of a response", len(r.GetPayload().GetBody()), n)
}

func sawEcho(t *testing.T, head, trailers metadata.MD) {
	t.Helper()
	for what, md := range map[string]metadata.MD{"head": head, "trailers": trailers} {
		if got := md.Get("x-echo-bin"); len(got) != 1 || got[0] != binaryText {
			t.Errorf("%s: x-echo-bin %q", what, got)
		}
	}
}

// Every kind of call, through every pair that can carry it; all views show it.
func TestCalls(t *testing.T) {
	for _, w := range wirings {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			x := startCalls(t, w, &callee{})
			for _, kind := range callKinds {
				t.Run(kind.method, func(t *testing.T) { kind.make(t, x) })
			}
			if t.Failed() {
				return
			}
			v := x.end(len(callKinds))
			for _, kind := range callKinds {
				path := "/grpc.testing.TestService/" + kind.method
				one := v.By("path", path)
				proxytest.Same(t, "status", one.Number("status"), 200)
				proxytest.Same(t, "grpc_status", one["grpc_status"], any(0.0))
				proxytest.Same(t, "grpc_status_name", one.Text("grpc_status_name"), "OK")
				proxytest.Same(t, "flags", one["flags"], nil)
				proxytest.Same(t, "TLS downstream", one.Of("tls")["version"] != nil, w.down)
				attempts := one["attempts"].([]any)
				try := proxytest.Line(attempts[0].(map[string]any))
				proxytest.Same(t, "grpc_status of the attempt", try["grpc_status"], any(0.0))
				proxytest.Same(t, "TLS upstream", try.Of("tls")["version"] != nil, w.up)
				server, clients := spansOf(v, one)
				proxytest.Same(t, "attempts", len(attempts), 1)
				proxytest.Same(t, "spans of attempts", len(clients), 1)
				for _, s := range append(clients, server) {
					proxytest.Same(t, "span", s.Name, path[1:])
					proxytest.Same(t, "rpc.system", s.Attributes["rpc.system"], "grpc")
					proxytest.Same(t, "rpc.service", s.Attributes["rpc.service"], "grpc.testing.TestService")
					proxytest.Same(t, "rpc.method", s.Attributes["rpc.method"], kind.method)
					proxytest.Same(t, "rpc.grpc.status_code", s.Attributes["rpc.grpc.status_code"], "0")
					proxytest.Same(t, "protocol", s.Attributes["network.protocol.version"], "2")
					proxytest.Same(t, "an error", s.Failed(), false)
				}
			}
			proxytest.Same(t, "OK calls counted", v.Metrics.Sum("hopscope_requests_total", "grpc_status", "OK", "code", "200", "method", "POST", "flag", ""), 4)
			proxytest.Same(t, "OK attempts counted", v.Metrics.Sum("hopscope_attempts_total", "grpc_status", "OK"), 4)
			for _, kind := range callKinds {
				proxytest.Same(t, "OK calls timed", v.Metrics.Sum("rpc_server_call_duration_seconds", "rpc_service", "grpc.testing.TestService",
					"rpc_method", kind.method, "rpc_grpc_status_code", "0", "error_type", ""), 1)
			}
			proxytest.Same(t, "calls timed", v.Metrics.Sum("rpc_server_call_duration_seconds"), 4)
			proxytest.Same(t, "OK attempts timed", v.Metrics.Sum("hopscope_attempt_duration_seconds", "grpc_status", "OK"), 4)
			proxytest.Same(t, "calls timed as HTTP", v.Metrics.Sum("http_server_request_duration_seconds"), 0)
			proxytest.Same(t, "failures", v.Metrics.Sum("hopscope_failures_total"), 0)
			proxytest.Same(t, "calls under way", v.Metrics.Sum("hopscope_downstream_requests_active"), 0)
		})
	}
}

// Two proxies that speak HTTP/1.1 to each other carry all kinds too: trailers are
// chunked content's, and both directions move at once.
func TestCallsOverHTTP1(t *testing.T) {
	t.Parallel()
	c := &callee{}
	c.start(t)
	inner := proxytest.StartWithViews(t, c.address, proxytest.ServiceName("inner"), func(s *proxytest.Settings) { s.Cluster.Protocol = "http2" })
	front := proxytest.StartWithViews(t, inner.Ingress(), func(s *proxytest.Settings) { s.Cluster.Protocol = "http1" })
	client := pb.NewTestServiceClient(dialCalls(t, front.Ingress(), nil))
	for _, kind := range callKinds {
		t.Run(kind.method, func(t *testing.T) { kind.make(t, client) })
	}
	if t.Failed() {
		return
	}
	for _, l := range []*proxytest.Proxy{front, inner} {
		l.Settle()
		for _, one := range l.Lines() {
			proxytest.Same(t, "grpc_status of "+one.Text("path"), one["grpc_status"], any(0.0))
		}
	}
	proxytest.Same(t, "what the innermost was asked in", inner.Lines()[0].Text("protocol"), "HTTP/1.1")
}

// serverErrors are the codes that a SERVER span counts as an error.
const serverErrors = "UNKNOWN DEADLINE_EXCEEDED UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS"

// codeNames are gRPC's names of its codes, but for OK, in their order.
var codeNames = strings.Fields(`CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED
	RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED`)

// Every status, in trailers and in a head that has no others, is in every view,
// and is an error by its class.
func TestStatusInEveryView(t *testing.T) {
	t.Parallel()
	const text = "só: 100 % \"no\"\n"
	x := startCalls(t, wirings[0], &callee{})
	var said [2]map[codes.Code]metadata.MD // the trailers, by whether there was a head besides
	for i := range said {
		said[i] = map[codes.Code]metadata.MD{}
	}
	for i := range codeNames {
		of := codes.Code(i + 1)
		echo := &pb.EchoStatus{Code: int32(of), Message: text}
		var trailers metadata.MD
		_, err := x.UnaryCall(limited(t, "x-request-id", "alone-"+of.String()),
			&pb.SimpleRequest{ResponseStatus: echo}, grpc.Trailer(&trailers))
		said[0][of] = trailers
		wantCode(t, "trailers-only", err, of)
		proxytest.Same(t, "message", status.Convert(err).Message(), text)

		s, err := x.StreamingOutputCall(limited(t, "x-request-id", "after-"+of.String()),
			&pb.StreamingOutputCallRequest{ResponseParameters: sizes(1), ResponseStatus: echo})
		if err == nil {
			_, err = s.Recv()
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Recv()
		wantCode(t, "trailers", err, of)
		proxytest.Same(t, "message", status.Convert(err).Message(), text)
		said[1][of] = s.Trailer()
	}
	v := x.end(2 * len(codeNames))
	for i, name := range codeNames {
		of := codes.Code(i + 1)
		bad := strings.Contains(" "+serverErrors+" ", " "+name+" ")
		for k, form := range []string{"alone-", "after-"} {
			one := v.By("request_id", form+of.String())
			proxytest.Same(t, "grpc_status", one["grpc_status"], any(float64(of)))
			proxytest.Same(t, "grpc_status_name", one.Text("grpc_status_name"), name)
			proxytest.Same(t, "grpc_message", one.Text("grpc_message"), text)
			proxytest.Same(t, "status", one.Number("status"), 200)
			proxytest.Same(t, "flags", one["flags"], nil)
			try := proxytest.Line(one["attempts"].([]any)[0].(map[string]any))
			proxytest.Same(t, "grpc_status of the attempt", try["grpc_status"], any(float64(of)))
			server, attempts := spansOf(v, one)
			proxytest.Same(t, "spans of attempts", len(attempts), 1)
			proxytest.Same(t, name+": SERVER span is an error", server.Failed(), bad)
			proxytest.Same(t, "rpc.grpc.status_code", server.Attributes["rpc.grpc.status_code"], fmt.Sprint(int(of)))
			proxytest.Same(t, "rpc.grpc.status_code of the attempt", server.Attributes["hopscope.upstream.grpc_status_code"], "")
			status := strings.Join(said[k][of].Get("proxy-status"), ", ")
			if bad {
				proxytest.Same(t, name+": error.type of the SERVER span", server.Attributes["error.type"], name)
				proxytest.Same(t, name+": failed_hop", one.Text("failed_hop"), "front")
				proxytest.Reason(t, name+": failure_reason", one.Text("failure_reason"), "answered "+name+": "+text)
				proxytest.Same(t, name+": origin", server.Attributes["hopscope.failure_origin"], "endpoint")
				proxytest.Reason(t, name+": Proxy-Status", status, `hopscope-failed-hop="front"`)
			} else {
				proxytest.Same(t, name+": failed_hop", one["failed_hop"], nil)
				proxytest.Same(t, name+": error.type of the SERVER span", server.Attributes["error.type"], "")
			}
		}
		proxytest.Same(t, name+": calls counted", v.Metrics.Sum("hopscope_requests_total", "grpc_status", name), 2)
		proxytest.Same(t, name+": attempts timed, with the error.type of the CLIENT", v.Metrics.Sum("hopscope_attempt_duration_seconds", "grpc_status", name, "error_type", name), 2)
		proxytest.Same(t, name+": attempts counted", v.Metrics.Sum("hopscope_attempts_total", "grpc_status", name), 2)
	}
	failures := 2 * float64(len(strings.Fields(serverErrors)))
	proxytest.Same(t, "failures of the endpoint's counted", v.Metrics.Sum("hopscope_failures_total", "origin", "endpoint"), failures)
	proxytest.Same(t, "failures counted", v.Metrics.Sum("hopscope_failures_total"), failures)
}
