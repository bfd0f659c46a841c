package snapshot_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// outcome is how a request ended, as every view is to show it.
type outcome struct {
	method, path string
	// status is the one that the client got; flags are the Hop's.
	status int
	flags  string
	// in and out are the bytes of content; uncounted where it is a matter of
	// luck how far they came.
	in, out int64
	// origin and failure are who made the failure, and the error of RFC 9209.
	origin, failure string
	// answered is the endpoint's status; 0 where there was none.
	answered int
	// tried are the flags of the attempt.
	tried  string
	tunnel bool // it says nothing of how long requests take
}

const uncounted = -1

// expect notes how a request is to have ended.
func (x *cross) expect(o outcome) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if o.method == "" {
		o.method = "GET"
	}
	x.want = append(x.want, o)
}

// fine is expect for a request that was answered in good order.
func (x *cross) fine(method, path string, status int, in, out int64) {
	x.expect(outcome{method: method, path: path, status: status, in: in, out: out, answered: status})
}

// finish closes the proxy and compares what every view shows with what was
// expected.
func (x *cross) finish() {
	x.t.Helper()
	if x.t.Failed() {
		return // what is wrong has been said
	}
	v := x.end(len(x.want))
	lines := map[string][]line{}
	for _, l := range v.lines {
		path := l.text("path")
		lines[path] = append(lines[path], l)
	}
	for i := range x.want {
		o := &x.want[i]
		if len(lines[o.path]) == 0 {
			x.t.Errorf("there is no line of %s", o.path)
			continue
		}
		l := lines[o.path][0]
		lines[o.path] = lines[o.path][1:]
		failed := x.t.Failed()
		x.checkLine(o, l)
		x.checkSpans(o, l, v)
		if x.t.Failed() && !failed {
			x.t.Logf("%v", l)
		}
	}
	x.checkMetrics(v)
	if text := x.said.String(); strings.Contains(text, "level=ERROR") || strings.Contains(text, "panic") {
		x.t.Errorf("the proxy said:\n%s", text)
	}
}

func (x *cross) checkLine(o *outcome, l line) {
	t, at := x.t, o.path+": log: "
	t.Helper()
	if got := slices.Sorted(maps.Keys(l)); !slices.Equal(got, slices.Sorted(slices.Values(keys))) {
		t.Errorf("%skeys %v, want %v", at, got, keys)
	}
	same(t, at+"method", l.text("method"), o.method)
	same(t, at+"host", l.text("host"), webHost)
	same(t, at+"protocol", l.text("protocol"), x.down.version())
	same(t, at+"status", int(l.number("status")), o.status)
	same(t, at+"flags", l.text("flags"), o.flags)
	same(t, at+"failed_hop", l.text("failed_hop") != "", o.origin != "")
	same(t, at+"failure_reason", l.text("failure_reason") != "", o.origin != "")
	counted(t, at+"bytes_in", int64(l.number("bytes_in")), o.in)
	counted(t, at+"bytes_out", int64(l.number("bytes_out")), o.out)
	if x.down.tls {
		encrypted(t, at, l)
		same(t, at+"tls_sni", l.of("tls").text("sni"), webHost)
	}
	attempts, _ := l["attempts"].([]any)
	if len(attempts) != 1 {
		t.Errorf("%s%d attempts, want 1", at, len(attempts))
		return
	}
	a := line(attempts[0].(map[string]any))
	at += "attempt: "
	same(t, at+"endpoint", a.text("endpoint"), l.text("upstream"))
	same(t, at+"status", int(a.number("status")), o.answered)
	same(t, at+"flags", a.text("flags"), o.tried)
	same(t, at+"reason", a.text("reason") != "", o.tried != "")
	if x.up.tls {
		encrypted(t, at, a)
		same(t, at+"tls_peer", a.of("tls").text("peer") != "", true)
	} else {
		same(t, at+"tls_version", a.of("tls").text("version"), "")
	}
}

// encrypted checks what a line or an attempt says of TLS.
func encrypted(t *testing.T, at string, l line) {
	t.Helper()
	same(t, at+"tls_version", l.of("tls").text("version"), "1.3")
	same(t, at+"tls_cipher", strings.HasPrefix(l.of("tls").text("cipher"), "TLS_"), true)
	same(t, at+"tls_handshake_ms", l.of("tls").number("handshake_ms") > 0, true)
}

func counted(t *testing.T, what string, got, want int64) {
	t.Helper()
	if want != uncounted {
		same(t, what, got, want)
	}
}

