package transcode_test

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	_ "google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/protobuf/encoding/protojson"
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

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/transcode"
	"github.com/hopscope/hopscope/proxy/grpc"
	"github.com/hopscope/hopscope/proxy/httprule"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// shop is a service with a method for each thing that an option can say.
//
//go:embed testdata/shop.txtpb
var shop []byte

// set is the descriptor set of the shop.
func set(t testing.TB) []byte {
	t.Helper()
	var file descriptorpb.FileDescriptorProto
	if err := prototext.Unmarshal(shop, &file); err != nil {
		t.Fatal(err)
	}
	var all descriptorpb.FileDescriptorSet
	for _, f := range []protoreflect.FileDescriptor{
		timestamppb.File_google_protobuf_timestamp_proto, durationpb.File_google_protobuf_duration_proto,
		wrapperspb.File_google_protobuf_wrappers_proto, fieldmaskpb.File_google_protobuf_field_mask_proto,
		structpb.File_google_protobuf_struct_proto, anypb.File_google_protobuf_any_proto, httpbody.File_google_api_httpbody_proto,
	} {
		all.File = append(all.File, protodesc.ToFileDescriptorProto(f))
	}
	all.File = append(all.File, &file)
	b, err := proto.Marshal(&all)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// options are those of most tests.
func options(t testing.TB, change ...func(*transcode.Options)) transcode.Options {
	t.Helper()
	s, err := httprule.Load(set(t), httprule.Options{AutoMapping: true})
	if err != nil {
		t.Fatal(err)
	}
	o := transcode.Options{Schema: s, MaxMessage: 1 << 20, ConvertGRPCStatus: true}
	for _, f := range change {
		f(&o)
	}
	return o
}

// client is the client's side: it sends content, and writes down what it gets.
type client struct {
	filter.Conn
	filter.Body
	filter.Writer
	info    filter.ConnInfo
	content []byte

	status  int
	head    []string
	framing message.Framing
	length  int64
	got     string
	flushed []string // what had been got at each Flush
	ended   bool
	cut     bool
}

func (c *client) Info() *filter.ConnInfo  { return &c.info }
func (c *client) Whole() ([]byte, bool)   { return c.content, true }
func (c *client) Trailers() *message.Head { return nil }
func (c *client) Next() ([]byte, error)   { return nil, io.EOF }

func (c *client) Head(h *message.Head) error {
	c.status, c.framing, c.length, c.head = h.Status, h.Framing, h.Length, nil
	for i := range h.Fields {
		if f := &h.Fields[i]; !f.Removed {
			c.head = append(c.head, string(h.Bytes(f.Name))+": "+string(h.Bytes(f.Value)))
		}
	}
	return nil
}

func (c *client) Content(piece []byte) error {
	c.got += string(piece)
	return nil
}

func (c *client) Flush() error {
	c.flushed = append(c.flushed, c.got)
	return nil
}

func (c *client) End(trailers *message.Head) error {
	c.ended = true
	if trailers != nil {
		c.got += " with trailers"
	}
	return nil
}

func (c *client) Began() bool { return c.got != "" }
func (c *client) Cut()        { c.cut = true }

// field is the value of a field that the client got, "" for none.
func (c *client) field(name string) string {
	for _, line := range c.head {
		if n, value, _ := strings.Cut(line, ": "); strings.EqualFold(n, name) {
			return value
		}
	}
	return ""
}

// request is an exchange of a request with these fields ("name: value").
func request(c *client, method, target string, content string, fields ...string) *filter.Exchange {
	c.content = []byte(content)
	x := &filter.Exchange{Hop: &hop.Hop{Labels: &hop.Labels{}}}
	x.Connect(c, c, c)
	r := &x.Request
	r.Begin(nil)
	r.Method = message.MethodByName([]byte(method))
	path, query, _ := strings.Cut(target, "?")
	whole := r.Own(target)
	q := message.Span{Off: whole.Off + uint32(len(target)-len(query)), Len: uint32(len(query))}
	r.SetRequestLine(r.Own(method), whole, message.Span{}, message.Span{}, message.Span{Off: whole.Off, Len: uint32(len(path))}, q)
	r.Framing, r.Length = message.ByLength, int64(len(content))
	for _, line := range fields {
		name, value, _ := strings.Cut(line, ": ")
		r.Add(message.FieldByName([]byte(name)), name, value)
	}
	return x
}

// head is a head with these fields.
func head(fields ...string) *message.Head {
	h := new(message.Head)
	h.Begin(nil)
	for _, line := range fields {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(message.FieldByName([]byte(name)), name, value)
	}
	return h
}

// frame is a message in its frame.
func frame(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(b))), b...)
}

