package config

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Environment is what OpenTelemetry's environment variables say: the lowest of all
// settings, above the defaults alone. Nil says nothing.
//
// A value that can't be used is ignored with a warning, as the specification says. A file
// that is named and can't be used is a mistake of the configuration: without it, spans
// would go to somebody else than was meant, or nowhere.
type Environment struct {
	get      func(string) string
	used     []string // the variables whose values count
	warnings []string

	service    string
	attributes map[string]string
	sample     *float64
	formats    *propagators
	otlp       *otlpVariables // of traces; nil if the variables disable the exporter
	logs       *otlpVariables // of the access log; nil as otlp
	exporters  []string       // those that the variables ask for: "otlp", "zipkin"
	zipkin     string         // the URL
}

// propagators are the formats of trace context.
type propagators struct{ extract, inject []string }

// ReadEnvironment reads the variables with getenv, such as [os.Getenv].
func ReadEnvironment(getenv func(name string) string) *Environment {
	e := &Environment{get: getenv}
	e.propagators()
	if e.boolean("OTEL_SDK_DISABLED") {
		return e // of propagators it says nothing
	}
	e.resource()
	e.sampler()
	e.tracesExporter()
	e.logs = e.otlpOf("LOGS", "/v1/logs")
	return e
}

// Warnings say which values are ignored, and why, a line each. They show no secret.
func (e *Environment) Warnings() []string {
	if e == nil {
		return nil
	}
	return e.warnings
}

// Used are the names of the variables that count where the configuration says nothing.
func (e *Environment) Used() []string {
	if e == nil {
		return nil
	}
	slices.Sort(e.used)
	return slices.Compact(e.used)
}

// value returns the value of a variable, "" if it is not set. An empty one counts as that.
func (e *Environment) value(name string) string {
	v := strings.TrimSpace(e.get(name))
	if v != "" {
		e.used = append(e.used, name)
	}
	return v
}

// ignore warns that the value of a variable does not count.
func (e *Environment) ignore(name, format string, args ...any) {
	e.used = slices.DeleteFunc(e.used, func(s string) bool { return s == name })
	e.warn(name, format, args...)
}

// warn warns that a part of a value does not count.
func (e *Environment) warn(name, format string, args ...any) {
	if text := name + ": " + fmt.Sprintf(format, args...); !slices.Contains(e.warnings, text) { // two signals may share it
		e.warnings = append(e.warnings, text)
	}
}

func (e *Environment) boolean(name string) bool {
	switch v := e.value(name); strings.ToLower(v) {
	case "true":
		return true
	case "false", "":
	default:
		e.ignore(name, "expected true or false, found %q; it counts as false", clip(v))
	}
	return false
}

// word returns a value if it is one of those that are known, else "".
func (e *Environment) word(name string, known ...string) string {
	v := e.value(name)
	if v != "" && !slices.Contains(known, v) {
		e.ignore(name, "expected one of %s, found %q; ignored", quotedList(known), clip(v))
		return ""
	}
	return v
}

// pairs reads key=value pairs with commas between them, percent-encoded as W3C Baggage is.
// The values are never shown: they may be secrets.
func (e *Environment) pairs(name string, keyOK func(string) bool) map[string]string {
	all := map[string]string{}
	for pair := range strings.SplitSeq(e.value(name), ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		k, v, ok := strings.Cut(pair, "=")
		k, v = strings.TrimSpace(k), strings.TrimSpace(v)
		decoded, err := url.PathUnescape(v)
		switch {
		case !ok || !keyOK(k):
			e.warn(name, "expected key=value with commas between pairs; a pair that is none is ignored")
		case err != nil:
			e.warn(name, "the value of %q is not percent-encoded as it has to be; ignored", clip(k))
		default:
			all[k] = decoded
		}
	}
	return all
}

