package grpc_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"

	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/headers"
)

// webClient is a client of gRPC-Web, as a browser's.
type webClient struct {
	*http.Client
	url  string // without path
	text bool   // in base64
}

// webAnswer is what it gets to see of a call: the responses, the HTTP response,
// and where the status was.
type webAnswer struct {
	*http.Response
	messages [][]byte
	end      http.Header // the trailers, or the head where there were none
	inHead   bool
}

func (c *webClient) contentType() string {
	if c.text {
		return "application/grpc-web-text+proto"
	}
	return "application/grpc-web+proto"
}

// ask makes a call and reads its answer to the end.
func (c *webClient) ask(t *testing.T, path string, request proto.Message) *webAnswer {
	t.Helper()
	stream := c.begin(t, path, request)
	defer stream.Body.Close()
	answer := &webAnswer{Response: stream.Response}
	for {
		flag, frame, err := stream.frame()
		if err != nil {
			answer.end, answer.inHead = stream.Header, true
			if err != io.EOF {
				t.Errorf("reading the answer: %v", err)
			}
			return answer
		}
		if flag == 0 {
			answer.messages = append(answer.messages, frame)
			continue
		}
		proxytest.Same(t, "flag of the trailers' frame", flag, 0x80)
		lines, err := textproto.NewReader(bufio.NewReader(io.MultiReader(bytes.NewReader(frame), strings.NewReader("\r\n")))).ReadMIMEHeader()
		if err != nil {
			t.Errorf("trailers %q: %v", frame, err)
		}
		answer.end = http.Header(lines)
		if _, _, err := stream.frame(); err != io.EOF {
			t.Errorf("after the trailers: %v", err)
		}
		return answer
	}
}

// webStream is an answer that is being read.
type webStream struct {
	*http.Response
	r io.Reader // of its content, decoded
}

func (c *webClient) begin(t *testing.T, path string, request proto.Message) *webStream {
	t.Helper()
	b, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	b = proxytest.GRPCMessage(b)
	if c.text {
		b = []byte(base64.StdEncoding.EncodeToString(b))
	}
	r, err := http.NewRequestWithContext(limited(t), "POST", c.url+path, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", c.contentType())
	r.Header.Set("X-Grpc-Web", "1")
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	proxytest.Same(t, "HTTP status", resp.StatusCode, 200)
	proxytest.Same(t, "content-type", resp.Header.Get("Content-Type"), c.contentType())
	s := &webStream{resp, resp.Body}
	if c.text {
		s.r = &groups{r: resp.Body}
	}
	return s
}

// frame reads the next frame.
func (s *webStream) frame() (flag int, content []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		return 0, nil, err
	}
	content = make([]byte, binary.BigEndian.Uint32(head[1:]))
	_, err = io.ReadFull(s.r, content)
	return int(head[0]), content, err
}

// groups decodes base64 group by group, since there may be padding within.
type groups struct {
	r    io.Reader
	left []byte
}

func (g *groups) Read(p []byte) (int, error) {
	for len(g.left) == 0 {
		var four [4]byte
		if _, err := io.ReadFull(g.r, four[:]); err != nil {
			return 0, err
		}
		b, err := base64.StdEncoding.AppendDecode(nil, four[:])
		if err != nil {
			return 0, err
		}
		g.left = b
	}
	n := copy(p, g.left)
	g.left = g.left[n:]
	return n, nil
}

// eachWebClient runs a test for each kind of client, against a real server.
func eachWebClient(t *testing.T, server func() *callee, test func(t *testing.T, w *webClient, c *callee, l *proxytest.Proxy), change ...func(*proxytest.Settings)) {
	t.Parallel()
	for _, speaks := range []proxytest.Side{proxytest.Sides[0], proxytest.Sides[1], proxytest.Sides[3]} {
		for _, text := range []bool{false, true} {
			name := speaks.Name + " binary"
			if text {
				name = speaks.Name + " text"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c := server()
				x := startCalls(t, wiring{down: speaks.TLS, up: speaks.TLS}, c, change...)
				x.conn.Close()
				client := h2Client(t, x.ca)
				if !speaks.HTTP2 {
					transport := &http.Transport{}
					t.Cleanup(transport.CloseIdleConnections)
					client = &http.Client{Transport: transport, Timeout: proxytest.Patience}
				}
				test(t, &webClient{client, speaks.Scheme() + "://" + x.Ingress(), text}, c, x.Proxy)
				client.CloseIdleConnections()
			})
		}
	}
}

const outputPath = "/grpc.testing.TestService/StreamingOutputCall"

