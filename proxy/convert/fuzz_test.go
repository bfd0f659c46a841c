package convert_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hopscope/hopscope/proxy/convert"
)

// fuzz converts whatever there is: a result is valid, which the converter itself checks, and
// says what it left out.
func fuzz(f *testing.F, format string, run func(string, []byte) (*convert.Result, error)) {
	f.Helper()
	examples, err := filepath.Glob(filepath.Join("testdata", format, "*.in"))
	if err != nil || len(examples) == 0 {
		f.Fatal(err)
	}
	for _, path := range examples {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := run("file", data)
		if err == nil && (r.Config == nil || len(r.YAML) == 0) {
			t.Error("a result without a configuration")
		}
	})
}

func FuzzEnvoy(f *testing.F)   { fuzz(f, "envoy", convert.Envoy) }
func FuzzHAProxy(f *testing.F) { fuzz(f, "haproxy", convert.HAProxy) }
func FuzzFabio(f *testing.F)   { fuzz(f, "fabio", convert.Fabio) }
