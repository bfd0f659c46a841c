package backends

import (
	"context"
	"net"
	"testing"
)

// ZipkinServer is a running Zipkin with its storage in memory.
type ZipkinServer struct {
	*Process
	URL   string // base URL of its API: GET URL + "/api/v2/trace/{id}"
	Spans string // URL that takes Zipkin v2 JSON: POST it
}

// Zipkin starts a Zipkin for the test; it takes some seconds to be ready.
func Zipkin(tb testing.TB) *ZipkinServer {
	tb.Helper()
	jar := Require(tb, "zipkin")
	z := new(ZipkinServer)
	z.Process = start(tb, "zipkin", func() (command, error) { return z.plan(jar) })
	return z
}

// StartZipkin starts a Zipkin that runs until Kill.
func StartZipkin(ctx context.Context) (_ *ZipkinServer, err error) {
	z := new(ZipkinServer)
	z.Process, err = launch(ctx, "zipkin", z.plan)
	return z, err
}

func (z *ZipkinServer) plan(jar string) (command, error) {
	a, err := freeAddresses(1)
	if err != nil {
		return command{}, err
	}
	z.URL = "http://" + a[0]
	z.Spans = z.URL + "/api/v2/spans"
	host, port, err := net.SplitHostPort(a[0])
	if err != nil {
		return command{}, err
	}
	return command{
		path: "java",
		args: []string{
			"-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", // a short life on few cores
			"-jar", jar,
			"--armeria.ports[0].ip=" + host,
			"--armeria.ports[0].port=" + port,
			"--armeria.ports[0].protocols[0]=http",
		},
		listens: a,
		ready:   answers(z.URL + "/health"),
	}, nil
}
