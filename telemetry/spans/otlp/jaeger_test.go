package otlp

import (
	"fmt"
	"testing"
	"time"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// jaegerTrace is what Jaeger's query API says of a trace.
type jaegerTrace struct {
	Spans []struct {
		SpanID        string
		OperationName string
		ProcessID     string
		StartTime     int64 // microseconds
		Duration      int64
		References    []struct{ RefType, TraceID, SpanID string }
		Tags          []jaegerTag
		Logs          []struct{ Fields []jaegerTag }
		Warnings      []string
	}
	Processes map[string]struct {
		ServiceName string
		Tags        []jaegerTag
	}
}

type jaegerTag struct {
	Key   string
	Value any
}

func tags(list []jaegerTag) map[string]string {
	m := make(map[string]string)
	for _, t := range list {
		m[t.Key] = fmt.Sprint(t.Value)
	}
	return m
}

// A failed hop with a retry, as a real Jaeger shows it.
func TestJaeger(t *testing.T) {
	j := backends.Jaeger(t)
	s := newSpans(t, Options{Endpoint: j.OTLPgRPC})

	h := aHop(7)
	h.Trace = hop.TraceID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	h.Span, h.End = hop.SpanID{7: 2}, 40*time.Millisecond
	h.Labels = &hop.Labels{Service: "web", Route: "/api/", Cluster: "api"}
	h.Status, h.Flags, h.ProxyError = 503, hop.UpstreamConnectionFailure, "connection_refused"
	h.Failure = hop.Failure{Origin: hop.OriginProxy, Hop: "web", Reason: "127.0.0.1:4001: connection refused"}
	h.SetString(&h.Path, "/api/x")
	for i := range 2 {
		*h.Attempt() = hop.Attempt{
			Span: hop.SpanID{7: byte(3 + i)}, Endpoint: fmt.Sprint("127.0.0.1:400", i), Cluster: "api",
			Start: time.Duration(1+10*i) * time.Millisecond, End: time.Duration(9+10*i) * time.Millisecond,
			Flags: hop.UpstreamConnectionFailure, ProxyError: "connection_refused", Reason: "connection refused",
		}
	}
	h.Attempts[0].Connected = 2 * time.Millisecond
	s.Observe(h)
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := dropped(s); len(d) > 0 {
		t.Fatalf("dropped %v", d)
	}

	var answer struct{ Data []jaegerTrace }
	backends.Await(t, 20*time.Second, func() error {
		if err := backends.Get(j.Query+"/api/traces/"+h.Trace.String(), &answer); err != nil {
			return err
		}
		if len(answer.Data) != 1 || len(answer.Data[0].Spans) != 3 {
			return fmt.Errorf("not one trace of three spans yet: %+v", answer.Data)
		}
		return nil
	})
	trace := answer.Data[0]
	for _, span := range trace.Spans {
		got := tags(span.Tags)
		want := map[string]string{
			"http.request.method": "GET", "error": "true", "error.type": "connection_refused",
			"otel.status_code": "ERROR", "hopscope.flags": "UF", "hopscope.cluster": "api",
		}
		parent := h.Span.String()
		switch span.SpanID {
		case h.Span.String():
			parent = ""
			want["span.kind"] = "server"
			want["http.response.status_code"] = "503"
			want["http.route"] = "/api/"
			want["url.path"] = "/api/x"
			want["hopscope.failed_hop"] = "web"
			want["hopscope.failure_origin"] = "proxy"
			want["otel.status_description"] = "127.0.0.1:4001: connection refused"
			if span.Duration != 40_000 || span.StartTime != h.Start.UnixMicro() {
				t.Errorf("the hop starts at %d and lasts %d us", span.StartTime, span.Duration)
			}
		case h.Attempts[0].Span.String():
			want["span.kind"] = "client"
			want["network.peer.port"] = "4000"
			if len(span.Logs) != 1 || tags(span.Logs[0].Fields)["event"] != "connected" {
				t.Errorf("events of the first attempt: %+v", span.Logs)
			}
		case h.Attempts[1].Span.String():
			want["span.kind"] = "client"
			want["network.peer.port"] = "4001"
			want["http.request.resend_count"] = "1"
		default:
			t.Errorf("span %s is none of ours", span.SpanID)
		}
		for k, v := range want {
			if got[k] != v {
				t.Errorf("span %s: %s = %q, want %q", span.SpanID, k, got[k], v)
			}
		}
		if span.OperationName != "GET /api/" || len(span.Warnings) > 0 {
			t.Errorf("span %s: name %q, warnings %q", span.SpanID, span.OperationName, span.Warnings)
		}
		switch {
		case parent == "" && len(span.References) > 0,
			parent != "" && (len(span.References) != 1 || span.References[0].SpanID != parent):
			t.Errorf("span %s: references %+v, want parent %q", span.SpanID, span.References, parent)
		}
		process := trace.Processes[span.ProcessID]
		if process.ServiceName != "web" || tags(process.Tags)["telemetry.sdk.name"] != "hopscope" ||
			tags(process.Tags)["host.name"] == "" {
			t.Errorf("process %+v", process)
		}
	}
}
