package accesslog

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/operators"
)

// layoutOf compiles a format that has no mistake.
func layoutOf(t testing.TB, f Format) *Layout {
	t.Helper()
	l, err := f.Compile(new(operators.Recorded))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *Layout) line(h *hop.Hop) string { return string(l.appendLine(&formatter{}, nil, h)) }

// whole is a hop that has all that there is: rewritten, encrypted, with two attempts.
func whole() *hop.Hop {
	h := call()
	h.Scheme, h.Details, h.Client, h.Peer, h.FirstByte = "https", "upstream_reset", "192.0.2.7", "192.0.2.7:5123", 19500*time.Microsecond
	h.SetString(&h.Query, "page=2&token=secret")
	h.SetString(&h.TraceState, "a=1")
	h.Flags = hop.UpstreamConnectionFailure | hop.RetriesExhausted
	h.BytesIn, h.BytesOut = 12, 98
	h.Failure = hop.Failure{Origin: hop.OriginProxy, Hop: "api", Reason: `it said "no"`, Kind: "connect_refused"}
	a := &h.Attempts[1]
	a.Endpoint, a.Version, a.Flags, a.Reason, a.Sent = "[2001:db8::1]:3000", hop.HTTP2, hop.UpstreamConnectionFailure, "connection refused", 3*time.Millisecond
	a.TLS = &hop.TLS{Version: "1.2", Cipher: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Peer: "spiffe://mesh/api", PeerSubject: "CN=api"}
	h.Ask("https", []byte("api.test"), []byte("/v2/items"), []byte("page=2"))
	return h
}

// nothing is a hop that has next to nothing.
func nothing() *hop.Hop {
	return &hop.Hop{Labels: &hop.Labels{}, Start: began}
}

// hopTests are keys of the default line in lines of text: of a hop that has all, and of one
// that has nothing.
var hopTests = []struct{ format, whole, nothing string }{
	{"%HOP(failed_hop)%", "api", "-"},
	{"%HOP(failure_reason)%", `it said \"no\"`, "-"},
	{"%HOP(duration_ms)%", "20.000", "0.000"},
	{"%HOP(sampled)%", "true", "false"},
	{"%HOP(tls)%", `{\"version\":\"1.3\",\"cipher\":\"TLS_AES_128_GCM_SHA256\",\"sni\":\"shop.example\",\"peer\":\"spiffe://mesh/ns/default/front\",\"resumed\":false,\"handshake_ms\":1.500}`, "-"},
	{"%HOP(method)% %PROTOCOL% %BYTES_SENT%", "POST HTTP/2 98", "- - 0"},
}

func TestOperators(t *testing.T) {
	for _, tt := range hopTests {
		l := layoutOf(t, Format{Text: tt.format})
		if got := l.line(whole()); got != tt.whole+"\n" {
			t.Errorf("%s: %q, want %q", tt.format, got, tt.whole)
		}
		if got := l.line(nothing()); got != tt.nothing+"\n" {
			t.Errorf("%s of nothing: %q, want %q", tt.format, got, tt.nothing)
		}
	}
	page, err := os.ReadFile("../../docs/access-log.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Operators() {
		if !bytes.Contains(page, []byte("`%"+name)) {
			t.Errorf("%%%s%% is not in docs/access-log.md", name)
		}
	}
}

// envoyDefault is Envoy's default format.
const envoyDefault = `[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ` +
	`%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"` + "\n"

