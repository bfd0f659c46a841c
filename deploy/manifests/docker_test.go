package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// TestDockerfile reads it as BuildKit does, and wants an image that holds no more than it needs.
func TestDockerfile(t *testing.T) {
	stages := checkDockerfile(t, filepath.Join(root, "deploy/docker/Dockerfile"), root)
	last := stages[len(stages)-1]
	if last.BaseName != "scratch" {
		t.Errorf("the image is made from %s", last.BaseName)
	}
	var user, health, entry string
	for _, c := range last.Commands {
		switch c := c.(type) {
		case *instructions.UserCommand:
			user = c.User
		case *instructions.HealthCheckCommand:
			health = strings.Join(c.Health.Test, " ")
		case *instructions.EntrypointCommand:
			entry = strings.Join(c.CmdLine, " ")
		}
	}
	if user == "" || strings.HasPrefix(user, "0") || health != "CMD /hopscope ready" || entry != "/hopscope" {
		t.Errorf("user %q, health check %q, entry point %q", user, health, entry)
	}
}

// checkDockerfile wants base images to have versions, and what is copied to be there.
func checkDockerfile(t *testing.T, path, context string) []instructions.Stage {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	for _, w := range parsed.Warnings {
		t.Errorf("%s: %s", path, w.Short)
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	pinned := regexp.MustCompile(`^(scratch|.+:\d+\.\d+\.\d+[-a-z0-9.]*)$`)
	for _, s := range stages {
		if !pinned.MatchString(s.BaseName) {
			t.Errorf("%s: the image %q has no version", path, s.BaseName)
		}
		for _, c := range s.Commands {
			copied, ok := c.(*instructions.CopyCommand)
			if !ok || copied.From != "" {
				continue
			}
			for _, source := range copied.SourcePaths {
				if found, err := filepath.Glob(filepath.Join(context, source)); err != nil || len(found) == 0 {
					t.Errorf("%s: there is no %s to copy: %v", path, source, err)
				}
			}
		}
	}
	return stages
}
