package mesh

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Access is how to reach admin APIs. The zero value is HTTP without a token.
type Access struct {
	// Tokens has the token to show; nil is none.
	Tokens *Tokens
	// TLS returns the settings for a host, for each connection; nil is HTTP without TLS.
	TLS func(host string) *tls.Config
	// Close, if any, is called when the caller is closed, to end what TLS needs.
	Close func()
}

// Caller sends requests to admin APIs of proxies, with one credential. It is safe for
// concurrent use.
type Caller struct {
	http   *http.Client
	scheme string
	tokens *Tokens
	close  func()
}

// dialTime is how long a connection may take. One lost packet is repeated after a second.
const dialTime = 2 * time.Second

// NewCaller returns a caller. Close it.
func NewCaller(a Access) *Caller {
	dialer := &net.Dialer{Timeout: dialTime}
	t := &http.Transport{ // without Proxy: a sidecar's forward proxy is not the way to an admin API
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConnsPerHost:    relaysAtOnce,
		DialContext:            dialer.DialContext,
	}
	c := &Caller{scheme: "http", tokens: a.Tokens, close: a.Close, http: &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if a.TLS != nil {
		c.scheme = "https"
		t.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return (&tls.Dialer{NetDialer: dialer, Config: a.TLS(host)}).DialContext(ctx, network, address)
		}
	}
	return c
}

// Close ends the connections that are idle.
func (c *Caller) Close() {
	c.http.CloseIdleConnections()
	if c.close != nil {
		c.close()
	}
}

// Call is one request.
type Call struct {
	Method string
	// Address is the host and port of the admin API.
	Address string
	// Path is below /v1, with its query: "/hops?trace=ID".
	Path string
	Body []byte
	// Relayed marks what this proxy asks for another.
	Relayed bool
}

// Send sends a request, and returns the response whatever its status. The caller closes its
// Body. A proxy of a version before /v1 is asked for the same path without it.
func (c *Caller) Send(ctx context.Context, call Call) (*http.Response, error) {
	resp, err := c.send(ctx, call, "/v1")
	if err != nil || call.Method != http.MethodGet || resp.StatusCode != http.StatusNotFound || resp.Header.Get(HeaderProcess) != "" || resp.Header.Get(HeaderRelay) != "" {
		return resp, err
	}
	resp.Body.Close()
	return c.send(ctx, call, "")
}

func (c *Caller) send(ctx context.Context, call Call, root string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, call.Method, c.scheme+"://"+call.Address+root+call.Path, bytes.NewReader(call.Body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	if len(call.Body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	if call.Relayed {
		r.Header.Set(HeaderRelay, "1")
	}
	if c.tokens != nil {
		r.Header.Set("Authorization", "Bearer "+c.tokens.First())
	}
	return c.http.Do(r)
}

// parseAddress reads the address of an admin API, which may be a URL of that scheme, and
// returns host:port.
func parseAddress(address, scheme string) (string, error) {
	peer := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(address), scheme+"://"), "/")
	host, port, err := net.SplitHostPort(peer)
	if n, e := strconv.ParseUint(port, 10, 16); err != nil || e != nil || n == 0 || host == "" || strings.ContainsAny(host, "/@?#% \\\"<>[]") || !isPrintable(host) {
		return "", fmt.Errorf("%q is not the address of an admin API: give host:port, such as 127.0.0.1:9901", address)
	}
	return peer, nil
}

func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= 253
}

// Answer is an answer of status 200 to one question. Its content is bounded, together with
// that of all other answers of the same proxy to the same question.
type Answer struct {
	Header http.Header
	body   io.ReadCloser
	left   *int64
	most   int64         // what left was at first
	all    *atomic.Int64 // nil is no limit
	leave  func()        // the place that it takes at the member that relays
}

// Read is part of [io.Reader]. It fails when the answer is too long.
func (a *Answer) Read(p []byte) (int, error) {
	most := *a.left
	if a.all != nil {
		if most = min(most, a.all.Load()); most <= 0 && *a.left > 0 {
			return 0, errAllTooLong
		}
	}
	if most <= 0 {
		return 0, fmt.Errorf("its answer has more than %d MiB", a.most>>20)
	}
	n, err := a.body.Read(p[:min(int64(len(p)), most)])
	*a.left -= int64(n)
	if a.all != nil {
		a.all.Add(-int64(n))
	}
	return n, err
}

// Close is part of [io.Closer].
func (a *Answer) Close() error {
	defer a.leave()
	return a.body.Close()
}

var errAllTooLong = errors.New("the answers of all proxies together are too long, so the rest of its answer was left out")
