package converted_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// callee is a gRPC server. It sends back the payload of a request, filled up with "x" to the
// size that is asked for, or fails as it is told to.
type callee struct {
	pb.UnimplementedTestServiceServer
}

func (callee) UnaryCall(_ context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	if s := r.GetResponseStatus(); s.GetCode() != 0 {
		return nil, status.Error(codes.Code(s.GetCode()), s.GetMessage())
	}
	body := string(r.GetPayload().GetBody())
	body += strings.Repeat("x", max(0, int(r.GetResponseSize())-len(body)))
	return &pb.SimpleResponse{Payload: &pb.Payload{Body: []byte(body)}, Username: "user"}, nil
}

// startCallee runs the server, and returns its port.
func startCallee(t *testing.T) string {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	pb.RegisterTestServiceServer(s, callee{})
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(socket) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	_, port, _ := net.SplitHostPort(socket.Addr().String())
	return port
}

// descriptors writes those of the server's service, whose UnaryCall has a google.api.http
// option, and returns the path of the file.
func descriptors(t *testing.T) string {
	t.Helper()
	rule := &annotations.HttpRule{
		Pattern: &annotations.HttpRule_Post{Post: "/v1/unary"}, Body: "*",
		AdditionalBindings: []*annotations.HttpRule{{Pattern: &annotations.HttpRule_Get{Get: "/v1/sizes/{response_size}"}}},
	}
	set, seen := &descriptorpb.FileDescriptorSet{}, map[string]bool{}
	var add func(f protoreflect.FileDescriptor)
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
				if s.GetName() == "TestService" && m.GetName() == "UnaryCall" {
					m.Options = &descriptorpb.MethodOptions{}
					proto.SetExtension(m.Options, annotations.E_Http, rule)
				}
			}
		}
	}
	path := filepath.Join(t.TempDir(), "test.pb")
	content, err := proto.Marshal(set)
	if err == nil {
		err = os.WriteFile(path, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// jsonRequest is a request with JSON.
type jsonRequest struct {
	method, target, content string
	// own is true if the proxy itself answers, with an error whose content is its own.
	own bool
}

// translated is the response to it.
type translated struct {
	Status     int
	Type       string
	JSON       any
	GRPCStatus string
}

func translate(t *testing.T, c *client, q jsonRequest) (got translated) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), q.method, "http://web.test"+q.target, strings.NewReader(q.content))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(r)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	if got.Status = resp.StatusCode; q.own {
		return got
	}
	if got.GRPCStatus = resp.Header.Get("grpc-status"); got.GRPCStatus == "0" { // which Envoy passes on
		got.GRPCStatus = ""
	}
	if kind := resp.Header.Get("Content-Type"); kind == "application/json" {
		if got.Type = kind; json.Unmarshal(body, &got.JSON) != nil {
			t.Errorf("%+v: no JSON: %s", q, body)
		}
	}
	return got
}

// TestEnvoyTranscoding sends the same JSON, and the same calls, to a gRPC server through
// both proxies.
func TestEnvoyTranscoding(t *testing.T) {
	text := strings.NewReplacer("50051", startCallee(t), "testdata/test.pb", descriptors(t)).Replace(example(t, "envoy/transcode.in", map[string]string{"3001": "web"}, nil))
	for listener, requests := range map[string][]jsonRequest{
		"calls": {
			{"POST", "/v1/unary", `{"response_size": 3, "payload": {"body": "YQ=="}}`, false},
			{"POST", "/v1/unary", `{"responseSize": 2}`, false},
			{"GET", "/v1/sizes/5", "", false},
			{"POST", "/v1/unary", `{"response_status": {"code": 5, "message": "no such thing"}}`, false},
			{"POST", "/v1/unary", `{"response_size": "many"}`, true},
			{"GET", "/v1/none", "", true}, {"GET", "/web/x", "", false}, {"GET", "/", "", true},
		},
		"requests": {
			{"POST", "/v1/unary", `{"response_size": 3}`, false},
			{"GET", "/v1/sizes/5?api_key=k&payload.body=YWI%3D", "", false},
			{"GET", "/v1/sizes/5?no_field=1", "", true},
			{"POST", "/v1/unary", `{"response_status": {"code": 7, "message": "not you"}}`, false},
			{"GET", "/v1/none", "", true}, {"POST", "/v1/input", "{}", false},
		},
	} {
		t.Run(listener, func(t *testing.T) {
			original, ours := envoyPair(t, "transcode.in", text, listener)
			a, b := newClient(t, original, nil), newClient(t, ours, nil)
			for _, q := range requests {
				if d := cmp.Diff(translate(t, a, q), translate(t, b, q)); d != "" {
					t.Errorf("%+v (-original +ours):\n%s", q, d)
				}
			}
			for name, address := range map[string]string{"Envoy": original, "hopscope": ours} {
				call(t, name, address)
			}
		})
	}
}

// call calls a method through a proxy, and one of a service that has no route where the
// routes are those of the other service.
func call(t *testing.T, name, address string) {
	t.Helper()
	c, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, err := pb.NewTestServiceClient(c).UnaryCall(t.Context(), &pb.SimpleRequest{ResponseSize: 4})
	if err != nil || string(r.GetPayload().GetBody()) != "xxxx" {
		t.Errorf("%s: %v, %v", name, r, err)
	}
	_, err = pb.NewUnimplementedServiceClient(c).UnimplementedCall(t.Context(), &pb.Empty{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("%s: %v, want UNIMPLEMENTED", name, err)
	}
}
