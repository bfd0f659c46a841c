package policies_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

func inSession(s *proxytest.Settings) {
	s.Route.StatefulSession = config.NewStatefulSession("srv")
}

// sessions are the two ways of a session: by a cookie, and by a field.
var sessions = []session{
	{"cookie", func() *config.StatefulSession {
		s := config.NewStatefulSession("srv")
		s.Cookie.TTL = time.Hour
		return s
	}, "set-cookie", "srv=%s; Max-Age=3600; Path=/; HttpOnly", "cookie: a=b; srv=%s"},
	{"header", func() *config.StatefulSession { return config.NewHeaderSession("X-Session") }, "x-session", "%s", "x-session: %s"},
}

type session struct {
	name     string
	settings func() *config.StatefulSession
	field    string // of the response
	given    string // its value, with %s for the token
	shown    string // the line of a request, with %s for the token
}

// token is the token that a response gives the client, "" for none.
func (s *session) token(t *testing.T, h http.Header) (token string) {
	t.Helper()
	all := h.Values(s.field)
	if len(all) == 0 {
		return ""
	}
	before, after, _ := strings.Cut(s.given, "%s")
	token = strings.TrimSuffix(strings.TrimPrefix(all[0], before), after)
	if _, err := strconv.ParseUint(token, 16, 64); err != nil || len(token) != 16 || len(all) > 1 {
		t.Errorf("%s is %q, want one %s", s.field, all, s.given)
	}
	return token
}

func (s *session) show(token string) string { return fmt.Sprintf(s.shown, token) }

// TestStatefulSession: a client that shows its token stays at its endpoint, in every
// protocol, and one that shows another is balanced and gets a new one.
func TestStatefulSession(t *testing.T) {
	for _, s := range sessions {
		for _, fields := range [][]string{nil, call} {
			t.Run(fmt.Sprint(s.name, ", call ", fields != nil), func(t *testing.T) {
				proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
					// What the endpoint itself says in the field is no token.
					act := proxytest.Respond(200, "x-session: mine")
					if fields != nil {
						act = proxytest.Respond(200, "x-session: mine", "content-type: application/grpc", "grpc-status: 0")
					}
					p := proxytest.StartScript(t, up, 3, act)
					x := p.Start(down, up, func(to *proxytest.Settings) { to.Route.StatefulSession = s.settings() })
					o := x.Ask("POST", nil, fields...)
					token := s.token(t, o.Header)
					if token == "" {
						t.Fatalf("no token in %v", o.Header)
					}
					home := o.Hop.LastAttempt().Endpoint
					for range 12 {
						o := x.Ask("POST", nil, append([]string{s.show(token)}, fields...)...)
						proxytest.Same(t, "endpoint", o.Hop.LastAttempt().Endpoint, home)
						if v := o.Header.Get(s.field); v != "" && v != "mine" {
							t.Errorf("a new token: %s", v)
						}
					}
					proxytest.Same(t, "picks by a session", x.Scrape().Sum("hopscope_picks_total", "outcome", "session"), 12)
					seen := map[string]bool{}
					for range 30 {
						o := x.Ask("POST", nil, append([]string{s.show("0123456789abcdef")}, fields...)...)
						seen[o.Hop.LastAttempt().Endpoint] = true
						if s.token(t, o.Header) == "" {
							t.Error("after a token of nobody: no new one")
						}
					}
					proxytest.Same(t, "endpoints without a session", len(seen), 3)
				})
			})
		}
	}
}

// TestHeaderSessionOfCalls: the token of a call is in its initial metadata, also where the
// response streams and ends with trailers.
func TestHeaderSessionOfCalls(t *testing.T) {
	down, up := proxytest.H2C, proxytest.H2C
	p := proxytest.StartScript(t, up, 2, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("content-type", "application/grpc")
		w.Write(proxytest.GRPCMessage([]byte("hello")))
		w.(http.Flusher).Flush()
		w.Header().Set(http.TrailerPrefix+"grpc-status", "0")
	})
	x := p.Start(down, up, func(s *proxytest.Settings) { s.Route.StatefulSession = config.NewHeaderSession("x-session") })
	o := x.Ask("POST", strings.NewReader(""), call...)
	if token := o.Header.Get("x-session"); len(token) != 16 || o.Trailer.Get("x-session") != "" || o.Trailer.Get("grpc-status") != "0" {
		t.Errorf("metadata %v, trailers %v", o.Header, o.Trailer)
	}
}

