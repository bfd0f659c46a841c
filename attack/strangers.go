package attack

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// Envoys are fields by which Envoy tells its own what to do, and whom they serve.
var Envoys = []string{
	"x-envoy-internal: true", "x-envoy-external-address: 192.0.2.1", "x-envoy-original-path: /admin", "x-envoy-attempt-count: 9",
	"x-envoy-force-trace: 1", "x-envoy-decorator-operation: x", "x-envoy-expected-rq-timeout-ms: 1", "x-envoy-ip-tags: office",
	"x-envoy-peer-metadata: x", "x-envoy-original-dst-host: 127.0.0.1:1", "x-envoy-upstream-rq-timeout-alt-response: 1",
	"x-envoy-retry-on: 5xx", "x-envoy-max-retries: 63", "x-envoy-upstream-rq-timeout-ms: 60000",
}

// EchoFields is an endpoint that answers with the names of the fields that it got, one
// a line.
func EchoFields(w http.ResponseWriter, r *http.Request) {
	for name := range r.Header {
		fmt.Fprintln(w, strings.ToLower(name))
	}
}

// Strangers sends [Envoys] to the proxy at address, in front of [EchoFields], from
// behind a TLS terminator that says whom it serves. It returns the names that passed,
// but for those that the proxy wrote itself.
func Strangers(ctx context.Context, address string) (passed []string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-Forwarded-For", "192.0.2.1")
	for _, field := range Envoys {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Set(name, value)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	names, err := io.ReadAll(response.Body)
	for name := range strings.FieldsSeq(string(names)) {
		if strings.HasPrefix(name, "x-envoy-") && name != "x-envoy-attempt-count" && name != "x-envoy-expected-rq-timeout-ms" {
			passed = append(passed, name)
		}
	}
	slices.Sort(passed)
	return passed, err
}

// Greedy sends a request for 64 attempts, as a trusted caller of a route may who is
// not held to the route's policy, to the proxy at address. How many there were is for
// the endpoint to say.
func Greedy(ctx context.Context, address string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return err
	}
	r.Header.Set("X-Envoy-Retry-On", "5xx")
	r.Header.Set("X-Envoy-Max-Retries", "63")
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return err
	}
	return response.Body.Close()
}
