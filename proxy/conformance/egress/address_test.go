package egress_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// zone is a name server that says what its owner likes, and each time anew.
type zone struct {
	mu      sync.Mutex
	answers map[string][]string // by name, what is answered next; the last stays
}

// startZone makes the process's resolver ask a zone until the test has ended, which
// must not be parallel to others.
func startZone(t *testing.T) *zone {
	t.Helper()
	z := &zone{answers: map[string][]string{}}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: socket, Handler: z}
	done := make(chan struct{})
	go func() { server.ActivateAndServe(); close(done) }()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", socket.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		socket.Close()
		<-done
	})
	return z
}

// ServeDNS implements [dns.Handler].
func (z *zone) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg).SetReply(q)
	z.mu.Lock()
	name := strings.TrimSuffix(strings.ToLower(q.Question[0].Name), ".")
	answers, known := z.answers[name]
	if q.Question[0].Qtype == dns.TypeA && known {
		for _, address := range strings.Fields(answers[0]) {
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.ParseIP(address)})
		}
		if len(answers) > 1 {
			z.answers[name] = answers[1:]
		}
	}
	z.mu.Unlock()
	if !known {
		m.Rcode = dns.RcodeNameError
	}
	w.WriteMsg(m)
}

func (z *zone) set(name string, answers ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.answers[name] = answers
}

// TestForwardProxyChecksTheAddress: a name leads nobody to this host, nor to a metadata
// service, by CONNECT or in absolute form, whatever its owner answers and when.
func TestForwardProxyChecksTheAddress(t *testing.T) {
	proxytest.NoLeaks(t)
	z := startZone(t)
	address := proxytest.Serve(t, proxytest.Echo)
	_, port, _ := net.SplitHostPort(address)
	allow := func(destinations ...string) func(*proxytest.Settings) {
		return func(s *proxytest.Settings) {
			s.Egress.ForwardProxy.Allow = []config.ForwardAllow{{Clients: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Destinations: destinations}}
		}
	}
	deny := func(destinations ...string) func(*proxytest.Settings) {
		return func(s *proxytest.Settings) { s.Egress.ForwardProxy.Deny = destinations }
	}
	tests := []struct {
		name    string
		change  func(*proxytest.Settings)
		host    string
		answers []string
		status  int
		details string
	}{
		{"loopback", nil, "rebound.test", []string{"127.0.0.1"}, 403, "forward_proxy_address_denied"},
		{"link-local", nil, "rebound.test", []string{"169.254.169.254"}, 403, "forward_proxy_address_denied"},
		{"unspecified", nil, "rebound.test", []string{"0.0.0.0"}, 403, "forward_proxy_address_denied"},
		{"a name that is allowed", allow("rebound.test"), "rebound.test", []string{"127.0.0.1"}, 403, "forward_proxy_address_denied"},
		{"names that are allowed", allow("*"), "rebound.test", []string{"127.0.0.1"}, 403, "forward_proxy_address_denied"},
		{"another network is allowed", allow("198.51.100.0/24"), "rebound.test", []string{"127.0.0.1"}, 403, "forward_proxy_denied"},
		{"the network is allowed", allow("127.0.0.0/8"), "rebound.test", []string{"127.0.0.1"}, 200, ""},
		{"one of two addresses is allowed", allow("127.0.0.0/8"), "rebound.test", []string{"169.254.169.254 127.0.0.1"}, 200, ""},
		{"denied by name", deny("*.test"), "rebound.test", []string{"127.0.0.1"}, 403, "forward_proxy_address_denied"},
		{"denied by network", deny("127.0.0.0/8"), "127.0.0.1", nil, 403, "forward_proxy_address_denied"},
		{"denied by port", deny("*:" + port), "localhost", nil, 403, "forward_proxy_address_denied"},
		{"another port is denied", deny("*:1"), "127.0.0.1", nil, 200, ""},
	}
	for _, tt := range tests {
		for _, connect := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, CONNECT %t", tt.name, connect), func(t *testing.T) {
				z.set(tt.host, tt.answers...)
				if tt.answers == nil {
					z.set(tt.host, "192.0.2.1")
				}
				var change []func(*proxytest.Settings)
				if tt.change != nil {
					change = append(change, tt.change)
				}
				rig := proxytest.Start(t, address, change...)
				client := proxytest.Dial(t, rig.Egress())
				target, method := tt.host+":"+port, "CONNECT"
				if !connect {
					target, method = "http://"+target+"/", "GET"
				}
				trace, field := proxytest.NewTrace()
				client.Send(method, " ", target, " HTTP/1.1\r\nHost: "+tt.host+"\r\n", field, "\r\n")
				first, fields := client.ReadHead()
				if !strings.HasPrefix(first, fmt.Sprintf("HTTP/1.1 %d ", tt.status)) {
					t.Errorf("received %q %q, want status %d", first, fields, tt.status)
				}
				client.Close()
				if h := rig.Hop(trace); h.Details != tt.details {
					t.Errorf("details %q, want %q: %+v", h.Details, tt.details, h.Attempts)
				}
			})
		}
	}
}

