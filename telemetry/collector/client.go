package collector

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/hopscope/hopscope/telemetry/delivery"
	"github.com/hopscope/hopscope/telemetry/redact"
)

// The pauses between two tries of one export, where the collector asks for none: the
// first, and the longest that further ones grow to.
const (
	firstPause   = 500 * time.Millisecond
	longestPause = 5 * time.Second
)

// Signal is a kind of telemetry.
type Signal int

// The signals.
const (
	Traces Signal = iota
	Logs
)

// method is the signal's gRPC method.
func (s Signal) method() string {
	return [...]string{
		Traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
		Logs:   "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
	}[s]
}

// path is the signal's path over HTTP.
func (s Signal) path() string { return [...]string{Traces: "/v1/traces", Logs: "/v1/logs"}[s] }

// Options say where the collector is and how to reach it.
type Options struct {
	// HTTP sends binary protobuf over HTTP; default is gRPC.
	HTTP bool
	// Endpoint is the collector's "host:port", or a URL. OTLP's ports are 4317 for gRPC and
	// 4318 for HTTP. The scheme "https" of a URL encrypts the connection. Over HTTP, the
	// path of a URL is used as it is; without a path it is the signal's, such as
	// "/v1/traces".
	Endpoint string
	// Headers are sent with every export, for collectors that ask for a key.
	Headers map[string]string
	// Timeout limits one export with all its retries; default 10 s.
	Timeout time.Duration
	// Gzip compresses what is sent.
	Gzip bool
	// TLS returns the configuration of each new connection, which is encrypted then.
	// Default is plain text, or for an "https" URL the system's authorities.
	TLS func() *tls.Config
}

// Client sends to one collector. Only one goroutine may use it at a time.
type Client struct {
	name    string
	timeout time.Duration
	secrets []string // the values of the headers, which an answer may quote
	sender  sender
}

// sender makes one try. Its errors are retryable ones, or final.
type sender interface {
	send(ctx context.Context, request, response proto.Message) error
	close() error
}

// New returns a client that connects when it has something to send, so the collector may
// start later. It returns an error only for invalid options.
func New(signal Signal, o Options) (*Client, error) {
	at, err := parseEndpoint(o)
	if err != nil {
		return nil, err
	}
	if at.secure && o.TLS == nil {
		o.TLS = func() *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS12} }
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	c := &Client{name: "otlp " + redact.URL(o.Endpoint), timeout: o.Timeout, secrets: slices.Collect(maps.Values(o.Headers))}
	if o.HTTP {
		c.sender = newHTTPSender(signal, at, o)
	} else if c.sender, err = newGRPCSender(signal, at, o); err != nil {
		return nil, fmt.Errorf("otlp: %w", err)
	}
	return c, nil
}

// Name names the client in logs and metrics: "otlp 127.0.0.1:4317". It shows no secret.
func (c *Client) Name() string { return c.name }

// send sends a request, and again if that makes sense, until it succeeds or the time for
// an export is up. It fills in response. Its errors are those of [Client.ExportTraces].
func (c *Client) send(ctx context.Context, request, response proto.Message) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	pause := firstPause
	var before error // of the last try
	for {
		err := c.sender.send(ctx, request, response)
		again := (*retryable)(nil)
		if !errors.As(err, &again) {
			return err
		}
		err = again.err
		if ctx.Err() != nil && before != nil {
			return before // which says more than that the time was up
		}
		before = err
		wait := again.after
		if wait <= 0 {
			wait = pause/2 + rand.N(pause/2) // so that many proxies do not come back all at once
			pause = min(2*pause, longestPause)
		}
		if deadline, _ := ctx.Deadline(); time.Until(deadline) < wait {
			if again.after > 0 {
				return &delivery.ThrottledError{After: again.after, Err: err}
			}
			return err
		}
		if !sleep(ctx, wait) {
			return err
		}
	}
}

// Close ends the client.
func (c *Client) Close() error { return c.sender.close() }

// sleep waits, and reports whether ctx has not ended meanwhile.
func sleep(ctx context.Context, long time.Duration) bool {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// retryable is an error after which the same request may be sent again.
type retryable struct {
	err   error
	after time.Duration // what the collector asks to wait; 0 if it does not
}

func (r *retryable) Error() string { return r.err.Error() }
func (r *retryable) Unwrap() error { return r.err }
