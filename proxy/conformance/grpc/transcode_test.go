package grpc_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// bindings are the google.api.http options that the tests give the methods of the
// interoperability service.
func bindings() map[string]*annotations.HttpRule {
	post := func(path, body string) *annotations.HttpRule {
		return &annotations.HttpRule{Pattern: &annotations.HttpRule_Post{Post: path}, Body: body}
	}
	unary := post("/v1/unary", "*")
	unary.AdditionalBindings = []*annotations.HttpRule{
		{Pattern: &annotations.HttpRule_Get{Get: "/v1/sizes/{response_size}"}},
		{Pattern: &annotations.HttpRule_Put{Put: "/v1/payloads/{payload.type}"}, Body: "payload", ResponseBody: "payload"},
	}
	output := post("/v1/output", "*")
	output.AdditionalBindings = []*annotations.HttpRule{{Pattern: &annotations.HttpRule_Get{Get: "/v1/output/{payload.body}"}}}
	return map[string]*annotations.HttpRule{
		"UnaryCall": unary, "StreamingOutputCall": output, "StreamingInputCall": post("/v1/input", "*"),
	}
}

// writeDescriptors writes the descriptors of the service with these options to a file.
func writeDescriptors(t testing.TB, file string, rules map[string]*annotations.HttpRule) {
	t.Helper()
	var set descriptorpb.FileDescriptorSet
	var add func(f protoreflect.FileDescriptor)
	seen := map[string]bool{}
	add = func(f protoreflect.FileDescriptor) {
		if seen[f.Path()] {
			return
		}
		seen[f.Path()] = true
		for i := range f.Imports().Len() {
			add(f.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(f))
	}
	add(pb.File_grpc_testing_test_proto)
	for _, f := range set.File {
		for _, s := range f.Service {
			for _, m := range s.Method {
				if rule := rules[m.GetName()]; rule != nil && s.GetName() == "TestService" {
					m.Options = &descriptorpb.MethodOptions{}
					proto.SetExtension(m.Options, annotations.E_Http, rule)
				}
			}
		}
	}
	b, err := proto.Marshal(&set)
	if err == nil {
		err = os.WriteFile(file, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// transcoding has the route make calls of requests.
func transcoding(t testing.TB, change ...func(*config.Transcode)) func(*proxytest.Settings) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "test.pb")
	writeDescriptors(t, file, bindings())
	c := config.NewTranscode(file)
	for _, f := range change {
		f(c)
	}
	return func(s *proxytest.Settings) { s.Route.Transcode = c }
}

// jsonClient is a client that knows HTTP and JSON.
type jsonClient struct {
	*callRig
	http *http.Client
	url  string
}

// eachJSONClient runs a test for clients of HTTP/1.1 and HTTP/2, in plain text and over
// TLS, against a real server.
func eachJSONClient(t *testing.T, server func() *callee, test func(t *testing.T, j *jsonClient, c *callee), change ...func(*proxytest.Settings)) {
	t.Parallel()
	for _, speaks := range proxytest.Sides {
		t.Run(speaks.Name, func(t *testing.T) {
			t.Parallel()
			c := server()
			test(t, startJSON(t, speaks, c, append([]func(*proxytest.Settings){transcoding(t)}, change...)...), c)
		})
	}
}

// startJSON runs a server, a proxy in front of it, and a client.
func startJSON(t *testing.T, speaks proxytest.Side, c *callee, change ...func(*proxytest.Settings)) *jsonClient {
	t.Helper()
	x := startCalls(t, wiring{down: speaks.TLS, up: speaks.TLS}, c, change...)
	j := &jsonClient{callRig: x, url: speaks.Scheme() + "://" + x.Ingress()}
	transport := &http.Transport{Protocols: speaks.Protocols(), DisableCompression: true}
	if x.ca != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: x.ca.Pool()}
	}
	t.Cleanup(transport.CloseIdleConnections)
	j.http = &http.Client{Transport: transport, Timeout: proxytest.Patience}
	return j
}

