package clitest

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"text/template"
)

// exampleToken is what stands in for a token of an example.
const exampleToken = "0123456789abcdef0123456789abcdef"

// checked runs hopscope check on a configuration. The files that it names, which are of the
// place that it is for, are there for that time: a token in each.
func checked(t *testing.T, name, text string) {
	t.Helper()
	dir := t.TempDir()
	text = regexp.MustCompile(`/etc/hopscope[-a-z/]*/([-a-z]+\.token)`).ReplaceAllStringFunc(text, func(path string) string {
		path = filepath.Join(dir, filepath.Base(path))
		must(t, os.WriteFile(path, []byte(exampleToken), 0o600))
		return path
	})
	if _, stderr, code := hopscope(t, "check", "-c", file(t, "hopscope.yaml", text)); code != 0 {
		t.Errorf("%s: hopscope check says\n%s", name, stderr)
	}
}

// TestConfigurationsOfDeploy checks every configuration of hopscope in the folder deploy.
func TestConfigurationsOfDeploy(t *testing.T) {
	t.Parallel()
	n := 0
	err := filepath.WalkDir("../../deploy", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		switch folder := filepath.Base(filepath.Dir(path)); {
		case d.Name() == "hopscope.yaml", folder == "hopscope" && filepath.Ext(path) == ".yaml":
			checked(t, path, mustRead(t, path))
		case strings.HasSuffix(d.Name(), ".yaml.tpl"):
			checked(t, path, asNomadDoes(t, mustRead(t, path)))
		default:
			return nil
		}
		n++
		return nil
	})
	must(t, err)
	if n != 9 {
		t.Errorf("%d configurations in deploy", n)
	}
}

// asNomadDoes fills in a template.
func asNomadDoes(t *testing.T, text string) string {
	t.Helper()
	parsed, err := template.New("hopscope.yaml").Funcs(template.FuncMap{"env": func(name string) (string, error) {
		switch {
		case strings.HasPrefix(name, "NOMAD_HOST_PORT_"):
			return "23456", nil
		case strings.HasPrefix(name, "NOMAD_HOST_ADDR_"):
			return "127.0.0.1:23456", nil
		case name == "NOMAD_ALLOC_ID":
			return "5f77d2e4-5a32-4b5f-9f0c-1bc0c6a4a1a1", nil
		}
		return "127.0.0.1", nil
	}}).Parse(text)
	must(t, err)
	var b bytes.Buffer
	must(t, parsed.Execute(&b, nil))
	return b.String()
}

// TestConfigurationsOfGuides checks every configuration in the guides for those who come from
// another proxy. A block of YAML there that is not hopscope's says so in its first line.
func TestConfigurationsOfGuides(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../../docs/from-*.md")
	must(t, err)
	if len(paths) != 3 {
		t.Errorf("the guides are %q", paths)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	for _, path := range paths {
		found := block.FindAllStringSubmatch(mustRead(t, path), -1)
		if len(found) < 3 {
			t.Errorf("%s has %d configurations", path, len(found))
		}
		for _, m := range found {
			if !strings.HasPrefix(m[1], "# Envoy") {
				checked(t, path+"\n"+m[1], m[1])
			}
		}
	}
}
