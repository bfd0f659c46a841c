// Tests of the rules, alerts and dashboards, and of the runbooks: with promtool, against the
// metrics that the code has, and on the demo mesh.
package grafana_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/hopscope/hopscope/deploy/backends"
)

// rule is a recording rule or an alert, as Prometheus reads it.
type rule struct {
	Record      string
	Alert       string
	Expr        string
	For         string
	Labels      map[string]string
	Annotations map[string]string
}

// rulesOf reads the rules of a file.
func rulesOf(t *testing.T, text []byte) (all []rule) {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []rule
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// promtool runs promtool, which comes with Prometheus.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	path := filepath.Join(filepath.Dir(backends.Require(t, "prometheus")), "promtool")
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestRulesAreValid(t *testing.T) {
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", "rules.yml", "alerts.yml")
}

// Each alert fires when it should, with the words that it should, and does not otherwise.
func TestAlertsFire(t *testing.T) {
	t.Parallel()
	files := []string{"testdata/alerts.yml", "testdata/burn.yml"}
	promtool(t, append([]string{"test", "rules"}, files...)...)
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, path := range files {
		var file struct {
			Tests []struct {
				AlertRuleTest []struct {
					Alertname string           `yaml:"alertname"`
					ExpAlerts []map[string]any `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		if err := yaml.Unmarshal(read(t, path), &file); err != nil {
			t.Fatal(err)
		}
		for _, test := range file.Tests {
			for _, c := range test.AlertRuleTest {
				if len(c.ExpAlerts) > 0 {
					fires[c.Alertname] = true
				} else {
					quiet[c.Alertname] = true
				}
			}
		}
	}
	for _, r := range rulesOf(t, read(t, "alerts.yml")) {
		if !fires[r.Alert] || !quiet[r.Alert] {
			t.Errorf("%s: no test has it fire, or none has it quiet", r.Alert)
		}
	}
}

// Each alert says how bad it is, what happened and what to do, and has a runbook of its own.
func TestAlertsSayWhatToDo(t *testing.T) {
	const at = "https://github.com/hopscope/hopscope/blob/main/docs/runbooks/"
	books := filepath.Join("..", "..", "docs", "runbooks")
	used := map[string]bool{}
	for _, r := range rulesOf(t, read(t, "alerts.yml")) {
		if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
			t.Errorf("%s: severity %q", r.Alert, r.Labels["severity"])
		}
		if s := r.Annotations["summary"]; len(s) < 60 || !strings.HasSuffix(s, ".") {
			t.Errorf("%s: a summary says in whole sentences what happened and what to do: %q", r.Alert, s)
		}
		book, ok := strings.CutPrefix(r.Annotations["runbook_url"], at)
		if !ok {
			t.Errorf("%s: runbook %q", r.Alert, r.Annotations["runbook_url"])
			continue
		}
		used[book] = true
		if text := string(read(t, filepath.Join(books, book))); !strings.Contains(text, "`"+r.Alert+"`") {
			t.Errorf("docs/runbooks/%s does not name %s", book, r.Alert)
		}
	}
	all, err := filepath.Glob(filepath.Join(books, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		if !used[filepath.Base(path)] {
			t.Errorf("no alert leads to docs/runbooks/%s", filepath.Base(path))
		}
	}
}

// The rules that the documentation shows can be taken from it as they are.
func TestRulesOfTheDocumentation(t *testing.T) {
	t.Parallel()
	blocks := regexp.MustCompile("(?ms)^```yaml\n(groups:\n.*?)^```$").FindAllSubmatch(read(t, "../../docs/operations.md"), -1)
	if len(blocks) != 1 {
		t.Fatalf("docs/operations.md has %d examples of rules, want 1", len(blocks))
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("example.yml", string(blocks[0][1]))
	promtool(t, "check", "rules", filepath.Join(dir, "example.yml"))
	test := func(bank, other, want string) string {
		return fmt.Sprintf(`
  - interval: 1m
    input_series:
      - {series: 'hopscope_blame_total{service="web",instance="a",culprit="payments -> bank",part="network",kind="connect_refused"}', values: '%s'}
      - {series: 'hopscope_blame_total{service="web",instance="b",culprit="stock",part="application",kind="error_response"}', values: '%s'}
    alert_rule_test:
      - {eval_time: 15m, alertname: OneCulprit, exp_alerts: [%s]}
`, bank, other, want)
	}
	promtool(t, "test", "rules", write("test.yml", "rule_files: [example.yml]\nevaluation_interval: 1m\ntests:"+
		test("0+50x20", "0+10x20", `{exp_labels: {culprit: "payments -> bank", part: network, kind: connect_refused}, exp_annotations: {
            summary: "payments -> bank makes 83.33% of failures (network, connect_refused)", command: "hopscope traces --failed --culprit 'payments -> bank'"}}`)+
		test("0+40x20", "0+20x20", "")+test("0+2x20", "0x20", "")))
}

// metricName matches what can be the name of a metric of a proxy, or of a recording rule.
var metricName = regexp.MustCompile(`\b((service|edge|culprit|hopscope):[a-z_]+:[a-z0-9_]+|(hopscope|go|process)_[a-z_]+|(http|rpc)_(server|client)_[a-z_]+_seconds(_[a-z]+)?)\b`)

// Each metric that rules, alerts, dashboards and runbooks name is one that docs/metrics.md
// has, which other tests compare with the code, or that rules.yml records.
func TestNamedMetricsExist(t *testing.T) {
	known := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (counter|gauge|histogram|summary) \\|").FindAllStringSubmatch(string(read(t, "../../docs/metrics.md")), -1) {
		known[m[1]] = true
		if m[2] == "histogram" || m[2] == "summary" {
			known[m[1]+"_bucket"], known[m[1]+"_sum"], known[m[1]+"_count"] = true, true, true
		}
	}
	if len(known) < 100 {
		t.Fatalf("docs/metrics.md has %d metrics", len(known))
	}
	for _, r := range rulesOf(t, read(t, "rules.yml")) {
		known[r.Record] = true
	}
	paths := []string{"rules.yml", "alerts.yml"}
	for _, pattern := range []string{"dashboards/*.json", "../../docs/runbooks/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	for _, path := range paths {
		for _, name := range metricName.FindAllString(string(read(t, path)), -1) {
			if !known[name] {
				t.Errorf("%s names %s, which no proxy has and no rule records", path, name)
			}
		}
	}
}