func (x *cross) checkSpans(o *outcome, l line, v *views) {
	t, at := x.t, o.path+": SERVER span: "
	t.Helper()
	var server span
	for _, s := range v.kind(tracepb.Span_SPAN_KIND_SERVER) {
		if fmt.Sprintf("%x", s.SpanId) == l.text("span_id") {
			server = s
		}
	}
	if server.Span == nil {
		t.Errorf("%sthere is none with the id %s", at, l.text("span_id"))
		return
	}
	failed := o.status >= 500 || o.origin != "" && o.origin != "downstream"
	a := server.attributes
	same(t, at+"name", server.Name, o.method+" default")
	same(t, at+"trace", fmt.Sprintf("%x", server.TraceId), l.text("trace_id"))
	same(t, at+"method", a["http.request.method"], o.method)
	same(t, at+"network.protocol.version", a["network.protocol.version"], x.down.number())
	same(t, at+"url.scheme", a["url.scheme"], x.down.scheme())
	same(t, at+"server.address", a["server.address"], webHost)
	same(t, at+"status", a["http.response.status_code"], number(o.status))
	same(t, at+"is an error", server.failed(), failed)
	same(t, at+"error.type", a["error.type"] != "", failed)
	same(t, at+"flags", a["hopscope.flags"], o.flags)
	same(t, at+"failure_origin", a["hopscope.failure_origin"], o.origin)
	x.checkSpanTLS(at, a, x.down, x.alpn)

	at = o.path + ": CLIENT span: "
	var client span
	for _, s := range v.kind(tracepb.Span_SPAN_KIND_CLIENT) {
		if slices.Equal(s.ParentSpanId, server.SpanId) {
			client = s
		}
	}
	if client.Span == nil {
		t.Errorf("%sthere is none", at)
		return
	}
	a = client.attributes
	same(t, at+"trace", fmt.Sprintf("%x", client.TraceId), l.text("trace_id"))
	same(t, at+"network.protocol.version", a["network.protocol.version"], x.up.number())
	same(t, at+"status", a["http.response.status_code"], number(o.answered))
	same(t, at+"flags", a["hopscope.flags"], o.tried)
	x.checkSpanTLS(at, a, x.up, x.up.alpn())
}

func (x *cross) checkSpanTLS(at string, a map[string]string, s side, alpn string) {
	t := x.t
	t.Helper()
	if !s.tls {
		same(t, at+"tls.protocol.version", a["tls.protocol.version"], "")
		return
	}
	same(t, at+"tls.protocol.version", a["tls.protocol.version"], "1.3")
	same(t, at+"tls.next_protocol", a["tls.next_protocol"], alpn)
	same(t, at+"hopscope.tls.handshake_ns", a["hopscope.tls.handshake_ns"] != "", true)
}

func (x *cross) checkMetrics(v *views) {
	t, m := x.t, v.metrics
	t.Helper()
	type kind struct{ method, code, flag string }
	hops, tries, origins := map[kind]int{}, map[kind]int{}, map[string]int{}
	timed := 0
	for _, o := range x.want {
		flag, _, _ := strings.Cut(o.flags, ",")
		hops[kind{o.method, strconv.Itoa(o.status), flag}]++
		flag, _, _ = strings.Cut(o.tried, ",")
		tries[kind{"", strconv.Itoa(o.answered), flag}]++
		if o.origin != "" {
			origins[o.origin]++
		}
		if !o.tunnel {
			timed++
		}
	}
	of := []string{"service", "front", "route", "default", "cluster", "web"}
	for k, n := range hops {
		same(t, fmt.Sprintf("metrics: hops %v", k), m.sum("hopscope_requests_total", append(of, "method", k.method, "code", k.code, "flag", k.flag)...), float64(n))
	}
	for k, n := range tries {
		same(t, fmt.Sprintf("metrics: attempts %v", k), m.sum("hopscope_attempts_total", append(of, "code", k.code, "flag", k.flag)...), float64(n))
	}
	for origin, n := range origins {
		same(t, "metrics: failures of "+origin, m.sum("hopscope_failures_total", append(of, "origin", origin)...), float64(n))
	}
	in, out, failures := 0.0, 0.0, 0
	for _, l := range v.lines {
		in, out = in+l.number("bytes_in"), out+l.number("bytes_out")
	}
	for _, n := range origins {
		failures += n
	}
	same(t, "metrics: attempts", m.sum("hopscope_attempts_total"), float64(len(x.want)))
	same(t, "metrics: failures", m.sum("hopscope_failures_total"), float64(failures))
	same(t, "metrics: bytes in", m.sum("hopscope_request_bytes_total"), in)
	same(t, "metrics: bytes out", m.sum("hopscope_response_bytes_total"), out)
	same(t, "metrics: durations of hops", m.sum("http_server_request_duration_seconds"), float64(timed))
	for _, name := range []string{"hopscope_downstream_requests_active", "hopscope_upstream_requests_pending", "hopscope_telemetry_dropped_total", "hopscope_connection_failures_total"} {
		same(t, "metrics: "+name, m.sum(name), 0)
	}
}

// expectStatus checks what a response alone says of how the request ended.
func (x *cross) expectStatus(response *http.Response, o outcome) {
	t := x.t
	t.Helper()
	all := members(t, response)
	if len(all) == 0 {
		t.Errorf("%s: the response has no Proxy-Status", o.path)
		return
	}
	own := all[len(all)-1]
	same(t, o.path+": Proxy-Status: hop", own.Name, "front")
	same(t, o.path+": Proxy-Status: error", own.Error, o.failure)
}
