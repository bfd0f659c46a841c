package catalog_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/catalog"
)

// randomServices is a catalog in which much overlaps.
func randomServices(r *rand.Rand) (services []catalog.Service) {
	places := []string{"/", "/a", "/a/b", "a.test/", "*.test/a", "*test/", ":80", "a b", "svc-1/", "$DC.test/"}
	opts := []string{"", "", "", " strip=/a", " weight=0.1", " weight=0.9", " weight=7", " proto=https", " proto=grpc", " host=dst", " auth=x", " bad", " proto=x"}
	prefixes := []string{"urlprefix-", "hopscope-route=", "other-"}
	names := []string{"svc-1", "svc-2", "SVC-1", "svc-1.service.consul", "a@b", "a@/a", ""}
	for range r.IntN(12) {
		s := catalog.Service{Name: names[r.IntN(len(names))]}
		for range r.IntN(5) {
			i := at(fmt.Sprint(r.IntN(9)))
			i.Weight, i.Priority, i.Health = r.IntN(3), r.IntN(2), discovery.Health(r.IntN(4))
			i.Metadata = map[string]string{"k": fmt.Sprint(r.IntN(2))}
			for range r.IntN(5) {
				i.Tags = append(i.Tags, prefixes[r.IntN(len(prefixes))]+places[r.IntN(len(places))]+opts[r.IntN(len(opts))])
			}
			s.Instances = append(s.Instances, i)
		}
		services = append(services, s)
	}
	return services
}

func shuffle(r *rand.Rand, services []catalog.Service) []catalog.Service {
	services = slices.Clone(services)
	for i, s := range services {
		instances := slices.Clone(s.Instances)
		for j := range instances {
			tags := slices.Clone(instances[j].Tags)
			r.Shuffle(len(tags), func(a, b int) { tags[a], tags[b] = tags[b], tags[a] })
			instances[j].Tags = tags
		}
		r.Shuffle(len(instances), func(a, b int) { instances[a], instances[b] = instances[b], instances[a] })
		services[i].Instances = instances
	}
	r.Shuffle(len(services), func(a, b int) { services[a], services[b] = services[b], services[a] })
	return services
}

func TestPlanIsTheSameInWhateverOrder(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 2))
		services := randomServices(r)
		want := catalog.Compile(services, catalog.Options{Datacenter: "dc1"})
		sound(t, want)
		got := catalog.Compile(shuffle(r, services), catalog.Options{Datacenter: "dc1"})
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("seed %d:\n%+v, want\n%+v", seed, got, want)
		}
	}
}

// clusterOf is the cluster of a name.
func clusterOf(p *catalog.Plan, name string) (catalog.Cluster, bool) {
	i := slices.IndexFunc(p.Clusters, func(c catalog.Cluster) bool { return c.Name == name })
	if i < 0 {
		return catalog.Cluster{}, false
	}
	return p.Clusters[i], true
}

// sound checks what a caller relies on.
func sound(t *testing.T, p *catalog.Plan) {
	t.Helper()
	used := map[string]bool{}
	for _, r := range p.Routes {
		if _, ok := clusterOf(p, r.Cluster); !ok && r.Cluster != "" {
			t.Fatalf("the route %s has no cluster %q", r.Name, r.Cluster)
		}
		used[r.Cluster] = true
	}
	for i, c := range p.Clusters {
		if i > 0 && c.Name <= p.Clusters[i-1].Name {
			t.Fatalf("the cluster %q comes after %q", c.Name, p.Clusters[i-1].Name)
		}
		if !used[c.Name] {
			t.Fatalf("no route leads to the cluster %q", c.Name)
		}
		for j, e := range c.Endpoints {
			if j > 0 && e.Address <= c.Endpoints[j-1].Address {
				t.Fatalf("the endpoints of %q are out of order: %+v", c.Name, c.Endpoints)
			}
		}
	}
}

func FuzzCompile(f *testing.F) {
	f.Add("web", "urlprefix-/a weight=0.1", "hopscope-route=a.test/ proto=h2c", "service.consul", "dc1")
	f.Add("a@/a", "urlprefix-/a auth=x", "urlprefix-*/", "", "")
	f.Fuzz(func(t *testing.T, name, one, other, suffix, datacenter string) {
		services := []catalog.Service{service(name, at("1", one, other), at("2", one)), service("web", at("2", other), at("3"))}
		o := catalog.Options{Suffixes: []string{suffix}, Datacenter: datacenter}
		p := catalog.Compile(services, o)
		sound(t, p)
		slices.Reverse(services)
		if again := catalog.Compile(services, o); !reflect.DeepEqual(p, again) {
			t.Errorf("in another order:\n%+v, want\n%+v", again, p)
		}
	})
}
