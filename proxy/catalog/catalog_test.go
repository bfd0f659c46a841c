package catalog_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/catalog"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/route"
)

// at is an instance with tags; its address is short for one.
func at(address string, tags ...string) catalog.Instance {
	return catalog.Instance{Endpoint: discovery.Endpoint{Address: address, Weight: 1}, Tags: tags}
}

func weighing(w int, i catalog.Instance) catalog.Instance { i.Weight = w; return i }

func marked(i catalog.Instance) catalog.Instance { i.Metadata = map[string]string{"v": "2"}; return i }

func behind(priority int, i catalog.Instance) catalog.Instance { i.Priority = priority; return i }

// tenths are n instances with a weight of a tenth each.
func tenths(n int) (all []catalog.Instance) {
	for i := range n {
		all = append(all, at(fmt.Sprint(i), "urlprefix-/foo weight=0.1"))
	}
	return all
}

func ailing(h discovery.Health, i catalog.Instance) catalog.Instance { i.Health = h; return i }

func service(name string, instances ...catalog.Instance) catalog.Service {
	return catalog.Service{Name: name, Instances: instances}
}

// lines are a plan, one thing a line.
func lines(p *catalog.Plan) (all []string) {
	for _, r := range p.Routes {
		line := fmt.Sprintf("%s: %s%s -> %q", r.Name, strings.Join(r.Match.Hosts, ","), r.Match.PathPrefix, r.Cluster)
		for _, option := range [][2]string{{" strip ", r.Strip}, {" prepend ", r.Prepend}, {" host ", r.HostRewrite}} {
			if option[1] != "" {
				line += option[0] + option[1]
			}
		}
		all = append(all, line)
	}
	for _, c := range p.Clusters {
		line := fmt.Sprintf("%s = %s", c.Name, c.Protocol)
		if c.TLS {
			line += " tls"
		}
		if c.Insecure {
			line += " insecure"
		}
		for _, e := range c.Endpoints {
			line += fmt.Sprintf(" %s*%d", e.Address, e.Weight)
			if e.Priority > 0 {
				line += fmt.Sprintf(" at %d", e.Priority)
			}
		}
		all = append(all, line)
	}
	for _, problem := range p.Problems {
		all = append(all, fmt.Sprintf("! %s %q %s", problem.Service, problem.Tag, problem.Why))
	}
	return all
}

const names = ",%[1]s.service.consul -> %[1]q"

// byName is a service's route by name, as lines has it.
func byName(name string) string { return fmt.Sprintf("%[1]s: %[1]s"+names, name) }

