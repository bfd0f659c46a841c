package retry_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// hashOn is a part of the request to hash on.
func hashOn(set func(*config.HashOn)) config.HashOn {
	h := config.NewHashOn()
	set(&h)
	return h
}

func onHeader(name string, terminal bool) config.HashOn {
	return hashOn(func(h *config.HashOn) { h.Header, h.Terminal = name, terminal })
}

func onCookie(name string) config.HashOn {
	return hashOn(func(h *config.HashOn) { h.Cookie, h.CookieTTL = name, time.Hour })
}

// hashing is a proxy in front of endpoints that are chosen by parts of the request.
func hashing(t *testing.T, policy string, parts ...config.HashOn) *proxytest.Client {
	p := proxytest.StartScript(t, proxytest.H1C, 5, proxytest.Respond(200))
	return p.Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) { s.Cluster.Balance.Policy, s.Cluster.Balance.Hash = policy, parts })
}

// endpointFor asks for a path with these fields and returns the endpoint it came to.
func endpointFor(x *proxytest.Client, path string, fields ...string) (string, *http.Response) {
	x.T.Helper()
	r, trace := x.NewRequest(x.T.Context(), "GET", nil, fields...)
	r.URL.Path, r.URL.RawQuery, _ = strings.Cut(path, "?")
	resp, err := x.HTTP.Do(r)
	if err != nil {
		x.T.Fatal(err)
	}
	proxytest.Finish(resp)
	return x.Hop(trace).Attempts[0].Endpoint, resp
}

// TestRetryHashParts: requests with the same part go to the same endpoint, and those
// with others to others as well.
func TestRetryHashParts(t *testing.T) {
	for _, policy := range []string{"ring_hash", "maglev"} {
		for _, tt := range []struct {
			name   string
			parts  []config.HashOn
			ask    func(i int) (path string, fields []string)
			spread bool
		}{
			{"header", []config.HashOn{onHeader("X-User", false)}, func(i int) (string, []string) { return "/", []string{"x-user: " + strconv.Itoa(i)} }, true},
			{"cookie", []config.HashOn{onCookie("s")}, func(i int) (string, []string) { return "/", []string{"cookie: a=b; s=" + strconv.Itoa(i)} }, true},
			{"query", []config.HashOn{hashOn(func(h *config.HashOn) { h.Query = "user" })}, func(i int) (string, []string) { return "/?a=b&user=" + strconv.Itoa(i), nil }, true},
			{"path", []config.HashOn{hashOn(func(h *config.HashOn) { h.Path = true })}, func(i int) (string, []string) { return "/" + strconv.Itoa(i) + "?r", nil }, true},
			{"source", []config.HashOn{hashOn(func(h *config.HashOn) { h.Source = true })}, func(i int) (string, []string) { return "/" + strconv.Itoa(i), nil }, false},
			{"several", []config.HashOn{onHeader("x-a", false), onHeader("x-b", false)}, func(i int) (string, []string) { return "/", []string{"x-a: same", "x-b: " + strconv.Itoa(i)} }, true},
			{"terminal", []config.HashOn{onHeader("x-a", true), onHeader("x-b", false)}, func(i int) (string, []string) { return "/", []string{"x-a: same", "x-b: " + strconv.Itoa(i)} }, false},
			{"terminal, not there", []config.HashOn{onHeader("x-c", true), onHeader("x-b", false)}, func(i int) (string, []string) { return "/", []string{"x-b: " + strconv.Itoa(i)} }, true},
		} {
			t.Run(policy+" "+tt.name, func(t *testing.T) {
				proxytest.NoLeaks(t)
				x := hashing(t, policy, tt.parts...)
				where := map[string]bool{}
				for i := range 20 {
					path, fields := tt.ask(i)
					first, _ := endpointFor(x, path, fields...)
					second, _ := endpointFor(x, path, fields...)
					if first != second {
						t.Errorf("%s %v went to %s, then to %s", path, fields, first, second)
					}
					where[first] = true
				}
				if tt.spread != (len(where) > 1) {
					t.Errorf("%d endpoints were asked", len(where))
				}
			})
		}
	}
}

// TestRetryHashCookie: who has no cookie gets one, and with it the same endpoint
// from then on.
func TestRetryHashCookie(t *testing.T) {
	proxytest.NoLeaks(t)
	x := hashing(t, "ring_hash", onCookie("sticky"))
	for range 10 {
		first, resp := endpointFor(x, "/")
		cookies := resp.Cookies()
		if len(cookies) != 1 || cookies[0].Name != "sticky" || cookies[0].MaxAge != 3600 || cookies[0].Path != "/" || !cookies[0].HttpOnly {
			t.Fatalf("cookies %v", resp.Header["Set-Cookie"])
		}
		second, resp := endpointFor(x, "/", "cookie: sticky="+cookies[0].Value)
		if second != first || len(resp.Cookies()) != 0 {
			t.Errorf("the cookie of %s led to %s, which set %v", first, second, resp.Cookies())
		}
	}
}

// TestRetryHashMovesOn: a retry goes to another endpoint than the hash says.
func TestRetryHashMovesOn(t *testing.T) {
	proxytest.NoLeaks(t)
	p := proxytest.StartScript(t, proxytest.H1C, 3, proxytest.Respond(503), proxytest.Respond(503), proxytest.Respond(200))
	x := p.Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) {
		s.Cluster.Balance.Policy, s.Cluster.Balance.Hash = "ring_hash", []config.HashOn{onHeader("x-user", false)}
		s.Cluster.Retry = proxytest.Retrying(3, "5xx")
	})
	o := x.Ask("GET", nil, "x-user: me")
	o.Want(t, 200, "", "503 503 200")
	where := map[string]bool{}
	for _, r := range p.Requests() {
		where[r.Endpoint] = true
	}
	if len(where) != 3 {
		t.Errorf("attempts at %v", where)
	}
}

// TestRetrySubset: a route's requests, and their retries, stay in its subset.
func TestRetrySubset(t *testing.T) {
	proxytest.NoLeaks(t)
	p := proxytest.StartScript(t, proxytest.H1C, 4, proxytest.Respond(503))
	x := p.Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) {
		s.Cluster.Endpoints, s.Cluster.Static = nil, nil
		for i, a := range p.Addresses {
			e := config.NewStaticEndpoint(a)
			e.Metadata = map[string]string{"version": "v" + strconv.Itoa(i/2)}
			s.Cluster.Static = append(s.Cluster.Static, e)
		}
		s.Cluster.Balance.Subsets = config.NewSubsets("version")
		s.Route.Subset = map[string]string{"version": "v1"}
		s.Cluster.Retry = proxytest.Retrying(4, "5xx")
	})
	x.Ask("GET", nil).Want(t, 503, "URX", "503 503 503 503")
	for _, r := range p.Requests() {
		if r.Endpoint != p.Addresses[2] && r.Endpoint != p.Addresses[3] {
			t.Errorf("a request came to %s, which is not in the subset", r.Endpoint)
		}
	}
}
