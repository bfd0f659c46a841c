package grpc

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// head is a POST with these fields: name, value, and so on.
func head(fields ...string) *message.Head {
	h := &message.Head{Method: message.POST}
	for i := 0; i < len(fields); i += 2 {
		h.Add(message.FieldByName([]byte(fields[i])), fields[i], fields[i+1])
	}
	return h
}

func TestContentTypes(t *testing.T) {
	for _, tt := range []struct {
		value          string
		call, web, txt bool
		codec          string
	}{
		{"application/grpc", true, false, false, ""},
		{"application/grpc+proto", true, false, false, "+proto"},
		{"Application/GRPC+json; charset=utf-8", true, false, false, "+json"},
		{"application/grpc;x=y", true, false, false, ""},
		{"application/grpc ", true, false, false, ""},
		{"application/grpc-web", false, true, false, ""},
		{"application/grpc-web+proto", false, true, false, "+proto"},
		{"application/grpc-web-text", false, true, true, ""},
		{"application/grpc-web-text+proto;a=b", false, true, true, "+proto"},
		{"application/grpc-web-textual", false, false, false, ""},
		{"application/grpc-webs", false, false, false, ""},
		{"application/grpcx", false, false, false, ""},
		{"application/grp", false, false, false, ""},
		{"text/html", false, false, false, ""},
		{"", false, false, false, ""},
	} {
		h := head("content-type", tt.value)
		if got := IsCall(h); got != tt.call {
			t.Errorf("%q: IsCall is %t", tt.value, got)
		}
		if got := IsWeb(h); got != tt.web {
			t.Errorf("%q: IsWeb is %t", tt.value, got)
		}
		codec, text, ok := WebContent([]byte(tt.value))
		if !tt.web {
			codec = Codec([]byte(tt.value))
		}
		if ok != tt.web || text != tt.txt || (tt.web || tt.call) && string(codec) != tt.codec {
			t.Errorf("%q: codec %q, text %t, web %t", tt.value, codec, text, ok)
		}
		h.Method = message.GET
		if IsCall(h) || IsWeb(h) {
			t.Errorf("GET of %q is a call", tt.value)
		}
	}
	if IsCall(head()) || IsWeb(head()) {
		t.Error("a request without a content type is a call")
	}
}

func TestParseTimeout(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"1n": 1, "20u": 20 * time.Microsecond, "300m": 300 * time.Millisecond,
		"4S": 4 * time.Second, "5M": 5 * time.Minute, "6H": 6 * time.Hour,
		"00000007S": 7 * time.Second, "0S": 0, "99999999S": 99999999 * time.Second,
		"1281023H": 1281023 * time.Hour, "1281024H": math.MaxInt64 / 2, "99999999H": math.MaxInt64 / 2,
		"76861433M": 76861433 * time.Minute, "99999999M": math.MaxInt64 / 2,
	} {
		if got, ok := ParseTimeout([]byte(value)); !ok || got != want {
			t.Errorf("%q: %v, %t, want %v", value, got, ok, want)
		}
	}
	for _, value := range []string{"", "S", "1", "123456789S", "1s", "1h", "-1S", "+1S", " 1S", "1 S", "1.5S", "1SS", "aS", "1\x00"} {
		if got, ok := ParseTimeout([]byte(value)); ok {
			t.Errorf("%q is a timeout of %v", value, got)
		}
	}
}

