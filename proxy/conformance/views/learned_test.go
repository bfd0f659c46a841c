package views_test

import (
	"fmt"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestLearnedRoute: where the configuration has no name for a route, the views have the
// same one, learned from the path.
func TestLearnedRoute(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		change     func(*proxytest.Settings)
	}{
		{"learned", "/product/{id}", func(s *proxytest.Settings) {}},
		{"named", "products", func(s *proxytest.Settings) { s.Route.Name = "products" }},
		{"off", "", func(s *proxytest.Settings) { s.Config.Telemetry.LearnRoutes = false }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := proxytest.StartWithViews(t, proxytest.Always(proxytest.OKResponse)(t), func(s *proxytest.Settings) {
				s.Config.Telemetry.LearnRoutes = true
				tt.change(s)
			})
			for _, id := range []string{"OLJCESPC7Z", "66VCHSJNUP"} {
				proxytest.Ask(t, l.Ingress(), fmt.Sprintf("GET /product/%s HTTP/1.1\r\nHost: web.test\r\n\r\n", id))
			}
			v := l.End(2)
			for _, line := range v.Lines {
				proxytest.Same(t, "log: route", line.Text("route"), tt.want)
			}
			for _, s := range v.Kind(tracepb.Span_SPAN_KIND_SERVER) {
				proxytest.Same(t, "span: http.route", s.Attributes["http.route"], tt.want)
			}
			proxytest.Same(t, "metrics", v.Metrics.Sum("http_server_request_duration_seconds", "route", tt.want), 2)
		})
	}
}
