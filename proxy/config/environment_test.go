package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// environment reads variables from lines of NAME=value.
func environment(lines ...string) *Environment {
	values := map[string]string{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		values["OTEL_"+name] = value
	}
	return ReadEnvironment(func(name string) string { return values[name] })
}

// under parses a configuration whose telemetry is text, with variables under it.
func under(t *testing.T, telemetry string, lines ...string) *Config {
	t.Helper()
	e := environment(lines...)
	if w := e.Warnings(); len(w) > 0 {
		t.Errorf("%q: warnings %q", lines, w)
	}
	c, err := e.Parse("f.yaml", []byte("listeners: [{name: in, address: ':0', forward_proxy: {}}]\n"+telemetry))
	if err != nil {
		t.Fatalf("%q: %v", lines, err)
	}
	return c
}

func TestEnvironmentMakesAnExporter(t *testing.T) {
	exporter := func(protocol, endpoint string, change ...func(*OTLP)) *OTLP {
		o := NewOTLP(endpoint)
		o.Protocol = protocol
		for _, f := range change {
			f(o)
		}
		return o
	}
	encrypted := func(o *OTLP) { o.TLS = &CollectorTLS{} }
	const http, grpc = "http/protobuf", "grpc"
	for _, tt := range []struct {
		name      string
		telemetry string
		variables []string
		want      *OTLP
	}{
		{"nothing", "", nil, nil},
		{"the specification's protocol", "", []string{"EXPORTER_OTLP_ENDPOINT=http://c:4318"}, exporter(http, "http://c:4318/v1/traces")},
		{"a path before the signal's", "", []string{"EXPORTER_OTLP_ENDPOINT=https://c/otlp/"}, exporter(http, "https://c/otlp/v1/traces")},
		{"the port of gRPC", "", []string{"EXPORTER_OTLP_ENDPOINT=http://c:4317"}, exporter(grpc, "http://c:4317")},
		{"gRPC", "", []string{"EXPORTER_OTLP_ENDPOINT=https://c", "EXPORTER_OTLP_PROTOCOL=grpc"}, exporter(grpc, "https://c")},
		{"no scheme is encrypted", "", []string{"EXPORTER_OTLP_ENDPOINT=c:4317"}, exporter(grpc, "c:4317", encrypted)},
		{"but for insecure", "", []string{"EXPORTER_OTLP_ENDPOINT=c:4317", "EXPORTER_OTLP_INSECURE=TRUE"}, exporter(grpc, "c:4317")},
		{"the signal's own goes first, as it is", "",
			[]string{"EXPORTER_OTLP_TRACES_ENDPOINT=http://t/x", "EXPORTER_OTLP_ENDPOINT=http://c", "EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf", "EXPORTER_OTLP_PROTOCOL=grpc"},
			exporter(http, "http://t/x")},
		{"asked for without an endpoint", "", []string{"TRACES_EXPORTER=otlp"}, exporter(http, "http://localhost:4318/v1/traces")},
		{"asked for over gRPC", "", []string{"TRACES_EXPORTER=otlp", "EXPORTER_OTLP_PROTOCOL=grpc"}, exporter(grpc, "http://localhost:4317")},
		{"none", "", []string{"TRACES_EXPORTER=none", "EXPORTER_OTLP_ENDPOINT=http://c"}, nil},
		{"only zipkin", "", []string{"TRACES_EXPORTER=zipkin", "EXPORTER_OTLP_ENDPOINT=http://c"}, nil},
		{"disabled", "", []string{"SDK_DISABLED=true", "EXPORTER_OTLP_ENDPOINT=http://c"}, nil},
		{"an empty one is none", "", []string{"EXPORTER_OTLP_ENDPOINT="}, nil},
		{"all keys", "", []string{"EXPORTER_OTLP_ENDPOINT=https://c", "EXPORTER_OTLP_HEADERS=a=b%20c, d = e=f ,", "EXPORTER_OTLP_TIMEOUT=1500", "EXPORTER_OTLP_COMPRESSION=gzip",
			"EXPORTER_OTLP_CERTIFICATE=ca.pem", "EXPORTER_OTLP_CLIENT_CERTIFICATE=me.pem", "EXPORTER_OTLP_CLIENT_KEY=me.key"},
			exporter(http, "https://c/v1/traces", func(o *OTLP) {
				o.Headers, o.Timeout, o.Compression = map[string]string{"a": "b c", "d": "e=f"}, 1500*time.Millisecond, "gzip"
				o.TLS = &CollectorTLS{CA: "ca.pem", Cert: "me.pem", Key: "me.key"}
			})},
		{"the configuration names another", "telemetry: {traces: {zipkin: {url: 'http://z'}}}", []string{"EXPORTER_OTLP_ENDPOINT=http://c"}, nil},
		{"the configuration lists others", "telemetry: {traces: {exporters: [{otlp: {endpoint: 'd:1'}}]}}", []string{"EXPORTER_OTLP_ENDPOINT=http://c"}, nil},
		{"what is written counts", "telemetry: {traces: {otlp: {endpoint: 'd:1', headers: {x: y}, timeout: 3s, compression: none, tls: false}}}",
			[]string{"EXPORTER_OTLP_ENDPOINT=https://c", "EXPORTER_OTLP_HEADERS=a=b", "EXPORTER_OTLP_TIMEOUT=1", "EXPORTER_OTLP_COMPRESSION=gzip", "EXPORTER_OTLP_CERTIFICATE=ca.pem"},
			exporter(grpc, "d:1", func(o *OTLP) { o.Headers, o.Timeout = map[string]string{"x": "y"}, 3*time.Second })},
		{"what is not written comes from the variables", "telemetry: {traces: {otlp: {endpoint: 'd:1'}}}",
			[]string{"EXPORTER_OTLP_ENDPOINT=http://c", "EXPORTER_OTLP_HEADERS=a=b", "EXPORTER_OTLP_TIMEOUT=0", "EXPORTER_OTLP_COMPRESSION=gzip", "TRACES_EXPORTER=none"},
			exporter(grpc, "d:1", func(o *OTLP) {
				o.Headers, o.Timeout, o.Compression = map[string]string{"a": "b"}, time.Hour, "gzip"
			})},
		{"a certificate does not encrypt", "telemetry: {traces: {otlp: {endpoint: 'd:1'}}}", []string{"EXPORTER_OTLP_CERTIFICATE=ca.pem"}, exporter(grpc, "d:1")},
		{"but counts where TLS is written", "telemetry: {traces: {otlp: {endpoint: 'd:1', tls: true}}}", []string{"EXPORTER_OTLP_CERTIFICATE=ca.pem"},
			exporter(grpc, "d:1", func(o *OTLP) { o.TLS = &CollectorTLS{CA: "ca.pem"} })},
		{"an endpoint for the rest of an exporter", "telemetry: {traces: {otlp: {timeout: 2s}}}", []string{"EXPORTER_OTLP_ENDPOINT=http://c"},
			exporter(http, "http://c/v1/traces", func(o *OTLP) { o.Timeout = 2 * time.Second })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, under(t, tt.telemetry, tt.variables...).Telemetry.Traces.OTLP); d != "" {
				t.Error(d)
			}
		})
	}
	log := under(t, "telemetry: {access_log: {otlp: {timeout: 2s}}}", "EXPORTER_OTLP_ENDPOINT=http://c", "EXPORTER_OTLP_LOGS_HEADERS=a=b",
		"EXPORTER_OTLP_HEADERS=c=d", "EXPORTER_OTLP_TIMEOUT=1").Telemetry.AccessLog
	want := exporter(http, "http://c/v1/logs", func(o *OTLP) { o.Timeout, o.Headers = 2*time.Second, map[string]string{"a": "b"} })
	if d := cmp.Diff(want, log.OTLP); d != "" || log.Path != "off" {
		t.Errorf("the access log goes to %q and (-want +got):\n%s", log.Path, d)
	}
	if log := under(t, "", "EXPORTER_OTLP_ENDPOINT=http://c").Telemetry.AccessLog; log.OTLP != nil || log.Path != "stdout" {
		t.Errorf("variables alone send the access log to %+v", log)
	}
	c := under(t, "telemetry: {traces: {exporters: [{otlp: {endpoint: 'd:1'}}]}}", "EXPORTER_OTLP_HEADERS=a=secret")
	if h := c.Telemetry.Traces.Exporters[0].OTLP.Headers; len(h) > 0 {
		t.Errorf("one of several exporters got %v", h)
	}
	if z := under(t, "", "TRACES_EXPORTER=zipkin,otlp").Telemetry.Traces.Zipkin; z == nil || z.URL != "http://localhost:9411/api/v2/spans" {
		t.Errorf("zipkin %+v", z)
	}
	o := environment("EXPORTER_OTLP_HEADERS=a=b", "EXPORTER_OTLP_CERTIFICATE=ca.pem").NewOTLP("d:1")
	if o.Headers["a"] != "b" || o.Endpoint != "d:1" || o.TLS != nil || o.Protocol != "grpc" {
		t.Errorf("the exporter of a flag is %+v", o)
	}
}

