package views_test

import (
	"net"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// blackHole is an application that is there, and never accepts a connection.
func blackHole(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// TestEvidence: what the kernel says of a failed attempt is in the access log and in its
// span.
func TestEvidence(t *testing.T) {
	for _, c := range []struct {
		name     string
		endpoint func(testing.TB) string
		status   int
		want     string
	}{
		{"the application accepts nothing", blackHole, 504, `^the endpoint has acknowledged the whole request, and sent nothing for [\d.]+ m?s$`},
	} {
		t.Run(c.name, func(t *testing.T) {
			proxytest.NoLeaks(t)
			p := proxytest.StartWithViews(t, c.endpoint(t), func(s *proxytest.Settings) {
				s.Route.Timeout = 50 * time.Millisecond
				s.Cluster.ConnectTimeout = 50 * time.Millisecond
				s.Cluster.Retry = nil
			})
			proxytest.Same(t, "status", proxytest.Get(p).StatusCode, c.status)
			views := p.End(1)
			try := proxytest.Line(views.Lines[0]["attempts"].([]any)[0].(map[string]any))
			if got := try.Text("evidence"); !regexp.MustCompile(c.want).MatchString(got) {
				t.Errorf("evidence %q, want %s", got, c.want)
			}
			if !slices.ContainsFunc(views.Spans, func(s proxytest.Span) bool { return s.Attributes["hopscope.evidence"] == try.Text("evidence") }) {
				t.Errorf("no span has it: %v", views.Spans)
			}
		})
	}
}
