package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// docs/metrics.md has every metric that a proxy shows after requests of all kinds, and
// none that a proxy does not have.
func TestMetricsPageIsComplete(t *testing.T) {
	page, err := os.ReadFile("../metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	generated, err := metricsPage()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(generated), string(page)); diff != "" {
		t.Errorf("docs/metrics.md is out of date, run make generate (-want +got):\n%s", diff)
	}
	listed := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		if name, _, found := strings.Cut(strings.TrimPrefix(line, "| `"), "` | "); found && strings.HasPrefix(line, "| `") && strings.Count(line, " | ") > 3 {
			listed[name] = true
		}
	}

	l := proxytest.StartWithViews(t, proxytest.Serve(t, proxytest.Echo))
	shown := traffic(t, l)
	registered := map[string]bool{}
	for _, d := range l.Metrics() {
		registered[d.Name] = true
	}
	for name := range shown {
		if !listed[name] {
			t.Errorf("a proxy shows %s, which the page does not have", name)
		}
	}
	process, err := describeProcess()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range process {
		registered[d.Name] = true
	}
	for name := range listed {
		if !registered[name] {
			t.Errorf("the page has %s, which a proxy does not have", name)
		}
	}
	for _, d := range l.Metrics() {
		made := strings.HasPrefix(d.Name, "http_") || strings.HasPrefix(d.Name, "rpc_")
		if f := shown[d.Name]; made && f == nil {
			t.Errorf("no request made a series of %s: let traffic make one", d.Name)
		} else if f != nil && f.GetType().String() != strings.ToUpper(d.Type) {
			t.Errorf("%s is a %s, and said to be a %s", d.Name, f.GetType(), d.Type)
		}
	}
}

// Each name of a metric that the code has is one of those on the page: none is registered
// under a condition that the page does not know of.
func TestMetricsPageHasWhatTheCodeNames(t *testing.T) {
	all, err := describe()
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{}
	for _, d := range all {
		described[d.Name] = true
	}
	found := 0
	for _, dir := range []string{"cmd", "mesh", "discovery", "proxy", "telemetry"} {
		err := filepath.WalkDir(filepath.Join("..", "..", dir), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			for _, name := range namesIn(t, path) {
				found++
				if !described[name] {
					t.Errorf("%s names the metric %s, which docs/metrics.md does not have", path, name)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found != len(all) {
		t.Errorf("the code registers %d metrics, and the page has %d", found, len(all))
	}
}

// namesIn returns the names of metrics that a file registers: those that a call is given
// together with what they mean.
func namesIn(t *testing.T, path string) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	metric := regexp.MustCompile(`^"((hopscope|http|rpc|go|process)_[a-z_]+)"$`)
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		name, means := "", false
		for _, a := range call.Args {
			if l, ok := a.(*ast.BasicLit); ok && l.Kind == token.STRING {
				if m := metric.FindStringSubmatch(l.Value); m != nil && name == "" {
					name = m[1]
				}
				means = means || strings.HasSuffix(l.Value, `."`)
			}
		}
		if name != "" && means {
			names = append(names, name)
		}
		return true
	})
	return names
}

// traffic sends requests and calls in both directions, and lets some fail. It returns the
// metrics after that.
func traffic(t *testing.T, l *proxytest.Proxy) proxytest.Metrics {
	t.Helper()
	call := &http.Client{Transport: &http.Transport{Protocols: new(http.Protocols)}}
	call.Transport.(*http.Transport).Protocols.SetUnencryptedHTTP2(true)
	defer call.CloseIdleConnections()
	hops := 0.0
	for _, address := range []string{l.Ingress(), l.Egress()} {
		proxytest.Ask(t, address, "POST http://127.0.0.1:1/row HTTP/1.1\r\nHost: 127.0.0.1:1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
		r, err := http.NewRequest("POST", "http://"+address+"/shop.Cart/Add", bytes.NewReader(make([]byte, 5)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/grpc")
		r.Header.Set("Te", "trailers")
		resp, err := call.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		p := proxytest.Dial(t, address)
		p.Send("what?\r\n\r\n")
		p.ReadResponse("GET")
		p.Close()
		hops += 3
	}
	var m proxytest.Metrics
	proxytest.Eventually(t, "all being counted", func() bool {
		m = l.Scrape()
		return m.Sum("hopscope_requests_total") >= hops
	})
	return m
}
