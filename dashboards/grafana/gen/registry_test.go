package main

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

// registry is what metrics there are, by name, each with its labels.
type registry map[string]set

type set map[string]bool

// nameLabel is the label that Prometheus keeps a metric's name in.
const nameLabel = "__name__"

// readRegistry reads docs/metrics.md, which is generated from the metrics in the code, and
// which make check-generated compares with it.
func readRegistry(t *testing.T) registry {
	t.Helper()
	page, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	r := registry{}
	name := regexp.MustCompile("`(\\w+)`")
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) < 6 {
			continue
		}
		m := name.FindStringSubmatch(cells[1])
		kind := strings.TrimSpace(cells[2])
		if m == nil || !slices.Contains([]string{"counter", "gauge", "histogram", "summary"}, kind) {
			continue
		}
		all := set{"job": true, "instance": true}
		for _, l := range name.FindAllStringSubmatch(cells[4], -1) {
			all[l[1]] = true
		}
		switch kind {
		case "histogram", "summary":
			r[m[1]+"_count"], r[m[1]+"_sum"] = all, all
			if kind == "histogram" {
				r[m[1]+"_bucket"] = maps.Clone(all)
				r[m[1]+"_bucket"]["le"] = true
			}
		default:
			r[m[1]] = all
		}
	}
	if len(r) < 50 {
		t.Fatalf("docs/metrics.md has %d metrics: is its table still the one that this test reads?", len(r))
	}
	return r
}

// Every metric exists, has every label that a query matches or groups by, and the legend,
// or the columns of the table, show the labels of the series: all of them, and no others.
func TestQueriesNameWhatExists(t *testing.T) {
	r := readRegistry(t)
	each(t, func(t *testing.T, d written) {
		for _, p := range d.all() {
			for _, q := range p.Targets {
				got, err := r.query(q.Expr)
				if err != nil {
					t.Errorf("%q: query %s: %v\n%s", p.Title, q.RefID, err, q.Expr)
					continue
				}
				if q.Format == "table" {
					checkColumns(t, p, q, got)
					continue
				}
				shown := set{}
				for _, m := range regexp.MustCompile(`{{(\w+)}}`).FindAllStringSubmatch(q.LegendFormat, -1) {
					shown[m[1]] = true
				}
				if !maps.Equal(shown, got) {
					t.Errorf("%q: query %s: the legend %q shows %v, the series have %v", p.Title, q.RefID, q.LegendFormat, keys(shown), keys(got))
				}
			}
		}
		for _, a := range d.Annotations.List {
			if _, err := r.query(a.Target.Expr); a.Target.Expr != "" && err != nil {
				t.Errorf("annotation %s: %v", a.Name, err)
			}
		}
		for _, v := range d.Templating.List {
			text, _ := v.Query.(string)
			if m := labelValues.FindStringSubmatch(text); m != nil {
				if got, err := r.query(m[1]); err != nil || !got[m[2]] {
					t.Errorf("variable %s: %v: no label %s in %v", v.Name, err, m[2], keys(got))
				}
			}
		}
	})
}

// checkColumns says which labels of a query are no column of its table. A column is an
// override by name; it is a value, or a label of one of the queries.
func checkColumns(t *testing.T, p writtenPanel, q writtenTarget, got set) {
	t.Helper()
	value := "Value"
	if len(p.Targets) > 1 {
		value += " #" + q.RefID
	}
	columns := set{}
	for _, o := range p.FieldConfig.Overrides {
		columns[o.Matcher.Options] = true
	}
	if !columns[value] {
		t.Errorf("%q: query %s: no column %q", p.Title, q.RefID, value)
	}
	for l := range got {
		if !columns[l] {
			t.Errorf("%q: query %s: the label %s is no column", p.Title, q.RefID, l)
		}
	}
	if q.RefID != "A" {
		return
	}
	for c := range columns {
		if !strings.HasPrefix(c, "Value") && !got[c] {
			t.Errorf("%q: column %s is no label of query A: %v", p.Title, c, keys(got))
		}
	}
}

// query returns the labels that the series of a query have.
func (r registry) query(text string) (set, error) {
	expr, err := parse(text)
	if err != nil {
		return nil, err
	}
	return r.labels(expr)
}

func (r registry) labels(e parser.Expr) (set, error) {
	switch e := e.(type) {
	case *parser.VectorSelector:
		return r.selector(e)
	case *parser.MatrixSelector:
		return r.labels(e.VectorSelector)
	case *parser.ParenExpr:
		return r.labels(e.Expr)
	case *parser.UnaryExpr:
		return r.labels(e.Expr)
	case *parser.Call:
		return r.call(e)
	case *parser.AggregateExpr:
		inner, err := r.labels(e.Expr)
		if err != nil || e.Op == parser.TOPK || e.Op == parser.BOTTOMK {
			return inner, err
		}
		out := set{}
		for _, l := range e.Grouping {
			if !inner[l] {
				return nil, fmt.Errorf("grouped by %s, which %s does not have", l, e.Expr)
			}
			out[l] = true
		}
		return out, nil
	case *parser.BinaryExpr:
		return r.binary(e)
	case *parser.NumberLiteral, *parser.StringLiteral:
		return set{}, nil
	}
	return nil, fmt.Errorf("what are the labels of %s (%T)?", e, e)
}

