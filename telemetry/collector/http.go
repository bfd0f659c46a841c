package collector

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
)

const (
	// maxAnswer is how many bytes of an answer are read, so that the connection can be
	// reused.
	maxAnswer = 64 << 10
	// maxComplaint is how many bytes of an answer an error quotes.
	maxComplaint = 200
	protobuf     = "application/x-protobuf"
)

// Transport returns an HTTP transport for a collector: few connections, and no proxy, since
// the environment's proxy may be this very process, and each export would make new spans to
// export. config is as in [Options.TLS]; nil is the system's authorities.
func Transport(config func() *tls.Config) *http.Transport {
	t := &http.Transport{
		Proxy:                  nil,
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: maxAnswer,
	}
	if config != nil {
		t.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			c := config().Clone()
			c.ServerName = cmp.Or(c.ServerName, host)
			return (&tls.Dialer{Config: c}).DialContext(ctx, network, address)
		}
	}
	return t
}

// httpSender sends over OTLP/HTTP, binary protobuf.
type httpSender struct {
	url       string
	headers   http.Header
	transport *http.Transport
	client    *http.Client
	gzip      *gzip.Writer // nil for no compression
	body      bytes.Buffer
}

func newHTTPSender(signal Signal, at endpoint, o Options) *httpSender {
	u := url.URL{Scheme: "http", Host: at.address, Path: at.path}
	if at.secure {
		u.Scheme = "https"
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = signal.path()
	}
	s := &httpSender{url: u.String(), headers: http.Header{}, transport: Transport(o.TLS)}
	for name, value := range o.Headers {
		s.headers.Set(name, value)
	}
	s.headers.Set("Content-Type", protobuf)
	s.headers.Set("User-Agent", "hopscope")
	if o.Gzip {
		s.headers.Set("Content-Encoding", "gzip")
		s.gzip = gzip.NewWriter(io.Discard)
	}
	s.client = &http.Client{
		Transport: s.transport,
		// A redirect to elsewhere must not get the headers, which may be secrets.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s
}

func (s *httpSender) send(ctx context.Context, request, response proto.Message) error {
	body, err := s.encode(request)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header = s.headers
	got, err := s.client.Do(r)
	if err != nil {
		if failed := (*url.Error)(nil); errors.As(err, &failed) {
			err = failed.Err // without the URL, which the exporter's name has
		}
		if untrusted := (*tls.CertificateVerificationError)(nil); errors.As(err, &untrusted) {
			return err
		}
		return &retryable{err: err} // it came to no answer
	}
	defer got.Body.Close()
	// Read it to its end, or the connection can't be reused. Ignore errors: the status has
	// said whether it was accepted.
	answer, _ := io.ReadAll(io.LimitReader(got.Body, maxAnswer))
	return s.judge(got, answer, response)
}

// encode returns the request's bytes. They are good until the next call.
func (s *httpSender) encode(request proto.Message) ([]byte, error) {
	plain, err := proto.Marshal(request)
	if err != nil || s.gzip == nil {
		return plain, err
	}
	s.body.Reset()
	s.gzip.Reset(&s.body)
	if _, err := s.gzip.Write(plain); err != nil {
		return nil, err
	}
	if err := s.gzip.Close(); err != nil {
		return nil, err
	}
	// The buffer may not be used again: after an early answer the transport may go on
	// reading the body.
	return bytes.Clone(s.body.Bytes()), nil
}

// judge returns what an answer means.
func (s *httpSender) judge(got *http.Response, answer []byte, response proto.Message) error {
	isProtobuf := false
	if kind, _, err := mime.ParseMediaType(got.Header.Get("Content-Type")); err == nil {
		isProtobuf = kind == protobuf
	}
	if got.StatusCode/100 == 2 {
		if isProtobuf && proto.Unmarshal(answer, response) != nil {
			proto.Reset(response) // accepted, whatever it says
		}
		return nil
	}
	complaint := string(answer)
	if isProtobuf {
		var st spb.Status
		complaint = ""
		if proto.Unmarshal(answer, &st) == nil {
			complaint = st.GetMessage()
		}
	}
	if to := got.Header.Get("Location"); got.StatusCode/100 == 3 && to != "" {
		complaint = "redirected to " + to + ": give that URL instead"
	}
	complaint = strings.ToValidUTF8(complaint[:min(len(complaint), maxComplaint)], "")
	err := fmt.Errorf("the collector answered %s: %q", got.Status, complaint)
	switch got.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &retryable{err, retryAfter(got.Header.Get("Retry-After"), time.Now())}
	}
	return err
}

// retryAfter reads the field of that name (RFC 9110 section 10.2.3): seconds, or a date. It
// returns 0 if it asks for no wait or can't be read.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}

func (s *httpSender) close() error {
	s.transport.CloseIdleConnections()
	return nil
}
