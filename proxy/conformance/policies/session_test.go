package policies_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

func inSession(s *proxytest.Settings) {
	s.Route.StatefulSession = config.NewStatefulSession("srv")
}

// TestStatefulSession: a client that shows its cookie stays at its endpoint, in every
// protocol, and one that shows another is balanced and gets a new one.
func TestStatefulSession(t *testing.T) {
	for _, fields := range [][]string{nil, call} {
		proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
			act := proxytest.Respond(200)
			if fields != nil {
				act = proxytest.Respond(200, "content-type: application/grpc", "grpc-status: 0")
			}
			p := proxytest.StartScript(t, up, 3, act)
			x := p.Start(down, up, inSession, func(s *proxytest.Settings) { s.Route.StatefulSession.Cookie.TTL = time.Hour })
			o := x.Ask("POST", nil, fields...)
			given := o.Header.Get("set-cookie")
			cookie, attributes, _ := strings.Cut(given, ";")
			if !strings.HasPrefix(cookie, "srv=") || len(cookie) != len("srv=")+16 || attributes != " Max-Age=3600; Path=/; HttpOnly" {
				t.Fatalf("the cookie is %q", given)
			}
			home := o.Hop.LastAttempt().Endpoint
			for range 12 {
				o := x.Ask("POST", nil, append([]string{"cookie: a=b; " + cookie}, fields...)...)
				proxytest.Same(t, "endpoint", o.Hop.LastAttempt().Endpoint, home)
				proxytest.Same(t, "a new cookie", o.Header.Get("set-cookie"), "")
			}
			proxytest.Same(t, "picks by a session", x.Scrape().Sum("hopscope_picks_total", "outcome", "session"), 12)
			seen := map[string]bool{}
			for range 30 {
				o := x.Ask("POST", nil, append([]string{"cookie: srv=0123456789abcdef"}, fields...)...)
				seen[o.Hop.LastAttempt().Endpoint] = true
				if again := o.Header.Get("set-cookie"); !strings.HasPrefix(again, "srv=") {
					t.Errorf("after a cookie of nobody: %q", again)
				}
			}
			proxytest.Same(t, "endpoints without a session", len(seen), 3)
		})
	}
}

// TestStatefulSessionMovesOn: where the endpoint of a session is gone, another takes over,
// or none if the session is strict.
func TestStatefulSessionMovesOn(t *testing.T) {
	for _, strict := range []bool{false, true} {
		endpoints := []string{proxytest.Serve(t, proxytest.Echo), proxytest.Serve(t, proxytest.Echo)}
		with := func(endpoints ...string) *config.Config {
			return proxytest.NewConfig(t, endpoints[0], func(c *config.Config) {
				cluster := c.Clusters["web"]
				cluster.Endpoints = endpoints
				c.Clusters["web"] = cluster
				c.Listeners[0].Routes[0].StatefulSession = config.NewStatefulSession("srv")
				c.Listeners[0].Routes[0].StatefulSession.Strict = strict
			})
		}
		x := proxytest.StartConfig(t, with(endpoints[0]))
		ask := func(cookie string) (status int, given string) {
			r := proxytest.Ask(t, x.Ingress(), "GET / HTTP/1.1\r\nHost: a\r\n"+cookie+"\r\n")
			given, _, _ = strings.Cut(r.Header.Get("set-cookie"), ";")
			return r.StatusCode, given
		}
		_, first := ask("")
		x.MustReload(with(endpoints...))
		if status, given := ask("Cookie: " + first + "\r\n"); status != 200 || given != "" {
			t.Errorf("with another endpoint beside it: %d, cookie %q", status, given)
		}
		x.MustReload(with(endpoints[1]))
		status, second := ask("Cookie: " + first + "\r\n")
		switch {
		case strict && (status != 503 || second != ""):
			t.Errorf("strict: status %d, cookie %q", status, second)
		case !strict && (status != 200 || second == "" || second == first):
			t.Errorf("status %d, cookie %q after %q", status, second, first)
		}
	}
}

// TestStatefulSessionRetries: a retry goes to another endpoint, whose session it is then.
func TestStatefulSessionRetries(t *testing.T) {
	p := proxytest.StartScript(t, proxytest.H1C, 2, proxytest.Respond(200), proxytest.Respond(503), proxytest.Respond(200))
	x := p.Start(proxytest.H1C, proxytest.H1C, inSession, func(s *proxytest.Settings) { s.Route.Retry = proxytest.Retrying(2, "5xx") })
	o := x.Ask("GET", nil)
	cookie, _, _ := strings.Cut(o.Header.Get("set-cookie"), ";")
	o = x.Ask("GET", nil, "cookie: "+cookie)
	o.Want(t, 200, "", "503 200")
	proxytest.Same(t, "the endpoint of the first attempt", o.Hop.Attempts[0].Endpoint, p.Requests()[0].Endpoint)
	if o.Hop.Attempts[1].Endpoint == o.Hop.Attempts[0].Endpoint || !strings.HasPrefix(o.Header.Get("set-cookie"), "srv=") {
		t.Errorf("the second attempt is at %s, cookie %q", o.Hop.Attempts[1].Endpoint, o.Header.Get("set-cookie"))
	}
}

// TestStrictSessionInHop: the Hop says why a strict session was refused.
func TestStrictSessionInHop(t *testing.T) {
	p := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200))
	x := p.Start(proxytest.H1C, proxytest.H1C, inSession, func(s *proxytest.Settings) { s.Route.StatefulSession.Strict = true })
	x.Ask("GET", nil).Want(t, 200, "", "200")
	o := x.Ask("GET", nil, "cookie: srv=1")
	o.Want(t, 503, "UH", "")
	proxytest.Reason(t, "reason", o.Hop.Failure.Reason, "stateful_session.strict")
}
