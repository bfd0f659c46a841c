// Command manifests writes what deploy/kubernetes takes over from dashboards/grafana: the rules
// as a PrometheusRule, and the list of dashboards for a ConfigMap. make generate runs it.
//
// Its tests check the manifests of deploy against the schemas of those who read them: the
// Kubernetes API, Prometheus' operator, the Compose specification, BuildKit and systemd. That
// takes their code, so it is a module of its own, and the go.mod of the product stays clean.
// The job of Nomad is checked in the module nomad below.
package main
