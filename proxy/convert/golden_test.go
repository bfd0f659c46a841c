package convert_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/convert"
)

var update = flag.Bool("update", false, "write the golden files")

// formats are the converters, and the folders of their examples.
var formats = map[string]func(string, []byte) (*convert.Result, error){"envoy": convert.Envoy, "haproxy": convert.HAProxy, "fabio": convert.Fabio}

// TestGolden converts configurations as people have them. A golden file has the notes, and
// then what came out.
func TestGolden(t *testing.T) {
	for format, run := range formats {
		examples, err := filepath.Glob(filepath.Join("testdata", format, "*.in"))
		if err != nil || len(examples) == 0 {
			t.Fatal(format, err)
		}
		for _, path := range examples {
			t.Run(format+"/"+strings.TrimSuffix(filepath.Base(path), ".in"), func(t *testing.T) { golden(t, path, run) })
		}
	}
}

func golden(t *testing.T, path string, run func(string, []byte) (*convert.Result, error)) {
	t.Helper()
	in, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := run(filepath.Base(path), in)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.Parse("converted.yaml", r.YAML); err != nil {
		t.Errorf("what came out is not valid: %v", err)
	}
	var b strings.Builder
	for _, n := range r.Notes {
		b.WriteString(n.String() + "\n")
	}
	b.WriteString("---\n" + string(r.YAML))
	to := strings.TrimSuffix(path, ".in") + ".golden"
	if *update {
		if err := os.WriteFile(to, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("(-want +got; -update writes it)\n%s", d)
	}
}
