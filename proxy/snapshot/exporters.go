package snapshot

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/tlsconf"
	"github.com/hopscope/hopscope/telemetry/collector"
	"github.com/hopscope/hopscope/telemetry/spans"
	"github.com/hopscope/hopscope/telemetry/spans/otlp"
	"github.com/hopscope/hopscope/telemetry/spans/zipkin"
)

// exporters are where spans go.
func (p *Proxy) exporters(t *config.Traces) (all []spans.Exporter, err error) {
	var mistakes []error
	add := func(where string, o *config.OTLP, z *config.Zipkin) {
		if o != nil {
			e, err := p.otlp(where+".otlp", o)
			if err != nil {
				mistakes = append(mistakes, err)
				return
			}
			all = append(all, e)
		}
		if z != nil {
			e, err := zipkin.New(zipkin.Options{URL: z.URL, Timeout: z.Timeout})
			if err != nil {
				mistakes = append(mistakes, fmt.Errorf("%s.zipkin: %w", where, err))
				return
			}
			all = append(all, e)
		}
	}
	add("telemetry.traces", t.OTLP, t.Zipkin)
	for i, e := range t.Exporters {
		add(fmt.Sprintf("telemetry.traces.exporters[%d]", i), e.OTLP, e.Zipkin)
	}
	if len(mistakes) > 0 {
		for _, e := range all {
			_ = e.Close(context.Background())
		}
	}
	return all, errors.Join(mistakes...)
}

// otlp makes an exporter of spans; where is its place in the configuration.
func (p *Proxy) otlp(where string, o *config.OTLP) (spans.Exporter, error) {
	to, err := p.collector(where, o)
	if err != nil {
		return nil, err
	}
	e, err := otlp.New(to)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	return e, nil
}

// collector returns what a configuration says of an OpenTelemetry collector. Its
// certificates are kept up to date until the proxy is closed.
func (p *Proxy) collector(where string, o *config.OTLP) (collector.Options, error) {
	to := collector.Options{
		HTTP: o.Protocol == "http/protobuf", Endpoint: o.Endpoint, Headers: o.Headers,
		Timeout: o.Timeout, Gzip: o.Compression == "gzip",
	}
	if o.TLS == nil {
		return to, nil
	}
	t, err := tlsconf.NewClient(tlsconf.ClientOptions{
		Kind: "exporter", Name: where, CA: o.TLS.CA, Cert: o.TLS.Cert, Key: o.TLS.Key, SNI: o.TLS.ServerName,
		Insecure: o.TLS.InsecureSkipVerify, ALPN: []string{"h2", "http/1.1"}, Log: p.options.Log,
	})
	if err != nil {
		return to, fmt.Errorf("%s.tls: %w", where, err)
	}
	p.collectorTLS = append(p.collectorTLS, exporterTLS{t, where})
	host := hostOf(o.Endpoint)
	to.TLS = func() *tls.Config { return t.Config(host) }
	return to, nil
}

// exporterTLS is the TLS of an exporter, and the exporter's place in the configuration.
type exporterTLS struct {
	*tlsconf.Client
	where string
}

// hostOf is the host of an address or a URL.
func hostOf(endpoint string) string {
	if u, err := url.Parse(endpoint); err == nil && strings.Contains(endpoint, "://") {
		return u.Hostname()
	}
	host, _, _ := net.SplitHostPort(endpoint) // the configuration is valid
	return host
}

// closeCollectors ends what keeps the certificates of collectors up to date.
func (p *Proxy) closeCollectors() {
	for _, t := range p.collectorTLS {
		t.Close()
	}
}
