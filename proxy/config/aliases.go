package config

import (
	"reflect"
	"slices"

	"github.com/hopscope/hopscope/discovery/strictyaml"
)

// alias finds the key that people mean by an unknown name, such as another proxy's name
// for it, and what to write instead; "" for none. It compares names as nearest does.
func alias(t reflect.Type, name string) (meant, remedy string) {
	switch t {
	case reflect.TypeFor[Cluster]():
		return clusterAlias(name)
	case reflect.TypeFor[Route]():
		switch strictyaml.Fold(name) {
		case "retries", "numretries", "maxretries", "retryon", "retrypolicy":
			return "retry", "retry: {on: [connect-failure], attempts: ...}"
		case "hedgepolicy":
			return "hedge", "hedge: {after: ...}"
		}
	case reflect.TypeFor[Retry]():
		switch strictyaml.Fold(name) {
		case "retries", "numretries", "maxretries", "times":
			return "attempts", "attempts, which counts the first time too"
		case "retryon":
			return "on", "on: [...]"
		case "retriablestatuscodes", "statuscodes", "codes":
			return "statuses", "statuses: [...]"
		}
	case reflect.TypeFor[Balance]():
		switch strictyaml.Fold(name) {
		case "algorithm", "type", "lbpolicy":
			return "policy", "policy: ..."
		}
	}
	return "", ""
}

func clusterAlias(name string) (meant, remedy string) {
	switch strictyaml.Fold(name) {
	case "maxconnections", "maxpending", "maxrequests", "maxretries":
		for _, k := range keysOf(reflect.TypeFor[Thresholds]()) {
			if strictyaml.Fold(k.name) == strictyaml.Fold(name) {
				return "circuit_breaker", "circuit_breaker: {" + k.name + ": ...}"
			}
		}
	case "retries", "numretries", "retryon", "retrypolicy":
		return "retry", "retry: {on: [connect-failure], attempts: ...}"
	case "loadbalancer", "loadbalancing", "lb", "lbpolicy", "policy", "algorithm":
		return "balance", "balance: {policy: ...}"
	case "outlierdetection", "ejection":
		return "outlier", "outlier: {...}"
	case "hosts", "servers", "addresses", "upstreams", "loadassignment":
		return "endpoints", "endpoints: [...]"
	case "service":
		return "consul", "consul: {service: ...}"
	}
	return "", ""
}

// wordAlias returns the enum's word for another proxy's word, or "".
func wordAlias(word string, enum []string) string {
	known := ""
	switch strictyaml.Fold(word) {
	case "leastconn", "leastconnections", "p2c", "poweroftwochoices":
		known = "least_request"
	case "rr", "wrr", "roundrobinweighted", "weightedroundrobin":
		known = "round_robin"
	case "ewma", "leasttime", "latency":
		known = "peak_ewma"
	case "hash", "iphash", "source", "sourceip", "consistenthash", "ketama":
		known = "ring_hash"
	case "502", "503", "504":
		known = "gateway-error"
	case "500":
		known = "5xx"
	case "http", "httpjson", "otlphttp":
		known = "http/protobuf"
	}
	if !slices.Contains(enum, known) {
		return ""
	}
	return known
}
