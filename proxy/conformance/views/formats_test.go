package views_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// Several logs of one proxy have each its own lines and its own hops. Fields of requests and
// responses that a line asks for are recorded, over either protocol.
func TestSeveralAccessLogs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text, object, failed := filepath.Join(dir, "text"), filepath.Join(dir, "json"), filepath.Join(dir, "failed")
	endpoint := proxytest.Always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Version: v2\r\n\r\nok")(t)
	l := proxytest.StartWithViews(t, endpoint, withPages(t), func(s *proxytest.Settings) {
		s.Config.Clusters["good"] = config.NewCluster(endpoint)
		route := config.NewRoute("good")
		route.Match.PathPrefix = "/good"
		s.Listener.Routes = append(s.Listener.Routes, route)
		one := func(path string, change func(*config.AccessLogTo)) {
			a := config.New().Telemetry.AccessLog.AccessLogTo
			a.Path = path
			change(&a)
			s.Config.Telemetry.AccessLog.Also = append(s.Config.Telemetry.AccessLog.Also, a)
		}
		one(text, func(a *config.AccessLogTo) {
			a.Format = "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %REQ(Referer)% %RESP(X-Version)% %RESP(Proxy-Status):5%\n"
		})
		one(object, func(a *config.AccessLogTo) {
			a.JSONFormat = `{"code":"%RESPONSE_CODE%","to":"%REQ(referer)%","who":{"failed":"%HOP(failed_hop)%"}}`
		})
		one(failed, func(a *config.AccessLogTo) { a.Only, a.Fields = "failed", []string{"path", "status"} })
	})
	for _, speaks := range []proxytest.Side{proxytest.H1C, proxytest.H2C} {
		errorFor(t, l, speaks, "GET", "/good?token=1", "Referer", "http://r/\"x")
		errorFor(t, l, speaks, "GET", "/row")
	}
	l.CloseWithin(proxytest.Patience)
	for path, want := range map[string]string{
		text:   "GET /good?token=REDACTED 200 - http://r/\\\"x v2 front\nGET /row 503 UF - - front\n",
		object: `{"code":200,"to":"http://r/\"x","who":{"failed":null}}` + "\n" + `{"code":503,"to":null,"who":{"failed":"front"}}` + "\n",
		failed: `{"path":"/row","status":503}` + "\n",
	} {
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfter(string(got), "\n")
		slices.Sort(lines) // each connection's are in order, and no more
		wanted := strings.SplitAfter(strings.Repeat(want, 2), "\n")
		slices.Sort(wanted)
		proxytest.Same(t, filepath.Base(path), strings.Join(lines, ""), strings.Join(wanted, ""))
	}
	proxytest.Same(t, "lines of the default log", len(l.Lines()), 4)
}
