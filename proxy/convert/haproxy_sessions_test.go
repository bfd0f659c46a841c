package convert_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/convert"
)

// haproxyWith converts a backend of some lines with two servers.
func haproxyWith(t *testing.T, lines, options string) *convert.Result {
	t.Helper()
	r, err := convert.HAProxy("haproxy.cfg", fmt.Appendf(nil, "defaults\n mode http\n maxconn 1000\nfrontend f\n bind :80\n default_backend b\nbackend b\n%s server a 127.0.0.1:1%s\n server b 127.0.0.1:2 cookie b\n", lines, options))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// whys are the reasons of the notes, without the one that every cookie has.
func whys(r *convert.Result) (all []string) {
	for _, n := range r.Notes {
		if !strings.Contains(n.Why, "the cookie's value is hopscope's own") {
			all = append(all, n.Why)
		}
	}
	return all
}

// Every option of a cookie that hopscope's does not have is told.
func TestHAProxyCookies(t *testing.T) {
	for _, tt := range []struct {
		line, options string
		name          string // of the cookie; empty if nobody is kept
		ttl           time.Duration
		says          string // empty if there is no note
	}{
		{"cookie S insert", " cookie a", "S", 0, ""},
		{"cookie S insert httponly dynamic", "", "S", 0, ""},
		{"cookie S insert", "", "S", 0, "clients stay at it all the same"},
		{"cookie S insert indirect", " cookie a", "S", 0, "the server gets the cookie as well"},
		{"cookie S insert nocache", " cookie a", "S", 0, "cache-control"},
		{"cookie S insert secure", " cookie a", "S", 0, "secure: "},
		{"cookie S insert domain .test maxlife 1h", " cookie a", "S", time.Hour, "domain: "},
		{"cookie S insert maxlife 1h", " cookie a", "S", time.Hour, "the proxy does not check it"},
		{"cookie S insert maxlife x", " cookie a", "S", 0, `"x" is no time`},
		{"cookie S insert maxidle 1h", " cookie a", "S", 0, "maxidle: "},
		{`cookie S insert attr "SameSite=Lax"`, " cookie a", "S", 0, "attr: "},
		{"cookie S insert preserve", " cookie a", "S", 0, "preserve: "},
		{"cookie S insert postonly", " cookie a", "S", 0, "postonly: "},
		{"cookie S rewrite", " cookie a", "", 0, "only cookies that are inserted"},
		{"cookie S prefix", " cookie a", "", 0, "only cookies that are inserted"},
		{"cookie S", " cookie a", "", 0, "only cookies that are inserted"},
		{`cookie "S;" insert`, " cookie a", "", 0, "stateful_session"},
	} {
		t.Run(tt.line, func(t *testing.T) {
			r := haproxyWith(t, " "+tt.line+"\n", tt.options)
			name, ttl := "", time.Duration(0)
			if s := r.Config.Listeners[0].Routes[0].StatefulSession; s != nil {
				name, ttl = s.Cookie.Name, s.Cookie.TTL
			}
			if name != tt.name || ttl != tt.ttl {
				t.Errorf("the cookie %q for %v, want %q for %v", name, ttl, tt.name, tt.ttl)
			}
			got := whys(r)
			if told := slices.ContainsFunc(got, func(why string) bool { return strings.Contains(why, tt.says) }); tt.says == "" && len(got) > 0 || tt.says != "" && !told {
				t.Errorf("notes %q, want one with %q", got, tt.says)
			}
		})
	}
}

// A table that keeps clients becomes a hash; for all else that tables do there is a note.
func TestHAProxySticks(t *testing.T) {
	const hashed = "a hash finds the server"
	for _, tt := range []struct {
		lines string
		hash  []config.HashOn
		says  []string // of each note
	}{
		{" stick-table type ip size 1m\n stick on src\n", []config.HashOn{{Source: true, CookiePath: "/"}}, []string{"a hash is in its place", hashed}},
		{" stick-table type ip size 1m store conn_cur\n stick on src\n", []config.HashOn{{Source: true, CookiePath: "/"}}, []string{"counts nothing", hashed}},
		{" balance leastconn\n stick on req.hdr(x-user)\n", []config.HashOn{{Header: "x-user", CookiePath: "/"}}, []string{"in place of balance leastconn"}},
		{" stick on hdr(x-user)\n stick on urlp(u)\n", []config.HashOn{{Header: "x-user", Terminal: true, CookiePath: "/"}, {Query: "u", CookiePath: "/"}}, []string{hashed, hashed}},
		{" stick-table type ip size 1m\n stick on src if TRUE\n", nil, []string{"no stick tables", "without a condition"}},
		{" stick on src table other\n", nil, []string{"another table"}},
		{" stick match src\n", nil, []string{"only stick on"}},
		{" stick store-request src\n", nil, []string{"only stick on"}},
		{" stick on req.cook(id)\n", nil, []string{"would be given one"}},
		{" stick on hdr(x-user),lower\n", nil, []string{"as a whole"}},
		{" stick on hdr(x-user,1)\n", nil, []string{"as a whole"}},
		{" stick on ssl_fc_session_id\n", nil, []string{"known by"}},
		{" stick on\n", nil, []string{"only stick on"}},
	} {
		t.Run(tt.lines, func(t *testing.T) {
			r := haproxyWith(t, tt.lines, "")
			if d := cmp.Diff(tt.hash, r.Config.Clusters["b"].Balance.Hash); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			got := whys(r)
			for i, says := range tt.says {
				if i >= len(got) || !strings.Contains(got[i], says) {
					t.Errorf("notes %q, want %q", got, tt.says)
				}
			}
			if len(got) != len(tt.says) {
				t.Errorf("notes %q, want %q", got, tt.says)
			}
		})
	}
}
