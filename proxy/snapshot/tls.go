package snapshot

import (
	"crypto/tls"
	"fmt"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/http2"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/proxy/tlsconf"
	"github.com/hopscope/hopscope/proxy/upstream"
	"github.com/hopscope/hopscope/telemetry/events"
	"github.com/hopscope/hopscope/telemetry/metrics"
)

// makeTLS makes what a secret says.
func (g *generation) makeTLS(c *credentials) (err error) {
	name := c.of.Name
	if t := c.of.Server; t != nil {
		if c.server, err = tlsconf.NewServer(g.serverOptions(name, t)); err != nil {
			return fmt.Errorf("listener %s: %w", name, err)
		}
		return nil
	}
	if c.client, err = tlsconf.NewClient(g.clientOptions(name, c.of.Client, c.of.Protocol)); err != nil {
		return fmt.Errorf("cluster %s: %w", name, err)
	}
	return nil
}

// serverOptions are the TLS of a listener.
func (p *Proxy) serverOptions(name string, t *config.ListenerTLS) tlsconf.ServerOptions {
	o := tlsconf.ServerOptions{
		Name: name, ClientCA: t.ClientCA, ClientSAN: t.ClientSAN, CRL: t.CRL,
		MinVersion: tlsVersion(t.MinVersion), MaxVersion: tlsVersion(t.MaxVersion),
		ALPN: t.ALPN, SessionTickets: t.SessionTickets, Log: p.options.Log, Note: p.noteOwn,
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
	return o
}

// clientOptions are the TLS of a cluster.
func (p *Proxy) clientOptions(name string, t *config.ClusterTLS, speaks string) tlsconf.ClientOptions {
	o := tlsconf.ClientOptions{
		Name: name, CA: t.CA, SNI: t.SNI, Cert: t.Cert, Key: t.Key, SAN: t.SAN, SPKI: t.SPKI, CRL: t.CRL,
		Insecure: t.InsecureSkipVerify, MinVersion: tlsVersion(t.MinVersion), MaxVersion: tlsVersion(t.MaxVersion),
		Log: p.options.Log, Note: func(kind events.Kind, text string) { p.note(kind, name, "", text) },
	}
	switch protocol(speaks) {
	case upstream.HTTP1:
		o.ALPN = []string{"http/1.1"}
	case upstream.HTTP2:
		o.ALPN = []string{"h2"}
	default:
		o.ALPN = []string{"h2", "http/1.1"}
	}
	return o
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
			p.eachTLS(func(kind, name string, s tlsStats) {
				if _, _, end := s(); !end.IsZero() {
					emit(float64(end.Unix()), service, kind, name)
				}
			})
		})
	p.metrics.Func("hopscope_tls_reloads_total", "Times that changed certificate files were read, by how that ended.", metrics.Counter,
		[]string{"service", "kind", "name", "result"}, func(emit func(float64, ...string)) {
			p.eachTLS(func(kind, name string, s tlsStats) {
				good, bad, _ := s()
				emit(float64(good), service, kind, name, "success")
				emit(float64(bad), service, kind, name, "failure")
			})
		})
}

// tlsStats says how often certificate files were read, and when the first of the
// certificates expires.
type tlsStats func() (reloads, failures uint64, notAfter time.Time)

// eachTLS visits the TLS of the configuration, of the admin API, of the mesh and of
// exporters.
func (p *Proxy) eachTLS(visit func(kind, name string, s tlsStats)) {
	p.current.Load().eachTLS(visit)
	if p.guard != nil && p.guard.server != nil {
		visit("admin", "admin", p.guard.server.Stats)
	}
	if p.mesh != nil && p.mesh.tls != nil {
		visit("mesh", "mesh", p.mesh.tls.Stats)
	}
	for _, t := range p.collectorTLS {
		visit("exporter", t.where, t.Stats)
	}
}

// eachTLS visits the TLS of listeners and clusters. It leaves out the clusters of a catalog,
// which all have the same files.
func (g *generation) eachTLS(visit func(kind, name string, s tlsStats)) {
	g.applying.Lock()
	defer g.applying.Unlock()
	for id, c := range g.secrets {
		switch {
		case id.Origin != resources.Configuration:
		case c.server != nil:
			visit("listener", id.Name, c.server.Stats)
		default:
			visit("cluster", id.Name, c.client.Stats)
		}
	}
}
