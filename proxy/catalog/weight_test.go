package catalog_test

import (
	"testing"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/catalog"
)

// The cases of Fabio's own tests, with what it comes to for each.
func TestWeights(t *testing.T) {
	for name, tt := range map[string]struct {
		instances []catalog.Instance
		want      string
	}{
		"no weight":                       {[]catalog.Instance{at("1", "urlprefix-/foo"), at("2", "urlprefix-/foo")}, "1*1 2*1"},
		"weight 0 is none":                {[]catalog.Instance{at("1", "urlprefix-/foo weight=0"), weighing(3, at("2", "urlprefix-/foo"))}, "1*1 2*3"},
		"fixed only, below 1":             {[]catalog.Instance{at("1", "urlprefix-/foo weight=0.2"), at("2", "urlprefix-/foo weight=0.3")}, "1*4000 2*6000"},
		"fixed only, above 1":             {[]catalog.Instance{at("1", "urlprefix-/foo weight=2"), at("2", "urlprefix-/foo weight=3")}, "1*4000 2*6000"},
		"mixed":                           {[]catalog.Instance{at("1", "urlprefix-/foo"), at("2", "urlprefix-/foo"), at("3", "urlprefix-/foo weight=0.5")}, "1*2500 2*2500 3*5000"},
		"mixed, with the catalog's":       {[]catalog.Instance{at("1", "urlprefix-/foo"), weighing(3, at("2", "urlprefix-/foo")), weighing(9, at("3", "urlprefix-/foo weight=0.5"))}, "1*1250 2*3750 3*5000"},
		"fixed is all":                    {[]catalog.Instance{at("1", "urlprefix-/foo"), at("2", "urlprefix-/foo weight=0.25"), at("3", "urlprefix-/foo weight=0.75")}, "1*1 at 1 2*2500 3*7500"},
		"fixed is more than all":          {[]catalog.Instance{at("1", "urlprefix-/foo"), at("2", "urlprefix-/foo weight=1"), at("3", "urlprefix-/foo weight=3")}, "1*1 at 1 2*2500 3*7500"},
		"unhealthy ones count for none":   {[]catalog.Instance{at("1", "urlprefix-/foo"), at("2", "urlprefix-/foo weight=0.25"), ailing(discovery.Unhealthy, at("3", "urlprefix-/foo weight=0.75"))}, "1*7500 2*2500 3*7500"},
		"unless there are no others":      {[]catalog.Instance{ailing(discovery.Unhealthy, at("1", "urlprefix-/foo")), ailing(discovery.Draining, at("2", "urlprefix-/foo weight=0.25"))}, "1*7500 2*2500"},
		"others are all unhealthy":        {[]catalog.Instance{ailing(discovery.Unhealthy, at("1", "urlprefix-/foo")), at("2", "urlprefix-/foo weight=0.25"), at("3", "urlprefix-/foo weight=0.25")}, "1*1 2*5000 3*5000"},
		"a weight of nearly nothing":      {[]catalog.Instance{at("1", "urlprefix-/foo weight=1e-9"), at("2", "urlprefix-/foo")}, "1*1 2*10000"},
		"degraded ones count as the rest": {[]catalog.Instance{ailing(discovery.Degraded, at("1", "urlprefix-/foo weight=0.1")), at("2", "urlprefix-/foo")}, "1*1000 2*9000"},
		"ten tenths leave nothing": {append(tenths(10), at("x", "urlprefix-/foo")),
			"0*1000 1*1000 2*1000 3*1000 4*1000 5*1000 6*1000 7*1000 8*1000 9*1000 x*1 at 1"},
		"of the catalog's, 0 is none":        {[]catalog.Instance{weighing(0, at("1", "urlprefix-/foo")), at("2", "urlprefix-/foo"), at("3", "urlprefix-/foo weight=0.5")}, "1*0 2*5000 3*5000"},
		"0 is none, with a tag too":          {[]catalog.Instance{weighing(0, at("1", "urlprefix-/foo weight=0.75")), at("2", "urlprefix-/foo weight=0.25")}, "1*0 2*10000"},
		"others stand by behind every other": {[]catalog.Instance{at("1", "urlprefix-/foo"), behind(2, at("2", "urlprefix-/foo weight=1"))}, "1*1 at 3 2*10000 at 2"},
	} {
		p := catalog.Compile([]catalog.Service{service("svc", tt.instances...)}, catalog.Options{})
		c, ok := clusterOf(p, p.Routes[1].Cluster)
		got := lines(&catalog.Plan{Clusters: []catalog.Cluster{c}})[0]
		if want := c.Name + " = auto " + tt.want; !ok || got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
