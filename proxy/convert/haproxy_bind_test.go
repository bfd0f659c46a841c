package convert_test

import (
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/convert"
)

// What narrows an address down is never lost without a word: an address that would be open
// to more than in the original is left out, or the difference is told.
func TestHAProxyBindOptions(t *testing.T) {
	for _, tt := range []struct {
		options, says string
		listens       bool
	}{
		{"interface eth0", "not on interfaces", false},
		{"maxconn 10", "", true},
		{"ssl crt a.pem strict-sni", "strict-sni", true},
		{"accept-proxy", "PROXY protocol", false},
		{"backlog 100", "", true},
	} {
		t.Run(tt.options, func(t *testing.T) {
			r, err := convert.HAProxy("haproxy.cfg", []byte("defaults\n mode http\nfrontend other\n bind 127.0.0.1:81\n default_backend b\n"+
				"frontend f\n bind 127.0.0.1:80 "+tt.options+"\n default_backend b\nbackend b\n server a 127.0.0.1:3000\n"))
			if err != nil {
				t.Fatal(err)
			}
			var notes strings.Builder
			for _, n := range r.Notes {
				if n.Line == 7 {
					notes.WriteString(n.Why + "\n")
				}
			}
			if got := notes.String(); !strings.Contains(got, tt.says) || tt.says == "" && got != "" {
				t.Errorf("notes %q, want one with %q", got, tt.says)
			}
			if listens := len(r.Config.Listeners) == 2; listens != tt.listens {
				t.Errorf("%d listeners\n%s", len(r.Config.Listeners), r.YAML)
			}
		})
	}
}
