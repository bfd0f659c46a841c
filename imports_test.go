package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/hopscope/hopscope"

// layers is the order of the data plane, the lowest first. A package, and what lies in
// folders below it, imports its own layer and those under it, nothing of those above.
var layers = [][]string{
	{"proxy/message", "proxy/pathtemplate", "proxy/pathform", "proxy/header", "proxy/httprule", "proxy/htpasswd", "proxy/fault", "proxy/problem", "proxy/descriptors", "proxy/panics", "proxy/overload", "proxy/netio", "proxy/evidence", "proxy/config", "proxy/tlsconf", "proxy/balance", "proxy/outlier", "proxy/guard", "proxy/gate", "proxy/concurrency", "proxy/admission", "proxy/healthcheck", "proxy/handover"},
	{"proxy/http1", "proxy/http2", "proxy/grpc"},
	{"proxy/filter", "proxy/explain", "proxy/route", "proxy/catalog", "proxy/resources", "proxy/cluster", "proxy/upstream", "proxy/peers", "proxy/convert"},
	{"proxy/listener", "proxy/forward", "proxy/stream", "proxy/admin"},
	{"proxy/snapshot"},
	{"proxy/process", "proxy/proxytest", "deploy/demo"},
	{"proxy/conformance", "cmd"},
	{"."},
}

// forTests are the packages that only tests import, and each other; and deploy/stack, a
// program that nobody imports. What they import themselves is not bound by apart.
var forTests = []string{"proxy/proxytest", "proxy/conformance", "cmd/clitest", "deploy/backends", "deploy/stack"}

// pure are the packages that touch neither socket nor file. They import each other,
// package discovery, and of the standard library what does not reach outside.
var pure = []string{
	"telemetry/hop", "telemetry/words", "telemetry/diagnose", "telemetry/tracecontext", "telemetry/redact", "telemetry/active", "telemetry/paths", "telemetry/events",
	"proxy/message", "proxy/pathtemplate", "proxy/pathform", "proxy/fault", "proxy/problem", "proxy/http1", "proxy/grpc", "proxy/route", "proxy/catalog", "proxy/balance", "proxy/outlier", "proxy/guard", "proxy/gate", "proxy/concurrency", "proxy/admission",
	"proxy/resources",
}

// alsoInPure is what a pure package imports beyond that.
var alsoInPure = map[string][]string{
	"proxy/resources": {"proxy/config"}, // its types; nothing of it that reads files is called
}

// worldly are the folders of the standard library that a pure package leaves alone.
var worldly = []string{"net", "os", "syscall", "log"}

// apart lists folders (from) that never import others (to), not even by way of a third.
var apart = []struct{ from, to string }{
	{"telemetry", "proxy"},
	{"telemetry", "mesh"},
	{"mesh", "proxy"},
	{"dashboards/console", "proxy"},
	{"discovery", "proxy"},
	{"proxy", "bench"},
	{"proxy", "attack"},
	{"proxy", "accuracy"},
	{"proxy", "deploy"},
	{"telemetry", "deploy"},
	{"discovery", "deploy"},
}

var meaningless = []string{"util", "common", "types", "base", "helpers"}

// imports maps each package of the module to what it imports. Those of the module are
// named by their folder, "." being the command; all others by their import path.
type imports map[string][]string

func TestImportRules(t *testing.T) {
	readFolders(t)
	found, folders := listPackages(t)
	for _, violation := range check(found) {
		t.Error(violation)
	}
	for folder, dir := range folders {
		if folder == "." {
			continue // main.go says what the command is
		}
		if _, err := os.Stat(filepath.Join(dir, "doc.go")); err != nil {
			t.Errorf("%s has no doc.go, which says what the package is, what it is not and where to start", folder)
		}
	}
}

// readFolders has go test run this test again when a package changes, rather than answer
// from its cache: it knows what a test reads, but not what a test has go list read.
func readFolders(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if name := d.Name(); d.IsDir() && path != "." && (name[0] == '.' || slices.Contains([]string{"bin", "testdata", "node_modules"}, name)) {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// listPackages asks the go command for the module's packages, their imports (those of
// tests aside) and their directories.
func listPackages(t *testing.T) (found imports, folders map[string]string) {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Imports", "./...")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, complaints.Bytes())
	}
	found, folders = make(imports), make(map[string]string)
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Dir string
			Imports         []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for i, name := range p.Imports {
			p.Imports[i] = folderOf(name)
		}
		found[folderOf(p.ImportPath)] = p.Imports
		folders[folderOf(p.ImportPath)] = p.Dir
	}
	if _, ok := found["."]; !ok {
		t.Fatalf("go list does not know %s: %v", module, found)
	}
	return found, folders
}

