package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// The data sources lead exemplars to the trace, and each source that is named is there.
func TestProvisionedDataSources(t *testing.T) {
	var file struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []struct {
			Name, UID, Type, Access, URL string
			IsDefault                    bool `yaml:"isDefault"`
			JSONData                     struct {
				HTTPMethod   string `yaml:"httpMethod"`
				TimeInterval string `yaml:"timeInterval"`
				Exemplars    []struct {
					Name            string
					URL             string
					DatasourceUID   string `yaml:"datasourceUid"`
					URLDisplayLabel string `yaml:"urlDisplayLabel"`
				} `yaml:"exemplarTraceIdDestinations"`
			} `yaml:"jsonData"`
		}
	}
	text := decode(t, "../provisioning/datasources/hopscope.yml", &file)
	if file.APIVersion != 1 {
		t.Errorf("apiVersion %d", file.APIVersion)
	}
	uids := map[string]string{}
	for _, d := range file.Datasources {
		uids[d.UID] = d.Type
	}
	var console, backend bool
	for _, d := range file.Datasources {
		if d.IsDefault != (d.Type == "prometheus") {
			t.Errorf("%s: Prometheus, and nothing else, is the default", d.Name)
		}
		for _, e := range d.JSONData.Exemplars {
			if e.Name != "trace_id" {
				t.Errorf("exemplars have the label trace_id, not %q", e.Name)
			}
			console = console || strings.HasSuffix(e.URL, "/console/#/trace/$${__value.raw}")
			backend = backend || uids[e.DatasourceUID] == "jaeger"
		}
	}
	if !console || !backend {
		t.Errorf("exemplars lead to the console: %t, to Jaeger: %t", console, backend)
	}
	checkDollars(t, text)
}

// The folder of the dashboards is the one beside that of provisioning.
func TestProvisionedDashboards(t *testing.T) {
	var file struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name, Folder, Type    string
			FolderUID             string `yaml:"folderUid"`
			AllowUIUpdates        bool   `yaml:"allowUiUpdates"`
			UpdateIntervalSeconds int    `yaml:"updateIntervalSeconds"`
			Options               struct{ Path string }
		}
	}
	text := decode(t, "../provisioning/dashboards/hopscope.yml", &file)
	if file.APIVersion != 1 || len(file.Providers) != 1 || file.Providers[0].Type != "file" {
		t.Fatalf("%+v", file)
	}
	path := strings.ReplaceAll(file.Providers[0].Options.Path, "${GF_PATHS_PROVISIONING}", "../provisioning")
	if err := run(path, true); err != nil {
		t.Errorf("%s: %v", path, err)
	}
	checkDollars(t, strings.ReplaceAll(text, "${GF_PATHS_PROVISIONING}", ""))
}

func decode(t *testing.T, path string, into any) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalWithOptions(text, into, yaml.DisallowUnknownField()); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return string(text)
}

// checkDollars says which $ Grafana would take from the environment.
func checkDollars(t *testing.T, text string) {
	t.Helper()
	text = regexp.MustCompile(`(?m)#.*$`).ReplaceAllStringFunc(text, func(s string) string {
		if strings.HasPrefix(s, "# ") {
			return "" // a comment, and no fragment of a URL
		}
		return s
	})
	if strings.Contains(strings.ReplaceAll(text, "$$", ""), "$") {
		t.Errorf("a $ that is not doubled:\n%s", text)
	}
}