// Browsers' calls, to a server that knows nothing of them.
func TestGRPCWeb(t *testing.T) {
	eachWebClient(t, func() *callee { return &callee{} }, func(t *testing.T, w *webClient, _ *callee, l *proxytest.Proxy) {
		for _, size := range []int{0, 1, 2, 3, 100_000} {
			a := w.ask(t, unaryPath, &pb.SimpleRequest{Payload: payload(size)})
			proxytest.Same(t, "grpc-status", a.end.Get("Grpc-Status"), "0")
			proxytest.Same(t, "the status was in the head", a.inHead, false)
			proxytest.Same(t, "responses", len(a.messages), 1)
			var r pb.SimpleResponse
			if err := proto.Unmarshal(a.messages[0], &r); err != nil {
				t.Fatal(err)
			}
			proxytest.Same(t, "bytes that came back", len(r.GetPayload().GetBody()), size)
			proxytest.Same(t, "Proxy-Status", a.Header.Get("Proxy-Status"), "front")
		}

		a := w.ask(t, outputPath, &pb.StreamingOutputCallRequest{ResponseParameters: sizes(5, 70_000, 0, 1)})
		proxytest.Same(t, "grpc-status of the stream", a.end.Get("Grpc-Status"), "0")
		for i, want := range []int{5, 70_000, 0, 1} {
			var r pb.StreamingOutputCallResponse
			if err := proto.Unmarshal(a.messages[i], &r); err != nil {
				t.Fatal(err)
			}
			proxytest.Same(t, "size of a response", len(r.GetPayload().GetBody()), want)
		}

		no := &pb.EchoStatus{Code: int32(codes.Unavailable), Message: "nö"}
		a = w.ask(t, unaryPath, &pb.SimpleRequest{ResponseStatus: no})
		proxytest.Same(t, "failed: responses", len(a.messages), 0)
		proxytest.Same(t, "failed: the status was in the head", a.inHead, true)
		w.failed(t, a, no)
		a = w.ask(t, outputPath, &pb.StreamingOutputCallRequest{ResponseParameters: sizes(1), ResponseStatus: no})
		proxytest.Same(t, "failed at last: responses", len(a.messages), 1)
		proxytest.Same(t, "failed at last: the status was in the head", a.inHead, false)
		w.failed(t, a, no)

		a = w.ask(t, "/grpc.testing.TestService/NoSuchCall", &pb.Empty{})
		proxytest.Same(t, "no such method", a.end.Get("Grpc-Status"), "12")

		v := l.End(9)
		got := map[string]int{}
		for _, one := range v.Lines {
			got[fmt.Sprint(one.Text("grpc_status_name"), " ", one.Text("failed_hop"))]++
		}
		if want := map[string]int{"OK ": 6, "UNAVAILABLE front": 2, "UNIMPLEMENTED front": 1}; !maps.Equal(got, want) {
			t.Errorf("log: %v, want %v", got, want)
		}
		proxytest.Same(t, "OK calls counted", v.Metrics.Sum("hopscope_requests_total", "grpc_status", "OK"), 6)
	})
}

// failed checks how a call says that it failed.
func (c *webClient) failed(t *testing.T, a *webAnswer, as *pb.EchoStatus) {
	t.Helper()
	proxytest.Same(t, "grpc-status", a.end.Get("Grpc-Status"), fmt.Sprint(as.Code))
	proxytest.Same(t, "grpc-message", a.end.Get("Grpc-Message"), "n%C3%B6")
	failed, _ := headers.Failure(parseMembers(t, a.end))
	proxytest.Same(t, "who failed by the response", failed.Hop, "front")
}

// A response of a stream is with the client before the next is sent.
func TestGRPCWebStreams(t *testing.T) {
	eachWebClient(t, hanging, func(t *testing.T, w *webClient, c *callee, l *proxytest.Proxy) {
		s := w.begin(t, outputPath, &pb.StreamingOutputCallRequest{})
		flag, content, err := s.frame()
		if flag != 0 || len(content) < 10 || err != nil {
			t.Errorf("the first response: %d, %q, %v", flag, content, err)
		}
		s.Body.Close() // the client has had enough
		proxytest.AwaitClosed(t, "the endpoint heard of it", c.gave)
		proxytest.Same(t, "grpc_status_name", l.End(1).Lines[0].Text("grpc_status_name"), "CANCELLED")
	}, proxytest.AbortOnClose)
}

// The proxy's own answers are gRPC-Web's.
func TestGRPCWebReply(t *testing.T) {
	eachWebClient(t, func() *callee { return &callee{} }, func(t *testing.T, w *webClient, _ *callee, l *proxytest.Proxy) {
		a := w.ask(t, unaryPath, &pb.SimpleRequest{})
		proxytest.Same(t, "the status was in the head", a.inHead, true)
		proxytest.Same(t, "grpc-status", a.end.Get("Grpc-Status"), "12")
		proxytest.Reason(t, "grpc-message", a.end.Get("Grpc-Message"), "no route of listener ingress")
		failed, _ := headers.Failure(proxytest.ProxyStatus(t, a.Response))
		proxytest.Same(t, "who failed by the response", failed.Hop, "front")
		one := l.End(1).Lines[0]
		proxytest.Same(t, "flags", one.Text("flags"), "NR")
		proxytest.Same(t, "grpc_status_name", one.Text("grpc_status_name"), "UNIMPLEMENTED")
	}, func(s *proxytest.Settings) { s.Route.Match.PathPrefix = "/elsewhere" })
}