// folderOf cuts the module's path off the import paths of its own packages.
func folderOf(importPath string) string {
	if importPath == module {
		return "."
	}
	return strings.TrimPrefix(importPath, module+"/")
}

// check returns what breaks the rules, one sentence each, sorted.
func check(found imports) []string {
	var violations []string
	for from, direct := range found {
		if slices.Contains(meaningless, path.Base(from)) {
			violations = append(violations, fmt.Sprintf("%s: a package is named after what it provides, and %q says nothing", from, path.Base(from)))
		}
		for _, to := range direct {
			if slices.ContainsFunc(pure, within(from)) && !allowedInPure(to) && !slices.Contains(alsoInPure[from], to) {
				violations = append(violations, fmt.Sprintf("%s is pure and must not import %s", from, to))
			}
		}
		forTest := slices.ContainsFunc(forTests, within(from))
		for to, way := range found.reach(from) {
			for _, rule := range apart {
				if !forTest && within(from)(rule.from) && within(to)(rule.to) {
					violations = append(violations, fmt.Sprintf("%s: %s never imports %s", way, rule.from, rule.to))
				}
			}
			if !forTest && slices.ContainsFunc(forTests, within(to)) {
				violations = append(violations, fmt.Sprintf("%s: only tests import %s", way, to))
			}
			if low, high := layerOf(from), layerOf(to); low >= 0 && high > low {
				violations = append(violations, fmt.Sprintf("%s: imports point downward only", way))
			}
		}
	}
	slices.Sort(violations)
	return violations
}

// reach returns all that a package of the module depends on, directly or not, each with
// a way to it.
func (found imports) reach(from string) map[string]string {
	ways := map[string]string{}
	var walk func(at, way string)
	walk = func(at, way string) {
		for _, to := range found[at] {
			if _, seen := ways[to]; !seen {
				ways[to] = way + " -> " + to
				walk(to, ways[to])
			}
		}
	}
	walk(from, from)
	return ways
}

func layerOf(folder string) int {
	return slices.IndexFunc(layers, func(layer []string) bool {
		return slices.ContainsFunc(layer, within(folder))
	})
}

func allowedInPure(to string) bool {
	if to == "net/netip" || to == "discovery" || slices.ContainsFunc(pure, within(to)) {
		return true
	}
	first, _, _ := strings.Cut(to, "/")
	standard := !strings.Contains(first, ".") && !isOurs(first)
	return standard && !slices.ContainsFunc(worldly, within(to))
}

// isOurs tells the module's top folders from those of the standard library, neither of
// which has a dot in its name.
func isOurs(first string) bool {
	return slices.Contains([]string{"cmd", "proxy", "telemetry", "discovery", "mesh", "dashboards", "deploy", "bench", "attack", "accuracy"}, first)
}

