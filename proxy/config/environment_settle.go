package config

import (
	"slices"
	"strings"
)

// settle takes back what under has set and the configuration, now that it has been read,
// leaves no room for. root has the places that were written.
func (e *Environment) settle(root *place, c *Config) {
	if e == nil || e.otlp == nil {
		return
	}
	log, to := &c.Telemetry.AccessLog, root.key("telemetry").key("access_log").key("otlp")
	if !to.written { // the configuration alone says where the access log goes
		log.OTLP = nil
	} else if !to.failed {
		e.logs.settle(to, log.OTLP)
	}
	t, at := &c.Telemetry.Traces, root.key("telemetry").key("traces")
	p := at.key("otlp")
	if p.failed {
		return
	}
	if !p.written {
		named := t.Zipkin != nil || len(t.Exporters) > 0 // the configuration says where spans go
		if named || !slices.Contains(e.exporters, "otlp") {
			t.OTLP = nil
		}
		if !named && slices.Contains(e.exporters, "zipkin") {
			t.Zipkin = NewZipkin(e.zipkin)
		}
	}
	if t.OTLP != nil {
		e.otlp.settle(p, t.OTLP)
	}
}

// settle makes one exporter of what is written at p and what the variables say beside it.
func (v *otlpVariables) settle(p *place, o *OTLP) {
	if !p.key("endpoint").written && !p.written && o.Endpoint == "" {
		o.Endpoint = "http://localhost:4318"
		if v.protocol.text == "grpc" {
			o.Endpoint = "http://localhost:4317"
		}
	}
	scheme, _, isURL := strings.Cut(o.Endpoint, "://")
	secure := scheme == "https"
	if !p.key("endpoint").written {
		secure = secure || !isURL && !v.insecure
		v.complete(p, o)
		p.key("endpoint").variable = v.endpoint.name
	}
	if tls := p.key("tls"); !tls.written {
		if !secure || *o.TLS == (CollectorTLS{}) && isURL {
			o.TLS = nil // a certificate alone does not encrypt a connection
		}
	}
	if o.TLS != nil {
		for key, from := range map[string]variable{"ca": v.certificate, "cert": v.clientCertificate, "key": v.key} {
			if at := p.key("tls").key(key); !at.written {
				at.variable = from.name
			}
		}
	}
	if !p.key("headers").written {
		p.key("headers").variable = v.headersBy
	}
}

// complete adds to an endpoint of the variables what it stands for.
func (v *otlpVariables) complete(p *place, o *OTLP) {
	_, rest, isURL := strings.Cut(o.Endpoint, "://")
	authority, path, _ := strings.Cut(rest, "/")
	if v.protocol.text == "" && !p.key("protocol").written {
		// The specification's default, but for the port that is gRPC's.
		o.Protocol = "http/protobuf"
		if strings.HasSuffix(o.Endpoint, ":4317") || strings.HasSuffix(authority, ":4317") && path == "" {
			o.Protocol = "grpc"
		}
	}
	if v.base && isURL && o.Protocol == "http/protobuf" {
		o.Endpoint = strings.TrimSuffix(o.Endpoint, "/") + v.path
	}
}

// New returns the defaults with what the variables say over them.
func (e *Environment) New() *Config {
	c := New()
	e.under(c)
	e.settle(&place{}, c)
	return c
}

// NewOTLP is [NewOTLP] with what the variables say of the exporter.
func (e *Environment) NewOTLP(endpoint string) *OTLP {
	if e == nil || e.otlp == nil {
		return NewOTLP(endpoint)
	}
	o, p := e.otlp.template(), &place{}
	o.Endpoint, p.key("endpoint").written = endpoint, true
	e.otlp.settle(p, o)
	return o
}

// Parse is [Parse] with the variables under the configuration.
func (e *Environment) Parse(name string, data []byte) (*Config, error) {
	return parse(&collector{file: name}, &place{line: 1, column: 1}, data, e)
}

// Check is [Check] with the variables under the configuration.
func (e *Environment) Check(path string) (*Config, error) { return check(path, nil, e) }

// CheckWatched is Check that also returns what else is to be watched: the patterns of
// routes_from, and the files with users. It does so of a configuration with mistakes, too.
func (e *Environment) CheckWatched(path string) (*Config, []string, error) {
	return checkWatched(path, nil, e)
}

// CheckWithEndpoints is [CheckWithEndpoints] with the variables under the configuration.
func (e *Environment) CheckWithEndpoints(path string, endpoints func(path string) error) (*Config, error) {
	if endpoints == nil {
		endpoints = func(string) error { return nil }
	}
	return check(path, endpoints, e)
}
