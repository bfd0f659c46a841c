package explained_test

import (
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/explain"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// An explanation says at which endpoint a request's session keeps it, and that a strict one is
// refused whose endpoint is not there. It counts nothing.
func TestExplainSession(t *testing.T) {
	proxytest.NoLeaks(t)
	for _, tt := range []struct {
		settings     *config.StatefulSession
		shown, field string
	}{{config.NewStatefulSession("srv"), "srv=", "set-cookie"}, {config.NewHeaderSession("x-session"), "", "x-session"}} {
		tt.settings.Strict = true
		p := proxytest.StartConfig(t, proxytest.NewConfig(t, proxytest.Serve(t, proxytest.Echo), func(c *config.Config) {
			cluster := c.Clusters["web"]
			cluster.Endpoints = append(cluster.Endpoints, proxytest.Serve(t, proxytest.Echo), proxytest.Serve(t, proxytest.Echo))
			c.Clusters["web"] = cluster
			c.Listeners[0].Routes[0].StatefulSession = tt.settings
		}))
		ask := func(fields ...string) *explain.Explanation {
			t.Helper()
			e, err := p.Explain(explain.Request{URL: "/", Headers: fields})
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		show := func(token string) string {
			if tt.shown == "" {
				return "x-session: " + token
			}
			return "cookie: " + tt.shown + token
		}
		given, _, _ := strings.Cut(proxytest.Ask(t, p.Ingress(), proxytest.RootRequest).Header.Get(tt.field), ";")
		token := strings.TrimPrefix(given, tt.shown)
		e := ask(show(token))
		if len(e.Targets) != 1 || e.Targets[0].Session == "" {
			t.Fatalf("%s: with token %q: %+v", tt.field, token, e)
		}
		if text := e.Text(false); !strings.Contains(text, "  its session keeps it at "+e.Targets[0].Session+"\n") || !strings.Contains(text, "    stateful_session: ") {
			t.Errorf("%s: the text is\n%s", tt.field, text)
		}
		if e = ask(); len(e.Targets) != 1 || e.Targets[0].Session != "" {
			t.Errorf("%s: without a token: %+v", tt.field, e)
		}
		if e = ask(show("0123456789abcdef")); e.Answer == nil || e.Answer.Status != 503 || e.Answer.Flags != "UH" {
			t.Errorf("%s: with a token of nobody: %+v", tt.field, e.Answer)
		}
		status := proxytest.Ask(t, p.Ingress(), "GET / HTTP/1.1\r\nHost: a\r\n"+show(token)+"\r\n\r\n").StatusCode
		proxytest.Same(t, "status", status, 200)
	}
}
