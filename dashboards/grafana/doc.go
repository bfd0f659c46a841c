// Package grafana has what Prometheus and Grafana need to show a mesh and to watch it:
// recording rules (rules.yml) and alerts (alerts.yml), whose runbooks are in docs/runbooks,
// and dashboards. There is no code in it but tests: they run promtool, compare names with
// docs/metrics.md, and run each query against the real Prometheus on the demo's mesh.
//
// It is not the metrics themselves: those are in telemetry/metrics and proxy/snapshot.
// Start reading at rules.yml.
package grafana