// begin sends a request. Its fields are names and values by turns.
func (j *jsonClient) begin(ctx context.Context, method, target, content string, fields ...string) (*http.Response, hop.TraceID) {
	j.T.Helper()
	r, err := http.NewRequestWithContext(ctx, method, j.url+target, strings.NewReader(content))
	if err != nil {
		j.T.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	trace, field := proxytest.NewTrace()
	name, value, _ := strings.Cut(strings.TrimSpace(field), ": ")
	r.Header.Set(name, value)
	resp, err := j.http.Do(r)
	if err != nil {
		j.T.Fatal(err)
	}
	return resp, trace
}

// ask sends a request and reads the response to its end.
func (j *jsonClient) ask(method, target, content string, fields ...string) (*http.Response, string, *hop.Hop) {
	j.T.Helper()
	resp, trace := j.begin(j.T.Context(), method, target, content, fields...)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		j.T.Fatalf("reading the response (%s): %v after %.200q", resp.Status, err, body)
	}
	return resp, string(body), j.Hop(trace)
}

// TestTranscode: requests with JSON call the methods of a real server, and get JSON.
func TestTranscode(t *testing.T) {
	eachJSONClient(t, func() *callee { return &callee{} }, func(t *testing.T, j *jsonClient, _ *callee) {
		for _, tt := range []struct {
			name, method, target, content string
			status                        int
			kind, want                    string
			call                          string // the method that was called, "" for none
			code                          codes.Code
			failed                        string // the hop that failed
		}{
			{name: "content", method: "POST", target: "/v1/unary", content: `{"payload":{"body":"aGk="},"unknown":1}`, status: 200, kind: "application/json", want: `{"payload":{"body":"aGk="}}`, call: "UnaryCall"},
			{name: "path and query", method: "GET", target: "/v1/sizes/5?payload.body=aGk&fill_username=true", status: 200, kind: "application/json", want: `{"payload":{"body":"aGk="}}`, call: "UnaryCall"},
			{name: "fields of the messages", method: "PUT", target: "/v1/payloads/COMPRESSABLE", content: `{"body":"aGk="}`, status: 200, kind: "application/json", want: `{"body":"aGk="}`, call: "UnaryCall"},
			{name: "a stream to the server", method: "POST", target: "/v1/input", content: `[{"payload":{"body":"aGk="}},{"payload":{"body":"aGk="}}]`, status: 200, kind: "application/json", want: `{"aggregatedPayloadSize":4}`, call: "StreamingInputCall"},
			{name: "a stream from the server", method: "POST", target: "/v1/output", content: `{"payload":{"body":"aGk="},"responseParameters":[{"size":0},{"size":3}]}`, status: 200, kind: "application/x-ndjson", want: "{\"payload\":{\"body\":\"aGk=\"}}\n{\"payload\":{}}\n{\"payload\":{\"body\":\"aG9w\"}}\n", call: "StreamingOutputCall"},
			{name: "failure", method: "POST", target: "/v1/unary", content: `{"responseStatus":{"code":5,"message":"nö"}}`, status: 404, kind: "application/json", want: `{"code":5,"message":"nö"}`, call: "UnaryCall", code: codes.NotFound},
			{name: "failure of the server", method: "POST", target: "/v1/unary", content: `{"responseStatus":{"code":14,"message":"busy"}}`, status: 503, kind: "application/json", want: `{"code":14,"message":"busy"}`, call: "UnaryCall", code: codes.Unavailable, failed: "front"},
			{name: "failure of a stream", method: "POST", target: "/v1/output", content: `{"payload":{},"responseStatus":{"code":8,"message":"enough"}}`, status: 200, kind: "application/x-ndjson", want: "{\"payload\":{}}\n{\"error\":{\"code\":8,\"message\":\"enough\"}}\n", call: "StreamingOutputCall", code: codes.ResourceExhausted},
			{name: "failure before a stream", method: "POST", target: "/v1/output", content: `{"responseStatus":{"code":16,"message":"who?"}}`, status: 401, kind: "application/json", want: `{"code":16,"message":"who?"}`, call: "StreamingOutputCall", code: codes.Unauthenticated},
			{name: "the client's mistake", method: "POST", target: "/v1/unary", content: `{"payload":7}`, status: 400, kind: "application/json"},
			{name: "a wrong parameter", method: "GET", target: "/v1/sizes/5?page=1", status: 400, kind: "application/json", want: `{"code":3,"message":"the query parameter \"page\": grpc.testing.SimpleRequest has no field \"page\""}`},
		} {
			resp, body, h := j.ask(tt.method, tt.target, tt.content, "content-type", "application/json")
			proxytest.Same(t, tt.name+": status", resp.StatusCode, tt.status)
			proxytest.Same(t, tt.name+": content-type", resp.Header.Get("Content-Type"), tt.kind)
			if tt.want != "" {
				proxytest.Same(t, tt.name+": content", body, tt.want)
			} else if !json.Valid([]byte(body)) {
				t.Errorf("%s: content %q", tt.name, body)
			}
			proxytest.Same(t, tt.name+": fields of gRPC", resp.Header.Get("Grpc-Status")+resp.Header.Get("Grpc-Encoding"), "")
			proxytest.Same(t, tt.name+": status of the hop", h.Status, tt.status)
			path, _, _ := strings.Cut(tt.target, "?")
			proxytest.Same(t, tt.name+": path of the hop", h.String(h.Path), path)
			if tt.call == "" {
				proxytest.Same(t, tt.name+": attempts", len(h.Attempts), 0)
				proxytest.Same(t, tt.name+": flags", h.Flags.String(), "DPE")
				continue
			}
			proxytest.Same(t, tt.name+": path of the call", h.String(h.LastAttempt().Path), "/grpc.testing.TestService/"+tt.call)
			proxytest.Same(t, tt.name+": rewritten path", h.String(h.RewrittenPath), "/grpc.testing.TestService/"+tt.call)
			proxytest.Same(t, tt.name+": name of the call", string(h.CallName()), "grpc.testing.TestService/"+tt.call)
			proxytest.Same(t, tt.name+": status of the call", h.GRPCStatus.Code(), int(tt.code))
			proxytest.Same(t, tt.name+": failed hop", h.Failure.Hop, tt.failed)
		}

		// A call of gRPC itself passes.
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-a", "1")
		r, err := j.UnaryCall(ctx, &pb.SimpleRequest{Payload: payload(5)})
		if err != nil || len(r.GetPayload().GetBody()) != 5 {
			t.Errorf("a call: %v, %v", r, err)
		}
		// So does what is no method's, and the server refuses it.
		resp, _, h := j.ask("GET", "/elsewhere", "")
		proxytest.Same(t, "elsewhere: status", resp.StatusCode, h.LastAttempt().Status)
	})
}

