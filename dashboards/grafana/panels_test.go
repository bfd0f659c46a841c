package grafana_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// dashboard is what the tests read of a dashboard.
type dashboard struct {
	Title      string
	Panels     []panel
	Templating struct {
		List []struct {
			Name  string
			Type  string
			Query any
		}
	}
	Annotations struct {
		List []struct {
			Name   string
			Expr   string
			Target struct{ Expr string }
		}
	}
}

type panel struct {
	Title   string
	Panels  []panel // of a row
	Targets []struct {
		RefID        string
		Expr         string
		LegendFormat string
		Format       string
	}
}

// panels returns the queries of all dashboards: of their panels, variables and annotations.
func panels(t *testing.T) (all []query) {
	t.Helper()
	paths, err := filepath.Glob("dashboards/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		var d dashboard
		if err := json.Unmarshal(read(t, path), &d); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		at := d.Title + ": "
		var add func([]panel)
		add = func(panels []panel) {
			for _, p := range panels {
				add(p.Panels)
				for _, target := range p.Targets {
					if target.Expr == "" {
						continue // it asks something else than Prometheus
					}
					q := query{where: fmt.Sprintf("%s%s (%s)", at, p.Title, target.RefID), expr: filledIn(target.Expr)}
					if target.Format != "table" {
						q.legend = labelsOf(target.LegendFormat)
						if target.Format == "heatmap" {
							q.legend = append(q.legend, "le")
						}
					}
					all = append(all, q)
				}
			}
		}
		add(d.Panels)
		for _, a := range d.Annotations.List {
			if expr := a.Expr + a.Target.Expr; expr != "" {
				all = append(all, query{where: at + "annotation " + a.Name, expr: filledIn(expr)})
			}
		}
		for _, v := range d.Templating.List {
			if v.Type == "query" {
				all = append(all, query{where: at + "variable " + v.Name, expr: filledIn(seriesOf(v.Query))})
			}
		}
	}
	return all
}

// seriesOf is the expression whose labels a variable takes its values from.
func seriesOf(query any) string {
	text, ok := query.(string)
	if m, is := query.(map[string]any); is {
		text, ok = m["query"].(string)
	}
	if !ok {
		return ""
	}
	if m := regexp.MustCompile(`^label_values\((.*),\s*\w+\)$`).FindStringSubmatch(text); m != nil {
		return m[1]
	}
	if m := regexp.MustCompile(`^query_result\((.*)\)$`).FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return text
}

// labelsOf are the labels that a legend shows.
func labelsOf(legend string) []string {
	labels := []string{}
	for _, m := range regexp.MustCompile(`{{\s*(\w+)\s*}}`).FindAllStringSubmatch(legend, -1) {
		labels = append(labels, m[1])
	}
	return labels
}

// chosen is what a variable is where a query takes one value of it.
var chosen = map[string]string{"service": "payments", "caller": "payments", "callee": "bank", "cluster": "bank", "job": "hopscope"}

var (
	intervals = strings.NewReplacer("$__rate_interval", "15s", "${__rate_interval}", "15s", "$__interval", "5s", "${__interval}", "5s",
		"$__range_s", "60", "${__range_s}", "60", "$__range", "60s", "${__range}", "60s")
	manyOf   = regexp.MustCompile(`([=!]~\s*")\$(\{\w+(:\w+)?\}|\w+)"`)
	variable = regexp.MustCompile(`\$(?:\{(\w+)(?::\w+)?\}|(\w+))`)
)

// filledIn is a query as Grafana sends it: with values in place of its variables.
func filledIn(expr string) string {
	expr = manyOf.ReplaceAllString(intervals.Replace(expr), `$1.*"`)
	return variable.ReplaceAllStringFunc(expr, func(v string) string {
		name := strings.Trim(v, "${}")
		name, _, _ = strings.Cut(name, ":")
		if value, ok := chosen[name]; ok {
			return value
		}
		return v
	})
}