func TestEnvoysDefaultFormat(t *testing.T) {
	h := success()
	h.SetString(&h.UserAgent, "a \"quote\"\n[forged] \xff")
	want := `[2026-03-04T05:06:07.089Z] "GET /api/items?page=2&token=REDACTED HTTP/1.1" 200 - 12 98 4 4 "-" "a \"quote\"\n[forged] ` + "\uFFFD" + `" "6e1b3d9a" "shop.example" "10.0.0.3:3000"` + "\n"
	if got := layoutOf(t, Format{Text: envoyDefault}).line(h); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

func TestJSONFormat(t *testing.T) {
	const format = `{"when":"%START_TIME%","code":"%RESPONSE_CODE%","flags":"%RESPONSE_FLAGS%","who":"%REQ(USER-AGENT)%","a\"b":"%% \"%PROTOCOL%\" %HOP(failure_reason)% %RESPONSE_FLAGS%",` +
		`"attempts":"%HOP(attempts)%","route":"%HOP(route)%","mixed":"%HOP(tls)%.","nested":{"list":["%BYTES_SENT%",1.50,true,null,"x"],"empty":{}}}`
	h := success()
	h.Attempts = nil
	h.SetString(&h.UserAgent, "x\"\u0001")
	h.Failure.Reason = `a "b"`
	want := `{"when":"2026-03-04T05:06:07.089Z","code":200,"flags":null,"who":"x\"\u0001","a\"b":"% \"HTTP/1.1\" a \"b\" -",` +
		`"attempts":[],"route":"/api/","mixed":"-.","nested":{"list":[98,1.50,true,null,"x"],"empty":{}}}` + "\n"
	got := layoutOf(t, Format{JSON: format}).line(h)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	h.TLS = &hop.TLS{Version: "1.3"}
	var line map[string]any
	if err := json.Unmarshal([]byte(layoutOf(t, Format{JSON: format}).line(h)), &line); err != nil || !strings.HasPrefix(line["mixed"].(string), `{"version":"1.3"`) {
		t.Errorf("%v: %v", err, line["mixed"])
	}
}

// A line of all fields is the default line, but for the rare ones, which are always there.
func TestFieldsAreTheDefaultLine(t *testing.T) {
	l := layoutOf(t, Format{Fields: FieldNames()[:slices.Index(FieldNames(), "rewritten_path")]})
	if h := recovered(); string(AppendLine(nil, h)) != layoutOf(t, Format{Fields: FieldNames()}).line(h) {
		t.Errorf("a line that has all: %s", AppendLine(nil, h))
	}
	if got, want := layoutOf(t, Format{Fields: FieldNames()}).line(success()), `,"rewritten_path":null,"write_blocked_ms":null,"queued_ms":null,"recovered":null,"variant":null,"mirrored":null,"injected":null}`+"\n"; !strings.HasSuffix(got, want) {
		t.Errorf("a line without what is rare: %s, want %s at its end", got, want)
	}
	learned := success()
	learned.Template = "/api/{id}"
	for name, h := range map[string]*hop.Hop{
		"success": success(), "relayed": relayed(), "unconnected": unconnected(), "tunnel": tunnel(), "garbage": garbage(), "call": call(), "whole": whole(), "learned": learned,
	} {
		if diff := cmp.Diff(string(AppendLine(nil, h)), l.line(h)); diff != "" {
			t.Errorf("%s (-default +fields):\n%s", name, diff)
		}
	}
	if got := layoutOf(t, Format{Fields: []string{"status", "time", "path"}}).line(success()); got != `{"status":200,"time":"2026-03-04T05:06:07.089012Z","path":"/api/items?page=2&token=REDACTED"}`+"\n" {
		t.Errorf("three fields: %s", got)
	}
}

// Fields that a Hop does not have are asked for once, in the order in which they come.
func TestRecordedFields(t *testing.T) {
	var recorded operators.Recorded
	first, err := Format{Text: "%REQ(Referer)% %RESP(Server)% %REQ(X-A?Referer)%"}.Compile(&recorded)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Format{JSON: `{"a":"%RESP(server)%","b":"%RESP(x-a)%"}`}).Compile(&recorded); err != nil {
		t.Fatal(err)
	}
	want := operators.Recorded{{Name: "referer"}, {Name: "server", Response: true}, {Name: "x-a"}, {Name: "x-a", Response: true}}
	if diff := cmp.Diff(want, recorded); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	h := success()
	h.Record(len(recorded))
	h.SetString(&h.Recorded[0], "http://r/")
	h.SetString(&h.Recorded[1], "nginx")
	for _, h := range []*hop.Hop{h, h.Clone()} {
		if got := first.line(h); got != "http://r/ nginx http://r/\n" {
			t.Errorf("got %s", got)
		}
	}
}

