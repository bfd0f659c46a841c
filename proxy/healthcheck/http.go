package healthcheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

const userAgent = "hopscope-health-check/1"

type httpProber struct {
	target
	check *HTTP
	once  bool
	url   string
	name  string   // the probe in words, without the query, which may hold a secret
	open  *session // nil while there is none
}

func newHTTP(t target, o *Options) *httpProber {
	path, _, _ := strings.Cut(o.HTTP.Path, "?")
	scheme := "http://"
	if t.config != nil {
		scheme = "https://"
	}
	return &httpProber{
		target: t, check: o.HTTP, once: o.CloseConnection, url: scheme + t.address + o.HTTP.Path,
		name: o.HTTP.Method + " " + path + " on " + t.address,
	}
}

func (p *httpProber) close() {
	if p.open != nil {
		p.open.cancel()
		p.open = nil
	}
}

// session is a Transport that closes all of its connections when it is closed, also those
// in use. A plain Transport keeps a dead HTTP/2 connection for many minutes.
type session struct {
	*http.Transport
	prober *httpProber
	ctx    context.Context
	cancel context.CancelFunc
}

func (p *httpProber) begin() *session {
	s := &session{prober: p}
	s.ctx, s.cancel = context.WithCancel(p.ctx)
	connect := func(context.Context, string, string) (net.Conn, error) { return s.connect() }
	s.Transport = &http.Transport{
		DialContext:            connect,
		DialTLSContext:         connect,
		Protocols:              new(http.Protocols),
		DisableKeepAlives:      p.once,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    1,
		MaxResponseHeaderBytes: most,
	}
	s.Protocols.SetHTTP1(!p.check.HTTP2)
	s.Protocols.SetHTTP2(p.check.HTTP2 && p.config != nil)
	s.Protocols.SetUnencryptedHTTP2(p.check.HTTP2 && p.config == nil)
	return s
}

// connect opens a connection within the timeout. It uses the session's context, not the
// request's, since net/http goes on dialling when the request is over.
func (s *session) connect() (net.Conn, error) {
	p := s.prober
	ctx, cancel := context.WithTimeout(s.ctx, p.timeout)
	defer cancel()
	plain, err := p.dial(ctx)
	if err != nil {
		return nil, err
	}
	conn := &bound{plain, context.AfterFunc(s.ctx, func() { plain.Close() })}
	switch {
	case p.config == nil:
		return conn, nil
	case !p.check.HTTP2:
		return encrypted(p.handshake(ctx, conn, []string{"http/1.1"}))
	}
	secure, err := p.handshake(ctx, conn, []string{"h2"})
	if err == nil && secure.ConnectionState().NegotiatedProtocol != "h2" {
		secure.Close()
		err = &handshakeError{errors.New("it does not speak HTTP/2 (ALPN did not agree on h2)")}
	}
	return encrypted(secure, err)
}

// bound is a connection that is closed with its session.
type bound struct {
	net.Conn
	loosen func() bool
}

func (b *bound) Close() error {
	b.loosen()
	return b.Conn.Close()
}

func (p *httpProber) probe(ctx context.Context) Result {
	request, err := http.NewRequestWithContext(ctx, p.check.Method, p.url, nil)
	if err != nil {
		return Result{Outcome: Failed, Detail: p.name + ": invalid address"}
	}
	request.Host = p.check.Host
	request.Header.Set("User-Agent", userAgent)
	for name, values := range p.check.Header {
		request.Header.Del(name)
		for _, v := range values {
			request.Header.Add(name, v)
		}
	}
	if p.open == nil {
		p.open = p.begin()
	}
	response, err := p.open.RoundTrip(request)
	if err != nil {
		p.close()
		return p.failed(ctx, p.name, err)
	}
	defer response.Body.Close()
	// The rest is not read, and the connection is not kept.
	body, err := io.ReadAll(io.LimitReader(response.Body, most))
	if err != nil {
		p.close()
		return p.failed(ctx, p.name+" answered "+strconv.Itoa(response.StatusCode)+", but did not finish its answer", err)
	}
	return p.judge(response, body)
}

// judge returns the result for an answer.
func (p *httpProber) judge(response *http.Response, body []byte) Result {
	answered := fmt.Sprintf("%s answered %d", p.name, response.StatusCode)
	has := func(name string) bool { return len(response.Header.Values(name)) > 0 }
	switch status := response.StatusCode; {
	case has("X-Envoy-Immediate-Health-Check-Fail"):
		return Result{Outcome: FailedNow, Detail: answered + " with x-envoy-immediate-health-check-fail"}
	case within(status, p.check.ExpectedStatuses):
	case within(status, p.check.RetriableStatuses):
		return Result{Outcome: Failed, Detail: answered}
	default:
		return Result{Outcome: FailedNow, Detail: answered}
	}
	switch {
	case !bytes.Contains(body, []byte(p.check.Receive)):
		return Result{Outcome: FailedNow, Detail: answered + ", but its body lacks the expected text"}
	case has("X-Envoy-Degraded"):
		return Result{Outcome: PassedDegraded, Detail: answered + " with x-envoy-degraded"}
	}
	return Result{Outcome: Passed, Detail: answered}
}