func TestCompile(t *testing.T) {
	for _, tt := range []struct {
		name     string
		options  catalog.Options
		services []catalog.Service
		want     []string
	}{
		{name: "nothing"},
		{
			name:     "by name",
			services: []catalog.Service{service("web", at("b"), at("a"), weighing(7, at("c"))), service("none")},
			want:     []string{byName("none"), byName("web"), "none = auto", "web = auto a*1 b*1 c*7"},
		},
		{
			name:     "by name, below other suffixes and in a data centre",
			options:  catalog.Options{Suffixes: []string{".Mesh.internal", "service.consul"}, Datacenter: "DC1"},
			services: []catalog.Service{service("Web", at("a"))},
			want:     []string{`Web: web,web.mesh.internal,web.service.consul,web.service.dc1.consul -> "Web"`, "Web = auto a*1"},
		},
		{
			name: "names that are none, or are taken",
			services: []catalog.Service{
				service("a b", at("a", "urlprefix-/a")), service("Web", at("b")), service("web", at("c")), service("x", at("d")), service("x.service.consul", at("e")),
			},
			want: []string{
				`Web: web,web.service.consul -> "Web"`, byName("x"), `x.service.consul: x.service.consul.service.consul -> "x.service.consul"`, `/a: /a -> "a b@/a"`,
				"Web = auto b*1", "a b@/a = auto a*1", "x = auto d*1", "x.service.consul = auto e*1",
				`! a b "" it is served by tags alone: "a b" is no host name`,
				`! web "" the host web leads to the service "Web"`, `! web "" the host web.service.consul leads to the service "Web"`,
				`! x.service.consul "" the host x.service.consul leads to the service "x"`,
			},
		},
		{
			name:     "services of one name are one, and so are instances of one address",
			services: []catalog.Service{service("web", at("a", "urlprefix-/x")), service("web", at("b"), ailing(discovery.Unhealthy, at("a", "urlprefix-/x")))},
			want:     []string{byName("web"), `/x: /x -> "web@/x"`, "web = auto a*1 b*1", "web@/x = auto a*1"},
		},
		{
			name: "by tags, hopscope's and Fabio's",
			services: []catalog.Service{service("shop",
				at("a", "v1", "hopscope-route=shop.example.com/cart strip=/cart", "urlprefix-/css", " urlprefix-Mysite.com/ "),
				at("b", "v2", "hopscope-route=shop.example.com/cart strip=/cart", "urlprefix-/css", "urlprefix-mysite.com/"))},
			want: []string{
				`mysite.com/: mysite.com/ -> "shop"`, `shop.example.com/cart: shop.example.com/cart -> "shop" strip /cart`, byName("shop"), `/css: /css -> "shop"`,
				"shop = auto a*1 b*1",
			},
		},
		{
			name:     "another prefix of tags",
			options:  catalog.Options{FabioPrefix: "p-"},
			services: []catalog.Service{service("s", at("a", "p-/a", "urlprefix-/b", "p"))},
			want:     []string{byName("s"), `/a: /a -> "s"`, "s = auto a*1"},
		},
		{
			name: "several services, and some of one's instances, in a place",
			services: []catalog.Service{
				service("a", at("1", "urlprefix-/x")), service("b", at("2", "urlprefix-/x"), at("3")), service("c", at("4", "urlprefix-/y"), at("5")),
				service("d", at("6", "urlprefix-/z")), service("e", at("7", "urlprefix-/z")), service("f@g", at("8", "urlprefix-/z")), service("h", at("9", "urlprefix-/z"))},
			want: []string{
				byName("a"), byName("b"), byName("c"), byName("d"), byName("e"), byName("h"),
				`/x: /x -> "a+b@/x"`, `/y: /y -> "c@/y"`, `/z: /z -> "d+e+f_g+1@/z"`,
				"a = auto 1*1", "a+b@/x = auto 1*1 2*1", "b = auto 2*1 3*1", "c = auto 4*1 5*1", "c@/y = auto 4*1",
				"d = auto 6*1", "d+e+f_g+1@/z = auto 6*1 7*1 8*1 9*1", "e = auto 7*1", "h = auto 9*1",
				`! f@g "" it is served by tags alone: "f@g" is no host name`,
			},
		},
		{
			name: "protocols",
			services: []catalog.Service{
				service("g", at("1", "urlprefix-/my.service proto=grpc")),
				service("s", at("2", "urlprefix-/a proto=https tlsskipverify=true")),
				service("two", at("3", "urlprefix-/b proto=https", "urlprefix-/c", "urlprefix-/b proto=grpc weight=x"))},
			want: []string{
				byName("g"), byName("s"), byName("two"), `/my.service: /my.service -> "g"`, `/a: /a -> "s"`, `/b: /b -> "two@/b"`, `/c: /c -> "two"`,
				"g = http2 1*1", "s = auto tls insecure 2*1", "two = auto 3*1", "two@/b = auto tls 3*1",
				`! two "" its tags differ in proto, tlsskipverify or grpcservername: by its name it is spoken to in plain HTTP/1.1`,
				`! two "urlprefix-/b proto=grpc weight=x" requests for /b are refused where no other instance serves it: weight: "x" is no share of traffic: 0.1 is a tenth`,
			},
		},
		{
			name:     "the protocol of a tag that is refused",
			services: []catalog.Service{service("s", at("1", "urlprefix-/a proto=grpc redirect=301,http://b/", "urlprefix-/b proto=https"))},
			want: []string{
				byName("s"), `/a: /a -> ""`, `/b: /b -> "s"`, "s = auto tls 1*1",
				`! s "urlprefix-/a proto=grpc redirect=301,http://b/" requests for /a are refused where no other instance serves it: redirect: there are no redirects here: let the service redirect`,
			},
		},
		{
			name:     "a place that is closed, and can't be told",
			services: []catalog.Service{service("s", at("1", "urlprefix-a.*/ auth=x"))},
			want: []string{
				`! s "" it is not served by its name, since its tags close it to some clients`,
				`! s "urlprefix-a.*/ auth=x" left out: "a.*" is no host name`,
			},
		},
		{
			name:     "a suffix of nothing",
			options:  catalog.Options{Suffixes: []string{"", "."}},
			services: []catalog.Service{service("s", at("1"))},
			want:     []string{`s: s -> "s"`, "s = auto 1*1"},
		},
		{
			name: "instances that disagree, and none serves",
			services: []catalog.Service{service("s", ailing(discovery.Unhealthy, at("1", "urlprefix-/a strip=/a")),
				ailing(discovery.Unhealthy, at("2", "urlprefix-/a")), ailing(discovery.Draining, at("3", "urlprefix-/a")))},
			want: []string{
				byName("s"), `/a: /a -> "s@/a"`, "s = auto 1*1 2*1 3*1", "s@/a = auto 2*1 3*1",
				`! s "urlprefix-/a strip=/a" left out while more instances have other options for /a`,
			},
		},
		{
			name: "instances that disagree",
			services: []catalog.Service{service("s", at("1", "urlprefix-/a strip=/a"), at("2", "urlprefix-/a"), at("3", "urlprefix-/a"),
				at("4", "urlprefix-/b"), ailing(discovery.Unhealthy, at("5", "urlprefix-/b host=dst")), ailing(discovery.Draining, at("6", "urlprefix-/b host=dst")))},
			want: []string{
				byName("s"), `/a: /a -> "s@/a"`, `/b: /b -> "s@/b"`,
				"s = auto 1*1 2*1 3*1 4*1 5*1 6*1", "s@/a = auto 2*1 3*1", "s@/b = auto 4*1",
				`! s "urlprefix-/a strip=/a" left out while more instances have other options for /a`,
				`! s "urlprefix-/b host=dst" left out while more instances have other options for /b`,
			},
		},
		{
			name:     "one instance, two tags for a place",
			services: []catalog.Service{service("s", at("1", "urlprefix-/a", "hopscope-route=/a strip=/a", "urlprefix-A/", "urlprefix-a/"))},
			want: []string{
				`a/: a/ -> "s"`, byName("s"), `/a: /a -> "s" strip /a`, "s = auto 1*1",
				`! s "urlprefix-/a" left out where the same address has another tag for /a`,
			},
		},
		{
			name: "what is closed stays closed",
			services: []catalog.Service{
				service("open", at("1", "urlprefix-/")),
				service("admin", at("2", "urlprefix-/admin auth=basic", "urlprefix-/public")),
				service("half", at("3", "urlprefix-/half allow=ip:10.0.0.0/8"), at("4", "urlprefix-/half"))},
			want: []string{
				byName("open"), `/public: /public -> "admin@/public"`, `/admin: /admin -> ""`, `/half: /half -> "half@/half"`, `/: / -> "open"`,
				"admin@/public = auto 2*1", "half@/half = auto 4*1", "open = auto 1*1",
				`! admin "" it is not served by its name, since its tags close it to some clients`,
				`! admin "urlprefix-/admin auth=basic" requests for /admin are refused where no other instance serves it: auth: clients are not told apart here, so that all are refused: close the place by other means and take the option away`,
				`! half "" it is not served by its name, since its tags close it to some clients`,
				`! half "urlprefix-/half allow=ip:10.0.0.0/8" requests for /half are refused where no other instance serves it: allow: clients are not told apart here, so that all are refused: close the place by other means and take the option away`,
			},
		},
		{
			name:     "a bad tag breaks no other, and is told once",
			services: []catalog.Service{service("s", at("1", "urlprefix-", "urlprefix-/a", "urlprefix-:3306 proto=tcp"), at("2", "urlprefix-/a", "urlprefix-", "urlprefix-/b x=y"))},
			want: []string{
				byName("s"), `/a: /a -> "s"`, `/b: /b -> "s@/b"`, "s = auto 1*1 2*1", "s@/b = auto 2*1",
				`! s "urlprefix-" left out: it names neither host nor path: write HOST/PATH`,
				`! s "urlprefix-/b x=y" ignored: "x" is not known`,
				`! s "urlprefix-:3306 proto=tcp" left out: proto: TCP routes are not served by an HTTP listener: give the service a listener of its own`,
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := lines(catalog.Compile(tt.services, tt.options))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	var tags []string
	for i := range 300 {
		tags = append(tags, fmt.Sprintf("urlprefix-/%03d", i))
	}
	long := "urlprefix-/" + strings.Repeat("é", 2000)
	compile := func() *catalog.Plan {
		return catalog.Compile([]catalog.Service{service("many", at("1", tags...)), service("long", at("2", long))}, catalog.Options{})
	}
	p := compile()
	if len(p.Routes) != 2+256 || len(p.Problems) != 2 {
		t.Errorf("%d routes, problems %q", len(p.Routes), p.Problems)
	}
	slices.Reverse(tags)
	if !reflect.DeepEqual(p, compile()) {
		t.Error("in another order it is another plan")
	}
	for _, problem := range p.Problems {
		if len(problem.Tag) > 300 {
			t.Errorf("a problem with a tag of %d bytes", len(problem.Tag))
		}
	}
}

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
		"mixed, with the catalogue's":     {[]catalog.Instance{at("1", "urlprefix-/foo"), weighing(3, at("2", "urlprefix-/foo")), weighing(9, at("3", "urlprefix-/foo weight=0.5"))}, "1*1250 2*3750 3*5000"},
		"fixed is all":                    {[]catalog.Instance{at("1", "urlprefix-/foo"), at("2", "urlprefix-/foo weight=0.25"), at("3", "urlprefix-/foo weight=0.75")}, "1*1 at 1 2*2500 3*7500"},
		"fixed is more than all":          {[]catalog.Instance{at("1", "urlprefix-/foo"), at("2", "urlprefix-/foo weight=1"), at("3", "urlprefix-/foo weight=3")}, "1*1 at 1 2*2500 3*7500"},
		"unhealthy ones count for none":   {[]catalog.Instance{at("1", "urlprefix-/foo"), at("2", "urlprefix-/foo weight=0.25"), ailing(discovery.Unhealthy, at("3", "urlprefix-/foo weight=0.75"))}, "1*7500 2*2500 3*7500"},
		"unless there are no others":      {[]catalog.Instance{ailing(discovery.Unhealthy, at("1", "urlprefix-/foo")), ailing(discovery.Draining, at("2", "urlprefix-/foo weight=0.25"))}, "1*7500 2*2500"},
		"others are all unhealthy":        {[]catalog.Instance{ailing(discovery.Unhealthy, at("1", "urlprefix-/foo")), at("2", "urlprefix-/foo weight=0.25"), at("3", "urlprefix-/foo weight=0.25")}, "1*1 2*5000 3*5000"},
		"a weight of nearly nothing":      {[]catalog.Instance{at("1", "urlprefix-/foo weight=1e-9"), at("2", "urlprefix-/foo")}, "1*1 2*10000"},
		"degraded ones count as the rest": {[]catalog.Instance{ailing(discovery.Degraded, at("1", "urlprefix-/foo weight=0.1")), at("2", "urlprefix-/foo")}, "1*1000 2*9000"},
		"ten tenths leave nothing": {append(tenths(10), at("x", "urlprefix-/foo")),
			"0*1000 1*1000 2*1000 3*1000 4*1000 5*1000 6*1000 7*1000 8*1000 9*1000 x*1 at 1"},
		"of the catalogue's, 0 is as 1":      {[]catalog.Instance{weighing(0, at("1", "urlprefix-/foo")), at("2", "urlprefix-/foo"), at("3", "urlprefix-/foo weight=0.5")}, "1*2500 2*2500 3*5000"},
		"others stand by behind every other": {[]catalog.Instance{at("1", "urlprefix-/foo"), behind(2, at("2", "urlprefix-/foo weight=1"))}, "1*1 at 3 2*10000 at 2"},
	} {
		p := catalog.Compile([]catalog.Service{service("svc", tt.instances...)}, catalog.Options{})
		c, ok := p.Cluster(p.Routes[1].Cluster)
		got := lines(&catalog.Plan{Clusters: []catalog.Cluster{c}})[0]
		if want := c.Name + " = auto " + tt.want; !ok || got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// Requests, with the routes that Fabio's rules give them: hosts from the most
// specific on, in each the longest path, and last the paths of no host.
func TestRequestsFindTheirRoute(t *testing.T) {
	p := catalog.Compile([]catalog.Service{service("svc", at("1",
		"urlprefix-/", "urlprefix-/foo", "urlprefix-abc.com/", "urlprefix-abc.com/foo", "urlprefix-abc.com/foo/", "urlprefix-abc.com/foo/bar", "urlprefix-abc.com/foo/bar/",
		"urlprefix-*.foo.com/", "urlprefix-*.a.foo.com/", "urlprefix-*.z.foo.com/", "urlprefix-b.a.foo.com/only", "urlprefix-*bar.com/x", "urlprefix-*/star", "urlprefix-svc.service.consul/v2",
	))}, catalog.Options{})
	var matches []route.Match
	for _, r := range p.Routes {
		matches = append(matches, r.Match)
	}
	table := route.Compile(matches)
	for request, want := range map[string]string{
		"abc.com/": "abc.com/", "ABC.com:80/bar": "abc.com/", "abc.com/foo": "abc.com/foo", "abc.com/foo/": "abc.com/foo/",
		"abc.com/foo/bar": "abc.com/foo/bar", "abc.com/foo/bar/": "abc.com/foo/bar/", "abc.com/fool": "abc.com/foo",
		"def.com/": "/", "def.com/bar": "/", "def.com/foo": "/foo", "/foo": "/foo", "/star": "*/star", "def.com/star": "*/star",
		"foo.com/": "/", "x.foo.com/foo": "*.foo.com/", "a.foo.com/": "*.foo.com/", "c.a.foo.com/": "*.a.foo.com/", "c.z.foo.com/": "*.z.foo.com/",
		"b.a.foo.com/": "*.a.foo.com/", "b.a.foo.com/only": "b.a.foo.com/only",
		"bar.com/x": "*bar.com/x", "foobar.com/x": "*bar.com/x", "bar.com/foo": "/foo",
		"svc/foo": "svc", "svc.service.consul/": "svc", "svc.service.consul/v2/x": "svc.service.consul/v2",
	} {
		i := strings.IndexByte(request, '/')
		name := "none"
		if got := table.Match(head(request[:i], request[i:])); got >= 0 {
			name = p.Routes[got].Name
		}
		if name != want {
			t.Errorf("%s: %s, want %s", request, name, want)
		}
	}
}

func head(host, path string) *message.Head {
	h := new(message.Head)
	line := "GET " + path + " "
	h.Begin([]byte(line + "Host: " + host))
	target := message.Span{Off: 4, Len: uint32(len(path))}
	h.SetRequestLine(message.Span{Len: 3}, target, message.Span{}, message.Span{}, target, message.Span{})
	h.AddDecoded(message.Host, message.Span{Off: uint32(len(line)), Len: 4}, message.Span{Off: uint32(len(line) + 6), Len: uint32(len(host))})
	return h
}

// randomServices is a catalogue in which much overlaps.
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
		if !reflect.DeepEqual(want, got) { // cmp.Diff would ask the methods that are tested here
			t.Fatalf("seed %d:\n%+v, want\n%+v", seed, got, want)
		}
		if changes := got.Since(want); changes.Routes || len(changes.Made)+len(changes.Updated)+len(changes.Gone) > 0 {
			t.Fatalf("seed %d: equal plans differ in %+v", seed, changes)
		}
	}
}

// sound checks what a caller relies on.
func sound(t *testing.T, p *catalog.Plan) {
	t.Helper()
	used := map[string]bool{}
	for _, r := range p.Routes {
		if _, ok := p.Cluster(r.Cluster); !ok && r.Cluster != "" {
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

func BenchmarkCompile(b *testing.B) {
	for _, tags := range []int{0, 1, 3} {
		var services []catalog.Service
		for i := range 1000 {
			s := catalog.Service{Name: fmt.Sprintf("service-%04d", i)}
			for j := range 5 {
				in := at(fmt.Sprintf("10.0.%d.%d:8080", i/50, i%50*5+j), "v1", "canary")
				for k := range tags {
					in.Tags = append(in.Tags, fmt.Sprintf("urlprefix-host-%d.test/service-%04d strip=/service-%04d", k, i, i))
				}
				s.Instances = append(s.Instances, in)
			}
			services = append(services, s)
		}
		b.Run(fmt.Sprintf("tags=%d", tags), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				catalog.Compile(services, catalog.Options{Datacenter: "dc1"})
			}
		})
	}
}
