package mesh

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/mesh/top"
	"github.com/hopscope/hopscope/mesh/why"
	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/events"
)

// digestOf is a proxy's answer: hops of failing requests to a service, which begin there or
// were called by another.
func digestOf(t testing.TB, service string, hops, n int) string {
	d := why.Digest{
		Service: service, Instance: "10.0.0.1:80", Since: epoch, Until: epoch.Add(10 * time.Minute), Failures: epoch,
		Counts: []why.Count{{Facts: why.Facts{Direction: "inbound", Method: "GET", Route: "/"}, Requests: uint64(10 * hops), Failed: uint64(hops), Roots: uint64(10 * hops), Attempts: uint64(10 * hops)}},
	}
	g := why.Group{
		Facts: why.Facts{Direction: "inbound", Method: "GET", Route: "/", Endpoint: "127.0.0.1:3000", Protocol: "HTTP/1.1"}, Failed: true,
		Origin: "endpoint", Service: service, Part: "application", Kind: "error_response", Reason: "answered 500",
	}
	for i := range hops {
		id := n*hops + i + 1
		g.Hops = append(g.Hops, fmt.Sprintf("%032x %016x - %d 1500 %016x", id, 2*id, epoch.Add(time.Duration(i)*time.Millisecond).UnixMicro(), 2*id+1))
	}
	d.Groups = []why.Group{g}
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestWhy(t *testing.T) {
	asked := ""
	web := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.RequestURI()
		io.WriteString(w, digestOf(t, "web", 3, 0))
	})
	endless := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"service":"`)
		for range 2 * maxBytes / 1024 {
			io.WriteString(w, strings.Repeat("x", 1024))
		}
	})
	old := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(404)
		io.WriteString(w, `{"error":"there is no /v1/why here"}`)
	})
	liar := says(t, `{"service":"liar","since":"2026-03-04T05:06:07Z","until":"2026-03-04T05:06:08Z","counts":[{"requests":1,"failed":5}]}`)
	r := newClient(t, web, endless, old, liar, "127.0.0.1:1").Why(limited(t, patience), 10*time.Minute)
	if asked != "/v1/why?since=10m0s" || r.Failed != 3 || r.Requests != 30 || r.Answered() != 1 || r.Peers[0].Hops != 3 {
		t.Errorf("asked %s: %+v", asked, r)
	}
	text := string(r.AppendText(nil, diagnose.TextOptions{}))
	for _, want := range []string{
		"3 of 30 requests failed (10 %) in the last 10m\n", "100 % of 3 failed requests: web, answered 500, since 05:06:07",
		"1 of 5 proxies answered; not, or not all, from:\n", endless + ": its answer has more than 16 MiB\n", old + ": it answered 404: there is no /v1/why here\n",
		liar + ": a digest with impossible counts: 5 of 1 requests failed\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	var keys map[string]any
	if body, err := json.Marshal(r); err != nil || json.Unmarshal(body, &keys) != nil || keys["failed"] != 3.0 || len(keys["peers"].([]any)) != 5 || keys["causes"] == nil {
		t.Errorf("%s, error %v", body, err)
	}
}

// TestWhyOfManyProxies prints how long it takes to ask 50 proxies that have 100,000 hops of
// failing requests together.
func TestWhyOfManyProxies(t *testing.T) {
	const proxies, hops = 50, 2000
	var addresses []string
	for i := range proxies {
		addresses = append(addresses, says(t, digestOf(t, fmt.Sprint("s", i), hops, i)))
	}
	c := newClient(t, addresses...)
	began := time.Now()
	r := c.Why(limited(t, patience), 10*time.Minute)
	text := r.AppendText(nil, diagnose.TextOptions{})
	t.Logf("why over %d proxies with %d hops: %v, %d bytes of text", proxies, proxies*hops, time.Since(began).Round(time.Millisecond), len(text))
	if r.Failed != proxies*hops || r.Answered() != proxies || !r.Exact {
		t.Errorf("%d failed, %d answered", r.Failed, r.Answered())
	}
}

// TestSchemasAreDocumented holds the keys of the JSON to the tables of docs/mesh.md.
func TestSchemasAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/mesh.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []any{why.Report{}, why.Service{}, why.Cause{}, why.Culprit{}, why.Suffering{}, why.Common{}, why.Change{}, why.Lost{}, events.Event{}, top.Table{}, top.Row{}, top.Lost{}} {
		for f := range reflect.TypeOf(of).Fields() {
			if key := f.Tag.Get("json"); key != "" && !strings.Contains(string(doc), "`"+key+"`") {
				t.Errorf("docs/mesh.md does not explain `%s`", key)
			}
		}
	}
}
