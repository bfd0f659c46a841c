package collector

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"

	"github.com/hopscope/hopscope/telemetry/delivery"
)

func TestOptionsAreChecked(t *testing.T) {
	withTLS := func() *tls.Config { return &tls.Config{} }
	for _, tt := range []struct {
		options Options
		want    string // in the error; "" for none
	}{
		{Options{Endpoint: "127.0.0.1:4317"}, ""},
		{Options{Endpoint: "[::1]:4317", TLS: withTLS, Gzip: true}, ""},
		{Options{Endpoint: "http://collector"}, ""},
		{Options{Endpoint: "https://collector:4317/", TLS: withTLS}, ""},
		{Options{Endpoint: "https://collector/otlp/v1/traces", HTTP: true}, ""},
		{Options{}, "host:port"},
		{Options{Endpoint: "collector"}, "host:port"},
		{Options{Endpoint: "collector:otlp"}, "between 1 and 65535"},
		{Options{Endpoint: "collector:0"}, "between 1 and 65535"},
		{Options{Endpoint: ":4317"}, "host is missing"},
		{Options{Endpoint: "http://:4318", HTTP: true}, "host is missing"},
		{Options{Endpoint: "http://collector:99999", HTTP: true}, "between 1 and 65535"},
		{Options{Endpoint: "ftp://collector:4317"}, "must begin with http"},
		{Options{Endpoint: "http://collector:4317", TLS: withTLS}, "write https://"},
		{Options{Endpoint: "http://collector:4317/v1/traces"}, "http/protobuf"},
		{Options{Endpoint: "http://u:s3cret@collector:4318", HTTP: true}, "send a header"},
		{Options{Endpoint: "http://collector:4318?key=s3cret", HTTP: true}, "query"},
		{Options{Endpoint: "http://u:s3cret@%zz", HTTP: true}, "can't be parsed"},
	} {
		c, err := New(Traces, tt.options)
		if err == nil {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%+v: %v", tt.options, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%+v: error %v, want one that says %q", tt.options, err, tt.want)
		case err != nil && strings.Contains(err.Error(), "s3cret"):
			t.Errorf("%+v: the error shows a secret: %v", tt.options, err)
		}
	}
}

func TestBothProtocolsDeliver(t *testing.T) {
	for _, gzip := range []bool{false, true} {
		t.Run(fmt.Sprintf("gzip=%t", gzip), func(t *testing.T) {
			g := &grpcCollector{}
			l := listen(t)
			g.serve(t, l, nil)
			h := &httpCollector{}
			address := h.serve(t)
			headers := map[string]string{"X-Api-Key": "k"}
			for _, tt := range []struct {
				name    string
				options Options
				got     *got
				path    string
			}{
				{"gRPC", Options{Endpoint: l.Addr().String()}, &g.got, ""},
				{"gRPC by URL", Options{Endpoint: "http://" + l.Addr().String()}, &g.got, ""},
				{"HTTP", Options{HTTP: true, Endpoint: address}, &h.got, "/v1/traces"},
				{"HTTP by URL without a path", Options{HTTP: true, Endpoint: "http://" + address + "/"}, &h.got, "/v1/traces"},
				{"HTTP by URL", Options{HTTP: true, Endpoint: "http://" + address + "/base/v1/traces"}, &h.got, "/base/v1/traces"},
			} {
				tt.options.Headers, tt.options.Gzip = headers, gzip
				before := tt.got.see()
				if err := client(t, Traces, tt.options).ExportTraces(t.Context(), spans(3)); err != nil {
					t.Errorf("%s: %v", tt.name, err)
				}
				after := tt.got.see()
				if n := after.spans - before.spans; n != 3 || after.path != tt.path {
					t.Errorf("%s: %d spans came to %q, want 3 to %q", tt.name, n, after.path, tt.path)
				}
				if !strings.Contains(after.headers, "x-api-key:[k]") {
					t.Errorf("%s: headers %v", tt.name, after.headers)
				}
			}
			o := Options{HTTP: true, Endpoint: address, Gzip: gzip}
			if err := client(t, Logs, o).ExportLogs(t.Context(), logs(4)); err != nil || h.see().logs != 4 || h.see().path != "/v1/logs" {
				t.Errorf("logs over HTTP: %v, %+v", err, h.see())
			}
			err := client(t, Logs, Options{Endpoint: l.Addr().String(), Gzip: gzip}).ExportLogs(t.Context(), logs(4))
			if rejected := (*delivery.RejectedError)(nil); !errors.As(err, &rejected) || rejected.Items != 1 || g.see().logs != 4 {
				t.Errorf("logs over gRPC: %v, %+v; want that one was refused", err, g.see())
			}
		})
	}
}