// TestStatefulSessionMovesOn: where the endpoint of a session is gone, another takes over,
// or none if the session is strict.
func TestStatefulSessionMovesOn(t *testing.T) {
	for _, s := range sessions {
		for _, strict := range []bool{false, true} {
			t.Run(fmt.Sprint(s.name, ", strict ", strict), func(t *testing.T) {
				endpoints := []string{proxytest.Serve(t, proxytest.Echo), proxytest.Serve(t, proxytest.Echo)}
				with := func(endpoints ...string) *config.Config {
					return proxytest.NewConfig(t, endpoints[0], func(c *config.Config) {
						cluster := c.Clusters["web"]
						cluster.Endpoints = endpoints
						c.Clusters["web"] = cluster
						c.Listeners[0].Routes[0].StatefulSession = s.settings()
						c.Listeners[0].Routes[0].StatefulSession.Strict = strict
					})
				}
				x := proxytest.StartConfig(t, with(endpoints[0]))
				ask := func(field string) (status int, token string) {
					r := proxytest.Ask(t, x.Ingress(), "GET / HTTP/1.1\r\nHost: a\r\n"+field+"\r\n")
					return r.StatusCode, s.token(t, r.Header)
				}
				_, first := ask("")
				x.MustReload(with(endpoints...))
				if status, token := ask(s.show(first) + "\r\n"); status != 200 || token != "" {
					t.Errorf("with another endpoint beside it: %d, token %q", status, token)
				}
				x.MustReload(with(endpoints[1]))
				status, second := ask(s.show(first) + "\r\n")
				switch {
				case strict && (status != 503 || second != ""):
					t.Errorf("strict: status %d, token %q", status, second)
				case !strict && (status != 200 || second == "" || second == first):
					t.Errorf("status %d, token %q after %q", status, second, first)
				}
			})
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

// TestStrictSessionInHop: the Hop says why a strict session was refused, in every protocol.
func TestStrictSessionInHop(t *testing.T) {
	for _, tt := range []struct {
		session session
		reason  string
	}{{sessions[0], "the endpoint that the cookie srv names"}, {sessions[1], "the endpoint that the field x-session names"}} {
		for _, fields := range [][]string{nil, call} {
			t.Run(fmt.Sprint(tt.session.name, ", call ", fields != nil), func(t *testing.T) {
				proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
					p := proxytest.StartScript(t, up, 1, proxytest.Respond(200, "grpc-status: 0"))
					x := p.Start(down, up, func(s *proxytest.Settings) {
						s.Route.StatefulSession = tt.session.settings()
						s.Route.StatefulSession.Strict = true
					})
					x.Ask("POST", nil, fields...).Want(t, 200, "", "200")
					for _, token := range []string{"1", "none of ours", "0123456789abcdef"} {
						o := x.Ask("POST", nil, append([]string{tt.session.show(token)}, fields...)...)
						proxytest.Same(t, "flags", o.Hop.Flags.String(), "UH")
						proxytest.Same(t, "attempts", proxytest.Attempts(o.Hop), "")
						proxytest.Reason(t, "reason", o.Hop.Failure.Reason, tt.reason)
						proxytest.Reason(t, "reason", o.Hop.Failure.Reason, "stateful_session.strict")
						if fields == nil {
							proxytest.Same(t, "status", o.StatusCode, 503)
						} else {
							proxytest.Same(t, "grpc-status", o.Header.Get("grpc-status"), "14")
						}
					}
				})
			})
		}
	}
}
