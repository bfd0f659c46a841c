package main

import (
	"fmt"
	"strings"
)

// of selects series of the chosen services.
func of(metric string, matchers ...string) string {
	return selector(metric, append([]string{`service=~"$service"`}, matchers...))
}

// proxies selects series of the chosen proxies, whatever their service.
func proxies(metric string, matchers ...string) string {
	return selector(metric, matchers)
}

func selector(metric string, matchers []string) string {
	all := append([]string{`job=~"$job"`, `instance=~"$instance"`}, matchers...)
	if strings.HasPrefix(metric, "__name__") {
		return "{" + strings.Join(append([]string{metric}, all...), ", ") + "}"
	}
	return metric + "{" + strings.Join(all, ", ") + "}"
}

// Durations of requests, HTTP and gRPC together: to a service, and those that it makes.
const (
	serverBuckets = `__name__=~"(http_server_request|rpc_server_call)_duration_seconds_bucket"`
	clientBuckets = `__name__=~"(http_client_request|rpc_client_call)_duration_seconds_bucket"`
)

const (
	inbound  = `direction="inbound"`
	outbound = `direction="outbound"`
	// notClients leaves out failures that the client made itself: it is no fault of the mesh.
	notClients = `origin!="downstream"`
)

func rate(series string) string { return "rate(" + series + "[$__rate_interval])" }

// total is how much a counter grew in the time that is shown.
func total(series string) string { return "increase(" + series + "[$__range])" }

func sum(by, expr string) string { return aggregate("sum", by, expr) }

// largest is the maximum by labels.
func largest(by, expr string) string { return aggregate("max", by, expr) }

func aggregate(how, by, expr string) string {
	if by == "" {
		return how + "(" + expr + ")"
	}
	return how + " by (" + by + ") (" + expr + ")"
}

// top keeps a legend short.
func top(n int, expr string) string { return fmt.Sprintf("topk(%d, %s)", n, expr) }

// orZero is 0 where there is no series: a counter has none before its first event.
func orZero(expr string) string { return expr + " or vector(0)" }

// quantile is a quantile of durations by labels.
func quantile(q float64, by, buckets string) string {
	labels := "le"
	if by != "" {
		labels = by + ", le"
	}
	return fmt.Sprintf("histogram_quantile(%g, %s)", q, sum(labels, rate(buckets)))
}

// share is the part of requests that failed, 0 where there were requests and none failed.
func share(by, failures, requests string) string {
	r := sum(by, rate(requests))
	return fmt.Sprintf("(%s or 0 * %s) / (%s > 0)", sum(by, rate(failures)), r, r)
}

// shareOfAll is what part each series has in the sum of all.
func shareOfAll(by, series string) string {
	return fmt.Sprintf("%s / scalar(%s > 0)", sum(by, total(series)), sum("", total(series)))
}

// copied gives each series one more label with the value of another, for a column of a table
// that shows the same word in other words.
func copied(to, from, expr string) string {
	return fmt.Sprintf(`label_replace(%s, "%s", "$1", "%s", "(.*)")`, expr, to, from)
}