func TestFormatMistakes(t *testing.T) {
	many := ""
	for _, c := range "abcdefghijklmnopqrstuvwxyz" {
		many += "%REQ(x-" + string(c) + ")%%RESP(x-" + string(c) + ")%"
	}
	for _, tt := range []struct {
		format Format
		want   string
	}{
		{Format{Text: "%DYNAMIC_METADATA(a:b)%"}, "there is no command operator %DYNAMIC_METADATA%; there are ACCESS_LOG_TYPE, BYTES_RECEIVED"},
		{Format{Text: "%START_TIME"}, "%START_TIME is not closed by %"},
		{Format{Text: "%REQ(A?Cookie)%"}, "cookie may hold credentials, and is not logged"},
		{Format{Text: "%RESP(Set-Cookie)%"}, "set-cookie may hold credentials"},
		{Format{Text: "%PROTOCOL(1)%"}, "%PROTOCOL% takes no argument"},
		{Format{Text: "%HOP(x)%"}, "there is no such field; there are time, service"},
		{Format{Text: many}, "more than 32 fields"},
		{Format{Fields: []string{"time", "tiem"}}, `there is no field "tiem"; there are time, service`},
		{Format{Fields: []string{"time", "time"}}, "the field time is there twice"},
		{Format{JSON: `["%PROTOCOL%"]`}, "no mapping"},
		{Format{JSON: `{"a":{"b":"%X%"}}`}, "a: b: there is no command operator %X%"},
		{Format{JSON: `{"a":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + `}`}, "deeper than 16 levels"},
		{Format{JSON: `{"a":1}{`}, "follows"},
		{Format{JSON: `{"a":`}, "EOF"},
	} {
		if _, err := tt.format.Compile(new(operators.Recorded)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.60v: %v, want %q", tt.format, err, tt.want)
		}
	}
}

// Whatever a format is, compiling it ends, and a line of it is one line; one of JSON is JSON.
func FuzzFormat(f *testing.F) {
	for _, tt := range hopTests {
		f.Add(tt.format, "a")
	}
	for _, name := range Operators() {
		f.Add("%"+name+"%", "a")
	}
	f.Add(envoyDefault, "\"\n\x00\xff")
	f.Add(`%REQ(A?B):10%%%`, "%")
	h, bare := whole(), nothing()
	f.Fuzz(func(t *testing.T, format, told string) {
		h := h.Clone()
		h.SetString(&h.UserAgent, told)
		h.SetString(&h.Path, told)
		h.Record(mostRecorded)
		for i := range h.Recorded {
			h.SetString(&h.Recorded[i], told)
		}
		for _, h := range []*hop.Hop{h, bare} {
			if l, err := (Format{Text: format}).Compile(new(operators.Recorded)); err == nil && l != nil {
				if got := l.line(h); strings.Count(got, "\n") > 1+strings.Count(strings.TrimSuffix(format, "\n"), "\n") {
					t.Errorf("%q is not one line", got)
				}
			}
			name, err := json.Marshal(map[string]string{told: format})
			if err != nil {
				t.Fatal(err)
			}
			if l, err := (Format{JSON: string(name)}).Compile(new(operators.Recorded)); err == nil {
				if got := l.line(h); !json.Valid([]byte(got)) {
					t.Errorf("%s of %q is no JSON", got, name)
				}
			}
			_, _ = Format{JSON: format}.Compile(new(operators.Recorded))
		}
	})
}

func TestSelection(t *testing.T) {
	failed, slow, fine := unconnected(), success(), success()
	slow.Labels = &hop.Labels{Slow: time.Millisecond}
	slow.Trace, fine.Trace = hop.TraceID{15: 1}, hop.TraceID{8: 0xff, 15: 1} // the one sampled first, and the one last
	early := success()
	early.Trace = hop.TraceID{15: 1}
	for _, tt := range []struct {
		selection *Selection
		takes     []bool // failed, slow, fine, early
	}{
		{NewSelection(All, 1), []bool{true, true, true, true}},
		{NewSelection(All, 0.5), []bool{true, true, false, true}},
		{NewSelection(All, 0), []bool{true, true, false, false}},
		{NewSelection(OnlyFailed, 1), []bool{true, false, false, false}},
		{NewSelection(OnlyFailedOrSlow, 0), []bool{true, true, false, false}},
	} {
		got := []bool{}
		for _, h := range []*hop.Hop{failed, slow, fine, early} {
			got = append(got, tt.selection.Takes(h))
		}
		if !slices.Equal(got, tt.takes) {
			t.Errorf("%+v takes %v, want %v", tt.selection, got, tt.takes)
		}
	}
}

// A log with a layout and a selection writes those lines and no others.
func TestLogWithALayout(t *testing.T) {
	path := t.TempDir() + "/log"
	l, err := Open(path, Options{Layout: layoutOf(t, Format{Text: "%RESPONSE_CODE% %TRACE_ID%"}), Selection: NewSelection(OnlyFailed, 1)})
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []*hop.Hop{success(), unconnected(), success()} {
		l.Observe(h)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := string(read(t, path)); got != "503 4bf92f00000000000000000000000036\n" {
		t.Errorf("got %q", got)
	}
}

func BenchmarkLayout(b *testing.B) {
	for name, f := range map[string]Format{
		"fields": {Fields: FieldNames()}, "envoy": {Text: envoyDefault}, "json": {JSON: `{"code":"%RESPONSE_CODE%","path":"%REQ(:PATH)%","ms":"%DURATION%","trace":"%TRACE_ID%"}`},
	} {
		b.Run(name, func(b *testing.B) {
			l, h, dst := layoutOf(b, f), success(), []byte(nil)
			var format formatter
			b.ReportAllocs()
			for b.Loop() {
				dst = l.appendLine(&format, dst[:0], h)
			}
		})
	}
}
