// Package views has the tests of what the proxy shows: every way that a request can end, in
// the access log, the metrics, the spans and the response.
package views
