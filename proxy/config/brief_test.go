package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBriefYAMLReadsBack(t *testing.T) {
	const few = "listeners: [{name: in, address: \":80\", routes: [{match: {grpc: true}, cluster: a, timeout: 0}, {answer: {}}]}]\n" +
		"clusters: {a: {endpoints: [\"b:80\"], tls: {}}}\n"
	for _, text := range []string{example, full, live, few} {
		c := mustParse(t, text)
		if d := diff(c, mustParse(t, string(c.BriefYAML()))); d != "" {
			t.Error(d)
		}
	}
}

func TestBriefYAMLLeavesDefaultsOut(t *testing.T) {
	c := New()
	l := NewListener("in", ":80")
	r := NewRoute("web")
	r.Match.PathPrefix = "/a"
	r.Match.GRPC = &GRPCMatch{}
	l.Routes = []Route{r}
	c.Listeners = []Listener{l}
	c.Clusters["web"] = NewCluster("127.0.0.1:3000")
	const want = `listeners:
  - name: in
    address: ":80"
    routes:
      - match:
          path_prefix: /a
          grpc: true
        cluster: web
clusters:
  web:
    endpoints: [127.0.0.1:3000]
`
	if d := cmp.Diff(want, string(c.BriefYAML())); d != "" {
		t.Error(d)
	}
}
