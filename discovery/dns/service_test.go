package dns_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/discovery/dns"
)

const service = "_http._tcp.web.example."

func services(s *server) dns.Options {
	o := fast(s)
	o.Name, o.Port, o.Type = "_http._tcp.web.example", 0, dns.TypeSRV
	return o
}

func TestServices(t *testing.T) {
	for name, tt := range map[string]struct {
		zone map[string]string
		want []string
	}{
		"priorities and weights": {
			zone: map[string]string{
				service: `_http._tcp.web.example. 60 SRV 20 5 8003 c.example.
_http._tcp.web.example. 60 SRV 10 0 8002 b.example.
_http._tcp.web.example. 60 SRV 10 7 8001 A.example.
_http._tcp.web.example. 60 SRV 65535 65535 8004 d.example.
EXTRA a.example. 60 A 10.0.0.1
EXTRA a.example. 60 AAAA fd00::1
EXTRA b.example. 60 A 10.0.0.2
EXTRA c.example. 60 A 10.0.0.3
EXTRA d.example. 60 A 10.0.0.4`,
			},
			want: []string{"10.0.0.1:8001 weight 7 priority 0", "10.0.0.2:8002", "[fd00::1]:8001 weight 7 priority 0",
				"10.0.0.3:8003 weight 5 priority 1", "10.0.0.4:8004 weight 65535 priority 2"},
		},
		"hosts that have to be asked for": {
			zone: map[string]string{
				service:         "_http._tcp.web.example. 60 SRV 1 1 80 a.example.\n_http._tcp.web.example. 60 SRV 1 1 81 a.example.\n_http._tcp.web.example. 60 SRV 2 1 80 b.example.",
				"a.example. A":  "a.example. 60 CNAME c.example.\nc.example. 60 A 10.0.0.1",
				"a.example.":    "",
				"b.example.":    "b.example. 60 AAAA fd00::1",
				"_http.example": "",
			},
			want: []string{"10.0.0.1:80", "10.0.0.1:81", "[fd00::1]:80 weight 1 priority 1"},
		},
		"the best of two entries for an address": {
			zone: map[string]string{service: `_http._tcp.web.example. 60 SRV 2 9 80 a.example.
_http._tcp.web.example. 60 SRV 1 3 80 b.example.
_http._tcp.web.example. 60 SRV 1 4 80 c.example.
EXTRA a.example. 60 A 10.0.0.1
EXTRA b.example. 60 A 10.0.0.1
EXTRA c.example. 60 A 10.0.0.1`},
			want: []string{"10.0.0.1:80 weight 4 priority 0"},
		},
		"a host that does not exist": {
			zone: map[string]string{service: "_http._tcp.web.example. 60 SRV 1 1 80 a.example.\n_http._tcp.web.example. 60 SRV 2 1 80 b.example.",
				"b.example. A": "b.example. 60 A 10.0.0.1", "b.example.": ""},
			want: []string{"10.0.0.1:80"},
		},
		"a host whose server fails": {
			zone: map[string]string{service: "_http._tcp.web.example. 60 SRV 1 1 80 a.example.\nEXTRA x.example. 60 A 10.0.0.9", "a.example.": "SERVFAIL"},
			want: []string{"-", "error: A a.example.: ...SERVFAIL...(and 1 more)"},
		},
		"decidedly none":  {zone: map[string]string{service: "_http._tcp.web.example. 60 SRV 0 0 0 ."}},
		"no port":         {zone: map[string]string{service: "_http._tcp.web.example. 60 SRV 0 0 0 a.example."}},
		"no such service": {want: []string{"missing"}, zone: map[string]string{}},
		"no record":       {zone: map[string]string{service: ""}},
		"failure":         {zone: map[string]string{service: "SERVFAIL"}, want: []string{"-", "error: SRV _http._tcp.web.example.: ...SERVFAIL"}},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, run(t, services(serve(t, tt.zone)))(), tt.want...)
		})
	}
}

func TestHostsOfAServiceFailOnTheirOwn(t *testing.T) {
	two := "_http._tcp.web.example. 1 SRV 1 1 80 a.example.\n_http._tcp.web.example. 1 SRV 1 1 80 b.example."
	s := serve(t, map[string]string{service: two, "a.example. A": "a.example. 1 A 10.0.0.1", "a.example.": "",
		"b.example. A": "b.example. 1 A 10.0.0.2", "b.example.": ""})
	next := run(t, services(s))
	expect(t, next(), "10.0.0.1:80", "10.0.0.2:80")
	s.set("a.example. A", "SERVFAIL")
	expect(t, next(), "10.0.0.1:80", "10.0.0.2:80", "error: A a.example.")
	s.set("b.example. A", "b.example. 1 A 10.0.0.3")
	expect(t, next(), "10.0.0.1:80", "10.0.0.3:80", "error: A a.example.")
	s.set(service, "SERVFAIL")
	expect(t, next(), "10.0.0.1:80", "10.0.0.3:80", "error: SRV ")
	s.set(service, strings.ReplaceAll(two, " b.example", " c.example"))
	s.set("c.example. A", "c.example. 1 A 10.0.0.4")
	s.set("c.example.", "")
	for u := next(); ; u = next() { // of the two changes, the first alone may have been seen
		if len(u.Endpoints) == 2 && u.Endpoints[1].Address == "10.0.0.4:80" {
			expect(t, u, "10.0.0.1:80", "10.0.0.4:80", "error: A a.example.")
			break
		}
	}
	s.set(service, "")
	expect(t, next(), "10.0.0.1:80", "10.0.0.4:80", "error: it is believed if the answers are the same")
	expect(t, next())
}

func TestAServiceOfManyHosts(t *testing.T) {
	zone := map[string]string{}
	var records strings.Builder
	for i := range 100 {
		fmt.Fprintf(&records, "%s 60 SRV 1 %d 80 h%d.example.\n", service, i+1, i)
		zone[fmt.Sprintf("h%d.example. A", i)] = fmt.Sprintf("h%d.example. 60 A 10.0.0.%d", i, i+1)
		zone[fmt.Sprintf("h%d.example.", i)] = ""
	}
	zone[service] = records.String()
	o := services(serve(t, zone))
	u := run(t, o)()
	if len(u.Endpoints) != 100 || u.Endpoints[99].Address != "10.0.0.100:80" || u.Endpoints[99].Weight != 100 || u.Err != nil {
		t.Errorf("%d endpoints, %v", len(u.Endpoints), u.Err)
	}
}
