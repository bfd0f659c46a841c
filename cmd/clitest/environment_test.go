package clitest

import (
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// with starts the program with environment variables.
func with(t *testing.T, variables []string, args ...string) *process {
	t.Helper()
	p := newProcess(t, args...)
	p.cmd.Env = append(p.cmd.Env, variables...)
	p.cmd.Stdout = &p.stdout
	p.begin()
	return p
}

// OpenTelemetry's variables say where spans go and whose they are, where no flag does, and
// their secrets are not shown.
func TestRunByEnvironment(t *testing.T) {
	t.Parallel()
	c, at := otlpCollector(t)
	other, elsewhere := otlpCollector(t)
	variables := []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + at, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_SERVICE_NAME=by-variable",
		"OTEL_EXPORTER_OTLP_HEADERS=x-api-key=key" + secret, "OTEL_TRACES_SAMPLER=console",
	}
	run := []string{"run", "--listen=127.0.0.1:0", "--to=" + tracer(t), "--admin=127.0.0.1:0"}
	p := with(t, variables, run...)
	trace, _, _ := traced(t, p.url())
	proxytest.Eventually(t, "the span", func() bool { return len(c.of(trace)) == 1 })
	if s := c.of(trace)[0]; s.service != "by-variable" {
		t.Errorf("span of %q", s.service)
	}
	p.find(`OTEL_TRACES_SAMPLER: expected one of`)
	p.find(`variables=OTEL_EXPORTER_OTLP_ENDPOINT,OTEL_EXPORTER_OTLP_HEADERS,OTEL_EXPORTER_OTLP_PROTOCOL,OTEL_SERVICE_NAME`)
	_, served := get(t, p.admin()+"/config_dump")
	if !strings.Contains(served, at) {
		t.Errorf("the admin API does not say where spans go: %s", served)
	}
	shows(t, "the admin API", served)
	p.drained()
	shows(t, "the log", p.stderr.String())

	p = with(t, variables, append(run, "--service=by-flag", "--otlp="+elsewhere)...)
	trace, _, _ = traced(t, p.url())
	proxytest.Eventually(t, "the span elsewhere", func() bool { return len(other.of(trace)) == 1 })
	if s := other.of(trace)[0]; s.service != "by-flag" || len(c.of(trace)) > 0 {
		t.Errorf("span of %q, and %d where the variable says", s.service, len(c.of(trace)))
	}
	p.drained()
}

// check names the variables that count, those that can't be used, and files of variables
// that can't be read.
func TestCheckWithEnvironment(t *testing.T) {
	t.Parallel()
	path := file(t, "hopscope.yaml", "listeners: [{name: in, address: ':0', forward_proxy: {}}]\n")
	p := with(t, []string{"OTEL_SERVICE_NAME=web", "OTEL_EXPORTER_OTLP_TIMEOUT=soon"}, "check", "-c", path)
	if code, said := p.exit(), p.stderr.String(); code != 0 || !strings.Contains(said, "OTEL_EXPORTER_OTLP_TIMEOUT: expected milliseconds") ||
		!strings.Contains(said, "says nothing: OTEL_SERVICE_NAME\n") || !strings.HasSuffix(p.stdout.String(), ": ok\n") {
		t.Errorf("exit code %d, it said %s%s", code, said, p.stdout.String())
	}
	p = with(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=https://c", "OTEL_EXPORTER_OTLP_CERTIFICATE=nowhere.pem"}, "check", "-c", path)
	if code, said := p.exit(), p.stderr.String(); code == 0 || !strings.Contains(said, `OTEL_EXPORTER_OTLP_CERTIFICATE: the file "nowhere.pem" can not be read`) {
		t.Errorf("exit code %d, it said %s", code, said)
	}
}