func TestAppendTimeout(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-1: "0n", 0: "0n", 1: "1n", 99_999_999: "99999999n", 100_000_000: "100000u",
		100_000_001: "100001u", 99_999_999 * time.Microsecond: "99999999u",
		99_999_999*time.Microsecond + 1: "100000m", 15 * time.Second: "15000000u",
		100_000 * time.Second: "100000S", 99_999_999*time.Millisecond + 1: "100000S",
		math.MaxInt64: "2562048H",
	} {
		if got := string(AppendTimeout(nil, d)); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// Whatever the duration, what goes out is read again as at least as much, and
// no more than a unit longer.
func FuzzTimeout(f *testing.F) {
	for _, v := range []string{"1n", "99999999H", "0S", "12345678u", "x"} {
		f.Add([]byte(v), int64(1))
	}
	f.Add([]byte("1"), int64(math.MaxInt64))
	f.Add([]byte(""), int64(-5))
	f.Fuzz(func(t *testing.T, value []byte, n int64) {
		if d, ok := ParseTimeout(value); ok && d < 0 {
			t.Errorf("%q is %v", value, d)
		}
		out := AppendTimeout(nil, time.Duration(n))
		again, ok := ParseTimeout(out)
		if !ok || len(out) > 9 {
			t.Fatalf("%d became %q", n, out)
		}
		if want := min(max(n, 0), math.MaxInt64/2); int64(again) < want || float64(again) > float64(want)*1.0001+1 {
			t.Errorf("%d became %q, which is %d", n, out, again)
		}
	})
}

func TestMessage(t *testing.T) {
	for text, want := range map[string]string{
		"":                 "",
		"no such user":     "no such user",
		"100%":             "100%25",
		"a\nb\x00c\x7f~ !": "a%0Ab%00c%7F~ !",
		"Ünï ☃":            "%C3%9Cn%C3%AF %E2%98%83",
		"bad \xff byte":    "bad %EF%BF%BD byte",
	} {
		got := string(AppendMessage([]byte("x"), text))
		if got != "x"+want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if back := string(DecodeMessage([]byte(want))); back != strings.ToValidUTF8(text, "\uFFFD") {
			t.Errorf("%q was decoded to %q", want, back)
		}
	}
	for value, want := range map[string]string{
		"%": "%", "%4": "%4", "%zz": "%zz", "50% off%21": "50% off!", "%c3%bc": "ü", "%%41": "%A", "%2525": "%25",
	} {
		if got := string(DecodeMessage([]byte(value))); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

func FuzzMessage(f *testing.F) {
	for _, v := range []string{"", "%", "%e2%98%83", "%zz%", "plain", "☃\xff"} {
		f.Add([]byte(v))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		before := string(value)
		text := DecodeMessage(value)
		if string(value) != before {
			t.Error("the value was changed")
		}
		if len(text) > len(value) {
			t.Errorf("%q grew to %q", value, text)
		}
		out := AppendMessage(nil, string(text))
		for _, c := range out {
			if c < ' ' || c > '~' {
				t.Fatalf("%q has %q in it", out, c)
			}
		}
		if again := DecodeMessage(out); utf8.Valid(text) && string(again) != string(text) {
			t.Errorf("%q became %q", text, again)
		}
	})
}

func TestStatus(t *testing.T) {
	for value, want := range map[string]string{
		"0": "OK", "5": "NOT_FOUND", "16": "UNAUTHENTICATED", "014": "UNAVAILABLE",
		"17": "UNKNOWN", "9999": "UNKNOWN", "99999999999999999999": "UNKNOWN", "": "UNKNOWN",
		"-1": "UNKNOWN", "1x": "UNKNOWN", " 1": "UNKNOWN",
	} {
		status, text, ok := Status(head("grpc-status", value, "Grpc-Message", "a%20b"))
		if !ok || status.String() != want || string(text) != "a b" {
			t.Errorf("%q: %v, %q, %t; want %s", value, status, text, ok, want)
		}
	}
	if status, text, ok := Status(head("grpc-status", "0")); !ok || status.Code() != 0 || text != nil {
		t.Errorf("no message: %v, %q, %t", status, text, ok)
	}
	if status, _, ok := Status(head("grpc-message", "why")); ok || status != 0 {
		t.Errorf("no status: %v, %t", status, ok)
	}
	if _, _, ok := Status(nil); ok {
		t.Error("no trailers have a status")
	}
}

func TestOfHTTP(t *testing.T) {
	for status, want := range map[int]string{
		400: "INTERNAL", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "UNIMPLEMENTED",
		429: "UNAVAILABLE", 502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "UNAVAILABLE",
		200: "UNKNOWN", 302: "UNKNOWN", 418: "UNKNOWN", 500: "UNKNOWN", 0: "UNKNOWN",
	} {
		if got := OfHTTP(status).String(); got != want {
			t.Errorf("%d: %s, want %s", status, got, want)
		}
	}
}

func TestOfFault(t *testing.T) {
	for kind, want := range map[fault.Kind]string{
		fault.BadHeader: "INTERNAL", fault.HeaderTooLarge: "INTERNAL", fault.NotImplemented: "INTERNAL",
		fault.ContentTooLarge: "RESOURCE_EXHAUSTED",
		fault.ClientClosed:    "CANCELLED", fault.ClientReset: "CANCELLED", fault.RequestIdle: "CANCELLED",
		fault.Forbidden: "PERMISSION_DENIED", fault.ForbiddenAddress: "PERMISSION_DENIED", fault.NotFound: "UNIMPLEMENTED",
		fault.NoHealthy: "UNAVAILABLE", fault.Overflow: "UNAVAILABLE", fault.ConnectRefused: "UNAVAILABLE",
		fault.CertExpired: "UNAVAILABLE", fault.UpstreamReset: "UNAVAILABLE", fault.UpstreamProtocol: "UNAVAILABLE",
		fault.UpstreamTimeout: "DEADLINE_EXCEEDED", fault.UpstreamIdle: "DEADLINE_EXCEEDED",
		fault.Draining: "UNAVAILABLE", fault.Internal: "INTERNAL",
	} {
		if got := OfFault(kind).String(); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
	for _, kind := range fault.All() {
		if s := OfFault(kind); s == 0 || s == hop.GRPCStatusOf(0) {
			t.Errorf("%s becomes %q", kind, s)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	call := head("content-type", "application/grpc+proto", "grpc-timeout", "10S")
	trailers := head("grpc-status", "14", "grpc-message", "plain words")
	out := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		if !IsCall(call) {
			t.Error("not a call")
		}
		value, _ := call.Get(message.GRPCTimeout)
		d, _ := ParseTimeout(value)
		out = AppendTimeout(out[:0], d)
		if _, _, ok := Status(trailers); !ok {
			t.Error("no status")
		}
		out = AppendMessage(out[:0], "plain words")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
