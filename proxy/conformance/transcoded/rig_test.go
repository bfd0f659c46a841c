package transcoded_test

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// descriptors are the descriptor sets of the shop, that of the filter's own tests, for
// either proxy: Envoy knows no response_body but for google.api.HttpBody.
func descriptors(t *testing.T) (theirs, ours []byte, service protoreflect.ServiceDescriptor) {
	t.Helper()
	text, err := os.ReadFile("../../filter/transcode/testdata/shop.txtpb")
	if err != nil {
		t.Fatal(err)
	}
	file, set := new(descriptorpb.FileDescriptorProto), new(descriptorpb.FileDescriptorSet)
	if err := prototext.Unmarshal(text, file); err != nil {
		t.Fatal(err)
	}
	for _, f := range []protoreflect.FileDescriptor{
		timestamppb.File_google_protobuf_timestamp_proto, durationpb.File_google_protobuf_duration_proto,
		wrapperspb.File_google_protobuf_wrappers_proto, fieldmaskpb.File_google_protobuf_field_mask_proto,
		structpb.File_google_protobuf_struct_proto, anypb.File_google_protobuf_any_proto, httpbody.File_google_api_httpbody_proto,
	} {
		set.File = append(set.File, protodesc.ToFileDescriptorProto(f))
	}
	set.File = append(set.File, file)
	registry, err := protodesc.NewFiles(set)
	if err != nil {
		t.Fatal(err)
	}
	found, err := registry.FindDescriptorByName("shop.Shop")
	if err != nil {
		t.Fatal(err)
	}
	ours = marshal(t, set)
	for _, m := range file.Service[0].Method {
		if rule, _ := proto.GetExtension(m.Options, annotations.E_Http).(*annotations.HttpRule); rule != nil {
			for _, r := range append(rule.AdditionalBindings, rule) {
				r.ResponseBody = ""
			}
		}
	}
	return marshal(t, set), ours, found.(protoreflect.ServiceDescriptor)
}

func marshal(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// startShop runs a server of grpc-go with the methods of the service, and returns its
// address. What is called answers with the request message, or with what its id asks for.
func startShop(t *testing.T, service protoreflect.ServiceDescriptor) string {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := grpc.ServiceDesc{ServiceName: string(service.FullName())}
	for i := range service.Methods().Len() {
		switch m := service.Methods().Get(i); {
		case m.IsStreamingClient():
			d.Streams = append(d.Streams, grpc.StreamDesc{StreamName: string(m.Name()), ClientStreams: true, Handler: collect(m)})
		case m.IsStreamingServer():
			d.Streams = append(d.Streams, grpc.StreamDesc{StreamName: string(m.Name()), ServerStreams: true, Handler: watch(m)})
		default:
			d.Methods = append(d.Methods, grpc.MethodDesc{MethodName: string(m.Name()), Handler: echo(m)})
		}
	}
	server := grpc.NewServer()
	server.RegisterService(&d, nil)
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(socket) })
	t.Cleanup(func() {
		server.Stop()
		wg.Wait()
	})
	return socket.Addr().String()
}

// idOf is the id of an item, "" for another message.
func idOf(m *dynamicpb.Message) string {
	if f := m.Descriptor().Fields().ByName("id"); f != nil {
		return m.Get(f).String()
	}
	return ""
}

// asked is the failure that an id asks for: "fail-5", "details-5", or "late-5" behind a message.
func asked(id string, kind string) error {
	n, err := strconv.Atoi(strings.TrimPrefix(id, kind+"-"))
	if err != nil || !strings.HasPrefix(id, kind+"-") {
		return nil
	}
	s := status.New(codes.Code(n), "no such ítem")
	if kind == "details" {
		if s, err = s.WithDetails(wrapperspb.String("a"), &errdetails.ErrorInfo{Reason: "GONE"}); err != nil {
			return err
		}
	}
	return s.Err()
}

func echo(m protoreflect.MethodDescriptor) grpc.MethodHandler {
	return func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		in := dynamicpb.NewMessage(m.Input())
		if err := decode(in); err != nil {
			return nil, err
		}
		_ = grpc.SetHeader(ctx, metadata.Pairs("x-metadata", "1"))
		return in, cmp.Or(asked(idOf(in), "fail"), asked(idOf(in), "details"))
	}
}

// collect answers a stream with one item, whose parts are what came.
func collect(m protoreflect.MethodDescriptor) grpc.StreamHandler {
	return func(_ any, s grpc.ServerStream) error {
		out := dynamicpb.NewMessage(m.Output())
		parts := out.Mutable(m.Output().Fields().ByName("parts")).List()
		for {
			in := dynamicpb.NewMessage(m.Input())
			err := s.RecvMsg(in)
			if errors.Is(err, io.EOF) {
				return s.SendMsg(out)
			}
			if err == nil {
				err = asked(idOf(in), "fail")
			}
			if err != nil {
				return err
			}
			parts.Append(protoreflect.ValueOfMessage(in))
		}
	}
}

