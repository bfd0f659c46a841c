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

// Batch has spans of one service for the exporters. Exporters share it, and must not keep
// it or what its methods return after Export.
type Batch struct {
	resource *resource
	encoder
	users atomic.Int32 // exporters that still have it
}

// resource has the attributes that all spans of a service share.
type resource struct {
	service string
	message *resourcepb.Resource
	scope   *commonpb.InstrumentationScope
}

// Service is the name of the service whose hops these are.
func (b *Batch) Service() string { return b.resource.service }

// Len is the number of spans.
func (b *Batch) Len() int { return b.spans }

// ResourceSpans returns the spans as an OTLP message. The spans in it are raw bytes that
// marshal unchanged: its Spans fields look empty.
func (b *Batch) ResourceSpans() *tracepb.ResourceSpans {
	scope := &tracepb.ScopeSpans{Scope: b.resource.scope}
	// A message marshals unknown fields unchanged, after the known ones. These bytes are
	// the field ScopeSpans.spans, so an ordinary message arrives. This avoids building a
	// few hundred objects a hop only to walk over them once.
	scope.ProtoReflect().SetUnknown(b.out)
	return &tracepb.ResourceSpans{
		Resource:   b.resource.message,
		ScopeSpans: []*tracepb.ScopeSpans{scope},
		SchemaUrl:  schemaURL,
	}
}

// Spans returns the spans as messages, for exporters with another format.
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
