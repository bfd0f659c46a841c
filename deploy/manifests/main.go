package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	grafana    = "dashboards/grafana"
	monitoring = "deploy/kubernetes/overlays/monitoring/generated"
	warning    = "# Generated from dashboards/grafana by make generate; do not edit.\n"
)

func main() {
	if err := generate("../.."); err != nil {
		fmt.Fprintln(os.Stderr, "manifests:", err)
		os.Exit(1)
	}
}

// generate writes the files of a repository.
func generate(root string) error {
	files, err := generated(root)
	if err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(root, monitoring, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generated are the files, by their names in the folder.
func generated(root string) (map[string][]byte, error) {
	rule, err := prometheusRule(root)
	if err != nil {
		return nil, err
	}
	list, err := kustomization(root)
	return map[string][]byte{"rules.yaml": rule, "kustomization.yaml": list}, err
}

// prometheusRule is the rules and alerts as the operator takes them: the same groups, deeper.
func prometheusRule(root string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(warning + "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: hopscope\n" +
		"  labels: {app.kubernetes.io/part-of: hopscope}\nspec:\n  groups:\n")
	for _, name := range []string{"rules.yml", "alerts.yml"} {
		text, err := os.ReadFile(filepath.Join(root, grafana, name))
		if err != nil {
			return nil, err
		}
		_, groups, ok := strings.Cut("\n"+string(text), "\ngroups:\n")
		if !ok {
			return nil, fmt.Errorf("%s has no groups", name)
		}
		for line := range strings.Lines(groups) {
			if strings.TrimSpace(line) != "" {
				b.WriteString("  ")
			}
			b.WriteString(line)
		}
	}
	return b.Bytes(), nil
}

// kustomization has the rules, and makes a ConfigMap of each dashboard.
func kustomization(root string) ([]byte, error) {
	paths, err := filepath.Glob(filepath.Join(root, grafana, "*.json"))
	if err != nil {
		return nil, err
	}
	more, err := filepath.Glob(filepath.Join(root, grafana, "dashboards", "*.json"))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString(warning + "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [rules.yaml]\n")
	for i, path := range append(paths, more...) {
		name, err := filepath.Rel(filepath.Join(root, monitoring), path)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			b.WriteString("generatorOptions:\n  disableNameSuffixHash: true\n" +
				"  labels: {grafana_dashboard: \"1\"}   # which Grafana's sidecar looks for\n")
			b.WriteString("configMapGenerator:\n")
		}
		base := strings.TrimSuffix(filepath.Base(path), ".json")
		// One for each: a ConfigMap holds 1 MiB at most.
		fmt.Fprintf(&b, "  - name: hopscope-dashboard-%s\n    files: [%s]\n", base, name)
	}
	return b.Bytes(), nil
}
