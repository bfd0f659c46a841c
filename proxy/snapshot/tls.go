package snapshot

import (
	"crypto/tls"
	"fmt"
	"reflect"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/http2"
	"github.com/hopscope/hopscope/proxy/tlsconf"
	"github.com/hopscope/hopscope/proxy/upstream"
	"github.com/hopscope/hopscope/telemetry/metrics"
)

// credentials are the TLS settings of a listener or a cluster: what has to be
// closed, and what is measured.
type credentials struct {
	kind, name string
	source     interface {
		Stats() (reloads, failures uint64, notAfter time.Time)
		Close()
	}
}

// some are the credentials in a list, which is empty where there are none.
func (c credentials) some() []credentials {
	if c.source == nil {
		return nil
	}
	return []credentials{c}
}

// serverTLS makes a listener's TLS settings, nil for none. Where they are what
// they were, so are the keys of the sessions that clients may resume.
func (g *generation) serverTLS(lc *config.Listener, old *generation) (*tlsconf.Server, error) {
	t := lc.TLS
	if t == nil {
		return nil, nil
	}
	if b := old.named(lc.Name); b != nil && reflect.DeepEqual(b.config.TLS, t) {
		c, _ := old.credential("listener", lc.Name)
		g.credentials = append(g.credentials, c)
		return c.source.(*tlsconf.Server), nil
	}
	o := tlsconf.ServerOptions{
		Name: lc.Name, ClientCA: t.ClientCA, ClientSAN: t.ClientSAN, CRL: t.CRL,
		MinVersion: tlsVersion(t.MinVersion), MaxVersion: tlsVersion(t.MaxVersion),
		ALPN: t.ALPN, SessionTickets: t.SessionTickets, Log: g.options.Log,
	}
	switch t.ClientAuth {
	case "request":
		o.ClientAuth = tlsconf.Request
	case "require":
		o.ClientAuth = tlsconf.Require
	}
	for _, c := range t.Certificates {
		o.Certificates = append(o.Certificates, tlsconf.Files{Cert: c.Cert, Key: c.Key})
	}
	s, err := tlsconf.NewServer(o)
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", lc.Name, err)
	}
	g.credentials = append(g.credentials, credentials{"listener", lc.Name, s})
	return s, nil
}

// clientTLS makes a cluster's TLS settings, nil for none.
func (g *generation) clientTLS(name string, c *config.Cluster) (*tlsconf.Client, error) {
	t := c.TLS
	if t == nil {
		return nil, nil
	}
	o := tlsconf.ClientOptions{
		Name: name, CA: t.CA, SNI: t.SNI, Cert: t.Cert, Key: t.Key, SAN: t.SAN, SPKI: t.SPKI, CRL: t.CRL,
		Insecure: t.InsecureSkipVerify, MinVersion: tlsVersion(t.MinVersion), MaxVersion: tlsVersion(t.MaxVersion),
		Log: g.options.Log,
	}
	switch protocol(c.Protocol) {
	case upstream.HTTP1:
		o.ALPN = []string{"http/1.1"}
	case upstream.HTTP2:
		o.ALPN = []string{"h2"}
	default:
		o.ALPN = []string{"h2", "http/1.1"}
	}
	client, err := tlsconf.NewClient(o)
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", name, err)
	}
	return client, nil
}

func protocol(word string) upstream.Protocol {
	switch word {
	case "http1":
		return upstream.HTTP1
	case "http2":
		return upstream.HTTP2
	}
	return upstream.Auto
}

func tlsVersion(word string) uint16 {
	if word == "1.3" {
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}

// http2Options are the settings of HTTP/2 connections.
func http2Options(c *config.HTTP2, headBytes, fields int) http2.Options {
	return http2.Options{
		Limits:     http2.Limits{HeadBytes: headBytes, Fields: fields},
		MaxStreams: c.MaxConcurrentStreams, StreamWindow: c.StreamWindow,
		KeepAlive: c.KeepAlive, KeepAliveTimeout: c.KeepAliveTimeout,
		Floods: http2.Floods{Resets: c.MaxResets, Control: c.MaxControlFrames},
	}
}

// measureTLS registers what is known of certificates.
func (p *Proxy) measureTLS() {
	service := p.current.Load().config.Service
	p.metrics.Func("hopscope_tls_certificate_expiry_timestamp_seconds", "When the first of the certificates in use expires, in Unix time.", metrics.Gauge,
		[]string{"service", "kind", "name"}, func(emit func(float64, ...string)) {
			for _, c := range p.current.Load().credentials {
				if _, _, end := c.source.Stats(); !end.IsZero() {
					emit(float64(end.Unix()), service, c.kind, c.name)
				}
			}
		})
	p.metrics.Func("hopscope_tls_reloads_total", "Times that changed certificate files were read, by how that ended.", metrics.Counter,
		[]string{"service", "kind", "name", "result"}, func(emit func(float64, ...string)) {
			for _, c := range p.current.Load().credentials {
				good, bad, _ := c.source.Stats()
				emit(float64(good), service, c.kind, c.name, "success")
				emit(float64(bad), service, c.kind, c.name, "failure")
			}
		})
}
