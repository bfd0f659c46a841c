package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/snapshot"
	"github.com/hopscope/hopscope/telemetry/metrics"
)

const metricsIntro = `# Metrics

Generated from the tables in the code; do not edit.

hopscope serves its metrics at ` + "`/metrics`" + ` of the admin API, in the text format of Prometheus, in OpenMetrics (with exemplars:
the trace and span of a request whose trace is exported), and, with ` + "`telemetry.metrics.native_histograms`" + `, as native histograms.

- A **hop** is a request through this proxy: *inbound* is to the service, *outbound* is one that it makes, *mirror* a copy of one. An **attempt** is a try
  at an endpoint.
- ` + "`http_server_*` and `rpc_server_*`" + ` count inbound hops, ` + "`http_client_*` and `rpc_client_*`" + ` outbound ones, after OpenTelemetry's
  conventions. gRPC calls are in ` + "`rpc_*`" + ` and not in ` + "`http_*`" + `. ` + "`hopscope_requests_total`" + ` counts all.
- **A counter or histogram has no series before its first event**, and a service of the catalog has none at all before a
  request has come to it. In a query, ` + "`or vector(0)`" + ` gives the 0.
- Labels are bounded. A client can't make up a value: methods, routes and gRPC methods beyond those that are known are one,
  ` + "`_OTHER` or `other`" + `.
- The metrics of Go's runtime (` + "`go_*`" + `) and of the process (` + "`process_*`" + `) are those of Prometheus' client for Go. They have no label
  ` + "`service`" + `: join them with ` + "`hopscope_build_info` by `instance`" + `.

`

// ledger says what hopscope_blame_total counts.
const ledger = `
## Who is at fault

` + "`hopscope_failures_total`" + ` counts each hop that met a failure, so a request that fails behind three proxies is in it three times.
` + "`hopscope_blame_total`" + ` counts **each failed request once, at the proxy where it entered the mesh**, and charges it to one culprit.
Its sum over all proxies is the number of failed requests of clients. Its exemplars are traces of such requests.

    sum by (culprit) (rate(hopscope_blame_total[5m]))

A request has entered the mesh at the first proxy that sees it. Each proxy marks what it sends with a member of ` + "`tracestate`" + `,
` + "`hopscope=`" + ` and a hash of ` + "`mesh.name`" + `, and a request that comes with the mark of the same mesh does not count again. Whether the
client began the trace does not matter. A call that a service makes for a request does not count; one that it makes by itself, as by
a timer, does. Nor do attempts that were repeated, failures that the application recovered from, and requests that the client gave up.
The proxies of one mesh need one ` + "`mesh.name`" + `; two meshes that call each other need two.

This is exact, but for these:

- An application without an outbound proxy of its own, which calls another proxy and does not pass ` + "`tracestate`" + ` on: the call counts
  as a request of a client, so a failure may count twice.
- With ` + "`telemetry.traces.inject`" + ` without ` + "`w3c`" + ` nothing is marked. Each proxy then counts the requests that come to it.
- A call with no trace context at all is taken to be for a request if the service is serving one. So if an application drops the
  context, its calls by a timer do not count while it serves requests. If it passes the context on, they do.
- A call that begins after the request that it was made for has ended counts by itself, unless the application passes
  ` + "`tracestate`" + ` on.
- Connections that failed before there was a request, as in a TLS handshake, are in ` + "`hopscope_connection_failures_total`" + ` instead.
`

// processIntro comes before the metrics of the process.
const processIntro = `Go's runtime and Linux have these; on other systems some of ` + "`process_*`" + ` are missing. ` + "`go_info`" + ` has the version of Go.
`

