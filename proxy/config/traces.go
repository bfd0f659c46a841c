package config

import "time"

// Traces are the spans of each hop. Each of the collectors gets all of them.
type Traces struct {
	// OTLP sends spans to an OpenTelemetry collector. Without it, Zipkin and Exporters no
	// spans are sent.
	OTLP *OTLP `yaml:"otlp"`
	// Zipkin sends spans to a Zipkin v2 collector.
	Zipkin *Zipkin `yaml:"zipkin"`
	// Exporters lists further collectors.
	Exporters []Exporter `yaml:"exporters"`
	// Sample is the share of traces to export, from 0 to 1, if this proxy is the first to
	// see them. A caller's decision is kept. Failed and slow hops are always exported.
	// A route may have a share of its own.
	Sample float64 `yaml:"sample" default:"1.0" min:"0" max:"1"`
	// MaxPerSecond is how many of the traces that begin here are sampled in a second, over
	// all routes; 0 is no limit.
	MaxPerSecond float64 `yaml:"max_per_second" default:"0" min:"0" max:"1000000"`
	// Extract lists the formats of trace context to read: "w3c", "b3" (both of its forms),
	// "jaeger" (uber-trace-id), "xray" (AWS X-Ray's X-Amzn-Trace-Id). The first that a
	// request has wins.
	Extract []string `yaml:"extract" default:"w3c,b3" enum:"w3c,b3,jaeger,xray"`
	// Inject lists the formats that are always sent: "w3c", "b3" (one header), "b3multi",
	// "jaeger", "xray". The format that came in goes out, too.
	Inject []string `yaml:"inject" default:"w3c" enum:"w3c,b3,b3multi,jaeger,xray"`
}

// RouteTraces are the traces that begin with a route's requests.
type RouteTraces struct {
	// Sample is the share of them to export, from 0 to 1.
	Sample float64 `yaml:"sample" default:"1.0" min:"0" max:"1"`
}

// Exporter is one of several collectors; it has one of the keys.
type Exporter struct {
	// OTLP is an OpenTelemetry collector.
	OTLP *OTLP `yaml:"otlp"`
	// Zipkin is a Zipkin v2 collector.
	Zipkin *Zipkin `yaml:"zipkin"`
}

// OTLP is an OpenTelemetry collector.
type OTLP struct {
	// Protocol is OpenTelemetry's name of the protocol: "grpc", whose port is 4317, or
	// "http/protobuf", whose port is 4318.
	Protocol string `yaml:"protocol" default:"grpc" enum:"grpc,http/protobuf"`
	// Endpoint is the collector's host and port, or its URL; https encrypts the connection.
	// Over http/protobuf the path of a URL is used as it is; without one it is /v1/traces
	// for spans and /v1/logs for logs.
	Endpoint string `yaml:"endpoint" required:"true" format:"collector"`
	// Headers are sent with each export; the values are secrets.
	Headers map[string]string `yaml:"headers" secret:"true"`
	// Timeout is the time for one export, retries included.
	Timeout time.Duration `yaml:"timeout" default:"10s" min:"1ms"`
	// Compression is "none" or "gzip".
	Compression string `yaml:"compression" default:"none" enum:"none,gzip"`
	// TLS encrypts the connection; true or {} verifies the collector with the system's
	// authorities, and so does an endpoint with https without it.
	TLS *CollectorTLS `yaml:"tls" short:"bool"`
}

// CollectorTLS encrypts the connection to a collector. Its files are read again when they
// change.
type CollectorTLS struct {
	// CA is the file of the authorities that sign the collector's certificate; the default
	// is the system's authorities.
	CA string `yaml:"ca" format:"file"`
	// Cert is the file of the certificate that the proxy shows to the collector.
	Cert string `yaml:"cert" format:"file"`
	// Key is the file of the certificate's private key.
	Key string `yaml:"key" format:"file"`
	// ServerName is the name that the collector's certificate must be for; the default is
	// the host of the endpoint.
	ServerName string `yaml:"server_name" format:"hostname"`
	// InsecureSkipVerify accepts any certificate.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify" default:"false"`
}

// Zipkin is a Zipkin v2 collector.
type Zipkin struct {
	// URL is where spans are posted, such as http://127.0.0.1:9411/api/v2/spans. Its
	// user, password and query values are secrets.
	URL string `yaml:"url" required:"true" format:"url"`
	// Timeout is the time for one export.
	Timeout time.Duration `yaml:"timeout" default:"10s" min:"1ms"`
}