func TestEnvironmentIsUnderTheConfiguration(t *testing.T) {
	variables := []string{"SERVICE_NAME=by-variable", "RESOURCE_ATTRIBUTES=service.name=no,env=prod,team=a%2Cb",
		"TRACES_SAMPLER=parentbased_traceidratio", "TRACES_SAMPLER_ARG=0.25", "PROPAGATORS=b3multi, tracecontext,b3,baggage"}
	c := under(t, "", variables...)
	got := []any{c.Service, c.Telemetry.ResourceAttributes, c.Telemetry.Traces.Sample, c.Telemetry.Traces.Extract, c.Telemetry.Traces.Inject}
	want := []any{"by-variable", map[string]string{"env": "prod", "team": "a,b"}, 0.25, []string{"b3", "w3c"}, []string{"b3multi", "w3c", "b3"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("variables alone (-want +got):\n%s", d)
	}
	c = under(t, "service: web\ntelemetry: {resource_attributes: {zone: x}, traces: {sample: 1, extract: [w3c], inject: []}}", variables...)
	got = []any{c.Service, c.Telemetry.ResourceAttributes, c.Telemetry.Traces.Sample, c.Telemetry.Traces.Extract, len(c.Telemetry.Traces.Inject)}
	want = []any{"web", map[string]string{"zone": "x"}, 1.0, []string{"w3c"}, 0}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("configuration over variables (-want +got):\n%s", d)
	}
	for value, want := range map[string]float64{"always_on": 1, "always_off": 0, "parentbased_always_off": 0, "traceidratio": 1} {
		if got := under(t, "", "TRACES_SAMPLER="+value).Telemetry.Traces.Sample; got != want {
			t.Errorf("%s: sample %v, want %v", value, got, want)
		}
	}
	if got := under(t, "", "RESOURCE_ATTRIBUTES=service.name=web").Service; got != "web" {
		t.Errorf("service %q", got)
	}
	if got := under(t, "", "SDK_DISABLED=true", "PROPAGATORS=b3", "SERVICE_NAME=x"); got.Service != "hopscope" || got.Telemetry.Traces.Extract[0] != "b3" {
		t.Errorf("disabled: %q, %q", got.Service, got.Telemetry.Traces.Extract)
	}
	if got := under(t, "", "PROPAGATORS=none").Telemetry.Traces; len(got.Extract)+len(got.Inject) != 0 {
		t.Errorf("no propagators: %q, %q", got.Extract, got.Inject)
	}
	if d := diff(mustParse(t, full), mustUnder(t, full)); d != "" {
		t.Errorf("no variables change a configuration:\n%s", d)
	}
}

