package accesslog

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/hop"
)

const ms = time.Millisecond

// passing is a hop with one attempt, which took a millisecond less on both sides. Its span
// is n, its attempt's n+1.
func passing(service string, d hop.Direction, host string, n, parent byte, from, to time.Duration, status int) *hop.Hop {
	h := &hop.Hop{
		Labels: &hop.Labels{Service: service, Direction: d, Cluster: "c-" + host}, Trace: trace, Span: hop.SpanID{7: n}, Parent: hop.SpanID{7: parent},
		Start: began.Add(from), End: to - from, Status: status, Method: "GET", Version: hop.HTTP11,
	}
	h.SetString(&h.Host, host+":80")
	h.SetString(&h.Path, "/"+host)
	*h.Attempt() = hop.Attempt{
		Span: hop.SpanID{7: n + 1}, Endpoint: "10.0.0.9:80", Cluster: h.Labels.Cluster, Status: status,
		Start: ms, Connected: ms + 1000, Sent: ms + 1000, End: h.End - ms,
	}
	if d == hop.Inbound {
		h.Attempts[0].Endpoint = "127.0.0.1:3000"
	}
	if status >= 500 {
		fails(h, hop.OriginEndpoint, diagnose.ErrorResponse, "", 0, "answered")
	} else {
		h.Attempts[0].FirstByte = h.End - 2*ms
	}
	return h
}

// fails gives the hop the failure that its proxy would record for it.
func fails(h *hop.Hop, origin hop.Origin, kind, errorType string, flags hop.Flags, reason string) *hop.Hop {
	m := diagnose.Met{Service: h.Labels.Service, Kind: kind, Reason: reason}
	if h.Labels.Direction == hop.Outbound {
		m.Callee = strings.TrimSuffix(h.String(h.Host), ":80")
	}
	if a := h.LastAttempt(); a != nil {
		m.Endpoint = a.Endpoint
		if origin == hop.OriginProxy {
			a.Status, a.FirstByte, a.ProxyError, a.Flags, a.Reason = 0, 0, errorType, flags, reason
		}
	}
	h.Failure = diagnose.Charge(m)
	h.Failure.Origin = origin
	if origin == hop.OriginProxy {
		h.ProxyError, h.Flags = errorType, flags
	}
	return h
}

// journeys are the traces of a request from web by way of orders to stock, that went wrong
// in many ways.
func journeys() map[string][]*hop.Hop {
	chain := func(status int, toStock *hop.Hop, rest ...*hop.Hop) []*hop.Hop {
		return append([]*hop.Hop{
			passing("web", hop.Inbound, "web", 1, 0, 0, 100*ms, status), passing("web", hop.Outbound, "orders", 3, 2, 2*ms, 98*ms, status),
			passing("orders", hop.Inbound, "orders", 5, 4, 4*ms, 96*ms, status), toStock,
		}, rest...)
	}
	call := func(status int) *hop.Hop { return passing("orders", hop.Outbound, "stock", 7, 6, 6*ms, 94*ms, status) }
	stock := func(status int) *hop.Hop { return passing("stock", hop.Inbound, "stock", 9, 8, 8*ms, 92*ms, status) }

	refused := fails(call(503), hop.OriginProxy, "connect_refused", "connection_refused", hop.UpstreamConnectionFailure, "connection refused by 10.0.0.9:80")
	refused.Attempts[0].Connected, refused.Attempts[0].Sent = 0, 0
	refused.Attempts[0].Evidence = "nobody listens at 10.0.0.9:80"

	slow := fails(stock(504), hop.OriginProxy, "upstream_timeout", "http_response_timeout", hop.UpstreamTimeout, "no response in time")
	timedOut := fails(call(504), hop.OriginProxy, "upstream_timeout", "http_response_timeout", hop.UpstreamTimeout, "no response in time")
	inverted := fails(call(504), hop.OriginProxy, "upstream_timeout", "http_response_timeout", hop.UpstreamTimeout, "no response in time")
	inverted.Timeout = inverted.End
	patient := stock(200)
	patient.Timeout = 15 * time.Second
	unread, large := call(200), stock(200)
	unread.WriteBlocked, large.WriteBlocked = 70*ms, 60*ms
	unread.Attempts[0].FirstByte, large.Attempts[0].FirstByte = 10*ms, 5*ms
	fresh := stock(200)
	fresh.Attempts[0].Cold = true
	cut := stock(0)
	cut.Flags, cut.Failure = hop.DownstreamClosed, hop.Failure{Origin: hop.OriginDownstream, Hop: "client"}
	cut.Attempts[0].FirstByte = 0

	unhealthy := call(503)
	unhealthy.Attempts = nil
	fails(unhealthy, hop.OriginProxy, "no_healthy", "destination_unavailable", hop.NoHealthyUpstream, "no endpoint of stock is healthy: check web: critical")

	lost := fails(call(503), hop.OriginProxy, "upstream_closed", "connection_terminated", hop.UpstreamConnectionClosed, "10.0.0.9:80 closed the connection")

	retry := func(first, second int) *hop.Hop {
		h := call(second)
		again := h.Attempts[0]
		h.Attempts[0].Status, h.Attempts[0].End, h.Attempts[0].FirstByte = first, 10*ms, 9*ms
		again.Span, again.Start, again.Connected, again.Sent = hop.SpanID{7: 30}, 20*ms, 21*ms, 21*ms
		h.Attempts = append(h.Attempts, again)
		return h
	}
	second := passing("stock", hop.Inbound, "stock", 31, 30, 28*ms, 92*ms, 500)
	first := passing("stock", hop.Inbound, "stock", 9, 8, 8*ms, 14*ms, 503)
	well := passing("stock", hop.Inbound, "stock", 31, 30, 28*ms, 92*ms, 200)

	message := stock(200)
	message.GRPC, message.GRPCStatus, message.Attempts[0].GRPCStatus = true, hop.GRPCStatusOf(13), hop.GRPCStatusOf(13)
	message.SetString(&message.GRPCMessage, `no "stock"`)
	fails(message, hop.OriginEndpoint, diagnose.ErrorResponse, "", 0, "answered")

	return map[string][]*hop.Hop{
		"all is well":                    chain(200, call(200), stock(200)),
		"the application answers 500":    chain(500, call(500), stock(500)),
		"an application without proxy":   chain(500, call(500)),
		"a gRPC error":                   chain(500, call(500), message),
		"refused":                        chain(500, refused),
		"a timeout":                      chain(504, call(504), slow),
		"a timeout of the caller":        chain(500, timedOut, cut),
		"a deadline inversion":           chain(504, inverted, patient),
		"a slow reader":                  chain(200, unread, large),
		"a cold start":                   chain(200, call(200), fresh),
		"no healthy endpoint":            chain(500, unhealthy),
		"the answer was lost":            chain(500, lost, stock(200)),
		"it never arrived":               chain(500, lost, passing("stock", hop.Inbound, "stock", 41, 40, 8*ms, 9*ms, 200)),
		"a retry failed as well":         chain(500, retry(503, 500), first, second),
		"a retry made it good":           chain(200, retry(503, 200), first, well),
		"the application went on":        chain(200, call(500), stock(500)),
		"a part of the trace is missing": {chain(500, call(500))[0], stock(500)},
	}
}

