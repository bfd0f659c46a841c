package snapshot

import (
	"slices"
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/filter/basicauth"
)

func TestExplainedFilters(t *testing.T) {
	c, err := config.Parse("test.yaml", []byte(`
listeners:
  - name: edge
    address: 127.0.0.1:0
    routes:
      - cluster: web
        basic_auth: {file: users}
        body: {max: 1KiB}
        compress: {}
        cors: {allow_origins: ["*"]}
        fault: {abort: {status: 503}}
        max_requests: 3
clusters: {web: {endpoints: ["127.0.0.1:1"]}}
`))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range explainedFilters(&c.Listeners[0], &c.Listeners[0].Routes[0].RoutePolicies, basicauth.NewVerifier()) {
		name := f.Of + " " + f.Name
		if f.Asked {
			name += " asked"
		}
		names = append(names, name)
		if f.Settings == "" {
			t.Errorf("%s has no settings", name)
		}
	}
	want := []string{"listener forwarded asked", "listener forward_client_cert asked", "listener grpc_web asked",
		"route compress asked", "route cors asked", "route basic_auth asked", "route max_requests", "route fault", "route body asked"}
	if !slices.Equal(names, want) {
		t.Errorf("filters %q, want %q", names, want)
	}
}
