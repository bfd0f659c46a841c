package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// TestCompose loads the file as docker compose does: by the schema of the Compose specification,
// with all that it refers to.
func TestCompose(t *testing.T) {
	folder, err := filepath.Abs(filepath.Join(root, "deploy/compose"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "compose.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: folder, ConfigFiles: []types.ConfigFile{{Filename: file, Content: text}}, Environment: types.Mapping{},
	})
	if err != nil {
		t.Fatal(err)
	}
	pinned := regexp.MustCompile(`:v?\d+\.\d+(\.\d+)?[-a-z0-9.]*$`)
	for name, s := range project.Services {
		if s.Build == nil && !pinned.MatchString(s.Image) {
			t.Errorf("%s: the image %q has no version", name, s.Image)
		}
		if s.Build != nil {
			checkBuild(t, name, s.Build)
		}
		for _, v := range s.Volumes {
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is open to other machines", name, p.Published)
			}
		}
		if _, of, ok := strings.Cut(name, "-"); ok && of == "sidecar" && s.NetworkMode != "service:"+strings.TrimSuffix(name, "-sidecar") {
			t.Errorf("%s is in another network than its service: %s", name, s.NetworkMode)
		}
	}
	for name, c := range project.Configs {
		if c.File == "" && c.Content == "" {
			t.Errorf("config %s is empty", name)
		}
		if _, err := os.Stat(c.File); c.File != "" && err != nil {
			t.Errorf("config %s: %v", name, err)
		}
	}
	for _, want := range []string{"gateway", "web-sidecar", "orders-sidecar", "prices-sidecar", "consul", "jaeger", "zipkin", "prometheus", "grafana"} {
		if !slices.Contains(project.ServiceNames(), want) {
			t.Errorf("no service %s in %v", want, project.ServiceNames())
		}
	}
}

func checkBuild(t *testing.T, name string, b *types.BuildConfig) {
	t.Helper()
	dockerfile := b.Dockerfile
	if dockerfile == "" {
		dockerfile = "Dockerfile"
	}
	checkDockerfile(t, filepath.Join(b.Context, dockerfile), b.Context)
	if t.Failed() {
		t.Logf("it is the one of the service %s", name)
	}
}