// TestVerdictOfLines: the lines of a trace say the same as its hops.
func TestVerdictOfLines(t *testing.T) {
	for name, hops := range journeys() {
		t.Run(name, func(t *testing.T) {
			log := []byte("the proxy's own log\n{\"level\":\"info\"}\n")
			for _, h := range hops {
				log = AppendLine(append(log, "2026-03-04T05:06:07Z stdout F "...), h)
			}
			found, err := ReadTrace(bytes.NewReader(log), trace, 100)
			if err != nil || len(found.Hops) != len(hops) || found.Broken > 0 || found.Spanless > 0 {
				t.Fatalf("%d of %d hops, %+v, error %v in\n%s", len(found.Hops), len(hops), found, err, log)
			}
			want, got := diagnose.Build(trace, hops), diagnose.Build(trace, found.Hops)
			if want.Culprit == nil && want.Inner == nil && hops[0].Status >= 500 {
				t.Fatalf("nothing went wrong in\n%s", want.Text())
			}
			ignore := cmpopts.IgnoreFields(diagnose.Culprit{}, "Node")
			for _, pair := range [][2]*diagnose.Culprit{{want.Culprit, got.Culprit}, {want.Inner, got.Inner}, {want.Slowest, got.Slowest}} {
				if diff := cmp.Diff(pair[0], pair[1], ignore); diff != "" {
					t.Errorf("verdict (-hops +lines):\n%s", diff)
				}
			}
			if diff := cmp.Diff(want.Text(), got.Text()); diff != "" {
				t.Errorf("drawing (-hops +lines):\n%s", diff)
			}
		})
	}
}

// TestParseLineReadsAllKeys: a line that is read and written again is the same.
func TestParseLineReadsAllKeys(t *testing.T) {
	odd := success()
	odd.Method = "_OTHER"
	odd.SetString(&odd.MethodText, "BREW")
	for _, h := range []*hop.Hop{success(), relayed(), unconnected(), call(), recovered(), odd} {
		want := AppendLine(nil, h)
		got, err := ParseLine(want)
		if err != nil {
			t.Fatalf("%v in %s", err, want)
		}
		if diff := cmp.Diff(string(want), string(AppendLine(nil, got))); diff != "" {
			t.Errorf("line (-want +got):\n%s", diff)
		}
	}
}

