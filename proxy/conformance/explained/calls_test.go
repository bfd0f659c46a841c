package explained_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/explain"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// Whether a request is a gRPC call follows from its method and its content type, and what it
// is asked for over which version of HTTP is told: routes for calls are explained by that, and
// answers as calls get them.
func TestExplainedCalls(t *testing.T) {
	proxytest.NoLeaks(t)
	p := proxytest.StartYAML(t, `
listeners:
  - name: edge
    address: "`+proxytest.OwnAddress()+`"
    routes:
      - {name: add, match: {grpc: {service: shop.Cart, method: Add}}, cluster: calls, timeout: 3s}
      - {name: cart, match: {grpc: {service: shop.Cart}}, cluster: web}
      - {name: calls, match: {path_prefix: /shop., grpc: true}, answer: {status: 403}}
      - {name: old, match: {path: /old}, redirect: {path: /new}}
clusters:
  calls: {protocol: http2, endpoints: ["127.0.0.1:1"]}
  web: {endpoints: ["127.0.0.1:2"]}
`)
	client := new(http.Client)
	defer client.CloseIdleConnections()
	ask := func(asked explain.Request) *explain.Explanation {
		t.Helper()
		text, err := json.Marshal(asked)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Post(p.AdminURL()+"explain", "application/json", strings.NewReader(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		e := new(explain.Explanation)
		if err := json.NewDecoder(response.Body).Decode(e); err != nil || response.StatusCode != 200 {
			t.Fatalf("%+v: status %d, %v", asked, response.StatusCode, err)
		}
		return e
	}
	call := []string{"Content-Type: application/grpc", "TE: trailers"}
	for _, tt := range []struct {
		asked  explain.Request
		route  string   // "" for none
		status int      // of the proxy's own answer, 0 for none
		grpc   string   // its status of gRPC
		sent   []string // some of the lines that go out
		earlier
	}{
		{
			asked: explain.Request{Method: "POST", URL: "/shop.Cart/Add", HTTP2: true, Headers: call}, route: "add",
			sent: []string{"POST /shop.Cart/Add HTTP/2", "host: localhost", "content-type: application/grpc", "grpc-timeout: 3000000u", "te: trailers", "via: 2 hopscope"},
		},
		{
			asked: explain.Request{Method: "POST", URL: "/shop.Cart/Get", HTTP2: true, Headers: call}, route: "cart",
			sent:    []string{"POST /shop.Cart/Get HTTP/1.1", "host: localhost", "te: trailers", "Connection: TE", "Transfer-Encoding: chunked"},
			earlier: earlier{1, "service shop.Cart, method Add", "/shop.Cart/Get"},
		},
		{
			asked: explain.Request{Method: "POST", URL: "/shop.Stock/Add", HTTP2: true, Headers: call}, route: "calls", status: 200, grpc: "PERMISSION_DENIED",
			earlier: earlier{2, "service shop.Cart", "/shop.Stock/Add"},
		},
		{asked: explain.Request{Method: "POST", URL: "/shop.Stock/Add", Headers: call}, route: "calls", status: 200, grpc: "PERMISSION_DENIED"}, // HTTP/1.1
		{
			asked: explain.Request{Method: "POST", URL: "/shop.Cart/Add", HTTP2: true}, status: 404,
			earlier: earlier{1, "service shop.Cart, method Add", "POST /shop.Cart/Add without content-type"},
		},
		{
			asked: explain.Request{Method: "GET", URL: "/shop.Cart/Add", HTTP2: true, Headers: call[:1]}, status: 404,
			earlier: earlier{3, "", "GET /shop.Cart/Add"},
		},
		{asked: explain.Request{Method: "POST", URL: "/other.Service/Get", HTTP2: true, Headers: call}, status: 200, grpc: "UNIMPLEMENTED"},
		{asked: explain.Request{Method: "GET", URL: "/old", HTTP2: true}, route: "old", status: 301},
	} {
		e := ask(tt.asked)
		name := tt.asked.Method + " " + tt.asked.URL
		if e.Route == nil {
			e.Route = &explain.Route{}
		}
		if e.Answer == nil {
			e.Answer = &explain.Answer{}
		}
		proxytest.Same(t, name+": route", e.Route.Name, tt.route)
		proxytest.Same(t, name+": status", e.Answer.Status, tt.status)
		proxytest.Same(t, name+": gRPC status", e.Answer.GRPCStatus, tt.grpc)
		for _, line := range tt.sent {
			if len(e.Targets) != 1 || !slices.Contains(e.Targets[0].Sent, line) {
				t.Errorf("%s: %q is not sent: %+v", name, line, e.Targets)
			}
		}
		tt.check(t, name, e)
	}

	// A query says so, too.
	response, err := client.Get(p.AdminURL() + "explain?" + url.Values{"format": {"text"}, "method": {"POST"}, "url": {"/shop.Stock/Add"}, "http2": {"1"}, "header": call}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(text), "\nThe proxy itself answers 200 with grpc-status PERMISSION_DENIED\n") {
		t.Errorf("%v, %s", err, text)
	}
}

// earlier is a route that an explanation has before the one that takes the request: its
// number, and what of it the request does not meet. 0 is none.
type earlier struct {
	number     int
	wants, has string
}

func (w earlier) check(t *testing.T, name string, e *explain.Explanation) {
	t.Helper()
	if w.number == 0 {
		return
	}
	at := slices.IndexFunc(e.Earlier, func(r explain.Earlier) bool { return r.Number == w.number })
	if at < 0 || !strings.Contains(e.Earlier[at].Wants, w.wants) || !strings.Contains(e.Earlier[at].Has, w.has) {
		t.Errorf("%s: want %+v among %+v", name, w, e.Earlier)
	}
}