// resource reads who exports.
func (e *Environment) resource() {
	e.attributes = e.pairs("OTEL_RESOURCE_ATTRIBUTES", func(k string) bool { return checkName(k) == nil && k != "" })
	by, service := "OTEL_SERVICE_NAME", e.value("OTEL_SERVICE_NAME")
	if service == "" {
		by, service = "OTEL_RESOURCE_ATTRIBUTES", e.attributes["service.name"]
	}
	delete(e.attributes, "service.name")
	if service == "" {
		return
	}
	if err := checkName(service); err != nil {
		e.ignore(by, "%q can't be the name of the service: %v; ignored", clip(service), err)
		return
	}
	e.service = service
}

// sampler reads the share of traces. hopscope keeps to a caller's decision by all samplers.
func (e *Environment) sampler() {
	const argument = "OTEL_TRACES_SAMPLER_ARG"
	share := 1.0
	switch e.word("OTEL_TRACES_SAMPLER", "always_on", "always_off", "traceidratio",
		"parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio") {
	case "":
		return
	case "always_off", "parentbased_always_off":
		share = 0
	case "traceidratio", "parentbased_traceidratio":
		if v := e.value(argument); v != "" {
			f, err := strconv.ParseFloat(v, 64)
			if err != nil || !(f >= 0 && f <= 1) {
				e.ignore(argument, "expected a number from 0 to 1, found %q; ignored", clip(v))
			} else {
				share = f
			}
		}
	}
	e.sample = &share
}

// propagators reads the formats of trace context.
func (e *Environment) propagators() {
	const name = "OTEL_PROPAGATORS"
	v := e.value(name)
	if v == "" {
		return
	}
	p := &propagators{extract: []string{}, inject: []string{}}
	add := func(list *[]string, word string) {
		if !slices.Contains(*list, word) {
			*list = append(*list, word)
		}
	}
	known := false
	for word := range strings.SplitSeq(v, ",") {
		switch word = strings.TrimSpace(word); word {
		case "tracecontext":
			add(&p.extract, "w3c")
			add(&p.inject, "w3c")
		case "b3", "b3multi":
			add(&p.extract, "b3")
			add(&p.inject, word)
		case "jaeger", "xray":
			add(&p.extract, word)
			add(&p.inject, word)
		case "baggage": // it passes as any field does
		case "none", "":
		default:
			e.warn(name, `expected "tracecontext", "baggage", "b3", "b3multi", "jaeger", "xray" or "none", found %q; ignored`, clip(word))
			continue
		}
		known = true
	}
	if known {
		e.formats = p
	}
}

// tracesExporter reads where spans go.
func (e *Environment) tracesExporter() {
	e.otlp = e.otlpOf("TRACES", "/v1/traces")
	const name = "OTEL_TRACES_EXPORTER"
	list := e.value(name)
	if list == "" && e.otlp.endpoint.text != "" {
		list = "otlp"
	}
	for word := range strings.SplitSeq(list, ",") {
		switch word = strings.TrimSpace(word); word {
		case "otlp", "zipkin":
			e.exporters = append(e.exporters, word)
		case "none", "":
		default:
			e.warn(name, `expected "otlp", "zipkin" or "none", found %q; ignored`, clip(word))
		}
	}
	const zipkin = "OTEL_EXPORTER_ZIPKIN_ENDPOINT"
	e.zipkin = "http://localhost:9411/api/v2/spans"
	if v := e.value(zipkin); v != "" {
		if err := checkURL(v); err != nil {
			e.ignore(zipkin, "expected a URL such as %s: %v; ignored", e.zipkin, err)
		} else {
			e.zipkin = v
		}
	}
}

// otlpVariables are the variables about one signal's exporter.
type otlpVariables struct {
	endpoint, protocol, compression     variable
	certificate, key, clientCertificate variable
	headers                             map[string]string
	headersBy                           string
	timeout                             time.Duration // 0 if it is not set
	insecure                            bool
	base                                bool   // the endpoint is that of all signals
	path                                string // of the signal, over HTTP
}

// variable is a value, with the name of the variable that it comes from.
type variable struct{ name, text string }

