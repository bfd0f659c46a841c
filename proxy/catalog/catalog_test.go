package catalog_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/catalog"
)

// at is an instance with tags; its address is short for one.
func at(address string, tags ...string) catalog.Instance {
	return catalog.Instance{Endpoint: discovery.Endpoint{Address: address, Weight: 1}, Tags: tags}
}

func weighing(w int, i catalog.Instance) catalog.Instance { i.Weight = w; return i }

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
		clients := ""
		for _, c := range r.Match.Clients {
			clients += " from " + c.String()
		}
		if r.Match.Not != nil {
			clients += " not " + r.Match.Not.Clients[0].String()
		}
		line := fmt.Sprintf("%s: %s%s%s%s -> %q", r.Name, strings.Join(r.Match.Methods, "|"), strings.Join(r.Match.Hosts, ","), r.Match.PathPrefix, clients, r.Cluster)
		if to := r.Redirect; to != nil {
			line += fmt.Sprintf(" redirect %d %s %s %s", to.Status, to.Scheme, to.Host, to.Path)
			if to.Appends {
				line += "..."
			}
		}
		if r.Timeout > 0 {
			line += " within " + r.Timeout.String()
		}
		if r.Compress {
			line += " compressed"
		}
		if r.Auth != "" {
			line += " asks " + r.Auth
		}
		if r.Attempts > 0 {
			line += fmt.Sprintf(" %d attempts on %q", r.Attempts, r.RetryOn)
		}
		if r.Idle > 0 || r.MaxRequests > 0 || r.MaxBody > 0 {
			line += fmt.Sprintf(" idle %s, %d requests, %d bytes", r.Idle, r.MaxRequests, r.MaxBody)
		}
		if r.Closed != "" {
			line += " closed: " + r.Closed
		}
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
	for _, name := range p.Registers {
		all = append(all, "registered as "+name)
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
			name:     "the protocol of a tag that is refused, and of a redirect",
			services: []catalog.Service{service("s", at("1", "urlprefix-/a proto=grpc redirect=299,http://b/", "urlprefix-/b proto=https", "urlprefix-/c redirect=302,https://c.test/new$path"))},
			want: []string{
				byName("s"), `/a: /a -> "" closed: redirect: "299,http://b/" is no redirect: write 301,https://www.example.com$path, with 301, 302, 303, 307 or 308`, `/b: /b -> "s"`, `/c: /c -> "" redirect 302 https c.test /new...`, "s = auto tls 1*1",
				`! s "urlprefix-/a proto=grpc redirect=299,http://b/" requests for /a are refused where no other instance serves it: redirect: "299,http://b/" is no redirect: write 301,https://www.example.com$path, with 301, 302, 303, 307 or 308`,
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
				`! s "urlprefix-/a strip=/a" left out while more instances have other options for /a, or one keeps clients out`,
			},
		},
		{
			name: "instances that disagree",
			services: []catalog.Service{service("s", at("1", "urlprefix-/a strip=/a"), at("2", "urlprefix-/a"), at("3", "urlprefix-/a"),
				at("4", "urlprefix-/b"), ailing(discovery.Unhealthy, at("5", "urlprefix-/b host=dst")), ailing(discovery.Draining, at("6", "urlprefix-/b host=dst")))},
			want: []string{
				byName("s"), `/a: /a -> "s@/a"`, `/b: /b -> "s@/b"`,
				"s = auto 1*1 2*1 3*1 4*1 5*1 6*1", "s@/a = auto 2*1 3*1", "s@/b = auto 4*1",
				`! s "urlprefix-/a strip=/a" left out while more instances have other options for /a, or one keeps clients out`,
				`! s "urlprefix-/b host=dst" left out while more instances have other options for /b, or one keeps clients out`,
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
				byName("open"), `/public: /public -> "admin@/public"`, `/admin: /admin -> "" closed: auth: catalog.auth of the configuration has no "basic", so that all are refused: add it, or take the option away`, `/half: /half not 10.0.0.0/8 -> "" closed: its tag has allow for other clients`, `/half: /half -> "half@/half"`, `/: / -> "open"`,
				"admin@/public = auto 2*1", "half@/half = auto 3*1", "open = auto 1*1",
				`! admin "" it is not served by its name, since its tags close it to some clients`,
				`! admin "urlprefix-/admin auth=basic" requests for /admin are refused where no other instance serves it: auth: catalog.auth of the configuration has no "basic", so that all are refused: add it, or take the option away`,
				`! half "" it is not served by its name, since its tags close it to some clients`,
				`! half "urlprefix-/half" left out while more instances have other options for /half, or one keeps clients out`,
			},
		},
		{
			name:    "clients that are asked for passwords",
			options: catalog.Options{Auth: []string{"shop", "staff"}},
			services: []catalog.Service{
				service("admin", at("1", "urlprefix-/admin auth=staff"), at("2", "urlprefix-/admin"), at("3", "urlprefix-/admin")),
				service("far", at("4", "hopscope-route=/far auth=shop allow=ip:10.0.0.0/8")),
				service("moved", at("5", "hopscope-route=/old auth=shop redirect=301,https://new.test/")),
				service("twice", at("6", "hopscope-route=/twice", "urlprefix-/twice auth=staff")),
			},
			want: []string{
				`/admin: /admin -> "admin@/admin" asks staff`, `/twice: /twice -> "twice@/twice" asks staff`,
				`/far: /far not 10.0.0.0/8 -> "" closed: its tag has allow for other clients`, `/far: /far -> "far@/far" asks shop`,
				`/old: /old -> "" redirect 301 https new.test / asks shop`,
				"admin@/admin = auto 1*1", "far@/far = auto 4*1", "twice@/twice = auto 6*1",
				`! admin "" it is not served by its name, since its tags close it to some clients`,
				`! admin "urlprefix-/admin" left out while more instances have other options for /admin, or one keeps clients out`,
				`! far "" it is not served by its name, since its tags close it to some clients`,
				`! moved "" it is not served by its name, since its tags close it to some clients`,
				`! twice "" it is not served by its name, since its tags close it to some clients`,
				`! twice "hopscope-route=/twice" left out where the same address has another tag for /twice`,
			},
		},
		{
			name: "requests by their method",
			services: []catalog.Service{
				service("read", at("1", "hopscope-route=/a methods=GET,HEAD"), at("2", "hopscope-route=/a methods=head,get")),
				service("write", at("3", "hopscope-route=/a methods=POST deny=ip:10.0.0.0/8"), at("4", "hopscope-route=/a methods=P?ST")),
				service("rest", at("5", "urlprefix-/a methods=GET")),
			},
			want: []string{
				byName("read"), byName("rest"),
				`/a POST: POST/a from 10.0.0.0/8 -> "" closed: its tag has deny for these clients`, `/a POST: POST/a -> "write@/a POST"`,
				`/a GET,HEAD: GET|HEAD/a -> "read"`, `/a: /a -> "rest"`,
				"read = auto 1*1 2*1", "rest = auto 5*1", "write@/a POST = auto 3*1",
				`! rest "urlprefix-/a methods=GET" ignored: methods: only tags that begin with hopscope-route= have it`,
				`! write "" it is not served by its name, since its tags close it to some clients`,
				`! write "hopscope-route=/a methods=P?ST" requests for /a are refused where no other instance serves it: methods: "P?ST" is no list of methods such as GET,POST`,
			},
		},
		{
			name: "a restriction that is not understood closes the route",
			services: []catalog.Service{
				service("s", at("1", "hopscope-route=/a methods=P?ST", "hopscope-route=/b body=1MB")),
			},
			want: []string{
				byName("s"), `/a: /a -> "" closed: methods: "P?ST" is no list of methods such as GET,POST`,
				`/b: /b -> "" closed: body: "1MB" is no number of bytes such as 65536, 64KiB or 10MiB`, "s = auto 1*1",
				`! s "hopscope-route=/a methods=P?ST" requests for /a are refused where no other instance serves it: methods: "P?ST" is no list of methods such as GET,POST`,
				`! s "hopscope-route=/b body=1MB" requests for /b are refused where no other instance serves it: body: "1MB" is no number of bytes such as 65536, 64KiB or 10MiB`,
			},
		},
		{
			name: "retries and limits",
			services: []catalog.Service{
				service("s", at("1", "hopscope-route=/a retries=2 retry_on=reset,5xx", "hopscope-route=/b retries=0", "hopscope-route=/c retries=1 idle_timeout=1m max_requests=10 body=1KiB")),
			},
			want: []string{
				byName("s"), `/a: /a -> "s" 3 attempts on ["5xx" "reset"]`, `/b: /b -> "s" 1 attempts on []`,
				`/c: /c -> "s" 2 attempts on [] idle 1m0s, 10 requests, 1024 bytes`, "s = auto 1*1",
			},
		},
		{
			name:    "names that the proxy is registered under",
			options: catalog.Options{Register: []string{"edge", "shop", "ailing", "refused"}},
			services: []catalog.Service{
				service("a", at("1", "urlprefix-/a register=shop", "urlprefix-/b register=edge"), ailing(discovery.Unhealthy, at("2", "urlprefix-/a register=shop"))),
				service("b", ailing(discovery.Unhealthy, at("3", "urlprefix-/c register=ailing")), at("4", "urlprefix-/d register=refused weight=x", "urlprefix-/e register=other")),
			},
			want: []string{
				byName("a"), byName("b"), `/a: /a -> "a"`, `/b: /b -> "a@/b"`, `/c: /c -> "b@/c"`, `/d: /d -> "" closed: weight: "x" is no share of traffic: 0.1 is a tenth`, `/e: /e -> "b@/e"`,
				"a = auto 1*1 2*1", "a@/b = auto 1*1", "b = auto 3*1 4*1", "b@/c = auto 3*1", "b@/e = auto 4*1",
				"registered as edge", "registered as shop",
				`! b "urlprefix-/d register=refused weight=x" requests for /d are refused where no other instance serves it: weight: "x" is no share of traffic: 0.1 is a tenth`,
				`! b "urlprefix-/e register=other" ignored: register: register.consul.names of the configuration does not have "other"`,
			},
		},
		{
			name: "clients that are kept out, a time and compression",
			services: []catalog.Service{
				service("s", at("1", "hopscope-route=/a deny=ip:10.1.0.0/16,ip:::1 timeout=3s compress=true")),
			},
			want: []string{
				`/a: /a from 10.1.0.0/16 from ::1/128 -> "" closed: its tag has deny for these clients`, `/a: /a -> "s@/a" within 3s compressed`, "s@/a = auto 1*1",
				`! s "" it is not served by its name, since its tags close it to some clients`,
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
