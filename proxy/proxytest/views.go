package proxytest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/hopscope/hopscope/telemetry/headers"
)

// Views is what a proxy showed of its Hops.
type Views struct {
	T       testing.TB
	Spans   []Span
	Lines   []Line
	Metrics Metrics
}

// End waits until n Hops have been recorded, reads the metrics, closes the
// proxy, and reads the other views, which are complete then.
func (p *Proxy) End(n int) *Views {
	p.T.Helper()
	return p.EndExported(n, n)
}

// EndExported is End where fewer Hops than n are exported as spans.
func (p *Proxy) EndExported(n, exported int) *Views {
	p.T.Helper()
	v := &Views{T: p.T}
	Eventually(p.T, fmt.Sprintf("%d hops counted", n), func() bool {
		v.Metrics = p.Scrape()
		return v.Metrics.Sum("hopscope_requests_total") >= float64(n)
	})
	v.Metrics = p.Scrape() // whose numbers are all of one moment, since all is over
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		p.T.Errorf("closing the proxy: %v", err)
	}
	v.Lines = p.Lines()
	if p.Collector != nil {
		v.Spans = p.Collector.All()
	}
	if hops := v.Hops(); len(v.Lines) != n || v.Metrics.Sum("hopscope_requests_total") != float64(n) ||
		p.Collector != nil && len(hops) != exported {
		p.T.Fatalf("%d lines, %d spans of hops, %g counted; want %d, and %d spans", len(v.Lines), len(hops), v.Metrics.Sum("hopscope_requests_total"), n, exported)
	}
	return v
}

// By is the one line that has a value.
func (v *Views) By(key, value string) Line {
	v.T.Helper()
	var found []Line
	for _, l := range v.Lines {
		if l.Text(key) == value {
			found = append(found, l)
		}
	}
	if len(found) != 1 {
		v.T.Fatalf("%d lines with %s %s, want 1: %v", len(found), key, value, v.Lines)
	}
	return found[0]
}

// Hops are the spans of hops, not those of their attempts.
func (v *Views) Hops() []Span {
	var all []Span
	for _, s := range v.Spans {
		if s.Attributes["hopscope.direction"] != "" {
			all = append(all, s)
		}
	}
	return all
}

// Attempts are the spans of a hop's attempts: its children, or itself where it had one
// attempt alone.
func (v *Views) Attempts(hop Span) []Span {
	if hop.Attributes["hopscope.upstream.endpoint"] != "" || hop.Kind == tracepb.Span_SPAN_KIND_CLIENT && hop.Attributes["network.peer.address"] != "" {
		return []Span{hop}
	}
	var all []Span
	for _, s := range v.Kind(tracepb.Span_SPAN_KIND_CLIENT) {
		if bytes.Equal(s.TraceId, hop.TraceId) && bytes.Equal(s.ParentSpanId, hop.SpanId) && s.Attributes["hopscope.direction"] == "" {
			all = append(all, s)
		}
	}
	return all
}

// Differs is the attribute that says how an attempt ended where its hop is the same span:
// none where the hop ended alike.
func Differs(attempt, hop string) string {
	if attempt == hop {
		return ""
	}
	return attempt
}

// Kind are the spans of a kind.
func (v *Views) Kind(k tracepb.Span_SpanKind) []Span {
	var all []Span
	for _, s := range v.Spans {
		if s.Kind == k {
			all = append(all, s)
		}
	}
	return all
}

// Line is a line of the access log, decoded.
type Line map[string]any

// Lines are the lines of the access log so far.
func (p *Proxy) Lines() []Line {
	p.T.Helper()
	b, err := os.ReadFile(p.path)
	if err != nil {
		p.T.Fatal(err)
	}
	var all []Line
	b = b[:bytes.LastIndexByte(b, '\n')+1] // a line that is being written is none yet
	for text := range bytes.Lines(b) {
		var one Line
		if err := json.Unmarshal(text, &one); err != nil {
			p.T.Errorf("line %q: %v", text, err)
		}
		all = append(all, one)
	}
	return all
}

// Text is the string at a key, "" where there is none.
func (l Line) Text(key string) string {
	s, _ := l[key].(string)
	return s
}

// Common is the line without the keys that only some lines have, or the attempt.
func (l Line) Common() Line {
	c := maps.Clone(l)
	for _, key := range []string{"rewritten_path", "write_blocked_ms", "queued_ms", "recovered", "variant", "mirrored", "injected", "cold"} {
		delete(c, key)
	}
	return c
}

// Number is the number at a key, 0 where there is none.
func (l Line) Number(key string) float64 {
	n, _ := l[key].(float64)
	return n
}

// Of is the object at a key, nil where that is null.
func (l Line) Of(key string) Line {
	o, _ := l[key].(map[string]any)
	return o
}

// LineKeys are those of every line, no more and no less but for [Line.Common], AttemptKeys
// of each attempt, and TLSKeys of either where there is TLS.
var (
	LineKeys = strings.Fields(`time service direction client host method path route cluster upstream protocol status
	grpc_status grpc_status_name grpc_message flags failed_hop failure_reason failure bytes_in bytes_out duration_ms upstream_ms timeout_ms
	attempts trace_id span_id parent_id sampled request_id user_agent tls`)
	AttemptKeys = strings.Fields(`endpoint span_id url status grpc_status flags error_type reason evidence bytes_sent bytes_received start_ms duration_ms connect_ms
	reused tls`)
	TLSKeys = strings.Fields(`version cipher sni peer resumed handshake_ms`)
)

// ProxyStatus are the Proxy-Status of a response.
func ProxyStatus(t testing.TB, r *http.Response) []headers.Member {
	t.Helper()
	var lines [][]byte
	for _, v := range r.Header.Values("Proxy-Status") {
		lines = append(lines, []byte(v))
	}
	all, err := headers.ParseProxyStatus(lines)
	if err != nil {
		t.Errorf("Proxy-Status %q: %v", lines, err)
	}
	return all
}
