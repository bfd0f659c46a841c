package explained_test

import (
	"slices"
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/explain"
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/proxy/snapshot"
)

// The list of routes says of each how often it was taken, and names those that are unused and
// those that no request can take.
func TestListOfRoutes(t *testing.T) {
	proxytest.NoLeaks(t)
	p := proxytest.StartYAML(t, `
listeners:
  - name: ingress
    address: "`+proxytest.OwnAddress()+`"
    routes:
      - {name: a, match: {path_prefix: /a}, answer: {status: 204}}
      - {name: fails, match: {path: /fails}, answer: {status: 503}}
      - {name: later, match: {path: /a/b}, answer: {status: 204}}
      - {name: rest, answer: {status: 204}}
`)
	client := p.Dial()
	for _, path := range []string{"/a", "/a/b", "/fails"} {
		client.Send("GET " + path + " HTTP/1.1\r\nHost: web.test\r\n\r\n")
		client.ReadResponse("GET")
	}
	type listed struct {
		Listener, Name, Match, Unreachable string
		Number                             int
		Hits, Failed                       uint64
		Unused                             bool
		LastHit                            *string `json:"last_hit"`
	}
	var all []listed
	proxytest.Eventually(t, "the hits", func() bool {
		p.FlushViews()
		p.AdminJSON("/routes", &all)
		return len(all) == 4 && all[0].Hits == 2 && all[1].Hits == 1
	})
	if r := all[0]; r.Listener != "ingress" || r.Number != 1 || r.Match != "path prefix /a" || r.Failed != 0 || r.Unused || r.Unreachable != "" || r.LastHit == nil {
		t.Errorf("%+v", r)
	}
	if r := all[1]; r.Failed != 1 || r.Unused {
		t.Errorf("%+v", r)
	}
	if r := all[2]; !r.Unused || r.Unreachable != "route 1 (a) before it takes all of its requests" || r.LastHit != nil {
		t.Errorf("%+v", r)
	}
	if r := all[3]; !r.Unused || r.Unreachable != "" {
		t.Errorf("%+v", r)
	}
}

// An explained request is not copied either.
func TestExplainCopiesNothing(t *testing.T) {
	proxytest.NoLeaks(t)
	text := `
listeners:
  - name: ingress
    address: "` + proxytest.OwnAddress() + `"
    routes: [{cluster: web, mirror: [{cluster: shadow}]}]
clusters:
  web: {endpoints: ["` + proxytest.RefusingAddress(t) + `"]}
  shadow: {endpoints: ["` + proxytest.Endpoint(t, func(int, *proxytest.Peer) { t.Error("a copy was sent") }) + `"]}
`
	p := proxytest.StartYAML(t, text)
	if e := explained(t, p.Explain, explain.Request{URL: "http://web.test/a"}); e.Route == nil {
		t.Errorf("%+v", e)
	}
	p.Stop()
}

// The timeouts that are explained are the route's, and the listener's where it has none.
func TestExplainedTimeouts(t *testing.T) {
	c, err := config.Parse("test.yaml", []byte(`
listeners:
  - name: ingress
    address: 127.0.0.1:80
    stream_idle_timeout: 3m
    routes:
      - {match: {path: /a}, cluster: web, timeout: 3s, idle_timeout: 1m}
      - {cluster: web}
clusters: {web: {endpoints: ["127.0.0.1:3000"]}}
`))
	if err != nil {
		t.Fatal(err)
	}
	x, err := snapshot.NewExplainer(c)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	for url, want := range map[string][]config.Shown{
		"/a": {{Key: "the whole response", Value: "3s"}, {Key: "no byte moves", Value: "1m0s"}},
		"/b": {{Key: "the whole response", Value: "15s"}, {Key: "no byte moves", Value: "3m0s"}},
	} {
		if got := explained(t, x.Explain, explain.Request{URL: url}).Timeouts; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", url, got, want)
		}
	}
}