func mustUnder(t *testing.T, text string) *Config {
	t.Helper()
	c, err := environment().Parse("f.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBadVariablesAreIgnoredAndTold(t *testing.T) {
	for _, tt := range []struct{ variable, says string }{
		{"SDK_DISABLED=yes", `OTEL_SDK_DISABLED: expected true or false, found "yes"; it counts as false`},
		{"SERVICE_NAME=\xff", "OTEL_SERVICE_NAME: "},
		{"TRACES_SAMPLER=jaeger_remote", `OTEL_TRACES_SAMPLER: expected one of "always_on"`},
		{"PROPAGATORS=ottrace", `OTEL_PROPAGATORS: expected "tracecontext"`},
		{"TRACES_EXPORTER=console", `OTEL_TRACES_EXPORTER: expected "otlp"`},
		{"EXPORTER_OTLP_ENDPOINT=collector", "OTEL_EXPORTER_OTLP_ENDPOINT: expected a host and port such as"},
		{"EXPORTER_OTLP_TRACES_ENDPOINT=http://u:s3cret@c", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "},
		{"EXPORTER_OTLP_TIMEOUT=10s", `OTEL_EXPORTER_OTLP_TIMEOUT: expected milliseconds`},
		{"EXPORTER_OTLP_TIMEOUT=-1", `OTEL_EXPORTER_OTLP_TIMEOUT: expected milliseconds`},
		{"EXPORTER_OTLP_COMPRESSION=zstd", `OTEL_EXPORTER_OTLP_COMPRESSION: expected one of "none", "gzip", found "zstd"; ignored`},
		{"EXPORTER_OTLP_PROTOCOL=udp", "OTEL_EXPORTER_OTLP_PROTOCOL: expected one of"},
		{"EXPORTER_OTLP_PROTOCOL=http/json", `OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" is not spoken`},
		{"EXPORTER_OTLP_HEADERS=s3cret", "OTEL_EXPORTER_OTLP_HEADERS: expected key=value"},
		{"EXPORTER_OTLP_HEADERS=a=%zzs3cret", `OTEL_EXPORTER_OTLP_HEADERS: the value of "a"`},
		{"EXPORTER_OTLP_HEADERS=a b=s3cret", "OTEL_EXPORTER_OTLP_HEADERS: expected key=value"},
		{"EXPORTER_OTLP_CLIENT_KEY=me.key", "OTEL_EXPORTER_OTLP_CLIENT_KEY: a certificate and its key"},
		{"EXPORTER_ZIPKIN_ENDPOINT=ftp://u:s3cret@z", "OTEL_EXPORTER_ZIPKIN_ENDPOINT: expected a URL"},
	} {
		e := environment(tt.variable)
		w := e.Warnings()
		if len(w) != 1 || !strings.HasPrefix(w[0], tt.says) || strings.Contains(w[0], "s3cret") {
			t.Errorf("%q: warnings %q, want one that begins with %q and shows no secret", tt.variable, w, tt.says)
		}
		if d := diff(New(), e.New()); d != "" {
			t.Errorf("%q is not ignored:\n%s", tt.variable, d)
		}
	}
	e := environment("TRACES_SAMPLER=traceidratio", "TRACES_SAMPLER_ARG=2", "SERVICE_NAME=web")
	if w := e.Warnings(); len(w) != 1 || e.New().Telemetry.Traces.Sample != 1 {
		t.Errorf("warnings %q, sample %v", w, e.New().Telemetry.Traces.Sample)
	}
	if used := e.Used(); !slices.Equal(used, []string{"OTEL_SERVICE_NAME", "OTEL_TRACES_SAMPLER"}) {
		t.Errorf("used %q", used)
	}
	var none *Environment
	if d := diff(New(), none.New()); d != "" || none.Warnings() != nil || none.Used() != nil {
		t.Errorf("no environment changes something:\n%s", d)
	}
}

// A file that a variable names and that can't be used is a mistake, by the variable's name.
func TestFilesOfVariables(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f.yaml")
	if err := os.WriteFile(path, []byte("listeners: [{name: in, address: ':0', forward_proxy: {}}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := environment("EXPORTER_OTLP_ENDPOINT=https://c", "EXPORTER_OTLP_TRACES_CERTIFICATE="+filepath.Join(dir, "no.pem")).Check(path)
	var mistakes Errors
	if !errors.As(err, &mistakes) || len(mistakes) != 1 || mistakes[0].Path != "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE" ||
		mistakes[0].File != "" || !strings.Contains(err.Error(), "can not be read") {
		t.Errorf("%v", err)
	}
}