// A connection is verified by the configuration that was given, and made anew with the
// one of the moment.
func TestTLS(t *testing.T) {
	h := &httpCollector{}
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	l := listen(t)
	g := &grpcCollector{}
	g.serve(t, l, &tls.Config{Certificates: s.TLS.Certificates})
	trusted := x509.NewCertPool()
	trusted.AddCert(s.Certificate())
	nobody := x509.NewCertPool()
	for _, o := range []Options{{HTTP: true, Endpoint: s.URL}, {Endpoint: l.Addr().String()}} {
		var roots atomic.Pointer[x509.CertPool] // a connection may still be tried when its client has been closed
		roots.Store(nobody)
		o.TLS = func() *tls.Config { return &tls.Config{RootCAs: roots.Load(), ServerName: "example.com"} }
		o.Timeout = 5 * time.Second // over gRPC it is tried again until then
		c := client(t, Traces, o)
		if err := c.ExportTraces(t.Context(), spans(1)); err == nil || !strings.Contains(err.Error(), "unknown authority") {
			t.Errorf("%+v: %v, want that the certificate is not trusted", o, err)
		}
		c.Close()
		roots.Store(trusted)
		o.Timeout = time.Minute
		if err := client(t, Traces, o).ExportTraces(t.Context(), spans(1)); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if h.see().spans != 1 || g.see().spans != 1 {
		t.Errorf("%+v and %+v arrived, want one span each", h.see(), g.see())
	}
}

type traceResponse = coltracepb.ExportTraceServiceResponse

// partly is an answer that refuses two spans.
func partly() *traceResponse {
	return &traceResponse{PartialSuccess: &coltracepb.ExportTracePartialSuccess{RejectedSpans: 2, ErrorMessage: "too old, says s3cret"}}
}

// outcome says what an export came to, for a table.
func outcome(err error) string {
	rejected, throttled := (*delivery.RejectedError)(nil), (*delivery.ThrottledError)(nil)
	switch {
	case err == nil:
		return "sent"
	case errors.As(err, &rejected):
		return fmt.Sprint("rejected ", rejected.Items)
	case errors.As(err, &throttled):
		return fmt.Sprint("throttled ", throttled.After)
	}
	return "lost"
}

// What the specification lets be sent again is, and nothing else.
func TestRetriesOverGRPC(t *testing.T) {
	with := func(code codes.Code, after time.Duration) error {
		s, err := status.New(code, "later, says s3cret").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
		if err != nil {
			t.Fatal(err)
		}
		return s.Err()
	}
	for _, tt := range []struct {
		name     string
		response *traceResponse
		err      error
		calls    int
		want     string
	}{
		{"resource exhausted", nil, status.Error(codes.ResourceExhausted, "later"), 1, "lost"},
		{"resource exhausted with a time to come back", nil, with(codes.ResourceExhausted, time.Millisecond), 2, "sent"},
		{"resource exhausted with a time of nothing", nil, with(codes.ResourceExhausted, 0), 2, "sent"},
		{"a time to come back after the export's", nil, with(codes.Unavailable, time.Hour), 1, "throttled 1h0m0s"},
		{"unavailable", nil, status.Error(codes.Unavailable, "restarting"), 2, "sent"},
		{"cancelled", nil, status.Error(codes.Canceled, "restarting"), 2, "sent"},
		{"data loss", nil, status.Error(codes.DataLoss, "restarting"), 2, "sent"},
		{"invalid", nil, status.Error(codes.InvalidArgument, "no"), 1, "lost"},
		{"invalid with a time to come back", nil, with(codes.InvalidArgument, time.Millisecond), 1, "lost"},
		{"unknown", nil, status.Error(codes.Unknown, "no"), 1, "lost"},
		{"partial success", partly(), nil, 1, "rejected 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := &grpcCollector{answer: func(_ context.Context, call int) (*traceResponse, error) {
				if call == 1 {
					return tt.response, tt.err
				}
				return &traceResponse{}, nil
			}}
			l := listen(t)
			g.serve(t, l, nil)
			o := Options{Endpoint: l.Addr().String(), Timeout: time.Minute, Headers: map[string]string{"key": "s3cret"}}
			err := client(t, Traces, o).ExportTraces(t.Context(), spans(3))
			if got := outcome(err); got != tt.want || g.see().calls != tt.calls {
				t.Errorf("%s after %d calls (%v), want %s after %d", got, g.see().calls, err, tt.want, tt.calls)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error shows a header: %v", err)
			}
		})
	}
}

