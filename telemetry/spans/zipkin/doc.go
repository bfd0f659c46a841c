// Package zipkin exports spans over HTTP to a Zipkin server, or to any server that
// accepts Zipkin's v2 JSON.
//
// It makes no spans: model.go turns the OTLP spans of package spans into
// Zipkin's form, and zipkin.go posts them. Start at [New].
package zipkin