// within returns a predicate: is folder the given parent or somewhere below it?
func within(folder string) func(parent string) bool {
	return func(parent string) bool { return folder == parent || strings.HasPrefix(folder, parent+"/") }
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name  string
		found imports
		want  []string
	}{
		{name: "nothing"},
		{
			name: "the house as drawn",
			found: imports{
				".":                     {"os", "cmd"},
				"cmd":                   {"fmt", "proxy/process", "proxy/config", "deploy/demo", "github.com/spf13/cobra"},
				"deploy/demo":           {"proxy/snapshot"},
				"deploy/backends":       {"testing"},
				"proxy/process":         {"proxy/snapshot", "proxy/handover", "discovery/filewatch"},
				"proxy/proxytest":       {"proxy/snapshot", "deploy/backends"},
				"proxy/conformance/tls": {"proxy/proxytest"},
				"proxy/snapshot":        {"proxy/listener", "proxy/forward", "proxy/admin", "proxy/config", "proxy/resources"},
				"proxy/resources":       {"proxy/config", "cmp"},
				"proxy/admin":           {"net/http", "telemetry/store", "dashboards/console"},
				"proxy/forward":         {"proxy/filter", "proxy/upstream", "telemetry/hop"},
				"proxy/filter":          {"proxy/message", "telemetry/hop"},
				"proxy/filter/headers":  {"proxy/filter"},
				"proxy/upstream":        {"proxy/cluster", "proxy/http1", "proxy/netio", "net", "time"},
				"proxy/route":           {"proxy/message", "regexp", "net/netip"},
				"proxy/catalog":         {"proxy/route", "discovery", "strings"},
				"proxy/http1":           {"proxy/message", "proxy/fault", "errors"},
				"proxy/netio":           {"net", "syscall", "golang.org/x/sys/unix"},
				"telemetry/spans/otlp":  {"telemetry/hop", "google.golang.org/grpc", "net"},
				"discovery/dns":         {"discovery", "net"},
			},
		},
		{
			name:  "upward",
			found: imports{"proxy/http1": {"proxy/route"}, "proxy/netio": {"proxy/http2"}},
			want: []string{
				"proxy/http1 -> proxy/route: imports point downward only",
				"proxy/netio -> proxy/http2: imports point downward only",
			},
		},
		{
			name:  "upward by way of a package without a layer, from a folder below",
			found: imports{"proxy/filter/auth": {"dashboards"}, "dashboards": {"proxy/forward"}},
			want:  []string{"proxy/filter/auth -> dashboards -> proxy/forward: imports point downward only"},
		},
		{
			name:  "the commands are above all",
			found: imports{"proxy/snapshot": {"proxy/process"}, "proxy/process": {"cmd"}, "cmd": {"."}},
			want: []string{
				"cmd -> .: imports point downward only",
				"proxy/process -> cmd -> .: imports point downward only",
				"proxy/process -> cmd: imports point downward only",
				"proxy/snapshot -> proxy/process -> cmd -> .: imports point downward only",
				"proxy/snapshot -> proxy/process -> cmd: imports point downward only",
				"proxy/snapshot -> proxy/process: imports point downward only",
			},
		},
		{
			name: "telemetry and discovery see no proxy",
			found: imports{
				"telemetry/store": {"proxy/message"},
				"discovery":       {"dashboards"},
				"dashboards":      {"proxy/fault"},
			},
			want: []string{
				"discovery -> dashboards -> proxy/fault: discovery never imports proxy",
				"telemetry/store -> proxy/message: telemetry never imports proxy",
			},
		},
		{
			name:  "the product needs no tests",
			found: imports{"proxy/cluster": {"deploy/demo"}, "cmd": {"proxy/process", "proxy/proxytest"}, "bench": {"proxy/conformance/tls"}, "dashboards": {"cmd/clitest"}},
			want: []string{
				"bench -> proxy/conformance/tls: only tests import proxy/conformance/tls",
				"cmd -> proxy/proxytest: only tests import proxy/proxytest",
				"dashboards -> cmd/clitest: only tests import cmd/clitest",
				"proxy/cluster -> deploy/demo: imports point downward only",
				"proxy/cluster -> deploy/demo: proxy never imports deploy",
			},
		},
		{
			name: "pure",
			found: imports{
				"telemetry/hop":          {"time", "net/url", "logger"},
				"telemetry/tracecontext": {"os", "log/slog", "telemetry/hop"},
				"proxy/fault":            {"telemetry/hop", "telemetry/store"},
				"proxy/balance":          {"github.com/cespare/xxhash/v2", "net/netip", "os/exec"},
				"proxy/catalog":          {"discovery", "discovery/consul"},
				"proxy/resources":        {"proxy/config", "proxy/message", "os"},
				"proxy/route":            {"proxy/config"},
			},
			want: []string{
				"proxy/balance is pure and must not import github.com/cespare/xxhash/v2",
				"proxy/balance is pure and must not import os/exec",
				"proxy/catalog is pure and must not import discovery/consul",
				"proxy/fault is pure and must not import telemetry/store",
				"proxy/resources is pure and must not import os",
				"proxy/route is pure and must not import proxy/config",
				"telemetry/hop is pure and must not import net/url",
				"telemetry/tracecontext is pure and must not import log/slog",
				"telemetry/tracecontext is pure and must not import os",
			},
		},
		{
			name:  "names",
			found: imports{"proxy/util": nil, "proxy/utility": nil},
			want:  []string{`proxy/util: a package is named after what it provides, and "util" says nothing`},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, check(tt.found)); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}
