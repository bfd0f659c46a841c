package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// The files that are checked in are what this code writes.
func TestFilesAreUpToDate(t *testing.T) {
	if err := run("../dashboards", true); err != nil {
		t.Error(err)
	}
}

// Grafana's schema, as the SDK has it, knows every field, and holds every value to be valid.
func TestFilesFollowGrafanasSchema(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	each(t, func(t *testing.T, w written) {
		text, err := os.ReadFile(filepath.Join("../dashboards", w.file))
		if err != nil {
			t.Fatal(err)
		}
		//lint:ignore SA1019 see board
		var d dashboard.Dashboard
		if err := d.UnmarshalJSONStrict(text); err != nil && err.Error() != "" { // without text where nothing is wrong
			t.Error(err)
		}
		if err := d.Validate(); err != nil {
			t.Error(err)
		}
		if w.SchemaVersion < 39 { // Grafana 11.0
			t.Errorf("schema version %d", w.SchemaVersion)
		}
	})
}

// A dashboard asks its question in its title, and leads to all others with the variables
// and the time that were chosen.
func TestDashboardsHangTogether(t *testing.T) {
	uids := map[string]bool{}
	each(t, func(t *testing.T, d written) { uids[d.UID] = true })
	dashboardLink := regexp.MustCompile(`^/d/([\w-]+)\?`)
	each(t, func(t *testing.T, d written) {
		if !strings.HasSuffix(d.Title, "?") || d.Description == "" {
			t.Errorf("the title %q asks nothing, or there is no description", d.Title)
		}
		if d.UID != "hopscope-"+strings.TrimSuffix(d.file, ".json") {
			t.Errorf("uid %q in %s", d.UID, d.file)
		}
		if len(d.Links) == 0 || d.Links[0].Type != "dashboards" || !d.Links[0].IncludeVars || !d.Links[0].KeepTime {
			t.Errorf("no links to the other dashboards that keep variables and time: %+v", d.Links)
		}
		ids := map[int]bool{}
		for _, p := range d.all() {
			if ids[p.ID] || p.ID == 0 {
				t.Errorf("%q: id %d is not its own", p.Title, p.ID)
			}
			ids[p.ID] = true
			for _, url := range p.urls() {
				if m := dashboardLink.FindStringSubmatch(url); m != nil && (!uids[m[1]] || !strings.Contains(url, "${__url_time_range}")) {
					t.Errorf("%q: %s leads to no dashboard, or loses the time", p.Title, url)
				}
			}
		}
	})
}

// urls are the links of a panel's values.
func (p writtenPanel) urls() (all []string) {
	for _, l := range p.FieldConfig.Defaults.Links {
		all = append(all, l.URL)
	}
	for _, o := range p.FieldConfig.Overrides {
		for _, property := range o.Properties {
			if property.ID != "links" {
				continue
			}
			for _, l := range property.Value.([]any) {
				all = append(all, l.(map[string]any)["url"].(string))
			}
		}
	}
	return all
}

// Each variable that can be chosen is used, and each that is used can be chosen.
func TestVariablesAreUsed(t *testing.T) {
	builtIn := map[string]bool{"__rate_interval": true, "__range": true, "__url_time_range": true, "1": true}
	fromGrafana := regexp.MustCompile(`\$\{__(data|field)\.[^}]*\}`)
	each(t, func(t *testing.T, d written) {
		used := map[string]bool{}
		note := func(text string) {
			for _, m := range variable.FindAllStringSubmatch(fromGrafana.ReplaceAllString(text, ""), -1) {
				name, _, _ := strings.Cut(strings.Trim(m[1], "{}"), ":")
				used[name] = true
				if d.variable(name) == nil && !builtIn[name] {
					t.Errorf("no variable is called %s: %s", name, text)
				}
			}
		}
		for _, p := range d.all() {
			note(p.Datasource.UID)
			for _, q := range p.Targets {
				note(q.Expr)
			}
			for _, url := range p.urls() {
				note(url)
			}
		}
		for _, v := range d.Templating.List {
			if !used[v.Name] {
				t.Errorf("the variable %s is not used", v.Name)
			}
		}
	})
}