// otlpOf reads the variables of a signal, "TRACES" or "LOGS"; each counts before the one
// for all signals. path is the signal's over HTTP.
func (e *Environment) otlpOf(signal, path string) *otlpVariables {
	const prefix = "OTEL_EXPORTER_OTLP_"
	name := func(key string) string {
		if own := prefix + signal + "_" + key; strings.TrimSpace(e.get(own)) != "" {
			return own
		}
		return prefix + key
	}
	v := &otlpVariables{path: path}
	take := func(key string, read func(name string) string) variable {
		n := name(key)
		return variable{n, read(n)}
	}
	v.endpoint = take("ENDPOINT", func(name string) string {
		text := e.value(name)
		if text == "" {
			return ""
		}
		if err := checkCollector(text); err != nil {
			e.ignore(name, "expected %s: %v; ignored", formatOf("collector").expected, err)
			return ""
		}
		return text
	})
	v.base = v.endpoint.name == prefix+"ENDPOINT"
	v.protocol = take("PROTOCOL", func(name string) string {
		if e.get(name) == "http/json" {
			e.warn(name, `"http/json" is not spoken; it is "http/protobuf" instead`)
			e.used = append(e.used, name)
			return "http/protobuf"
		}
		return e.word(name, "grpc", "http/protobuf")
	})
	v.compression = take("COMPRESSION", func(name string) string { return e.word(name, "none", "gzip") })
	v.certificate = take("CERTIFICATE", e.value)
	v.key = take("CLIENT_KEY", e.value)
	v.clientCertificate = take("CLIENT_CERTIFICATE", e.value)
	if (v.key.text == "") != (v.clientCertificate.text == "") {
		e.ignore(cmp.Or(v.key, v.clientCertificate).name, "a certificate and its key are only of use together (CLIENT_CERTIFICATE, CLIENT_KEY); ignored")
		v.key.text, v.clientCertificate.text = "", ""
	}
	v.headersBy = name("HEADERS")
	v.headers = e.pairs(v.headersBy, isToken)
	v.timeout = e.milliseconds(name("TIMEOUT"))
	v.insecure = e.boolean(name("INSECURE"))
	return v
}

// milliseconds reads a timeout. 0 is for ever, of which an hour has to do.
func (e *Environment) milliseconds(name string) time.Duration {
	v := e.value(name)
	if v == "" {
		return 0
	}
	n, err := strconv.ParseUint(v, 10, 31)
	switch {
	case err != nil:
		e.ignore(name, "expected milliseconds, an integer of at least 0, found %q; ignored", clip(v))
		return 0
	case n == 0:
		return time.Hour
	}
	return time.Duration(n) * time.Millisecond
}

// under sets what the variables say in place of the defaults.
func (e *Environment) under(c *Config) {
	if e == nil {
		return
	}
	c.Service = cmp.Or(e.service, c.Service)
	t := &c.Telemetry
	maps.Copy(t.ResourceAttributes, e.attributes)
	if e.sample != nil {
		t.Traces.Sample = *e.sample
	}
	if f := e.formats; f != nil {
		t.Traces.Extract, t.Traces.Inject = slices.Clone(f.extract), slices.Clone(f.inject)
	}
	if e.otlp != nil {
		t.Traces.OTLP, t.AccessLog.OTLP = e.otlp.template(), e.logs.template()
	}
}

// template is an exporter with all that the variables say.
func (v *otlpVariables) template() *OTLP {
	o := NewOTLP(v.endpoint.text)
	o.Protocol = cmp.Or(v.protocol.text, o.Protocol)
	o.Compression = cmp.Or(v.compression.text, o.Compression)
	o.Timeout = cmp.Or(v.timeout, o.Timeout)
	maps.Copy(o.Headers, v.headers)
	o.TLS = &CollectorTLS{CA: v.certificate.text, Cert: v.clientCertificate.text, Key: v.key.text}
	return o
}
