package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// The rules of github.com/grafana/dashboard-linter, under their names there, so that a
// dashboard of ours passes it without an exception.

func TestTemplateDatasourceRule(t *testing.T) {
	each(t, func(t *testing.T, d written) {
		v := d.variable("datasource")
		if v == nil || v.Type != "datasource" || v.Label != "Data source" || v.Query != "prometheus" {
			t.Errorf("no data source to choose: %+v", v)
		}
	})
}

// template-job-rule, template-instance-rule
func TestTemplateJobAndInstanceRule(t *testing.T) {
	each(t, func(t *testing.T, d written) {
		for name, label := range map[string]string{"job": "Job", "instance": "Instance"} {
			v := d.variable(name)
			switch {
			case v == nil:
				t.Errorf("no variable %s", name)
			case v.Type != "query" || v.Label != label || !v.Multi || !v.IncludeAll || v.AllValue != ".+":
				t.Errorf("variable %s: %+v", name, v)
			}
		}
	})
}

// template-label-promql-rule, template-on-time-change-reload-rule
func TestTemplateQueryRules(t *testing.T) {
	each(t, func(t *testing.T, d written) {
		for _, v := range d.Templating.List {
			if v.Type != "query" {
				continue
			}
			if v.Datasource.UID != "${datasource}" || v.Refresh != 2 {
				t.Errorf("variable %s: data source %q, refresh %d; want the chosen one, and 2: on a change of time", v.Name, v.Datasource.UID, v.Refresh)
			}
			text, _ := v.Query.(string)
			m := labelValues.FindStringSubmatch(text)
			if m == nil {
				t.Errorf("variable %s: %q is no label_values(SERIES, LABEL)", v.Name, text)
				continue
			}
			if _, err := parse(m[1]); err != nil {
				t.Errorf("variable %s: %v", v.Name, err)
			}
		}
	})
}

func TestUneditableRule(t *testing.T) {
	each(t, func(t *testing.T, d written) {
		if d.Editable {
			t.Error("it can be edited in Grafana, where the next start loses the change")
		}
	})
}

// panel-datasource-rule, panel-title-description-rule, panel-no-targets-rule
func TestPanelRules(t *testing.T) {
	each(t, func(t *testing.T, d written) {
		for _, p := range d.all() {
			if p.Datasource.UID != "${datasource}" {
				t.Errorf("%q: data source %q", p.Title, p.Datasource.UID)
			}
			if p.Title == "" || p.Description == "" {
				t.Errorf("%q: no title or no description", p.Title)
			}
			if len(p.Targets) == 0 {
				t.Errorf("%q: no query", p.Title)
			}
			for _, q := range p.Targets {
				if q.Datasource.UID != "${datasource}" {
					t.Errorf("%q: query %s: data source %q", p.Title, q.RefID, q.Datasource.UID)
				}
			}
		}
	})
}

func TestPanelUnitsRule(t *testing.T) {
	known := []string{"short", "none", "percentunit", "s", "bytes", "reqps", "ops", "dateTimeAsIso", "dateTimeFromNow"}
	each(t, func(t *testing.T, d written) {
		for _, p := range d.all() {
			units := []string{p.FieldConfig.Defaults.Unit}
			for _, o := range p.FieldConfig.Overrides {
				for _, property := range o.Properties {
					if property.ID == "unit" {
						units = append(units, property.Value.(string))
					}
				}
			}
			for _, u := range units {
				if !slices.Contains(known, u) {
					t.Errorf("%q: unit %q is none that Grafana has, or is new here", p.Title, u)
				}
			}
		}
	})
}

// target-promql-rule, target-job-rule, target-instance-rule, target-rate-interval-rule,
// target-counter-agg-rule, target-histogram-rule
func TestTargetRules(t *testing.T) {
	each(t, func(t *testing.T, d written) {
		for _, p := range d.all() {
			for _, q := range p.Targets {
				for _, complaint := range lint(q.Expr, q.Format) {
					t.Errorf("%q: query %s: %s\n%s", p.Title, q.RefID, complaint, q.Expr)
				}
			}
		}
		for _, a := range d.Annotations.List {
			if a.Target.Expr == "" {
				continue // Grafana's own
			}
			for _, complaint := range lint(a.Target.Expr, "") {
				t.Errorf("annotation %s: %s\n%s", a.Name, complaint, a.Target.Expr)
			}
		}
	})
}

// lint says what is wrong with a query.
func lint(query, format string) (complaints []string) {
	expr, err := parse(query)
	if err != nil {
		return []string{err.Error()}
	}
	for _, matchers := range parser.ExtractSelectors(expr) {
		for _, name := range []string{"job", "instance"} {
			if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool {
				return m.Name == name && m.Type == labels.MatchRegexp && m.Value == "$"+name
			}) {
				complaints = append(complaints, "a selector without "+name+`=~"$`+name+`"`)
			}
		}
	}
	parser.Inspect(expr, func(node parser.Node, above []parser.Node) error {
		switch n := node.(type) {
		case *parser.MatrixSelector:
			call, _ := above[len(above)-1].(*parser.Call)
			isRate := call != nil && (call.Func.Name == "rate" || call.Func.Name == "irate")
			if isRate && "["+n.Range.String()+"]" != "[1h12m1s]" {
				complaints = append(complaints, "a rate over another time than $__rate_interval")
			}
		case *parser.VectorSelector:
			name := metricName(n)
			if counts(name) && !calledBy(above, "rate", "irate", "increase") {
				complaints = append(complaints, name+" is a counter: it wants rate or increase")
			}
			if strings.Contains(name, "_bucket") && format != "heatmap" && !calledBy(above, "histogram_quantile") {
				complaints = append(complaints, name+" wants histogram_quantile")
			}
		}
		return nil
	})
	return complaints
}

// counts says whether a metric is a counter by its name.
func counts(name string) bool {
	for _, suffix := range []string{"_total", "_bucket", "_count", "_sum"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

func calledBy(above []parser.Node, names ...string) bool {
	return slices.ContainsFunc(above, func(n parser.Node) bool {
		call, ok := n.(*parser.Call)
		return ok && slices.Contains(names, call.Func.Name)
	})
}

func TestLintFindsMistakes(t *testing.T) {
	const ours = `job=~"$job", instance=~"$instance"`
	for _, test := range []struct{ query, want string }{
		{`sum(`, "parse error"},
		{`up{job=~"$job"}`, "without instance"},
		{`up{job="$job", instance=~"$instance"}`, "without job"},
		{`rate(a_total{` + ours + `}[5m])`, "another time than $__rate_interval"},
		{`a_total{` + ours + `}`, "wants rate"},
		{`sum(rate(a_bucket{` + ours + `}[$__rate_interval]))`, "wants histogram_quantile"},
		{`sum(rate(a_total{` + ours + `}[$__rate_interval]))`, ""},
		{`sum(increase(a_total{` + ours + `}[$__range]))`, ""},
	} {
		got := strings.Join(lint(test.query, ""), "; ")
		if (test.want == "") != (got == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.query, got, test.want)
		}
	}
}

func (d written) variable(name string) *writtenVariable {
	for i := range d.Templating.List {
		if d.Templating.List[i].Name == name {
			return &d.Templating.List[i]
		}
	}
	return nil
}
