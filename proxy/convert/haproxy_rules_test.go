package convert_test

import (
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/convert"
)

// A rule that keeps requests out keeps them out of the result, too.
func TestHAProxyRefusals(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		status int
		says   string // empty if there is no note
	}{
		{"deny", 403, ""},
		{"deny deny_status 429", 429, ""},
		{"block", 403, ""},
		{"tarpit", 500, "not held back"},
		{"reject", 403, "connection stays open"},
		{"silent-drop", 403, "connection stays open"},
		{"silent-drop rst-ttl 1", 501, "answered with 501"},
		{"auth realm x", 501, "reads users from a file"},
	} {
		text := "defaults\n mode http\n maxconn 1000\nfrontend f\n bind :80\n http-request " + tt.rule + " if { path /x }\n default_backend b\nbackend b\n server a 127.0.0.1:1\n"
		r, err := convert.HAProxy("haproxy.cfg", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		route := r.Config.Listeners[0].Routes[0]
		if route.Match.Path != "/x" || route.Answer == nil || route.Answer.Status != tt.status {
			t.Errorf("%s: %+v, want an answer %d to /x", tt.rule, route, tt.status)
		}
		if got := whys(r); tt.says == "" && len(got) > 0 || tt.says != "" && (len(got) != 1 || !strings.Contains(got[0], tt.says)) {
			t.Errorf("%s: notes %q, want one with %q", tt.rule, got, tt.says)
		}
	}
}