// TestTranscodeStreams: each message of a stream is with the client before the next is
// sent, as a line or as an event; and the server hears that the client has gone.
func TestTranscodeStreams(t *testing.T) {
	for _, accept := range []string{"", "text/event-stream"} {
		t.Run(accept, func(t *testing.T) {
			eachJSONClient(t, hanging, func(t *testing.T, j *jsonClient, c *callee) {
				j.conn.Close()
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				resp, trace := j.begin(ctx, "GET", "/v1/output/aGk", "", "accept", accept)
				want, kind := "{\"payload\":{\"body\":\"aG9wc2NvcGVobw==\"}}\n", "application/x-ndjson"
				if accept != "" {
					want, kind = "data: "+want, accept
				}
				proxytest.Same(t, "content-type", resp.Header.Get("Content-Type"), kind)
				line, err := bufio.NewReader(resp.Body).ReadString('\n')
				if line != want || err != nil {
					t.Errorf("the first message: %q, %v", line, err)
				}
				leave() // the client has had enough
				resp.Body.Close()
				proxytest.AwaitClosed(t, "the endpoint heard of it", c.gave)
				proxytest.Same(t, "status of the call", j.Hop(trace).GRPCStatus.String(), "CANCELLED")
			}, proxytest.AbortOnClose)
		})
	}
}

