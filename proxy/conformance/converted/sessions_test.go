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
	// Field is true if it is given x-session, a field that it sends back.
	Field bool
	// Kept is true if the client, with what it is given, stays at one endpoint.
	Kept bool
	// Endpoints is how many it comes to without.
	Endpoints int
}

// sessionOf asks a proxy with three endpoints for a path, with what it gives and without, and with
// a field in both cases.
func sessionOf(t *testing.T, address, path, field string) (s session) {
	t.Helper()
	c := newClient(t, address, []string{"set-cookie", "x-session"})
	free, kept := map[string]bool{}, map[string]bool{}
	given := map[string]string{"x-user": field}
	for range 12 {
		free[c.ask(t, request{"GET", "web.test", path, map[string]string{"x-user": field}}).Seen.Endpoint] = true
		o := c.ask(t, request{"GET", "web.test", path, given})
		kept[o.Seen.Endpoint] = true
		if value := o.Fields["x-session"]; value != "" {
			given["x-session"], s.Field = value, true
		}
		if text := o.Fields["set-cookie"]; text != "" {
			cookie, err := http.ParseSetCookie(text)
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			if cookie.Value == "" { // which takes it away
				continue
			}
			given["cookie"] = cookie.Name + "=" + cookie.Value
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
		"/":      {Cookie: global, Kept: true, Endpoints: 3},
		"/x?y":   {Cookie: global, Kept: true, Endpoints: 3},
		"/free":  {Endpoints: 3},
		"/off":   {Endpoints: 3},
		"/own":   {Cookie: http.Cookie{Name: "own", Path: "/own", HttpOnly: true}, Kept: true, Endpoints: 3},
		"/field": {Field: true, Kept: true, Endpoints: 3},
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
		{"/", "", session{Cookie: http.Cookie{Name: "SRV", Path: "/", HttpOnly: true}, Kept: true, Endpoints: 3}},
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
