package backends

import (
	"context"
	"testing"
)

// JaegerServer is a running Jaeger, all in one, with its storage in memory.
type JaegerServer struct {
	*Process
	OTLPgRPC string // host:port that takes OTLP over gRPC, in plain text
	OTLPHTTP string // URL that takes OTLP over HTTP: POST it (it ends in /v1/traces)
	Zipkin   string // URL that takes Zipkin v2 JSON: POST it (it ends in /api/v2/spans)
	Query    string // base URL of the query API: GET Query + "/api/traces/{id}"
}

// Jaeger starts a Jaeger for the test.
func Jaeger(tb testing.TB) *JaegerServer {
	tb.Helper()
	path := Require(tb, "jaeger")
	j := new(JaegerServer)
	j.Process = start(tb, "jaeger", func() (command, error) { return j.plan(path) })
	return j
}

// StartJaeger starts a Jaeger that runs until Kill.
func StartJaeger(ctx context.Context) (_ *JaegerServer, err error) {
	j := new(JaegerServer)
	j.Process, err = launch(ctx, "jaeger", j.plan)
	return j, err
}

func (j *JaegerServer) plan(path string) (command, error) {
	a, err := freeAddresses(5)
	if err != nil {
		return command{}, err
	}
	admin := a[0]
	j.OTLPgRPC = a[1]
	j.OTLPHTTP = "http://" + a[2] + "/v1/traces"
	j.Zipkin = "http://" + a[3] + "/api/v2/spans"
	j.Query = "http://" + a[4]
	const unused = "127.0.0.1:0"
	return command{
		path: path,
		args: []string{
			"--log-level=warn",
			"--admin.http.host-port=" + admin,
			"--collector.otlp.grpc.host-port=" + a[1],
			"--collector.otlp.http.host-port=" + a[2],
			"--collector.zipkin.host-port=" + a[3],
			"--query.http-server.host-port=" + a[4],
			"--query.grpc-server.host-port=" + unused,
			"--collector.grpc-server.host-port=" + unused,
			"--collector.http-server.host-port=" + unused,
			"--http-server.host-port=" + unused,
			"--processor.jaeger-binary.server-host-port=" + unused,
			"--processor.jaeger-compact.server-host-port=" + unused,
			"--processor.zipkin-compact.server-host-port=" + unused,
		},
		// Else it would export spans of its own to the default port of OTLP.
		env:     []string{"SPAN_STORAGE_TYPE=memory", "OTEL_TRACES_SAMPLER=always_off"},
		listens: a,
		ready:   answers("http://" + admin + "/"), // 200 once every part is up
	}, nil
}
