package admin

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/mesh"
	"github.com/hopscope/hopscope/mesh/series"
	"github.com/hopscope/hopscope/mesh/top"
	"github.com/hopscope/hopscope/mesh/why"
	"github.com/hopscope/hopscope/telemetry/events"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/tail"
)

// meshOf is a mesh of this proxy and others, each asked at its own address.
func meshOf(t *testing.T, others ...string) *Mesh {
	caller := mesh.NewCaller(mesh.Access{})
	t.Cleanup(caller.Close)
	return &Mesh{Name: "shop", Send: caller.Send, Members: func(context.Context) []mesh.Member {
		all := []mesh.Member{{Service: "web", Address: "10.0.0.1:9901", Self: true}}
		for _, address := range others {
			all = append(all, mesh.Member{Service: "orders", Address: address})
		}
		return all
	}}
}

func TestPeersOfAProxyAlone(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Instance = "w1" })
	var got mesh.Members
	answer := f.do("GET", "/v1/peers")
	if err := json.Unmarshal([]byte(answer.body), &got); err != nil || len(got.Peers) != 1 {
		t.Fatalf("%s, error %v", answer.body, err)
	}
	if m := got.Peers[0]; got.Mesh != "" || m.Service != "web" || m.Instance != "w1" || m.Version != "1.2.3" || m.Since.IsZero() || !m.Self {
		t.Errorf("%+v", got)
	}
	if got := f.do("GET", "/v1/peers/127.0.0.1:1/v1/hops"); got.status != 404 || !strings.Contains(got.body, "belongs to no mesh") || got.header.Get(mesh.HeaderRelay) == "" {
		t.Errorf("%d, %v", got.status, got.header)
	}
}

// TestVersionedAPIIsDocumented: what programs may rely on is written down.
func TestVersionedAPIIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/mesh.md")
	if err != nil {
		t.Fatal(err)
	}
	a := &api{Options: Options{Why: func(time.Time) *why.Digest { return nil }, Events: func(time.Time) []events.Event { return nil }, Series: func(time.Time, int) *series.Part { return nil },
		Config: func() any { return nil }, Top: func() *top.Counts { return nil }, Tail: tail.New(), Pin: func(context.Context, []hop.TraceID) int { return 0 }}}
	n := 0
	for _, e := range a.table() {
		path, _, _ := strings.Cut(e.path, "?")
		if !strings.HasPrefix(path, "/v1/") || strings.Contains(path, "ADDR") {
			continue
		}
		if n++; !strings.Contains(string(doc), "`"+e.methods+" "+path) {
			t.Errorf("docs/mesh.md does not have %s %s", e.methods, path)
		}
	}
	if n < 20 {
		t.Errorf("only %d paths are looked at", n)
	}
}

