package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

// written is what the tests read of a dashboard's file.
type written struct {
	file          string
	Title         string
	Description   string
	UID           string
	SchemaVersion int
	Editable      bool
	Tags          []string
	Panels        []writtenPanel
	Links         []struct {
		Type, URL             string
		IncludeVars, KeepTime bool
	}
	Templating  struct{ List []writtenVariable }
	Annotations struct {
		List []struct {
			Name   string
			Target writtenTarget
		}
	}
}

type writtenPanel struct {
	ID                       int
	Type, Title, Description string
	Collapsed                bool
	Panels                   []writtenPanel // of a row
	Datasource               writtenSource
	Targets                  []writtenTarget
	FieldConfig              struct {
		Defaults struct {
			Unit  string
			Links []struct{ URL string }
		}
		Overrides []struct {
			Matcher    struct{ ID, Options string }
			Properties []struct {
				ID    string
				Value any
			}
		}
	}
}

type writtenTarget struct {
	RefID, Expr, LegendFormat, Format string
	Datasource                        writtenSource
	Exemplar                          bool
}

type writtenSource struct{ Type, UID string }

type writtenVariable struct {
	Type, Name, Label, AllValue string
	Query                       any
	Multi, IncludeAll           bool
	Refresh                     int
	Datasource                  writtenSource
}

// each runs a test for each dashboard that is checked in.
func each(t *testing.T, test func(*testing.T, written)) {
	t.Helper()
	paths, err := filepath.Glob("../dashboards/*.json")
	if err != nil || len(paths) != len(dashboards()) {
		t.Fatalf("%d files for %d dashboards, run make generate: %v", len(paths), len(dashboards()), err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		d := written{file: filepath.Base(path)}
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		t.Run(strings.TrimSuffix(d.file, ".json"), func(t *testing.T) { test(t, d) })
	}
}

// all are the panels of a dashboard but its rows, those that are folded included.
func (d written) all() (panels []writtenPanel) {
	for _, p := range d.Panels {
		if p.Type != "row" {
			panels = append(panels, p)
		}
		panels = append(panels, p.Panels...)
	}
	return panels
}

// rateInterval stands for $__rate_interval where a query is parsed: nobody writes it.
const rateInterval = "[4321s]"

var variable = regexp.MustCompile(`\$(\w+|\{\w+(:\w+)?\})`)

// parse parses a query as Grafana sends it. The values of variables are their names.
func parse(query string) (parser.Expr, error) {
	query = strings.NewReplacer("[$__rate_interval]", rateInterval, "[$__range]", "[1h]").Replace(query)
	return parser.NewParser(parser.Options{}).ParseExpr(query)
}

// labelValues splits the query of a variable: label_values(SERIES, LABEL).
var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
