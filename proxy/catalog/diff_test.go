package catalog_test

import (
	"fmt"
	"testing"

	"github.com/hopscope/hopscope/proxy/catalog"
)

func TestSince(t *testing.T) {
	compile := func(services ...catalog.Service) *catalog.Plan { return catalog.Compile(services, catalog.Options{}) }
	old := compile(service("a", at("1")), service("b", at("2", "urlprefix-/b")), service("c", at("3")))
	for name, tt := range map[string]struct {
		now  *catalog.Plan
		want string
	}{
		"an endpoint more":     {compile(service("a", at("1"), at("9")), service("b", at("2", "urlprefix-/b")), service("c", at("3"))), "false [] [a] []"},
		"a weight":             {compile(service("a", weighing(2, at("1"))), service("b", at("2", "urlprefix-/b")), service("c", at("3"))), "false [] [a] []"},
		"metadata":             {compile(service("a", marked(at("1"))), service("b", at("2", "urlprefix-/b")), service("c", at("3"))), "false [] [a] []"},
		"a service gone":       {compile(service("a", at("1")), service("b", at("2", "urlprefix-/b"))), "true [] [] [c]"},
		"a service more":       {compile(service("a", at("1")), service("b", at("2", "urlprefix-/b")), service("c", at("3")), service("d")), "true [d] [] []"},
		"a protocol":           {compile(service("a", at("1")), service("b", at("2", "urlprefix-/b proto=grpc")), service("c", at("3"))), "false [b] [] []"},
		"an option of a route": {compile(service("a", at("1")), service("b", at("2", "urlprefix-/b strip=/b")), service("c", at("3"))), "true [] [] []"},
		"everything":           {compile(), "true [] [] [a b c]"},
	} {
		c := tt.now.Since(old)
		if got := fmt.Sprint(c.Routes, clusterNames(c.Made), clusterNames(c.Updated), c.Gone); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
	if c := old.Since(nil); !c.Routes || len(c.Made) != 3 {
		t.Errorf("from nothing: %+v", c)
	}
}

func clusterNames(clusters []catalog.Cluster) (all []string) {
	for _, c := range clusters {
		all = append(all, c.Name)
	}
	return all
}