func (r registry) selector(e *parser.VectorSelector) (set, error) {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(r)), func(name string) bool {
		for _, m := range e.LabelMatchers {
			if m.Name == nameLabel {
				return !m.Matches(name)
			}
		}
		return true
	})
	if len(names) == 0 {
		return nil, fmt.Errorf("no metric is called %s", metricName(e))
	}
	all := set{}
	for _, n := range names {
		maps.Copy(all, r[n])
	}
	for _, m := range e.LabelMatchers {
		if m.Name != nameLabel && !all[m.Name] {
			return nil, fmt.Errorf("%s has no label %s", strings.Join(names, ", "), m.Name)
		}
	}
	return all, nil
}

func (r registry) call(e *parser.Call) (set, error) {
	var all set
	for _, a := range e.Args {
		inner, err := r.labels(a)
		if err != nil {
			return nil, err
		}
		if t := a.Type(); t == parser.ValueTypeVector || t == parser.ValueTypeMatrix {
			all = maps.Clone(inner)
		}
	}
	switch e.Func.Name {
	case "scalar", "vector", "time":
		return set{}, nil
	case "histogram_quantile":
		if !all["le"] {
			return nil, fmt.Errorf("histogram_quantile without the label le: %s", e)
		}
		delete(all, "le")
	case "label_replace":
		from := e.Args[3].(*parser.StringLiteral).Val
		if from != "" && !all[from] {
			return nil, fmt.Errorf("label_replace of %s, which there is not", from)
		}
		all[e.Args[1].(*parser.StringLiteral).Val] = true
	}
	return all, nil
}

func (r registry) binary(e *parser.BinaryExpr) (set, error) {
	left, err := r.labels(e.LHS)
	if err != nil {
		return nil, err
	}
	right, err := r.labels(e.RHS)
	if err != nil {
		return nil, err
	}
	m := e.VectorMatching
	switch {
	case e.LHS.Type() == parser.ValueTypeScalar:
		return right, nil
	case m == nil || e.RHS.Type() == parser.ValueTypeScalar:
		return left, nil
	case e.Op == parser.LOR:
		all := maps.Clone(left)
		maps.Copy(all, right)
		return all, nil
	case !m.On:
		if !maps.Equal(left, right) {
			return nil, fmt.Errorf("%v do not match %v: %s", keys(left), keys(right), e)
		}
		return left, nil
	}
	out := set{}
	for _, l := range m.MatchingLabels {
		if !left[l] || !right[l] {
			return nil, fmt.Errorf("matched on %s, which one side does not have: %s", l, e)
		}
		out[l] = true
	}
	if m.Card == parser.CardManyToOne {
		maps.Copy(out, left)
		for _, l := range m.Include {
			out[l] = true
		}
	}
	return out, nil
}

// metricName is the name that a selector asks for, or the expression that it matches.
func metricName(e *parser.VectorSelector) string {
	for _, m := range e.LabelMatchers {
		if m.Name == nameLabel {
			return strings.NewReplacer("(", "", ")", "").Replace(m.Value)
		}
	}
	return e.Name
}

func keys(s set) []string { return slices.Sorted(maps.Keys(s)) }

func TestRegistryFindsMistakes(t *testing.T) {
	r := registry{"a_total": {"job": true, "x": true}, "h_bucket": {"job": true, "le": true}}
	for _, test := range []struct{ query, want string }{
		{`b_total`, "no metric"},
		{`a_total{y="1"}`, "no label y"},
		{`sum by (y) (rate(a_total[5m]))`, "grouped by y"},
		{`sum by (x) (rate(a_total[5m])) / sum by (job) (rate(a_total[5m]))`, "do not match"},
		{`rate(a_total[5m]) / on (le) h_bucket`, "matched on le"},
		{`histogram_quantile(0.9, sum by (job) (rate(h_bucket[5m])))`, "without the label le"},
		{`label_replace(a_total, "z", "$1", "y", "(.*)")`, "label_replace of y"},
		{`histogram_quantile(0.9, sum by (le, job) (rate({__name__=~"(g|h)_bucket"}[5m])))`, "[job]"},
		{`topk(3, sum by (x) (rate(a_total[5m])) / scalar(sum(rate(a_total[5m])))) > 0`, "[x]"},
		{`sum(rate(a_total[5m])) or vector(0)`, "[]"},
		{`label_replace(a_total, "z", "$1", "x", "(.*)")`, "[job x z]"},
	} {
		got, err := r.query(test.query)
		if text := fmt.Sprint(keys(got)); err != nil && !strings.Contains(err.Error(), test.want) || err == nil && text != test.want {
			t.Errorf("%s: labels %s, error %v; want %q", test.query, text, err, test.want)
		}
	}
}
