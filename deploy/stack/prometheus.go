package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// rules are the recording rules and alerts that the repository has. Paths are from its root,
// where the stack is started.
func rules() (found []string, err error) {
	for _, name := range []string{"rules.yml", "alerts.yml"} {
		path, err := filepath.Abs(filepath.Join("dashboards", "grafana", name))
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(path); err == nil {
			found = append(found, path)
		}
	}
	return found, nil
}

// prometheusConfig has Prometheus scrape the proxies that a file lists: Debian's can't ask
// Consul. It is JSON, which YAML includes.
func prometheusConfig(targets string, rules []string) ([]byte, error) {
	return json.MarshalIndent(mapping{
		"global":     mapping{"scrape_interval": "5s", "evaluation_interval": "5s"},
		"rule_files": rules,
		"scrape_configs": []mapping{{
			"job_name": "hopscope",
			// The label service of a metric is the proxy's own word.
			"honor_labels":    true,
			"file_sd_configs": []mapping{{"files": []string{targets}}},
		}},
	}, "", "  ")
}

// targets is the file that lists the proxies.
func (s *stack) targets() string { return filepath.Join(s.options.dir, "targets.json") }

// writeTargets lists the proxies that run for Prometheus, which reads the file when it
// changes.
func (s *stack) writeTargets() error {
	list := []mapping{}
	for _, name := range slices.Sorted(maps.Keys(s.sidecars)) {
		list = append(list, mapping{"targets": []string{s.sidecars[name].admin}, "labels": mapping{"service": name, "mesh": meshName}})
	}
	text, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	fresh := s.targets() + ".new"
	if err := os.WriteFile(fresh, text, 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, s.targets())
}
