// Package zipkin exports spans to a Zipkin server, or whatever takes Zipkin's
// v2 JSON, over HTTP.
//
// It makes no spans: model.go turns the OTLP spans of package spans into
// Zipkin's form, and zipkin.go posts them. Start at [New].
package zipkin
