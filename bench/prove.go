package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// suite is the one of TLS 1.3 that every proxy is held to: another would be other work.
const suite = tls.TLS_AES_128_GCM_SHA256

// prove asks for each body once, and what the backend saw, the way that the load will:
// what comes back must be right and whole, and what the configuration promises be there.
func (p *proxy) prove(ctx context.Context, bodies []int, roots *x509.CertPool) error {
	g := groupOf(p.group)
	client := &http.Client{Timeout: 10 * time.Second, Transport: transport(g, roots)}
	defer client.CloseIdleConnections()
	for _, n := range bodies {
		path, message := "/"+fmt.Sprint(n), []byte(nil)
		if g.grpc {
			path, message = echoMethod, []byte(filler(n))
		}
		response, body, err := p.ask(ctx, client, path, message)
		if err != nil {
			return p.failure(fmt.Errorf("%s: %w", p.variant.name, err))
		}
		if len(body) != n {
			return fmt.Errorf("%s: an answer of %d bytes arrived with %d", p.variant.name, n, len(body))
		}
		if has := response.Header.Get("Proxy-Status") != ""; has != p.proxyStatus {
			return fmt.Errorf("%s: response carries Proxy-Status: %t, its configuration means %t", p.variant.name, has, p.proxyStatus)
		}
		if err := checkProtocol(g, response); err != nil {
			return fmt.Errorf("%s: %w", p.variant.name, err)
		}
	}
	path := "/seen"
	if g.grpc {
		path = seenMethod
	}
	_, seen, err := p.ask(ctx, client, path, nil)
	if err != nil {
		return p.failure(fmt.Errorf("%s: %w", p.variant.name, err))
	}
	if p.traceparent {
		if err := checkContext(string(seen)); err != nil {
			return fmt.Errorf("%s: %w", p.variant.name, err)
		}
	}
	return nil
}

// transport speaks to a group's proxies as their load does.
func transport(g group, roots *x509.CertPool) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(!g.http2)
	protocols.SetUnencryptedHTTP2(g.http2)
	return &http.Transport{Protocols: &protocols, TLSClientConfig: &tls.Config{RootCAs: roots}}
}

// ask makes one request, with a message if it is a gRPC call, and returns the body or
// the message of the answer.
func (p *proxy) ask(ctx context.Context, client *http.Client, path string, message []byte) (*http.Response, []byte, error) {
	g := groupOf(p.group)
	grpc := g.grpc
	method, content := http.MethodGet, []byte(nil)
	if grpc {
		method, content = http.MethodPost, frame(message)
	}
	request, err := http.NewRequestWithContext(ctx, method, p.base()+path, bytes.NewReader(content))
	if err != nil {
		return nil, nil, err
	}
	for _, field := range g.fields {
		name, value, _ := strings.Cut(field, ": ")
		request.Header.Set(name, value)
	}
	if grpc {
		request.Header.Set("Content-Type", "application/grpc")
		request.Header.Set("Te", "trailers")
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("%s %s: %s", method, path, response.Status)
	}
	if !grpc {
		return response, body, nil
	}
	if status := response.Trailer.Get("Grpc-Status"); status != "0" {
		return nil, nil, fmt.Errorf("%s %s: grpc-status %q in the trailers, want 0; without a body: %q %q", method, path, status,
			response.Header.Get("Grpc-Status"), response.Header.Get("Grpc-Message"))
	}
	body, err = unframe(body)
	return response, body, err
}

// checkProtocol reports an answer that came over another protocol than it should.
func checkProtocol(g group, response *http.Response) error {
	if (response.ProtoMajor == 2) != g.http2 {
		return fmt.Errorf("it answers in %s", response.Proto)
	}
	if g.tls && (response.TLS.Version != tls.VersionTLS13 || response.TLS.CipherSuite != suite) {
		return fmt.Errorf("it speaks %s with %s, and is compared in TLS 1.3 with %s", tls.VersionName(response.TLS.Version),
			tls.CipherSuiteName(response.TLS.CipherSuite), tls.CipherSuiteName(suite))
	}
	return nil
}

var traceparentForm = regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$`)

// checkContext reads what the backend saw: a traceparent (W3C Trace Context,
// section 3.2) and a request id.
func checkContext(seen string) error {
	traceparent, id, _ := strings.Cut(seen, " ")
	m := traceparentForm.FindStringSubmatch(traceparent)
	if m == nil || strings.Trim(m[1], "0") == "" || strings.Trim(m[2], "0") == "" {
		return fmt.Errorf("the backend saw traceparent %q, which is not valid", traceparent)
	}
	if strings.TrimSpace(id) == "" {
		return errors.New("the backend saw no x-request-id")
	}
	return nil
}
