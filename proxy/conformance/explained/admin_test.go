package explained_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/explain"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// A running proxy explains requests that are put to its admin API, and counts none of them.
func TestExplainByTheAdminAPI(t *testing.T) {
	proxytest.NoLeaks(t)
	p := proxytest.StartYAML(t, `
listeners:
  - name: edge
    address: "`+proxytest.OwnAddress()+`"
    routes:
      - {name: beta, match: {headers: {x-user-group: {exact: beta}}}, cluster: web, priority: high}
      - {name: old, match: {path: /old}, redirect: {path: /new}}
clusters:
  web: {endpoints: ["127.0.0.1:1", "127.0.0.1:2"], circuit_breaker: {max_requests: 1}}
`)
	address := p.AdminURL() + "explain"
	ask := func(r *http.Response, err error) (int, *explain.Explanation, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		e := new(explain.Explanation)
		_ = json.Unmarshal(body, e)
		return r.StatusCode, e, string(body)
	}
	client := new(http.Client)
	defer client.CloseIdleConnections()
	post := func(body string) (int, *explain.Explanation, string) {
		t.Helper()
		return ask(client.Post(address, "application/json", strings.NewReader(body)))
	}
	for range 3 { // the cluster takes one request at a time, and none is on its way
		_, e, text := post(`{"url": "http://shop.test/cart", "headers": ["x-user-group: beta"]}`)
		if e.Route == nil || e.Route.Name != "beta" || len(e.Targets) != 1 || len(e.Targets[0].Endpoints) != 2 || e.Targets[0].Sent[0] != "GET /cart HTTP/1.1" {
			t.Fatalf("answer %s", text)
		}
		if !slices.Contains(e.Settings, config.Shown{Key: "priority", Value: "high"}) {
			t.Errorf("the settings are %v", e.Settings)
		}
	}
	if _, e, text := ask(client.Get(address + "?" + url.Values{"url": {"/old"}, "method": {"PUT"}, "header": {"host: shop.test", "x-a: 1"}}.Encode())); e.Answer == nil || e.Answer.Status != 301 || len(e.Earlier) != 1 || e.Earlier[0].Key != "headers x-user-group" || !e.Earlier[0].Absent {
		t.Errorf("answer %s", text)
	}
	if _, _, text := ask(client.Get(address + "?url=/old&format=text")); !strings.HasPrefix(text, "GET /old\n\nRoute 2 (old) of listener edge takes it.\n") {
		t.Errorf("answer %s", text)
	}
	for body, want := range map[string]string{
		`{"url": ""}`:                      "url: expected",
		`{"uri": "/"}`:                     `unknown field`,
		`{"url": "/", "listener": "no"}`:   `there is no listener`,
		`{"url": "/", "headers": ["a"]}`:   "headers: expected a line",
		strings.Repeat(" ", 70<<10) + "{}": "too large",
	} {
		if status, _, text := post(body); status != 400 || !strings.Contains(text, want) {
			t.Errorf("%.40s: status %d, %s", body, status, text)
		}
	}
	proxytest.Same(t, "requests that were counted", p.Scrape().Sum("hopscope_requests_total"), 0)
	if hops := p.Traces(); len(hops) != 0 {
		t.Errorf("an explanation was recorded: %+v", hops)
	}
}
