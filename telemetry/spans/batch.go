package spans

import (
	"fmt"
	"strings"
	"sync/atomic"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// schemaURL names the version of the semantic conventions that convert.go
// follows.
const schemaURL = "https://opentelemetry.io/schemas/1.37.0"

// Batch is spans of one service on their way to exporters. Exporters share it
// and must not keep it, nor what its methods return, after Export.
type Batch struct {
	resource *resource
	encoder
	users atomic.Int32 // exporters that still have it
}

// resource is what all spans of a service have in common.
type resource struct {
	service string
	message *resourcepb.Resource
	scope   *commonpb.InstrumentationScope
}

// Service is the name of the service whose hops these are.
func (b *Batch) Service() string { return b.resource.service }

// Len is the number of spans.
func (b *Batch) Len() int { return b.spans }

// ResourceSpans returns the spans as the message that OTLP carries. The spans
// in it are bytes that marshal as they are: its Spans fields look empty.
func (b *Batch) ResourceSpans() *tracepb.ResourceSpans {
	scope := &tracepb.ScopeSpans{Scope: b.resource.scope}
	// Fields that a message doesn't know are marshalled as they stand, after
	// those that it knows; these are the field ScopeSpans.spans, so what
	// arrives is an ordinary message. It spares building a few hundred
	// objects a hop only to walk over them once.
	scope.ProtoReflect().SetUnknown(b.out)
	return &tracepb.ResourceSpans{
		Resource:   b.resource.message,
		ScopeSpans: []*tracepb.ScopeSpans{scope},
		SchemaUrl:  schemaURL,
	}
}

// Spans returns the spans as messages, for exporters that write another form.
func (b *Batch) Spans() ([]*tracepb.Span, error) {
	var scope tracepb.ScopeSpans
	if err := proto.Unmarshal(b.out, &scope); err != nil {
		return nil, fmt.Errorf("spans: a batch that can't be read back: %w", err)
	}
	return scope.Spans, nil
}

func newResource(service string, o Options) *resource {
	r := &resource{
		service: service,
		message: &resourcepb.Resource{},
		scope: &commonpb.InstrumentationScope{
			Name:    "github.com/hopscope/hopscope",
			Version: o.Version,
		},
	}
	for _, a := range [][2]string{
		{"service.name", service},
		{"host.name", o.HostName},
		{"telemetry.sdk.name", "hopscope"},
		{"telemetry.sdk.language", "go"},
		{"telemetry.sdk.version", o.Version},
	} {
		if a[1] == "" {
			continue
		}
		r.message.Attributes = append(r.message.Attributes, &commonpb.KeyValue{
			Key: a[0],
			Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{
				StringValue: strings.ToValidUTF8(a[1], replacement),
			}},
		})
	}
	return r
}