// watch sends as many messages as the id says, "n3".
func watch(m protoreflect.MethodDescriptor) grpc.StreamHandler {
	return func(_ any, s grpc.ServerStream) error {
		in := dynamicpb.NewMessage(m.Input())
		if err := s.RecvMsg(in); err != nil {
			return err
		}
		id := idOf(in)
		if err := asked(id, "fail"); err != nil {
			return err
		}
		n, err := strconv.Atoi(strings.TrimPrefix(id, "n"))
		if err != nil {
			n = 1
		}
		for i := range n {
			out, fields := dynamicpb.NewMessage(m.Output()), m.Output().Fields()
			if f := fields.ByName("unit_price"); f != nil {
				out.Set(f, protoreflect.ValueOfInt64(int64(i)))
			} else {
				out.Set(fields.ByName("content_type"), protoreflect.ValueOfString("text/csv"))
				out.Set(fields.ByName("data"), protoreflect.ValueOfBytes([]byte(fmt.Sprintf("%d,\n", i))))
			}
			if err := s.SendMsg(out); err != nil {
				return err
			}
		}
		return asked(id, "late")
	}
}

// object is a message of Envoy's configuration, in JSON.
type object map[string]any

func typed(name string, o object) object {
	o["@type"] = "type.googleapis.com/envoy." + name
	return o
}

// startOurs runs hopscope in front of the server with a listener for each variant, and
// returns their addresses.
func startOurs(t *testing.T, set []byte, shop string) map[string]string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "shop.pb")
	if err := os.WriteFile(file, set, 0o600); err != nil {
		t.Fatal(err)
	}
	c := config.New()
	c.Admin.Address, c.Telemetry.AccessLog.Path = "off", "off"
	cluster := config.NewCluster(shop)
	cluster.Protocol = "http2"
	c.Clusters["shop"] = cluster
	for _, v := range variants {
		l, r := config.NewListener(v.name, "127.0.0.1:0"), config.NewRoute("shop")
		r.Transcode = config.NewTranscode(file)
		r.Transcode.AutoMapping = true
		v.ours(r.Transcode)
		l.Routes, l.Path = []config.Route{r}, config.Path{EscapedSlashes: "keep"}
		c.Listeners = append(c.Listeners, l)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	proxy, all := proxytest.StartConfig(t, c), map[string]string{}
	for _, v := range variants {
		all[v.name] = proxy.Addr(v.name).String()
	}
	return all
}

// startTheirs does the same with Envoy.
func startTheirs(t *testing.T, set []byte, shop string) map[string]string {
	t.Helper()
	var listeners []object
	for _, v := range variants {
		filter := object{
			"proto_descriptor_bin": base64.StdEncoding.EncodeToString(set), "services": []string{"shop.Shop"},
			"auto_mapping": true, "convert_grpc_status": true,
		}
		v.theirs(filter)
		listeners = append(listeners, theirListener(v.name, filter))
	}
	envoy, all := backends.Envoy(t, object{"listeners": listeners, "clusters": []object{theirCluster("shop", shop)}}), map[string]string{}
	for _, v := range variants {
		all[v.name] = envoy.Addr(v.name)
	}
	return all
}

func theirListener(name string, transcoder object) object {
	manager := typed("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", object{
		"stat_prefix": name, "codec_type": "AUTO",
		"route_config": object{"name": name, "virtual_hosts": []object{{
			"name": "all", "domains": []string{"*"}, "routes": []object{{"match": object{"prefix": "/"}, "route": object{"cluster": "shop"}}},
		}}},
		"http_filters": []object{
			{"name": "envoy.filters.http.grpc_json_transcoder", "typed_config": typed("extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder", transcoder)},
			{"name": "envoy.filters.http.router", "typed_config": typed("extensions.filters.http.router.v3.Router", object{})},
		},
	})
	return object{
		"name": name, "address": object{"socket_address": object{"address": "127.0.0.1", "port_value": 0}},
		"filter_chains": []object{{"filters": []object{{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}}}},
	}
}

func theirCluster(name, address string) object {
	host, port, _ := net.SplitHostPort(address)
	n, _ := strconv.Atoi(port)
	endpoint := object{"endpoint": object{"address": object{"socket_address": object{"address": host, "port_value": n}}}}
	return object{
		"name": name, "type": "STATIC", "load_assignment": object{"cluster_name": name, "endpoints": []object{{"lb_endpoints": []object{endpoint}}}},
		"typed_extension_protocol_options": object{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(
			"extensions.upstreams.http.v3.HttpProtocolOptions", object{"explicit_http_config": object{"http2_protocol_options": object{}}},
		)},
	}
}
