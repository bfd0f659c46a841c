package nomad

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hashicorp/nomad/jobspec2"
)

func TestJob(t *testing.T) {
	path := filepath.Join("../../nomad", "web.nomad.hcl")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	job, err := jobspec2.ParseWithConfig(&jobspec2.ParseConfig{Path: path, Body: text, AllowFS: true, Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile("../../nomad/hopscope.yaml.tpl")
	if err != nil {
		t.Fatal(err)
	}
	group := job.TaskGroups[0]
	if len(group.Tasks) != 2 || group.Networks[0].Mode != "bridge" {
		t.Fatalf("%d tasks, network %+v", len(group.Tasks), group.Networks[0])
	}
	proxy := group.Tasks[0]
	if proxy.Lifecycle == nil || proxy.Lifecycle.Hook != "prestart" || !proxy.Lifecycle.Sidecar {
		t.Errorf("the proxy is no sidecar: %+v", proxy.Lifecycle)
	}
	if len(proxy.Templates) != 1 || *proxy.Templates[0].EmbeddedTmpl != string(config) {
		t.Error("its configuration is another one")
	}
	if limit := proxy.KillTimeout; limit == nil || limit.Seconds() < 40 {
		t.Errorf("a drain may take 30 s, and the task has %v", limit)
	}
	var ports []string
	for _, p := range group.Networks[0].DynamicPorts {
		ports = append(ports, p.Label)
	}
	for _, p := range proxy.Config["ports"].([]any) {
		if !slices.Contains(ports, p.(string)) {
			t.Errorf("port %v is none of %v", p, ports)
		}
	}
}
