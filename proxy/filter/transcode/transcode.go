package transcode

import (
	"net/http"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/grpc"
	"github.com/hopscope/hopscope/proxy/httprule"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Options say which requests become calls, and how.
type Options struct {
	// Schema has the methods and their bindings.
	Schema *httprule.Schema
	// MaxMessage is the most bytes of the content of a request, and of each message of a
	// response.
	MaxMessage int
	// RejectUnknownMethods answers requests that no binding is for with 404.
	RejectUnknownMethods bool
	// IgnoredQueryParameters are those that no field is looked for. With
	// IgnoreUnknownQueryParameters all that have none are ignored.
	IgnoredQueryParameters       []string
	IgnoreUnknownQueryParameters bool
	// ConvertGRPCStatus gives failures google.rpc.Status as JSON. Else their content is
	// empty, and the fields grpc-status and grpc-message tell.
	ConvertGRPCStatus bool
	// Print says how messages are written.
	Print Print
}

// Print says how messages are written as JSON. The names are Envoy's.
type Print struct {
	AddWhitespace              bool // several lines with indents; not in streams
	AlwaysPrintPrimitiveFields bool // also those that have their default value
	AlwaysPrintEnumsAsInts     bool
	PreserveProtoFieldNames    bool // not in lowerCamelCase
}

// deepest is how deep messages may be nested, as in other implementations of protobuf.
const deepest = 100

// transcoder is Options, ready for use.
type transcoder struct {
	Options
	parse     protojson.UnmarshalOptions
	print     protojson.MarshalOptions
	unmarshal proto.UnmarshalOptions
}

// New returns the filter.
func New(o Options) filter.Filter {
	t, known := &transcoder{Options: o}, types{o.Schema.Types}
	t.parse = protojson.UnmarshalOptions{AllowPartial: true, DiscardUnknown: true, RecursionLimit: deepest, Resolver: known}
	t.unmarshal = proto.UnmarshalOptions{AllowPartial: true, RecursionLimit: deepest, Resolver: known}
	t.print = protojson.MarshalOptions{
		AllowPartial: true, Resolver: known, UseProtoNames: o.Print.PreserveProtoFieldNames,
		UseEnumNumbers: o.Print.AlwaysPrintEnumsAsInts, EmitDefaultValues: o.Print.AlwaysPrintPrimitiveFields,
	}
	return func(next filter.Handler) filter.Handler {
		return func(x *filter.Exchange) error { return t.serve(x, next) }
	}
}

// serve carries out a request as a call if a binding is for it.
func (t *transcoder) serve(x *filter.Exchange, next filter.Handler) error {
	r := &x.Request
	if grpc.IsCall(r) || r.Upgrade || r.Method == message.CONNECT {
		return next(x)
	}
	b, values := t.Schema.Match(string(r.MethodText()), string(r.Path()))
	if b == nil {
		if t.RejectUnknownMethods {
			return t.refuse(http.StatusNotFound, codeNotFound, "no method of the service is bound to this method and path")
		}
		return next(x)
	}
	w := &response{Writer: x.Writer, transcoder: t, x: x, binding: b, events: wantsEvents(r), bodiless: r.Method == message.HEAD}
	w.raw = isHTTPBody(w.printed())
	if err := t.request(x, b, values); err != nil {
		return err
	}
	x.Writer = w
	x.Hop.GRPC = true
	err := next(x)
	if err != nil {
		w.own = fault.AnswerTo(err)
	}
	return err
}

// refuse is the answer to a request that makes no call.
func (t *transcoder) refuse(status, code int, why string) error {
	a := &fault.Answer{
		Status: status, GRPC: hop.GRPCStatusOf(code), Details: "grpc_transcode_failed", // Envoy's
		Fields: []fault.Field{{Name: "content-type", Value: jsonType}},
		Body:   t.statusJSON(nil, code, why, nil),
	}
	if code == codeInvalidArgument {
		a.Why = fault.New(fault.BadRequest, why)
	}
	return a
}