// meanings says what each label means.
var meanings = map[string]string{
	"breaker":                   "limit: `requests`, `retries`, `connections` or `pending` (requests that wait for a connection)",
	"change":                    "`added` or `removed`",
	"cluster":                   "cluster that the request goes to; of an attempt, the one that its endpoint is in; empty where there is none",
	"code":                      "HTTP status, 0 where no response began",
	"culprit":                   "who is at fault: a service, or where the failure happened between two, such as `payments -> bank`; `other` beyond 200 of them",
	"direction":                 "`inbound`: requests to the service; `outbound`: those that it makes; `mirror`: copies of requests",
	"error_type":                "OpenTelemetry's `error.type`: an error type of RFC 9209, the name of a gRPC status, an HTTP status or a response flag; empty for what is no error. To a client, 4xx and every gRPC status but OK are errors.",
	"event":                     "what outlier detection did",
	"exporter":                  "where spans go, such as `otlp 127.0.0.1:4317`; empty where nothing is exported",
	"failed_hop":                "name of the service at fault; `other` beyond 200 of them",
	"flag":                      "first [response flag](flags.md), empty if there is none",
	"goversion":                 "version of Go that built it",
	"grpc_status":               "name of a gRPC call's status, such as `UNAVAILABLE`; empty for others, and where the call ended without one",
	"hash":                      "12 hexadecimal digits that stand for a configuration",
	"health":                    "health of endpoints",
	"http_request_method":       "method, `_OTHER` for one that is not known",
	"http_response_status_code": "HTTP status, empty where no response began",
	"kind":                      "of a failure: what happened, in a word, such as `connect_refused`, or `error_response` where an application answered with an error; of a certificate: `listener`, `cluster`, `admin`, `mesh` or `exporter`",
	"limit":                     "limit of the route: `max_requests`, `concurrency` or `admission`",
	"listener":                  "listener that took the connection",
	"method":                    "as `http_request_method`",
	"name":                      "whose certificate it is: the listener or cluster, or the exporter's place in the configuration",
	"of":                        "`accept`: connections of clients; `dial`: connections to endpoints",
	"origin":                    "who made the failure: `downstream`, `proxy` (this one), `endpoint`, or `relayed` from a hop farther upstream",
	"outcome":                   "what was remarkable",
	"part":                      "part of the service that is at fault: `application`, `proxy`, `network`, `configuration`, `certificate`, `capacity`, `name_resolution`; empty where it is not known, and for clients",
	"priority":                  "`default` or `high`, of the requests' routes; there is no `high` before a request of that priority has come",
	"reason":                    "of a connection: the detail of its failure, such as `downstream_tls_error{certificate_expired}`; of an ejection: what gave rise to it; of what was dropped: why; of the view `pins`: see [mesh.md](mesh.md#whole-traces-of-failures)",
	"result":                    "`success` or `failure`",
	"revision":                  "revision that it was built from",
	"route":                     "template of the route, such as `/product/{id}`: the learned one, else the name or path of the configuration; empty if it has none, or no route matched",
	"rpc_grpc_status_code":      "code of the call's status, 0 to 16; empty where it ended without one",
	"rpc_method":                "method that an endpoint has shown to have; `other` beyond 100 of a service, and for those not known",
	"rpc_service":               "full name of the gRPC service, such as `shop.Cart`; `other` like `rpc_method`",
	"service":                   "the service that the proxy stands in front of",
	"source":                    "where the endpoints come from; of a connection: `dialled`, `pool`, or `refused`",
	"state":                     "`active` or `idle`",
	"variant":                   "target that the guard watches",
	"version":                   "version of hopscope",
	"view":                      "view that lost something",
	"what":                      "what was refused",
}

// describe returns the metrics that a running proxy has.
func describe() ([]metrics.Description, error) {
	c, err := config.Parse("metrics.yaml", []byte(`
service: web
admin: {address: "off"}
listeners: [{name: ingress, address: "127.0.0.1:0", routes: [{cluster: web}]}]
clusters: {web: {endpoints: ["127.0.0.1:1"]}}
telemetry: {access_log: {path: "off"}}
`))
	if err != nil {
		return nil, err
	}
	p, err := snapshot.Start(c, snapshot.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	defer p.Close(context.Background())
	return p.Metrics(), nil
}

// metricsPage is docs/metrics.md.
func metricsPage() ([]byte, error) {
	all, err := describe()
	if err != nil {
		return nil, fmt.Errorf("docs/metrics.md: %w", err)
	}
	used := map[string]bool{}
	var b bytes.Buffer
	b.WriteString(metricsIntro)
	b.WriteString("| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n")
	for _, d := range all {
		for _, l := range d.Labels {
			used[l] = true
		}
		b.WriteString(row(d))
	}
	b.WriteString("\n## The process\n\n" + processIntro + "\n| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n")
	process, err := describeProcess()
	if err != nil {
		return nil, fmt.Errorf("docs/metrics.md: %w", err)
	}
	for _, d := range process {
		b.WriteString(row(d))
	}
	b.WriteString("\n## Labels\n\n| label | meaning |\n|---|---|\n")
	for _, l := range slices.Sorted(maps.Keys(used)) {
		if meanings[l] == "" {
			return nil, fmt.Errorf("docs/metrics.md: the label %q has no meaning: say it in docs/generate/metrics.go", l)
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", l, meanings[l])
	}
	for l := range meanings {
		if !used[l] {
			return nil, fmt.Errorf("docs/metrics.md: no metric has the label %q: delete it from docs/generate/metrics.go", l)
		}
	}
	b.WriteString(ledger)
	fmt.Fprintf(&b, "\n## Buckets\n\nHistograms have these upper bounds, in seconds: %s.\n", metrics.Bounds())
	return b.Bytes(), nil
}

// row is a metric's line of a table.
func row(d metrics.Description) string {
	var labels []string
	for _, l := range d.Labels {
		labels = append(labels, "`"+l+"`")
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s |\n", d.Name, d.Type, unitOf(d.Name), strings.Join(labels, ", "), d.Help)
}

// describeProcess returns the metrics of Go's runtime and of the process, by name.
func describeProcess() ([]metrics.Description, error) {
	r := prometheus.NewRegistry()
	r.MustRegister(metrics.ProcessCollectors()...)
	families, err := r.Gather()
	if err != nil {
		return nil, err
	}
	var all []metrics.Description
	for _, f := range families {
		d := metrics.Description{Name: f.GetName(), Type: strings.ToLower(f.GetType().String()), Help: strings.ReplaceAll(f.GetHelp(), "|", "\\|")}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() != "quantile" && !slices.Contains(d.Labels, l.GetName()) {
					d.Labels = append(d.Labels, l.GetName())
				}
			}
		}
		all = append(all, d)
	}
	return all, nil
}

// unitOf is the unit of a metric, which its name ends in.
func unitOf(name string) string {
	name = strings.TrimSuffix(name, "_total")
	switch {
	case strings.HasSuffix(name, "_timestamp_seconds"), strings.HasSuffix(name, "_time_seconds"):
		return "seconds since 1970"
	case strings.HasSuffix(name, "_seconds"):
		return "seconds"
	case strings.HasSuffix(name, "_bytes"):
		return "bytes"
	}
	return "number"
}