// TestForwardProxyAgainstRebinding: a name that leads to an allowed address at first,
// and then to another, leads nowhere else. Connections that were made stay.
func TestForwardProxyAgainstRebinding(t *testing.T) {
	proxytest.NoLeaks(t)
	z := startZone(t)
	ends, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip(err)
	}
	defer ends.Close()
	go func() {
		for {
			c, err := ends.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for p := proxytest.NewPeer(t, c); ; p.Send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") {
					if _, err := p.TryReadHead(); err != nil {
						return
					}
				}
			}()
		}
	}()
	_, port, _ := net.SplitHostPort(ends.Addr().String())
	rig := proxytest.Start(t, ends.Addr().String(), func(s *proxytest.Settings) {
		s.Egress.ForwardProxy.Allow = []config.ForwardAllow{{Clients: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Destinations: []string{"127.0.0.2"}}}
	})
	answer := func(method, target string) string {
		client := proxytest.Dial(t, rig.Egress())
		defer client.Close()
		client.Send(method, " ", target, " HTTP/1.1\r\nHost: rebound.test\r\n\r\n")
		first, _ := client.ReadHead()
		return first
	}
	ask := func(method, target string, want string) {
		t.Helper()
		if first := answer(method, target); !strings.HasPrefix(first, "HTTP/1.1 "+want) {
			t.Errorf("%s %s: received %q, want %s", method, target, first, want)
		}
	}
	z.set("rebound.test", "127.0.0.2")
	ask("GET", "http://rebound.test:"+port+"/", "200")
	z.set("rebound.test", "127.0.0.1")
	ask("CONNECT", "rebound.test:"+port, "403")
	proxytest.Eventually(rig.T, "the connection that there is being used", func() bool { // it is kept a moment after its response
		return strings.HasPrefix(answer("GET", "http://rebound.test:"+port+"/"), "HTTP/1.1 200 ")
	})
	ask("CONNECT", "rebound.test:"+port, "403")
	z.set("rebound.test", "169.254.169.254")
	ask("CONNECT", "rebound.test:"+port, "403")
}

// TestForwardProxyToItsAdminAPI: nobody gets there by way of the proxy.
func TestForwardProxyToItsAdminAPI(t *testing.T) {
	l := proxytest.StartWithViews(t, proxytest.Always(proxytest.OKResponse)(t), func(s *proxytest.Settings) {
		s.Egress.ForwardProxy.Allow = []config.ForwardAllow{proxytest.Allow("127.0.0.0/8", "127.0.0.0/8")}
	})
	admin := l.AdminAddr().String()
	for _, request := range []string{"CONNECT " + admin + " HTTP/1.1\r\n", "POST http://" + admin + "/drain HTTP/1.1\r\n"} {
		client := proxytest.Dial(t, l.Egress())
		client.Send(request, "Host: a\r\nContent-Length: 0\r\n\r\n")
		if first, _ := client.ReadHead(); !strings.HasPrefix(first, "HTTP/1.1 403 ") {
			t.Errorf("%q was answered with %q", request, first)
		}
		client.Close()
	}
}

// TestForwardProxyRulesAreReloaded: other rules hold at once, also where a connection is
// there that the old ones allowed; and a reload that changes none keeps it.
func TestForwardProxyRulesAreReloaded(t *testing.T) {
	proxytest.NoLeaks(t)
	address := proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RemoteAddr) })
	_, port, _ := net.SplitHostPort(address)
	own, admin := proxytest.OwnAddress(), proxytest.OwnAddress()
	with := func(deny ...string) *config.Config {
		return proxytest.NewConfig(t, address, func(c *config.Config) {
			c.Admin.Address = admin
			l := config.NewListener("egress", own)
			l.Direction, l.ForwardProxy = "outbound", config.NewForwardProxy()
			l.ForwardProxy.Deny = deny
			c.Listeners = append(c.Listeners, l)
		})
	}
	rig := proxytest.StartConfig(t, with())
	get := func() (int, string) {
		client := proxytest.Dial(t, rig.Egress())
		defer client.Close()
		client.Send("GET http://localhost:", port, "/ HTTP/1.1\r\nHost: a\r\n\r\n")
		response, body := client.ReadResponse("GET")
		return response.StatusCode, body
	}
	_, first := get()
	// The client may have its response before the connection is back in the pool.
	proxytest.Eventually(t, "the connection is idle", func() bool {
		return rig.Scrape().Sum("hopscope_upstream_connections", "state", "idle") == 1
	})
	rig.MustReload(with())
	if status, from := get(); status != 200 || from != first {
		t.Errorf("after a reload of the same: %d from %s, want the connection %s", status, from, first)
	}
	rig.MustReload(with("127.0.0.0/8", "[::1]"))
	if status, body := get(); status != 403 {
		t.Errorf("with a rule against it: %d %q", status, body)
	}
	rig.MustReload(with())
	if status, _ := get(); status != 200 {
		t.Errorf("without it again: %d", status)
	}
}