// TestTranscodeReplies: the proxy's own failures are JSON, and keep their status.
func TestTranscodeReplies(t *testing.T) {
	t.Run("timeout", func(t *testing.T) {
		eachJSONClient(t, hanging, func(t *testing.T, j *jsonClient, _ *callee) {
			resp, body, h := j.ask("POST", "/v1/unary", "")
			proxytest.Same(t, "status", resp.StatusCode, 504)
			if !strings.HasPrefix(body, `{"code":4,"message":"`) {
				t.Errorf("content %q", body)
			}
			proxytest.Same(t, "flags", h.Flags.String(), "UT")
			proxytest.Same(t, "status of the call", h.GRPCStatus.String(), "DEADLINE_EXCEEDED")
		}, func(s *proxytest.Settings) { s.Route.Timeout = 30 * time.Millisecond })
	})
	t.Run("refused", func(t *testing.T) {
		eachJSONClient(t, func() *callee { return &callee{} }, func(t *testing.T, j *jsonClient, _ *callee) {
			resp, body, h := j.ask("POST", "/v1/unary", "")
			proxytest.Same(t, "status", resp.StatusCode, 503)
			proxytest.Same(t, "content-type", resp.Header.Get("Content-Type"), "application/json")
			if !strings.HasPrefix(body, `{"code":14,"message":"`) || !strings.Contains(resp.Header.Get("Proxy-Status"), "connection_refused") {
				t.Errorf("content %q, Proxy-Status %q", body, resp.Header.Get("Proxy-Status"))
			}
			proxytest.Same(t, "flags", h.Flags.String(), "UF")
		}, func(s *proxytest.Settings) { s.Cluster.Endpoints = []string{proxytest.RefusingAddress(t)} })
	})
	t.Run("too large", func(t *testing.T) {
		eachJSONClient(t, func() *callee { return &callee{} }, func(t *testing.T, j *jsonClient, _ *callee) {
			resp, _, h := j.ask("POST", "/v1/unary", strings.Repeat(" ", 2000))
			proxytest.Same(t, "status", resp.StatusCode, 413)
			proxytest.Same(t, "flags", h.Flags.String(), "DPE")
			proxytest.Same(t, "attempts", len(h.Attempts), 0)
			resp, body, h := j.ask("POST", "/v1/output", `{"responseParameters":[{"size":2000}]}`)
			proxytest.Same(t, "status of a response that is", resp.StatusCode, 502)
			if !strings.Contains(body, "transcode.max_message") {
				t.Errorf("content %q", body)
			}
			proxytest.Same(t, "flags of a response that is", h.Flags.String(), "UPE")
		}, func(s *proxytest.Settings) { s.Route.Transcode.MaxMessage = "1KiB" })
	})
}

// TestTranscodeWithPolicies: what else a route does goes by the request and the response
// that the client sees, and retries by the status of the call.
func TestTranscodeWithPolicies(t *testing.T) {
	var calls atomic.Int32
	c := &callee{unary: func(_ context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
		if calls.Add(1) == 1 {
			return nil, status.Error(codes.Unavailable, "not yet")
		}
		return &pb.SimpleResponse{Username: strings.Repeat("x", 2000)}, nil
	}}
	j := startJSON(t, proxytest.H1C, c, transcoding(t), func(s *proxytest.Settings) {
		s.Route.Retry = proxytest.Retrying(2, "unavailable")
		s.Route.Compress = &config.Compress{Algorithms: []string{"gzip"}, MinBytes: 100, Types: []string{"application/json"}}
		s.Route.CORS = &config.CORS{AllowOrigins: []string{"https://a.test"}}
		s.Route.Match.Methods = []string{"GET"}
	})
	resp, _, h := j.ask("GET", "/v1/sizes/1", "", "accept-encoding", "gzip", "origin", "https://a.test")
	proxytest.Same(t, "status", resp.StatusCode, 200)
	proxytest.Same(t, "content-encoding", resp.Header.Get("Content-Encoding"), "gzip")
	proxytest.Same(t, "access-control-allow-origin", resp.Header.Get("Access-Control-Allow-Origin"), "https://a.test")
	proxytest.Same(t, "attempts", len(h.Attempts), 2)
}

