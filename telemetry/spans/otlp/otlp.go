package otlp

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/hopscope/hopscope/telemetry/redact"
	"github.com/hopscope/hopscope/telemetry/spans"
)

// Options say where the collector is and how to reach it.
type Options struct {
	// Endpoint is the collector's "host:port"; 4317 is OTLP's port over gRPC.
	Endpoint string
	// Headers are sent with every call, for collectors that ask for a key.
	Headers map[string]string
	// Timeout limits one batch with all its retries; default 10 s.
	Timeout time.Duration
	// Compression is "gzip", or empty for none.
	Compression string
	// TLS encrypts the connection and verifies the collector's certificate with the
	// system's roots; default is plain text.
	TLS bool
}

// Exporter implements [spans.Exporter].
type Exporter struct {
	client  otlptrace.Client
	name    string
	secrets []string // the values of the headers, which an answer may quote
}

// New returns an exporter that connects when it has something to send, so the collector
// may start later. It returns an error only for invalid options.
func New(o Options) (*Exporter, error) {
	if err := checkEndpoint(o.Endpoint); err != nil {
		return nil, err
	}
	if o.Compression != "" && o.Compression != "gzip" {
		return nil, fmt.Errorf("otlp: compression %q is not known; use \"gzip\", or leave it out", o.Compression)
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	creds := insecure.NewCredentials()
	if o.TLS {
		creds = credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})
	}
	options := []otlptracegrpc.Option{
		otlptracegrpc.WithEndpoint(o.Endpoint),
		otlptracegrpc.WithTLSCredentials(creds),
		otlptracegrpc.WithTimeout(o.Timeout),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{
			Enabled:         true,
			InitialInterval: 500 * time.Millisecond,
			MaxInterval:     5 * time.Second,
			MaxElapsedTime:  o.Timeout,
		}),
		otlptracegrpc.WithDialOption(
			grpc.WithChainUnaryInterceptor(rejections),
			// gRPC's own back-off grows to two minutes, too long to wait for traces after
			// the collector came back.
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff: backoff.Config{
					BaseDelay: 500 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second,
				},
				MinConnectTimeout: 5 * time.Second,
			}),
		),
	}
	if len(o.Headers) > 0 {
		options = append(options, otlptracegrpc.WithHeaders(o.Headers))
	}
	if o.Compression != "" {
		options = append(options, otlptracegrpc.WithCompressor(o.Compression))
	}
	e := &Exporter{client: otlptracegrpc.NewClient(options...), name: "otlp " + o.Endpoint, secrets: slices.Collect(maps.Values(o.Headers))}
	if err := e.client.Start(context.Background()); err != nil {
		return nil, fmt.Errorf("otlp: %w", err)
	}
	return e, nil
}

// checkEndpoint finds mistakes that gRPC would report only with the first batch.
func checkEndpoint(endpoint string) error {
	if strings.Contains(endpoint, "://") {
		return fmt.Errorf("otlp: endpoint %q is a URL; write \"host:port\", and set tls for https", redact.URL(endpoint))
	}
	_, port, err := net.SplitHostPort(endpoint)
	if err != nil {
		return fmt.Errorf("otlp: endpoint %q is not \"host:port\", such as \"127.0.0.1:4317\": %w", redact.URL(endpoint), err)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("otlp: endpoint %q has no port between 1 and 65535", redact.URL(endpoint))
	}
	return nil
}

// Name implements [spans.Exporter].
func (e *Exporter) Name() string { return e.name }

// Export implements [spans.Exporter]. It retries what the OTLP specification allows, and
// not a partial success.
func (e *Exporter) Export(ctx context.Context, b *spans.Batch) error {
	return redact.Error(e.client.UploadTraces(ctx, []*tracepb.ResourceSpans{b.ResourceSpans()}), e.secrets...)
}

// Close implements [spans.Exporter].
func (e *Exporter) Close(ctx context.Context) error { return e.client.Stop(ctx) }

// rejections turns a partial success into an error with the number of refused spans. The
// library has such an error, but does not export its type.
func rejections(
	ctx context.Context, method string, request, reply any,
	conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	if err := invoke(ctx, method, request, reply, conn, options...); err != nil {
		return err
	}
	r, ok := reply.(*coltracepb.ExportTraceServiceResponse)
	if !ok {
		return nil
	}
	p := r.GetPartialSuccess()
	if p.GetRejectedSpans() == 0 && p.GetErrorMessage() == "" {
		return nil
	}
	// It is not a gRPC status, so the library does not retry it.
	return &spans.RejectedError{Spans: int(p.GetRejectedSpans()), Message: p.GetErrorMessage()}
}
