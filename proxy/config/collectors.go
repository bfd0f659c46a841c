package config

import (
	"errors"
	"net/url"
	"strings"
)

// eachOTLP visits the OpenTelemetry collectors of the configuration.
func (c *Config) eachOTLP(root *place, visit func(*place, *OTLP)) {
	t, at := &c.Telemetry.Traces, root.key("telemetry").key("traces")
	if t.OTLP != nil {
		visit(at.key("otlp"), t.OTLP)
	}
	for i, e := range t.Exporters {
		if e.OTLP != nil {
			visit(at.key("exporters").item(i).key("otlp"), e.OTLP)
		}
	}
	c.eachAccessLog(root, func(p *place, a *AccessLogTo) {
		if a.OTLP != nil {
			visit(p.key("otlp"), a.OTLP)
		}
	})
}

// traces checks what spans the keys of exporters.
func (v validator) traces() {
	v.config.eachOTLP(v.root, v.otlp)
	list := v.root.key("telemetry").key("traces").key("exporters")
	for i, e := range v.config.Telemetry.Traces.Exporters {
		v.oneOf(list.item(i), choice{"otlp", e.OTLP != nil}, choice{"zipkin", e.Zipkin != nil})
	}
}

func (v validator) otlp(p *place, o *OTLP) {
	v.fieldNames(p.key("headers"), o.Headers)
	if o.TLS != nil {
		v.pair(p.key("tls"), o.TLS.Cert, o.TLS.Key)
	}
	u, err := url.Parse(o.Endpoint)
	if at := p.key("endpoint"); err == nil && !at.failed && checkCollector(o.Endpoint) == nil && strings.Contains(o.Endpoint, "://") {
		if o.TLS != nil && u.Scheme == "http" {
			v.errs.add(at, "http is plain text, but tls is set; write https, or remove tls")
		}
		if o.Protocol == "grpc" && u.Path != "" && u.Path != "/" {
			v.errs.add(at, `gRPC has no path; remove it, or set protocol to "http/protobuf"`)
		}
	}
}

// checkCollector accepts the address or the URL of a collector.
func checkCollector(s string) error {
	if !strings.Contains(s, "://") {
		return checkAddress(s)
	}
	if err := checkURL(s); err != nil {
		return err
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return errors.New("it can not be parsed")
	case u.User != nil:
		return errors.New("a user or a password has no place in it: put it in headers")
	case u.RawQuery != "":
		return errors.New("OTLP has no query: put what is secret in headers")
	}
	return nil
}

// otlp checks the files for connecting to an OpenTelemetry collector.
func (f fileChecker) otlp(p *place, o *OTLP) {
	if o.TLS != nil {
		at := p.key("tls")
		f.certificates(at.key("ca"), o.TLS.CA)
		f.pair(at.key("cert"), at.key("key"), o.TLS.Cert, o.TLS.Key)
	}
}
