package config

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/config.md anew")

// TestReference fails when docs/config.md is not what the code says:
// go test ./proxy/config -run Reference -update
func TestReference(t *testing.T) {
	const path = "../../docs/config.md"
	got := Reference()
	if *update {
		if err := os.MkdirAll("../../docs", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("docs/config.md is out of date: go test ./proxy/config -run Reference -update\n%s", d)
	}
}

func TestReferenceExample(t *testing.T) {
	_, rest, _ := strings.Cut(string(Reference()), "```yaml\n")
	text, rest, ok := strings.Cut(rest, "```")
	if !ok || text != example {
		t.Errorf("the example is\n%s", text)
	}
	_, rest, _ = strings.Cut(rest, "```yaml\n")
	text, rest, _ = strings.Cut(rest, "```")
	c := mustParse(t, text)
	if l := c.Listeners[0].TLS; l.ClientAuth != "require" || c.Clusters["api"].TLS.SNI != "api.internal" {
		t.Errorf("the example of TLS is\n%s", text)
	}
	_, rest, _ = strings.Cut(rest, "```yaml\n")
	if text, _, _ = strings.Cut(rest, "```"); text != live {
		t.Errorf("the example of live upstreams is\n%s", text)
	}
}