// TestTranscodeMetadata: fields of the request are metadata of the call, and the endpoint
// is told what the request was; metadata of the response are its fields.
func TestTranscodeMetadata(t *testing.T) {
	got := make(chan metadata.MD, 1)
	c := &callee{unary: func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		got <- md
		_ = grpc.SetHeader(ctx, metadata.Pairs("x-b", "2"))
		return &pb.SimpleResponse{}, nil
	}}
	j := startJSON(t, proxytest.H2C, c, transcoding(t))
	resp, body, _ := j.ask("GET", "/v1/sizes/1?payload.body=aGk", "", "x-a", "1", "grpc-encoding", "gzip", "x-envoy-original-method", "TRACE")
	proxytest.Same(t, "content", body, "{}")
	proxytest.Same(t, "x-b", resp.Header.Get("X-B"), "2")
	md := <-got
	for name, want := range map[string]string{
		"x-a": "1", "x-envoy-original-path": "/v1/sizes/1?payload.body=aGk", "x-envoy-original-method": "GET", "content-type": "application/grpc",
	} {
		proxytest.Same(t, name, fmt.Sprint(md.Get(name)), "["+want+"]")
	}
}

// TestTranscodeViews: the spans name the method that was called, and the log what the
// client asked for.
func TestTranscodeViews(t *testing.T) {
	j := startJSON(t, proxytest.H1C, &callee{}, transcoding(t))
	j.ask("POST", "/v1/unary", `{"responseStatus":{"code":5}}`)
	v := j.end(1)
	line := v.Lines[0]
	proxytest.Same(t, "path", line.Text("path"), "/v1/unary")
	proxytest.Same(t, "status", fmt.Sprint(line["status"]), "404")
	proxytest.Same(t, "grpc_status_name", line.Text("grpc_status_name"), "NOT_FOUND")
	server, _ := spansOf(v, line)
	proxytest.Same(t, "rpc.service", server.Attributes["rpc.service"], "grpc.testing.TestService")
	proxytest.Same(t, "rpc.method", server.Attributes["rpc.method"], "UnaryCall")
	proxytest.Same(t, "url.path", server.Attributes["url.path"], "/v1/unary")
}

// TestTranscodeReload: a reload takes descriptors that have changed, and refuses those that
// can't be used.
func TestTranscodeReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "test.pb")
	writeDescriptors(t, file, bindings())
	c := &callee{}
	c.start(t)
	configured := func() *config.Config {
		return proxytest.NewConfig(t, c.address, func(c *config.Config) {
			web := c.Clusters["web"]
			web.Protocol = "http2"
			c.Clusters["web"] = web
			c.Listeners[0].Routes[0].Transcode = config.NewTranscode(file)
		})
	}
	p := proxytest.StartConfig(t, configured())
	ask := func(path string) int {
		resp, err := http.Post("http://"+p.Ingress()+path, "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		proxytest.Finish(resp)
		return resp.StatusCode
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	proxytest.Same(t, "status at first", ask("/v1/unary"), 200)
	writeDescriptors(t, file, map[string]*annotations.HttpRule{"UnaryCall": {Pattern: &annotations.HttpRule_Post{Post: "/v2/unary"}, Body: "*"}})
	p.MustReload(configured())
	proxytest.Same(t, "status of the new path", ask("/v2/unary"), 200)
	if got := ask("/v1/unary"); got == 200 {
		t.Error("the old path is still there")
	}
	if err := os.WriteFile(file, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Reload(configured()); err == nil || !strings.Contains(err.Error(), "routes[0].transcode: "+file) {
		t.Errorf("a reload without descriptors: %v", err)
	}
	proxytest.Same(t, "status after that", ask("/v2/unary"), 200)
}
