package converted_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// session is what a client sees of the sessions of a proxy.
type session struct {
	// Cookie is the cookie that it is given, without the value and with what every proxy
	// knows of its attributes.
	Cookie http.Cookie
	// Kept is true if the client, with its cookies, stays at one endpoint.
	Kept bool
	// Endpoints is how many it comes to without.
	Endpoints int
}

// sessionOf asks a proxy with three endpoints for a path, with cookies and without, and with
// a field in both cases.
func sessionOf(t *testing.T, address, path, field string) (s session) {
	t.Helper()
	c := newClient(t, address, []string{"set-cookie"})
	free, kept := map[string]bool{}, map[string]bool{}
	cookies := map[string]string{"x-user": field}
	for range 12 {
		free[c.ask(t, request{"GET", "web.test", path, map[string]string{"x-user": field}}).Seen.Endpoint] = true
		o := c.ask(t, request{"GET", "web.test", path, cookies})
		kept[o.Seen.Endpoint] = true
		if text := o.Fields["set-cookie"]; text != "" {
			cookie, err := http.ParseSetCookie(text)
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			if cookie.Value == "" { // which takes it away
				continue
			}
			cookies["cookie"] = cookie.Name + "=" + cookie.Value
			s.Cookie = http.Cookie{Name: cookie.Name, Path: cookie.Path, MaxAge: cookie.MaxAge, HttpOnly: cookie.HttpOnly}
		}
	}
	s.Kept, s.Endpoints = len(kept) == 1, len(free)
	return s
}

// TestEnvoySessions has clients whose cookie keeps them at their endpoint, and such that
// have none.
func TestEnvoySessions(t *testing.T) {
	original, ours := envoyRuns(t, "envoy/sessions.in", "web", map[string]string{"3001": "a", "3002": "b", "3003": "c"}, nil)
	global := http.Cookie{Name: "global-session", Path: "/", MaxAge: int((2 * time.Minute).Seconds()), HttpOnly: true}
	for path, want := range map[string]session{
		"/":     {global, true, 3},
		"/x?y":  {global, true, 3},
		"/free": {Endpoints: 3},
		"/off":  {Endpoints: 3},
		"/own":  {http.Cookie{Name: "own", Path: "/own", HttpOnly: true}, true, 3},
	} {
		for name, address := range map[string]string{"Envoy": original, "hopscope": ours} {
			if d := cmp.Diff(want, sessionOf(t, address, path, "")); d != "" {
				t.Errorf("%s on %s (-want +got):\n%s", path, name, d)
			}
		}
	}
}

// TestHAProxySessions has clients that are kept by a cookie, by their address and by a field.
func TestHAProxySessions(t *testing.T) {
	original, ours := haproxyRuns(t, "haproxy/sessions.in", "web", "127.0.0.1:10000", map[string]string{"3001": "a", "3002": "b", "3003": "c"}, nil)
	for _, tt := range []struct {
		path, field string
		want        session
	}{
		{"/", "", session{http.Cookie{Name: "SRV", Path: "/", HttpOnly: true}, true, 3}},
		{"/table", "", session{Kept: true, Endpoints: 1}},
		{"/field", "u1", session{Kept: true, Endpoints: 1}},
		{"/field?user=2", "", session{Kept: true, Endpoints: 1}},
		{"/nobody", "", session{Endpoints: 3}},
	} {
		for name, address := range map[string]string{"HAProxy": original, "hopscope": ours} {
			got := sessionOf(t, address, tt.path, tt.field)
			got.Cookie.MaxAge = 0 // HAProxy has the time within the cookie
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("%s on %s (-want +got):\n%s", tt.path, name, d)
			}
		}
	}
}