// TestRelay asks one proxy for what another knows.
func TestRelay(t *testing.T) {
	other := newFixture(t, nil)
	address := strings.TrimPrefix(other.URL, "http://")
	dead := httptest.NewServer(nil)
	dead.Close()
	gone := strings.TrimPrefix(dead.URL, "http://")
	f := newFixture(t, func(o *Options) { o.Trace, o.Traces, o.Mesh = nil, nil, meshOf(t, address, gone) })
	base := "/v1/peers/" + address + "/v1/"
	for _, tt := range []struct {
		path   string
		status int
		want   string
		failed bool // to relay
	}{
		{base + "hops?trace=" + failedTrace, 200, `"service": "payments"`, false},
		{base + "traces?failed=1&limit=1", 200, failedTrace, false},
		{base + "hops?trace=x", 400, "is not a trace id", false},
		{base + "nothing", 404, "there is no /v1/nothing here", false},
		{base + "peers", 200, `"self": true`, false},
		{base + "peers/" + address + "/v1/hops", 400, "this path is not relayed", true},
		{base + "peers/x", 400, "this path is not relayed", true},
		{base + "%2e%2e/drain", 400, "this path is not relayed", true},
		{base + "hops%3ftrace=x", 400, "this path is not relayed", true},
		{base, 400, "this path is not relayed", true},
		{"/v1/peers/" + gone + "/v1/hops", 502, "connection refused", true},
		{"/v1/peers/127.0.0.1:1/v1/hops", 404, "is not a member of this mesh", true},
		{"/v1/peers/10.0.0.1:9901/v1/self", 200, `"self": true`, false},
		{"/v1/peers/10.0.0.1:9901/v1/nothing", 404, "there is no /v1/nothing here", false},
		{"/v1/peers/10.0.0.1:9901/v1/peers/" + address + "/v1/hops", 400, "this path is not relayed", true},
	} {
		got := f.do("GET", tt.path)
		if got.status != tt.status || !strings.Contains(got.body, tt.want) || (got.header.Get(mesh.HeaderRelay) != "") != tt.failed {
			t.Errorf("%s: %d, %v, %s", tt.path, got.status, got.header, got.body)
		}
	}
	if got := f.do("GET", base+"hops?trace="+failedTrace, mesh.HeaderRelay+": 1"); got.status != 508 {
		t.Errorf("a request that was relayed already: %d", got.status)
	}
	if got := f.do("POST", base+"hops"); got.status != 405 {
		t.Errorf("POST: %d", got.status)
	}
	direct, relayed := other.do("GET", "/v1/self"), f.do("GET", base+"self")
	if id := direct.header.Get(mesh.HeaderProcess); id == "" || relayed.header.Get(mesh.HeaderProcess) != id || relayed.body != direct.body {
		t.Errorf("%v and %v", direct, relayed)
	}
}

// TestRelayOfBadAnswers: one that is too long or ends early is cut, so that it does not
// pass for whole. None is taken for a page of this proxy. Whether a member wants another
// credential is said.
func TestRelayOfBadAnswers(t *testing.T) {
	long := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/short"):
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "1")
			return
		case strings.HasSuffix(r.URL.Path, "/page"):
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Link", "<https://evil.example/>; rel=preload")
			w.Header().Set("Set-Cookie", "a=b")
			w.Header().Set(mesh.HeaderRelay, "failed")
			io.WriteString(w, "<script>alert(1)</script>")
			return
		case strings.HasSuffix(r.URL.Path, "/secret"):
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		for spaces := strings.Repeat(" ", 1<<20); r.Context().Err() == nil; {
			if _, err := io.WriteString(w, spaces); err != nil {
				return
			}
		}
	}))
	defer long.Close()
	address := strings.TrimPrefix(long.URL, "http://")
	f := newFixture(t, func(o *Options) { o.Mesh = meshOf(t, address) })
	for _, path := range []string{"/long", "/short"} {
		resp, err := http.Get(f.URL + "/v1/peers/" + address + "/v1" + path)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if resp.Body.Close(); err == nil || n > maxRelayed {
			t.Errorf("%s: %d bytes, and no error", path, n)
		}
	}
	if got := f.do("GET", "/v1/peers/"+address+"/v1/page"); got.status != 200 || got.header.Get("Content-Type") != "application/octet-stream" || got.header.Get("Link")+got.header.Get("Set-Cookie")+got.header.Get(mesh.HeaderRelay) != "" {
		t.Errorf("a page: %d, %v", got.status, got.header)
	}
	if got := f.do("GET", "/v1/peers/"+address+"/v1/secret"); got.status != 502 || !strings.Contains(got.body, "refuses this proxy's credential") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// FuzzRelayable: no path leads a relay to anything but words below /v1, nor to another
// relay.
func FuzzRelayable(f *testing.F) {
	for _, path := range []string{"hops", "why", "peers", "traces/4bf9", "peers/a:1/v1/hops", "../drain", "hops?x", "hops#x", "a//b", "", ".", "%2e%2e", "a\\b", "a\x00"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if !relayable(path) {
			return
		}
		u, err := url.Parse("http://10.0.0.1:9901/v1/" + path)
		if err != nil || u.Path != "/v1/"+path || u.RawQuery != "" || u.Fragment != "" || u.JoinPath().Path != u.Path || strings.HasPrefix(path, "peers/") {
			t.Fatalf("%q leads to %v, error %v", path, u, err)
		}
	})
}
