package message

import (
	"strings"
	"testing"
)

// verdict is in which trailer sections a field may stand.
type verdict struct{ request, response, call bool }

var (
	never        = verdict{}                  // it is about one connection, or frames
	inCalls      = verdict{call: true}        // RFC 9110 section 6.5.1 forbids it, but metadata may be called anything
	inResponses  = verdict{false, true, true} // it is the proxy's business in requests
	inAnyTrailer = verdict{true, true, true}
)

// trailing has every name that has a number, and those that are told apart by
// name alone.
var trailing = map[string]verdict{
	"connection": never, "keep-alive": never, "proxy-connection": never, "te": never, "transfer-encoding": never,
	"upgrade": never, "http2-settings": never, "content-length": never,

	"trailer": inCalls, "content-type": inCalls, "content-encoding": inCalls, "content-language": inCalls,
	"content-location": inCalls, "content-range": inCalls, "content-disposition": inCalls, "last-modified": inCalls,
	"host": inCalls, "via": inCalls, "forwarded": inCalls, "x-forwarded-for": inCalls, "x-forwarded-proto": inCalls,
	"x-forwarded-host": inCalls, "x-forwarded-port": inCalls, "x-forwarded-client-cert": inCalls, "x-real-ip": inCalls,
	"max-forwards": inCalls, "authorization": inCalls, "proxy-authorization": inCalls, "www-authenticate": inCalls,
	"proxy-authenticate": inCalls, "cookie": inCalls, "set-cookie": inCalls, "accept": inCalls, "accept-charset": inCalls,
	"accept-encoding": inCalls, "accept-language": inCalls, "cache-control": inCalls, "expect": inCalls, "pragma": inCalls,
	"range": inCalls, "if-match": inCalls, "if-none-match": inCalls, "if-range": inCalls, "grpc-timeout": inCalls,
	"x-envoy-retry-on": inCalls, "x-envoy-retry-grpc-on": inCalls, "x-envoy-max-retries": inCalls,
	"x-envoy-upstream-rq-timeout-ms": inCalls, "x-envoy-upstream-rq-per-try-timeout-ms": inCalls,
	"x-envoy-expected-rq-timeout-ms": inCalls, "x-envoy-attempt-count": inCalls, "x-envoy-ratelimited": inCalls,
	"x-envoy-original-path": inCalls, "age": inCalls, "date": inCalls, "expires": inCalls, "location": inCalls,
	"retry-after": inCalls, "vary": inCalls, "warning": inCalls, "access-control-allow-origin": inCalls,

	"x-request-id": inResponses, "traceparent": inResponses, "tracestate": inResponses, "baggage": inResponses,
	"b3": inResponses, "x-b3-traceid": inResponses, "x-b3-spanid": inResponses, "x-b3-parentspanid": inResponses,
	"x-b3-sampled": inResponses, "x-b3-flags": inResponses, "uber-trace-id": inResponses, "uberctx-user": inResponses,
	"x-amzn-trace-id": inResponses,

	"server": inAnyTrailer, "user-agent": inAnyTrailer, "server-timing": inAnyTrailer, "proxy-status": inAnyTrailer,
	"grpc-status": inAnyTrailer, "grpc-message": inAnyTrailer, "grpc-status-details-bin": inAnyTrailer,
	"content-digest": inAnyTrailer, "repr-digest": inAnyTrailer, "etag": inAnyTrailer, "accept-ranges": inAnyTrailer,
	"authentication-info": inAnyTrailer, "x-checksum": inAnyTrailer, "if": inAnyTrailer, "x-forwarded": inAnyTrailer,
	"a-name-that-is-longer-than-any-of-those-that-have-a-meaning-to-the-proxy-itself": inAnyTrailer,
}

// TestTrailers: what may stand in trailers depends on what a name means, never on
// whether it has a number.
func TestTrailers(t *testing.T) {
	for id := Unknown + 1; id < lastField; id++ {
		if _, ok := trailing[id.String()]; !ok {
			t.Errorf("%s has a number, and the test does not know it", id)
		}
	}
	for name, want := range trailing {
		for _, spelling := range []string{name, strings.ToUpper(name)} {
			b := []byte(spelling)
			if got := (verdict{OfRequest.Allows(b), OfResponse.Allows(b), OfCall.Allows(b)}); got != want {
				t.Errorf("%s: %+v, want %+v", spelling, got, want)
			}
		}
	}
}

func TestStripTrailers(t *testing.T) {
	for _, tt := range []struct {
		of   Trailing
		want []string
	}{
		{OfRequest, []string{"x-sum: 1"}},
		{OfResponse, []string{"traceparent: 2", "x-sum: 1"}},
		{OfCall, []string{"date: 1", "date: 2", "traceparent: 2", "x-sum: 1"}},
	} {
		h := new(Head)
		for _, line := range []string{"date: 1", "date: 2", "traceparent: 2", "content-length: 5", "x-sum: 1"} {
			name, value, _ := strings.Cut(line, ": ")
			h.Add(FieldByName([]byte(name)), name, value)
		}
		if !h.StripTrailers(tt.of) {
			t.Error("nothing is left")
		}
		var got []string
		for i := range h.Fields {
			if f := &h.Fields[i]; !f.Removed {
				got = append(got, string(h.Bytes(f.Name))+": "+string(h.Bytes(f.Value)))
			}
		}
		if strings.Join(got, "\n") != strings.Join(tt.want, "\n") || h.Has(ContentLength) || h.Has(Date) != (tt.of == OfCall) {
			t.Errorf("%d: left are %q, want %q", tt.of, got, tt.want)
		}
	}
	h := new(Head)
	h.Add(TE, "te", "trailers")
	for range 2 {
		if h.StripTrailers(OfCall) {
			t.Error("te is left")
		}
	}
}

func TestPropertiesOfAllocatesNothing(t *testing.T) {
	names := [][]byte{[]byte("Grpc-Status-Details-Bin"), []byte("X-Forwarded-Port"), []byte("Connection")}
	if n := testing.AllocsPerRun(100, func() {
		for _, name := range names {
			PropertiesOf(name)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
