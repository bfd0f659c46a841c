package otlp

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/telemetry/collector"
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

// A failed hop with a retry, as a real Jaeger shows it, over each protocol.
func TestJaeger(t *testing.T) {
	j := backends.Jaeger(t)
	for i, o := range []collector.Options{
		{Endpoint: j.OTLPgRPC},
		{Endpoint: j.OTLPgRPC, Gzip: true},
		{HTTP: true, Endpoint: j.OTLPHTTP},
		{HTTP: true, Endpoint: j.OTLPHTTP, Gzip: true},
	} {
		t.Run(fmt.Sprintf("http=%t, gzip=%t", o.HTTP, o.Gzip), func(t *testing.T) { showsAFailure(t, j, o, byte(i+1)) })
	}
}

func showsAFailure(t *testing.T, j *backends.JaegerServer, o collector.Options, id byte) {
	s := newSpans(t, o)
	h := aHop(7)
	h.Trace = hop.TraceID{id, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
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

// An edge between two services is two spans in a real Jaeger, the caller's CLIENT span and
// the callee's SERVER span, and each service lists its own operations alone.
func TestJaegerListsOperationsOfTheCallerAndTheCallee(t *testing.T) {
	j := backends.Jaeger(t)
	s := newSpans(t, collector.Options{Endpoint: j.OTLPgRPC})
	trace, start := hop.TraceID{9, 15: 9}, time.Now()
	hopOf := func(service, route string, direction hop.Direction, span, parent, attempt byte) {
		h := aHop(0)
		h.Trace, h.Span, h.Start, h.End = trace, hop.SpanID{7: span}, start, 10*time.Millisecond
		if parent != 0 {
			h.Parent = hop.SpanID{7: parent}
		}
		h.Labels = &hop.Labels{Service: service, Direction: direction, Route: route, Cluster: "next"}
		*h.Attempt() = hop.Attempt{Span: hop.SpanID{7: attempt}, Endpoint: "127.0.0.1:4000", Status: 200, End: time.Millisecond}
		s.Observe(h)
	}
	hopOf("shop", "/checkout", hop.Inbound, 1, 0, 2)
	hopOf("shop", "payments", hop.Outbound, 3, 2, 4)
	hopOf("payments", "/pay/{id}", hop.Inbound, 5, 4, 6)
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var answer struct{ Data []jaegerTrace }
	backends.Await(t, 20*time.Second, func() error {
		if err := backends.Get(j.Query+"/api/traces/"+trace.String(), &answer); err != nil {
			return err
		}
		if len(answer.Data) != 1 || len(answer.Data[0].Spans) != 3 {
			return fmt.Errorf("not one trace of three spans yet: %+v", answer.Data)
		}
		return nil
	})
	got := map[string]string{}
	for _, span := range answer.Data[0].Spans {
		parent := ""
		if len(span.References) > 0 {
			parent = span.References[0].SpanID
		}
		service := answer.Data[0].Processes[span.ProcessID].ServiceName
		got[span.SpanID] = fmt.Sprintf("%s: %s of %s under %q", service, tags(span.Tags)["span.kind"], span.OperationName, parent)
		if len(span.Warnings) > 0 {
			t.Errorf("span %s: warnings %q", span.SpanID, span.Warnings)
		}
	}
	want := map[string]string{
		"0000000000000002": `shop: server of GET /checkout under ""`,
		"0000000000000004": `shop: client of GET payments under "0000000000000002"`,
		"0000000000000006": `payments: server of GET /pay/{id} under "0000000000000004"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	type operation struct{ Name, SpanKind string }
	for service, want := range map[string][]operation{
		"shop":     {{"GET /checkout", "server"}, {"GET payments", "client"}},
		"payments": {{"GET /pay/{id}", "server"}},
	} {
		backends.Await(t, 20*time.Second, func() error {
			var listed struct{ Data []operation }
			if err := backends.Get(j.Query+"/api/operations?service="+service, &listed); err != nil {
				return err
			}
			slices.SortFunc(listed.Data, func(a, b operation) int { return strings.Compare(a.Name, b.Name) })
			if diff := cmp.Diff(want, listed.Data); diff != "" {
				return fmt.Errorf("operations of %s (-want +got):\n%s", service, diff)
			}
			return nil
		})
	}
}
