package catalog_test

import (
	"testing"

	"github.com/hopscope/hopscope/proxy/catalog"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/route"
)

// TestHostsWithADot: the dot that makes a name absolute counts as none, in tags,
// suffixes and requests; a tag with it and one without name the same place.
func TestHostsWithADot(t *testing.T) {
	plan := catalog.Compile([]catalog.Service{service("cart",
		at("127.0.0.1:1", "hopscope-route=Shop.Test./", "urlprefix-*.below.test./"),
		at("127.0.0.1:2", "hopscope-route=shop.test/"),
	)}, catalog.Options{Suffixes: []string{"service.mesh."}})
	if len(plan.Problems) > 0 {
		t.Errorf("problems: %+v", plan.Problems)
	}
	matches := make([]route.Match, len(plan.Routes))
	for i, r := range plan.Routes {
		matches[i] = r.Match
	}
	table := route.Compile(matches)
	for host, want := range map[string]string{
		"shop.test": "shop.test/", "shop.test.": "shop.test/", "SHOP.test.:80": "shop.test/",
		"a.below.test.": "*.below.test/", "cart.": "cart", "cart.service.mesh.": "cart",
		"shop.test..": "", ".": "",
	} {
		h := new(message.Head)
		h.Add(message.Host, "host", host)
		h.SetRequestLine(h.Own("GET"), h.Own("/"), message.Span{}, message.Span{}, h.Own("/"), message.Span{})
		got := ""
		if i := table.Match(&route.Request{Head: h}); i >= 0 {
			got = plan.Routes[i].Name
			for _, c := range plan.Clusters {
				if c.Name == plan.Routes[i].Cluster && got == "shop.test/" && len(c.Endpoints) != 2 {
					t.Errorf("%s has the endpoints %+v", host, c.Endpoints)
				}
			}
		}
		if got != want {
			t.Errorf("%s leads to %q, want %q", host, got, want)
		}
	}
}
