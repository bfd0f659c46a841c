package views_test

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// twoHops sends a request whose query has a secret through two proxies, behind
// which the application fails, and returns what each of them logged of it: the
// first, then the second. Both export their spans as traces says.
func twoHops(t *testing.T, traces func(*proxytest.Settings)) (first, second proxytest.Line) {
	t.Helper()
	fails := proxytest.Always("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")(t)
	inner := proxytest.StartWithViews(t, fails, proxytest.ServiceName("inner"), traces)
	front := proxytest.StartWithViews(t, inner.Ingress(), traces)
	proxytest.Ask(t, front.Ingress(), "GET /row?page=2&token=s3cr3t HTTP/1.1\r\nHost: web.test\r\nUser-Agent: test/1\r\n\r\n")
	return closed(front), closed(inner)
}

// closed closes a proxy, which sends its last spans, and returns the one line
// of its log.
func closed(l *proxytest.Proxy) proxytest.Line {
	l.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), proxytest.Patience)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		l.T.Fatal(err)
	}
	lines := l.Lines()
	if len(lines) != 1 {
		l.T.Fatalf("%d lines, want 1: %v", len(lines), lines)
	}
	return lines[0]
}

// stored is a span as a trace backend shows it.
type stored struct {
	name, service, kind, parent string
	tags                        map[string]string
}

// checkTree checks that the spans of two hops are one tree, a SERVER span over another,
// each with what there is to know of it.
func checkTree(t *testing.T, spans map[string]stored, first, second proxytest.Line) {
	t.Helper()
	children := map[string]string{}
	for id, s := range spans {
		if other, twice := children[s.parent]; twice {
			t.Fatalf("spans %s and %s both have the parent %q", id, other, s.parent)
		}
		children[s.parent] = id
	}
	common := map[string]string{
		"http.request.method": "GET", "http.response.status_code": "500", "error.type": "500",
		"server.address": "web.test", "hopscope.cluster": "web", "network.protocol.version": "1.1",
	}
	server := map[string]string{
		"http.route": "", "url.path": "/row", "url.query": "page=2&token=REDACTED", "url.scheme": "http",
		"client.address": "127.0.0.1", "user_agent.original": "test/1", "hopscope.direction": "inbound",
		"hopscope.failed_hop": "inner", "hopscope.details": "via_upstream", "hopscope.sampled_by": "ratio",
		"hopscope.request_id": first.Text("request_id"),
	}
	want := []struct {
		kind, service, id string
		tags              []map[string]string
	}{
		{"server", "front", first.Text("span_id"), []map[string]string{common, server, {"hopscope.failure_origin": "relayed", "hopscope.upstream.endpoint": first.Text("upstream")}}},
		{"server", "inner", second.Text("span_id"), []map[string]string{common, server, {"hopscope.failure_origin": "endpoint", "hopscope.sampled_by": "parent", "hopscope.upstream.endpoint": second.Text("upstream")}}},
	}
	parent := ""
	for i, w := range want {
		id := children[parent]
		s, found := spans[id]
		if !found {
			t.Fatalf("no child of %q among %v", parent, spans)
		}
		what := fmt.Sprintf("span %d: ", i)
		proxytest.Same(t, what+"kind", s.kind, w.kind)
		proxytest.Same(t, what+"service", s.service, w.service)
		if w.id != "" {
			proxytest.Same(t, what+"id", id, w.id)
		}
		tags := map[string]string{}
		for _, part := range w.tags {
			maps.Copy(tags, part)
		}
		for k, v := range tags {
			proxytest.Same(t, what+k, s.tags[k], v)
		}
		parent = id
	}
}

// A real Jaeger shows the spans of two proxies as one tree.
func TestJaegerShowsOneTree(t *testing.T) {
	t.Parallel()
	j := backends.Jaeger(t)
	first, second := twoHops(t, func(s *proxytest.Settings) { s.Config.Telemetry.Traces.OTLP = config.NewOTLP(j.OTLPgRPC) })
	type tag struct {
		Key   string
		Value any
	}
	var answer struct {
		Data []struct {
			Spans []struct {
				SpanID, OperationName, ProcessID string
				References                       []struct{ RefType, SpanID string }
				Tags                             []tag
				Warnings                         []string
			}
			Processes map[string]struct {
				ServiceName string
				Tags        []tag
			}
		}
	}
	backends.Await(t, 20*time.Second, func() error {
		if err := backends.Get(j.Query+"/api/traces/"+first.Text("trace_id"), &answer); err != nil {
			return err
		}
		if len(answer.Data) != 1 || len(answer.Data[0].Spans) != 2 {
			return fmt.Errorf("not one trace of two spans yet: %+v", answer.Data)
		}
		return nil
	})
	spans := map[string]stored{}
	for _, s := range answer.Data[0].Spans {
		tags := map[string]string{}
		for _, t := range s.Tags {
			tags[t.Key] = fmt.Sprint(t.Value)
		}
		one := stored{name: s.OperationName, service: answer.Data[0].Processes[s.ProcessID].ServiceName, kind: tags["span.kind"], tags: tags}
		if len(s.References) > 0 {
			one.parent = s.References[0].SpanID
		}
		spans[s.SpanID] = one
		proxytest.Same(t, "name", s.OperationName, "GET")
		proxytest.Same(t, "otel.status_code", tags["otel.status_code"], "ERROR")
		if len(s.References) > 1 || len(s.Warnings) > 0 {
			t.Errorf("span %s: references %v, warnings %q", s.SpanID, s.References, s.Warnings)
		}
	}
	checkTree(t, spans, first, second)
}

// So does a real Zipkin, over its own protocol.
func TestZipkinShowsOneTree(t *testing.T) {
	t.Parallel()
	z := backends.Zipkin(t)
	first, second := twoHops(t, func(s *proxytest.Settings) { s.Config.Telemetry.Traces.Zipkin = config.NewZipkin(z.Spans) })
	var answer []struct {
		ID, ParentID, Name, Kind      string
		Shared                        bool
		Timestamp, Duration           int64
		LocalEndpoint, RemoteEndpoint struct{ ServiceName string }
		Tags                          map[string]string
	}
	backends.Await(t, 20*time.Second, func() error {
		if err := backends.Get(z.URL+"/api/v2/trace/"+first.Text("trace_id"), &answer); err != nil {
			return err
		}
		if len(answer) != 2 {
			return fmt.Errorf("not two spans yet: %+v", answer)
		}
		return nil
	})
	kinds := map[string]string{"SERVER": "server", "CLIENT": "client"}
	spans := map[string]stored{}
	for _, s := range answer {
		spans[s.ID] = stored{s.Name, s.LocalEndpoint.ServiceName, kinds[s.Kind], s.ParentID, s.Tags}
		proxytest.Same(t, "name", s.Name, "get")
		if s.Shared || s.Timestamp == 0 || s.Duration == 0 || s.Tags["error"] == "" {
			t.Errorf("span %+v", s)
		}
	}
	checkTree(t, spans, first, second)
}