// TestReadOldLines: lines of a version that wrote neither the span ids of attempts nor
// their start say what they can, and what is missing is counted.
func TestReadOldLines(t *testing.T) {
	old := func(h *hop.Hop) string {
		var all map[string]any
		if err := json.Unmarshal(AppendLine(nil, h), &all); err != nil {
			t.Fatal(err)
		}
		for _, a := range all["attempts"].([]any) {
			delete(a.(map[string]any), "span_id")
			delete(a.(map[string]any), "start_ms")
		}
		line, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return string(line) + "\n"
	}
	found, err := ReadTrace(strings.NewReader(old(success())+old(unconnected())), trace, 10)
	if err != nil || len(found.Hops) != 2 || found.Spanless != 1 {
		t.Fatalf("%+v, error %v", found, err)
	}
	if a := found.Hops[0].Attempts[0]; a.Span != (hop.SpanID{5, 7: 6}) || a.End != 4300*time.Microsecond {
		t.Errorf("the only attempt is %+v", a)
	}
	if a := found.Hops[1].Attempts; a[1].Start != a[0].End {
		t.Errorf("the second attempt starts at %v, the first ends at %v", a[1].Start, a[0].End)
	}
}

func TestReadTracePassesOver(t *testing.T) {
	line := string(AppendLine(nil, success()))
	broken := `{"trace_id":"` + trace.String() + `","status":"x"}` + "\n"
	long := `{"trace_id":"` + trace.String() + `","x":"` + strings.Repeat("x", 3*maxLine) + `"}` + "\n"
	elsewhere := strings.ReplaceAll(line, trace.String(), strings.Repeat("a", 32))
	elsewhere = strings.ReplaceAll(elsewhere, "/api/items", "/api/"+trace.String())
	found, err := ReadTrace(strings.NewReader(broken+long+elsewhere+strings.ToUpper(broken)+line+strings.TrimSuffix(line, "\n")), trace, 10)
	if err != nil || len(found.Hops) != 2 || found.Broken != 2 || found.Why == nil {
		t.Errorf("%d hops, %d broken (%v), error %v", len(found.Hops), found.Broken, found.Why, err)
	}
	if found, err = ReadTrace(strings.NewReader(strings.Repeat(line, 11)), trace, 10); err == nil || len(found.Hops) != 10 {
		t.Errorf("%d hops, error %v", len(found.Hops), err)
	}
	failing := io.MultiReader(strings.NewReader(line), iotest.ErrReader(errors.New("the disk is gone")))
	if found, err = ReadTrace(failing, trace, 10); err == nil || len(found.Hops) != 1 {
		t.Errorf("%d hops, error %v", len(found.Hops), err)
	}
}

// FuzzParseLine: whatever a log has, a line is refused, or is a hop that can be diagnosed
// and written.
func FuzzParseLine(f *testing.F) {
	for _, h := range []*hop.Hop{success(), relayed(), unconnected(), tunnel(), garbage(), call()} {
		f.Add(AppendLine(nil, h))
	}
	f.Add([]byte(`{"time":"2026-03-04T05:06:07Z","service":"web","trace_id":"` + trace.String() + `","span_id":"0000000000000001","duration_ms":1e11,"upstream_ms":1e11,"attempts":[{"start_ms":1e11,"duration_ms":1e11},{}]}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		h, err := ParseLine(line)
		if err != nil {
			return
		}
		diagnose.Build(h.Trace, []*hop.Hop{h}).Text()
		if again := AppendLine(nil, h); !json.Valid(again) {
			t.Errorf("%s of the hop of %s", again, line)
		}
	})
}

// A log that was rotated and compressed is read as it was, also one of several parts; a
// broken one is an error.
func TestReadCompressed(t *testing.T) {
	var b bytes.Buffer
	for range 2 {
		w := gzip.NewWriter(&b)
		if _, err := w.Write(AppendLine(nil, success())); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	f, err := ReadTrace(bytes.NewReader(b.Bytes()), trace, 10)
	if err != nil || len(f.Hops) != 2 {
		t.Errorf("%d hops, %v; want 2", len(f.Hops), err)
	}
	if f, err := ReadTrace(bytes.NewReader(b.Bytes()[:b.Len()-5]), trace, 10); err == nil || len(f.Hops) == 0 {
		t.Errorf("of a part: %d hops, %v", len(f.Hops), err)
	}
}

// Lines of another format, and of other programs, are counted, not taken for hops.
func TestReadOtherLines(t *testing.T) {
	chosen := layoutOf(t, Format{Fields: []string{"trace_id", "status"}}).line(success())
	enough := layoutOf(t, Format{Fields: []string{"trace_id", "span_id", "time", "service", "status"}}).line(success())
	text := layoutOf(t, Format{Text: "%TRACE_ID% %RESPONSE_CODE%"}).line(success())
	f, err := ReadTrace(strings.NewReader(chosen+enough+text+string(AppendLine(nil, success()))), trace, 10)
	if err != nil || f.Other != 2 || len(f.Hops) != 2 || f.Broken != 0 {
		t.Errorf("%d other lines, %d hops, %d broken, %v", f.Other, len(f.Hops), f.Broken, err)
	}
	if _, err := ReadTrace(strings.NewReader(strings.Repeat(text, 11)), trace, 10); err == nil {
		t.Error("more lines than there may be")
	}
}
