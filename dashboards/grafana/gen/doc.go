// Command gen writes the Grafana dashboards in ../dashboards: make generate runs it, and
// make check-generated runs it with -check.
//
// Each dashboard is a file here, named after it, and reads from top to bottom as its page
// does. What they share is apart: queries.go makes PromQL, panels.go panels, board.go
// variables, links and annotations, text.go the words of package words. The tests hold the
// files that were written to the rules of Grafana's dashboard linter, and to the metrics and
// labels of docs/metrics.md.
//
// It is a module of its own, so that the product does not depend on Grafana's SDK and, for
// the tests, on Prometheus. Start reading at [dashboards].
package main