func TestRetriesOverHTTP(t *testing.T) {
	in := func(body proto.Message) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			wire, err := proto.Marshal(body)
			if err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Type", "application/x-protobuf")
			w.Write(wire)
		}
	}
	fails := func(status int, after string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			if after != "" {
				w.Header().Set("Retry-After", after)
			}
			http.Error(w, "later, says s3cret", status)
		}
	}
	for _, tt := range []struct {
		name   string
		answer func(http.ResponseWriter)
		calls  int
		want   string
		says   string
	}{
		{"partial success", in(partly()), 1, "rejected 2", "too old"},
		{"a success that can't be read", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/x-protobuf")
			w.Write([]byte("\xff\xff"))
		}, 1, "sent", ""},
		{"a success in other words", func(w http.ResponseWriter) { w.Write([]byte("OK")) }, 1, "sent", ""},
		{"too many", fails(429, "0"), 2, "sent", ""},
		{"too many, come back after the export's time", fails(429, "3600"), 1, "throttled 1h0m0s", "later"},
		{"too many, come back never", fails(503, "99999999999999999999"), 2, "sent", ""},
		{"unavailable", fails(503, ""), 2, "sent", ""},
		{"bad gateway", fails(502, "nonsense"), 2, "sent", ""},
		{"gateway timeout", fails(504, ""), 2, "sent", ""},
		{"internal error", fails(500, "0"), 1, "lost", "500"},
		{"request timeout", fails(408, ""), 1, "lost", "408"},
		{"bad request, with a status", func(w http.ResponseWriter) {
			wire, err := proto.Marshal(&spb.Status{Message: "not a span"})
			if err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Type", "application/x-protobuf")
			w.WriteHeader(400)
			w.Write(wire)
		}, 1, "lost", "not a span"},
		{"a redirect", func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://elsewhere.example/")
			w.WriteHeader(307)
		}, 1, "lost", "give that URL instead"},
		{"no answer", func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, 2, "sent", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := &httpCollector{answer: func(w http.ResponseWriter, call int) {
				if call == 1 {
					tt.answer(w)
				}
			}}
			o := Options{HTTP: true, Endpoint: h.serve(t), Timeout: time.Minute, Headers: map[string]string{"key": "s3cret"}}
			err := client(t, Traces, o).ExportTraces(t.Context(), spans(3))
			if got := outcome(err); got != tt.want || h.see().calls != tt.calls {
				t.Errorf("%s after %d calls (%v), want %s after %d", got, h.see().calls, err, tt.want, tt.calls)
			}
			if err != nil && (strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("the error shows a header, or not %q: %v", tt.says, err)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "-1": 0, "soon": 0, "1.5": 0, "120": 2 * time.Minute,
		"Fri, 02 Jan 2026 03:04:35 GMT": 30 * time.Second, "Fri, 02 Jan 2026 03:04:00 GMT": 0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("Retry-After %q: %v, want %v", value, got, want)
		}
	}
}
