package proxytest

import (
	"net/http"
	"testing"
)

// Side is what is spoken on one side of the proxy.
type Side struct {
	Name       string
	HTTP2, TLS bool
}

// Sides are all there are.
var Sides = []Side{
	{Name: "http1"}, {Name: "h2c", HTTP2: true},
	{Name: "http1-tls", TLS: true}, {Name: "http2-tls", HTTP2: true, TLS: true},
}

// Version is the version as the access log has it.
func (s Side) Version() string {
	if s.HTTP2 {
		return "HTTP/2"
	}
	return "HTTP/1.1"
}

// Number is the version as spans have it.
func (s Side) Number() string {
	if s.HTTP2 {
		return "2"
	}
	return "1.1"
}

// Scheme is that of the side's URLs.
func (s Side) Scheme() string {
	if s.TLS {
		return "https"
	}
	return "http"
}

// ALPN is the side's name in a TLS handshake.
func (s Side) ALPN() string {
	if s.HTTP2 {
		return "h2"
	}
	return "http/1.1"
}

// Protocols says so to a client or a server of net/http.
func (s Side) Protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(!s.HTTP2)
	p.SetHTTP2(s.HTTP2 && s.TLS)
	p.SetUnencryptedHTTP2(s.HTTP2 && !s.TLS)
	return p
}

// EachPair runs a test for every pair of what clients speak and what endpoints do.
func EachPair(t *testing.T, test func(t *testing.T, down, up Side)) {
	t.Parallel()
	for _, down := range Sides {
		for _, up := range Sides {
			t.Run(down.Name+" to "+up.Name, func(t *testing.T) {
				t.Parallel()
				test(t, down, up)
			})
		}
	}
}

// H1C and H2C are HTTP/1.1 and HTTP/2 without TLS.
var H1C, H2C = Sides[0], Sides[1]

// PlainPairs runs a test for HTTP/1 and HTTP/2 on both sides.
func PlainPairs(t *testing.T, test func(t *testing.T, down, up Side)) {
	for _, down := range Sides[:2] {
		for _, up := range Sides[:2] {
			t.Run(down.Name+" to "+up.Name, func(t *testing.T) {
				NoLeaks(t)
				test(t, down, up)
			})
		}
	}
}
