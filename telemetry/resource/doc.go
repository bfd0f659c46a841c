// Package resource says who exports telemetry: the resource and the instrumentation scope
// of OpenTelemetry, the same for spans and log records.
//
// It exports nothing. Start at [New].
package resource
