package spans

import (
	"fmt"
	"sync/atomic"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/hopscope/hopscope/telemetry/resource"
)

// Batch has spans of one service for the exporters. Exporters share it, and must not keep
// it or what its methods return after Export.
type Batch struct {
	owner  *Spans
	origin *origin
	encoder
	users atomic.Int32 // queues that still have it
}

// origin has what all spans of a service share.
type origin struct {
	service string
	message *resourcepb.Resource
	scope   *commonpb.InstrumentationScope
	given   map[string]string // Options.Attributes
}

func newOrigin(service string, o Options) *origin {
	of := resource.Options{Version: o.Version, HostName: o.HostName, Attributes: o.Attributes}
	return &origin{service, resource.New(service, of), resource.Scope(of), o.Attributes}
}

// Service is the name of the service whose hops these are.
func (b *Batch) Service() string { return b.origin.service }

// Attributes are the further attributes of the resource. They must not be changed.
func (b *Batch) Attributes() map[string]string { return b.origin.given }

// Len is the number of spans.
func (b *Batch) Len() int { return b.spans }

// Size is how many bytes they are.
func (b *Batch) Size() int { return len(b.out) }

// Release implements [delivery.Batch].
func (b *Batch) Release() {
	if b.users.Add(-1) == 0 {
		b.owner.release(b)
	}
}

// ResourceSpans returns the spans as an OTLP message. The spans in it are raw bytes that
// marshal unchanged: its Spans fields look empty.
func (b *Batch) ResourceSpans() *tracepb.ResourceSpans {
	scope := &tracepb.ScopeSpans{Scope: b.origin.scope}
	// A message marshals unknown fields unchanged, after the known ones. These bytes are
	// the field ScopeSpans.spans, so an ordinary message arrives. This avoids building a
	// few hundred objects a hop only to walk over them once.
	scope.ProtoReflect().SetUnknown(b.out)
	return &tracepb.ResourceSpans{
		Resource:   b.origin.message,
		ScopeSpans: []*tracepb.ScopeSpans{scope},
		SchemaUrl:  resource.SchemaURL,
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