// encode is messages, written as JSON, in their frames.
func encode(t testing.TB, o transcode.Options, name string, all ...string) (frames []byte) {
	t.Helper()
	kind, err := o.Schema.Types.FindMessageByName(protoreflect.FullName(name))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range all {
		m := kind.New().Interface()
		if err := (protojson.UnmarshalOptions{Resolver: o.Schema.Types}).Unmarshal([]byte(text), m); err != nil {
			t.Fatal(err)
		}
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, frame(b)...)
	}
	return frames
}

// decode is the messages of a call as JSON, one a line.
func decode(t testing.TB, o transcode.Options, m protoreflect.MessageDescriptor, frames []byte) string {
	t.Helper()
	var all []string
	for len(frames) > 0 {
		n := binary.BigEndian.Uint32(frames[1:])
		one := dynamicpb.NewMessage(m)
		if err := proto.Unmarshal(frames[5:5+n], one); err != nil {
			t.Fatal(err)
		}
		text, err := protojson.MarshalOptions{Resolver: o.Schema.Types}.Marshal(one)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := json.Compact(&b, text); err != nil {
			t.Fatal(err)
		}
		all = append(all, b.String())
		frames = frames[5+n:]
	}
	return strings.Join(all, "\n")
}

// asked is what an endpoint was asked for.
type asked struct{ path, messages string }

// run sends the exchange through the filter to an endpoint. An error is answered as the
// forwarder does.
func run(t testing.TB, o transcode.Options, x *filter.Exchange, endpoint func(x *filter.Exchange, a asked) error) error {
	t.Helper()
	err := filter.Chain(func(x *filter.Exchange) error {
		content, whole := x.Body.Whole()
		if !whole {
			t.Error("the call is not whole")
		}
		if !grpc.IsCall(&x.Request) {
			return endpoint(x, asked{string(x.Request.Target()), string(content)})
		}
		b, _ := o.Schema.Match("POST", string(x.Request.Path()))
		if b == nil {
			b = bindingOf(t, o, string(x.Request.Path()))
		}
		return endpoint(x, asked{string(x.Request.Target()), decode(t, o, b.Method.Input(), content)})
	}, transcode.New(o))(x)
	if err == nil {
		return nil
	}
	a := fault.AnswerTo(err)
	if x.Writer.Began() {
		_ = x.Writer.End(head("grpc-status: 13", "grpc-message: it broke off"))
		return err
	}
	h := &x.Response
	h.Begin(nil)
	h.Status = a.HTTPStatus()
	if !x.Hop.GRPC {
		for _, f := range a.Fields {
			h.Add(message.FieldByName([]byte(f.Name)), f.Name, f.Value)
		}
		_ = x.Writer.Head(h)
		_ = x.Writer.Content(a.Body)
		_ = x.Writer.End(nil)
		return err
	}
	status := x.Hop.GRPCStatus
	if status == 0 {
		status = grpc.OfFault(a.Why.Kind)
	}
	h.Status, h.Framing = 200, message.NoBody
	h.Add(message.ContentType, "content-type", "application/grpc")
	h.EndField(message.GRPCStatus, append(h.BeginField("grpc-status"), strconv.Itoa(status.Code())...))
	h.EndField(message.GRPCMessage, grpc.AppendMessage(h.BeginField("grpc-message"), a.Why.Reason))
	if e := errors.Join(x.Writer.Head(h), x.Writer.End(nil)); e != nil {
		t.Error(e)
	}
	return err
}

// bindingOf is a binding of the method with a path of gRPC.
func bindingOf(t testing.TB, o transcode.Options, path string) *httprule.Binding {
	t.Helper()
	for _, try := range []struct{ method, path string }{
		{"GET", "/items/1"}, {"POST", "/items"}, {"PUT", "/items/1"}, {"POST", "/items/1/tags"}, {"GET", "/watch/1"},
		{"POST", "/load/RED"}, {"POST", "/file"}, {"GET", "/files"},
	} {
		if b, _ := o.Schema.Match(try.method, try.path); b != nil && b.Path == path {
			return b
		}
	}
	t.Fatalf("no method %s", path)
	return nil
}

// respond answers a call with messages of the shop and then a status.
func respond(frames []byte, trailers ...string) func(*filter.Exchange, asked) error {
	return func(x *filter.Exchange, _ asked) error {
		h := &x.Response
		h.Begin(nil)
		h.Status, h.Framing, h.Length = 200, message.Chunked, -1
		h.Add(message.ContentType, "content-type", "application/grpc+proto")
		h.Add(message.Unknown, "grpc-encoding", "identity")
		h.Add(message.Unknown, "x-metadata", "1")
		if err := x.Writer.Head(h); err != nil {
			return err
		}
		for _, b := range frames { // in the smallest pieces
			if err := x.Writer.Content([]byte{b}); err != nil {
				return err
			}
		}
		if len(trailers) == 0 {
			return x.Writer.End(nil)
		}
		return x.Writer.End(head(trailers...))
	}
}
