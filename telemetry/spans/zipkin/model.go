package zipkin

import (
	"encoding/binary"
	"maps"
	"net"
	"strconv"
	"time"

	"github.com/openzipkin/zipkin-go/model"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// convert turns a service's spans into Zipkin's form, in which a resource has no
// attributes: each span has them. Our CLIENT and SERVER
// spans have ids of their own, so none is ever shared.
func convert(service string, resource map[string]string, list []*tracepb.Span) []model.SpanModel {
	out := make([]model.SpanModel, len(list))
	for i, s := range list {
		out[i] = convertSpan(service, resource, s)
	}
	return out
}

func convertSpan(service string, resource map[string]string, s *tracepb.Span) model.SpanModel {
	tags := make(map[string]string, len(resource)+len(s.Attributes)+1)
	maps.Copy(tags, resource)
	for _, a := range s.Attributes {
		tags[a.Key] = text(a.Value)
	}
	if s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR {
		// Zipkin shows a span as failed if it has this tag, with any value.
		tags["error"] = s.Status.Message
		if s.Status.Message == "" {
			tags["error"] = tags["error.type"]
		}
	}
	z := model.SpanModel{
		SpanContext: model.SpanContext{
			TraceID: model.TraceID{
				High: binary.BigEndian.Uint64(s.TraceId[:8]),
				Low:  binary.BigEndian.Uint64(s.TraceId[8:]),
			},
			ID:    model.ID(binary.BigEndian.Uint64(s.SpanId)),
			Debug: tags["hopscope.sampled_by"] == "debug",
		},
		Name:          s.Name,
		Timestamp:     time.Unix(0, int64(s.StartTimeUnixNano)),
		Duration:      max(time.Duration(s.EndTimeUnixNano-s.StartTimeUnixNano), time.Microsecond),
		LocalEndpoint: &model.Endpoint{ServiceName: service},
		Tags:          tags,
	}
	if len(s.ParentSpanId) > 0 {
		parent := model.ID(binary.BigEndian.Uint64(s.ParentSpanId))
		z.ParentID = &parent
	}
	switch s.Kind {
	case tracepb.Span_SPAN_KIND_SERVER:
		z.Kind = model.Server
		z.RemoteEndpoint = endpoint(tags["client.address"], "")
	case tracepb.Span_SPAN_KIND_CLIENT:
		z.Kind = model.Client
		z.RemoteEndpoint = endpoint(tags["network.peer.address"], tags["network.peer.port"])
	}
	for _, e := range s.Events {
		z.Annotations = append(z.Annotations, model.Annotation{
			Timestamp: time.Unix(0, int64(e.TimeUnixNano)),
			Value:     e.Name,
		})
	}
	return z
}

// endpoint returns the other end by its address, nil if the address is not known.
func endpoint(host, port string) *model.Endpoint {
	ip := net.ParseIP(host)
	if ip == nil {
		return nil
	}
	e := &model.Endpoint{}
	if v4 := ip.To4(); v4 != nil {
		e.IPv4 = v4
	} else {
		e.IPv6 = ip
	}
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		e.Port = uint16(n)
	}
	return e
}

func text(v *commonpb.AnyValue) string {
	switch v := v.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		return v.StringValue
	case *commonpb.AnyValue_IntValue:
		return strconv.FormatInt(v.IntValue, 10)
	case *commonpb.AnyValue_BoolValue:
		return strconv.FormatBool(v.BoolValue)
	}
	return ""
}
