package views_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/hop"
)

const (
	browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	ownID   = "3f1d0a"
)

// pageFile writes an error page.
func pageFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// withPages is a proxy of one route, whose endpoint refuses connections.
func withPages(t *testing.T, pages ...config.ErrorPage) func(*proxytest.Settings) {
	return func(s *proxytest.Settings) {
		s.Cluster = config.NewCluster(proxytest.RefusingAddress(t))
		s.Route.Match.PathPrefix = "/row"
		s.Listener.ErrorPages = pages
	}
}

// parentOf is the traceparent of a request in a trace.
func parentOf(trace hop.TraceID) string { return "00-" + trace.String() + "-00f067aa0ba902b7-01" }

// errorFor asks for a path by a protocol, and returns the response with its content.
func errorFor(t *testing.T, l *proxytest.Proxy, speaks proxytest.Side, method, path string, fields ...string) (*http.Response, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{Protocols: speaks.Protocols(), DisableCompression: true}}
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(proxytest.WithinPatience(t), method, "http://"+l.Ingress()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Request-Id", ownID)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// What the proxy itself answers comes in the form that the client accepts, over either
// protocol.
func TestFormsOfErrors(t *testing.T) {
	t.Parallel()
	page := pageFile(t, "<h1>%STATUS% %TITLE%</h1> %REQUEST_ID% %TRACE_ID% %FAILED_HOP% %KIND% %FLAGS% %SERVICE% <a href='%TRACE_LINK%'>%DETAIL%</a>")
	missing := pageFile(t, "<p>nothing here")
	l := proxytest.StartWithViews(t, "127.0.0.1:1", withPages(t,
		config.ErrorPage{Statuses: []string{"404"}, File: missing}, config.ErrorPage{Statuses: []string{"500-599"}, File: page}),
		func(s *proxytest.Settings) {
			s.Listener.Direction, s.Listener.TraceLink = "outbound", "http://jaeger.test/trace/%TRACE_ID%?a&b"
		})
	trace, _ := proxytest.NewTrace()
	id := trace.String()
	for _, speaks := range []proxytest.Side{proxytest.H1C, proxytest.H2C} {
		t.Run(speaks.Name, func(t *testing.T) {
			ask := func(path, accept string) string {
				t.Helper()
				response, body := errorFor(t, l, speaks, "GET", path, "Accept", accept, "Traceparent", parentOf(trace))
				proxytest.Same(t, "length", response.ContentLength, int64(len(body)))
				proxytest.Same(t, "vary", response.Header.Get("Vary"), "accept")
				head, none := errorFor(t, l, speaks, "HEAD", path, "Accept", accept, "Traceparent", parentOf(trace))
				if none != "" || head.ContentLength != response.ContentLength || head.Header.Get("Content-Type") != response.Header.Get("Content-Type") {
					t.Errorf("HEAD: %d bytes of %s, content %q; GET: %d bytes of %s", head.ContentLength, head.Header.Get("Content-Type"), none,
						response.ContentLength, response.Header.Get("Content-Type"))
				}
				return response.Header.Get("Content-Type") + "\n" + body
			}
			proxytest.Same(t, "a page of 404", ask("/none", browser), "text/html; charset=utf-8\n<p>nothing here")
			got := ask("/row", browser)
			if !proxytest.ContainsAll(got, "text/html; charset=utf-8\n<h1>503 Service Unavailable</h1> "+ownID+" "+id+" web connect_refused UF front",
				"<a href='http://jaeger.test/trace/"+id+"?a&amp;b'>", "connection refused by 127.0.0.1:") {
				t.Errorf("the page: %s", got)
			}
			got = ask("/row", "*/*")
			if !proxytest.ContainsAll(got, "text/plain; charset=utf-8\n503 Service Unavailable\nfront -> web: ", "(UF)\ntrace "+id+"\nhttp://jaeger.test/trace/"+id+"?a&b\n") {
				t.Errorf("the text: %s", got)
			}
			kind, text, _ := strings.Cut(ask("/row", "application/json"), "\n")
			var document struct {
				Type, Title, Detail, Instance, Flags string
				Status                               int
				RequestID                            string `json:"request_id"`
				TraceID                              string `json:"trace_id"`
				Culprit                              struct{ Service, Instance, Part, Kind, Edge string }
			}
			if err := json.Unmarshal([]byte(text), &document); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			proxytest.Same(t, "content type", kind, "application/problem+json")
			proxytest.Same(t, "type", document.Type, "https://github.com/hopscope/hopscope/blob/main/docs/flags.md#connect_refused")
			proxytest.Same(t, "title", document.Title, "the endpoint refused the connection")
			proxytest.Reason(t, "detail", document.Detail, "connection refused")
			proxytest.Same(t, "instance", document.Instance, "http://jaeger.test/trace/"+id+"?a&b")
			proxytest.Same(t, "flags", document.Flags, "UF")
			proxytest.Same(t, "status", document.Status, 503)
			proxytest.Same(t, "request id", document.RequestID, ownID)
			proxytest.Same(t, "trace id", document.TraceID, id)
			proxytest.Same(t, "edge", document.Culprit.Edge, "front -> web")
			proxytest.Same(t, "kind", document.Culprit.Kind, "connect_refused")
			proxytest.Same(t, "part", document.Culprit.Part, "application")
		})
	}
	response, body := errorFor(t, l, proxytest.H2C, "POST", "/row", "Content-Type", "application/grpc", "Accept", "application/json")
	if body != "" || response.StatusCode != 200 || response.Header.Get("Grpc-Status") != "14" || response.Header.Get("Content-Type") != "application/grpc" {
		t.Errorf("a call got %d, %v, %q", response.StatusCode, response.Header, body)
	}
}

// A request that could not be understood gets a text, whatever it accepts.
func TestErrorsOfBadRequests(t *testing.T) {
	t.Parallel()
	l := proxytest.StartWithViews(t, "127.0.0.1:1", withPages(t, config.ErrorPage{File: pageFile(t, "page")}))
	response := proxytest.Ask(t, l.Ingress(), "GET /row HTTP/1.1\r\nAccept: application/json\r\nBad Name: 1\r\n\r\n")
	proxytest.Same(t, "status", response.StatusCode, 400)
	proxytest.Same(t, "content type", response.Header.Get("Content-Type"), "text/plain; charset=utf-8")
}

// Where Proxy-Status is cut, an error tells nothing that is inside.
func TestErrorsForThePublic(t *testing.T) {
	t.Parallel()
	l := proxytest.StartWithViews(t, "127.0.0.1:1", withPages(t, config.ErrorPage{File: pageFile(t, "<p>%STATUS% %TITLE% %REQUEST_ID% %TRACE_ID%")}),
		func(s *proxytest.Settings) { s.Listener.ProxyStatus = "cut" })
	trace, _ := proxytest.NewTrace()
	for accept, want := range map[string]string{
		"*/*":              "503 Service Unavailable\n",
		browser:            "<p>503 Service Unavailable " + ownID + " " + trace.String(),
		"application/json": `{"type":"about:blank","title":"Service Unavailable","status":503,"request_id":"` + ownID + `","trace_id":"` + trace.String() + `"}` + "\n",
	} {
		_, got := errorFor(t, l, proxytest.H1C, "GET", "/row", "Accept", accept, "Traceparent", parentOf(trace))
		proxytest.Same(t, accept, got, want)
	}
}

// A reload reads the pages again, even if the configuration is the same, and refuses one
// that it can't use.
func TestReloadOfErrorPages(t *testing.T) {
	t.Parallel()
	path := pageFile(t, "before")
	read := func() *config.Config {
		return proxytest.NewConfig(t, proxytest.RefusingAddress(t), func(c *config.Config) {
			c.Listeners[0].Routes[0].Match.PathPrefix = "/row"
			c.Listeners[0].ErrorPages = []config.ErrorPage{{File: path}}
			c.Clusters["web"] = config.NewCluster("127.0.0.1:1")
		})
	}
	l := proxytest.StartConfig(t, read())
	page := func() string {
		_, body := errorFor(t, l, proxytest.H1C, "GET", "/none", "Accept", browser)
		return body
	}
	write := func(content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	proxytest.Same(t, "the page", page(), "before")
	proxytest.Same(t, "a reload of nothing", l.MustReload(read()).None(), true)
	write("after")
	proxytest.Same(t, "before the reload", page(), "before")
	proxytest.Same(t, "changes", l.MustReload(read()).String(), "listeners changed: ingress")
	proxytest.Same(t, "after it", page(), "after")
	write("%STATUSES%")
	if _, err := l.Reload(read()); err == nil || !proxytest.ContainsAll(err.Error(), "listener ingress: error_pages[0]: "+path+": line 1: there is no %STATUSES%") {
		t.Errorf("a page with a mistake: %v", err)
	}
	proxytest.Same(t, "after a page with a mistake", page(), "after")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Reload(read()); err == nil || !proxytest.ContainsAll(err.Error(), path+": no such file") {
		t.Errorf("a page that is gone: %v", err)
	}
}
