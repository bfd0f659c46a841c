package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// inRouteFiles parses a configuration of one listener, or two, in a folder with files.
func inRouteFiles(t *testing.T, listeners int, from string, files map[string]string) (*Config, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := "routes_from: " + from + "\nclusters: {web: {endpoints: [127.0.0.1:1]}}\nlisteners:\n"
	for i := range listeners {
		text += fmt.Sprintf("  - {name: in%d, address: \"127.0.0.1:%d\", routes: [{name: own, cluster: web}, {name: last, cluster: web}]}\n", i, 8080+i)
	}
	return Parse("hopscope.yaml", []byte(text))
}

// The routes of files come before those of their listener, in the order of the patterns
// and names. A file that two patterns match counts once.
func TestRouteFiles(t *testing.T) {
	c, err := inRouteFiles(t, 2, `[routes/z.yaml, "routes/*.yaml", "none/*.yaml"]`, map[string]string{
		"routes/a.yaml":       "listener: in1\nroutes: [{name: a, cluster: web}]\n",
		"routes/b.yaml":       "listener: in0\nroutes:\n  - {name: b1, cluster: web}\n  - {name: b2, cluster: web}\n",
		"routes/z.yaml":       "listener: in0\nroutes: [{name: z, cluster: web, timeout: 1s}]\n",
		"routes/.hidden.yaml": "no routes",
		"routes/c.txt":        "no routes",
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"z b1 b2 own last", "a own last"} {
		var names []string
		for _, r := range c.Listeners[i].Routes {
			names = append(names, r.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("listener %d has the routes %s, want %s", i, got, want)
		}
	}
	if got := c.Listeners[0].Routes[0].Timeout.String() + " " + c.Listeners[0].Routes[1].Timeout.String(); got != "1s 15s" {
		t.Errorf("timeouts %s", got)
	}
	if dump := string(c.DumpYAML()); strings.Contains(dump, "routes_from") || !strings.Contains(dump, "name: b2") {
		t.Errorf("the dump is not one file with all routes:\n%s", dump)
	}
	if c, err := inRouteFiles(t, 1, "[a.yaml]", map[string]string{"a.yaml": "routes: [{name: a, cluster: web}]"}); err != nil || c.Listeners[0].Routes[0].Name != "a" {
		t.Errorf("a file for the only listener: %v", err)
	}
}

// Mistakes have the name of the file that they are in, line and column, and the path there.
func TestMistakesInRouteFiles(t *testing.T) {
	for _, tt := range []struct {
		name, from, file string
		listeners        int
		want             string
	}{
		{"an unknown key", "[a.yaml]", "routes:\n  - cluster: web\n    time_out: 1s\n", 1,
			"a.yaml:3:5: routes[0].time_out: unknown key; did you mean \"timeout\"?"},
		{"a value of the wrong kind", "[a.yaml]", "routes:\n  - {cluster: web, timeout: soon}\n", 1,
			"a.yaml:2:29: routes[0].timeout: expected a duration such as 250ms, found \"soon\""},
		{"a cluster that is none", "[a.yaml]", "routes:\n  - {cluster: web}\n  - {cluster: wep}\n", 1,
			"a.yaml:3:15: routes[1].cluster: there is no cluster \"wep\"; did you mean \"web\"?"},
		{"keys that don't go together", "[a.yaml]", "routes:\n  - {cluster: web, sticky: {source: true}}\n", 1,
			"a.yaml:2:28: routes[0].sticky: has no effect without split; add that, or remove the key"},
		{"what is no YAML", "[a.yaml]", "routes: [", 1, "a.yaml:1:9: "},
		{"an empty file", "[a.yaml]", "", 1, "a.yaml:1:1: the file is empty; expected a mapping with routes"},
		{"a list", "[a.yaml]", "- cluster: web\n", 1, "a.yaml:1:1: expected a mapping, found a list"},
		{"no routes", "[a.yaml]", "listener: in0\n", 1, "a.yaml:1:1: routes: required key is missing; expected a list of mappings"},
		{"a listener that is none", "[a.yaml]", "listener: in2\nroutes: [{cluster: web}]\n", 2,
			"a.yaml:1:11: listener: there is no listener \"in2\"; did you mean \"in0\"?"},
		{"which of two listeners", "[a.yaml]", "routes: [{cluster: web}]\n", 2,
			"a.yaml:1:1: listener: required key is missing, as there are 2 listeners; expected the name of one of them"},
		{"a file that is not there", "[b.yaml]", "", 1,
			"hopscope.yaml:1:15: routes_from[0]: the file \"b.yaml\" can not be read: no such file or directory"},
		{"a pattern that is none", `["[a"]`, "", 1,
			"hopscope.yaml:1:15: routes_from[0]: expected the path of a file, or a pattern such as routes/*.yaml, found \"[a\": syntax error in pattern"},
	} {
		_, err := inRouteFiles(t, tt.listeners, tt.from, map[string]string{"a.yaml": tt.file})
		if err == nil {
			t.Errorf("%s: no error", tt.name)
			continue
		}
		if got := err.Error(); !strings.HasPrefix(got, tt.want) || strings.Contains(got, "\n") {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// Mistakes come in the order of the files, the configuration first.
func TestMistakesOfSeveralFiles(t *testing.T) {
	_, err := inRouteFiles(t, 1, "[b.yaml, a.yaml, c.yaml]", map[string]string{
		"a.yaml": "routes:\n  - {cluster: a}\n", "b.yaml": "routes:\n\n  - {cluster: b}\n  - {x: y}\n",
	})
	var places []string
	for line := range strings.Lines(err.Error()) {
		place, _, _ := strings.Cut(line, ": ")
		places = append(places, place)
	}
	if diff := cmp.Diff([]string{"hopscope.yaml:1:31", "a.yaml:2:15", "b.yaml:3:15", "b.yaml:4:5", "b.yaml:4:6"}, places); diff != "" {
		t.Errorf("(-want +got):\n%s\n%v", diff, err)
	}
}
