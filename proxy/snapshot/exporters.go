package snapshot

import (
	"crypto/tls"
	"fmt"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/telemetry/collector"
	"github.com/hopscope/hopscope/telemetry/spans"
	"github.com/hopscope/hopscope/telemetry/spans/otlp"
	"github.com/hopscope/hopscope/telemetry/spans/zipkin"
)

// exporters are where spans go.
func exporters(t *config.Traces) ([]spans.Exporter, error) {
	var all []spans.Exporter
	if o := t.OTLP; o != nil {
		to := collector.Options{Endpoint: o.Endpoint, Headers: o.Headers, Timeout: o.Timeout, Gzip: o.Compression == "gzip"}
		if o.TLS {
			to.TLS = func() *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS12} }
		}
		e, err := otlp.New(to)
		if err != nil {
			return nil, fmt.Errorf("telemetry.traces.otlp: %w", err)
		}
		all = append(all, e)
	}
	if z := t.Zipkin; z != nil {
		e, err := zipkin.New(zipkin.Options{URL: z.URL, Timeout: z.Timeout})
		if err != nil {
			return nil, fmt.Errorf("telemetry.traces.zipkin: %w", err)
		}
		all = append(all, e)
	}
	return all, nil
}
