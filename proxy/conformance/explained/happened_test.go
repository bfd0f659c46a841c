package explained_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/hopscope/hopscope/proxy/explain"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// A request that became a gRPC call by transcode is explained as the client sent it: it was
// none when its route was looked for.
func TestATranscodedRequestThatHappened(t *testing.T) {
	proxytest.NoLeaks(t)
	p := proxytest.StartYAML(t, `
listeners:
  - name: ingress
    address: "`+proxytest.OwnAddress()+`"
    routes:
      - {name: calls, match: {grpc: true}, cluster: web}
      - {name: json, match: {path_prefix: /}, cluster: web, transcode: {descriptors: "`+descriptors(t)+`"}}
clusters:
  web: {protocol: http2, endpoints: ["`+proxytest.RefusingAddress(t)+`"]}
`)
	for _, tt := range []struct{ path, contentType, route string }{
		{"/items", "application/json", "json"},
		{"/shop.Shop/Make", "application/grpc", "calls"},
	} {
		trace, field := proxytest.NewTrace()
		proxytest.Ask(t, p.Ingress(), "POST "+tt.path+" HTTP/1.1\r\nHost: shop.test\r\nContent-Type: "+tt.contentType+"\r\nContent-Length: 0\r\n"+field+"\r\n")
		if h := p.Hop(trace); !h.GRPC || h.Labels.Route != tt.route {
			t.Fatalf("%s took route %q, a call: %t", tt.path, h.Labels.Route, h.GRPC)
		}
		var all []*explain.Explanation
		p.AdminJSON("/explain?hop="+trace.String(), &all)
		if len(all) != 1 || all[0].Route == nil || all[0].Route.Name != tt.route || !slices.Contains(all[0].Notes, "the request took this route") {
			t.Errorf("%s: %+v", tt.path, all[0])
		}
	}
}

// descriptors writes a descriptor set with one method, and returns its file.
func descriptors(t *testing.T) string {
	t.Helper()
	options := &descriptorpb.MethodOptions{}
	proto.SetExtension(options, annotations.E_Http, &annotations.HttpRule{Pattern: &annotations.HttpRule_Post{Post: "/items"}, Body: "*"})
	b, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{{
		Name: proto.String("shop.proto"), Package: proto.String("shop"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Item")}},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("Shop"), Method: []*descriptorpb.MethodDescriptorProto{{
			Name: proto.String("Make"), InputType: proto.String(".shop.Item"), OutputType: proto.String(".shop.Item"), Options: options,
		}}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "shop.pb")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
