package admin

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hopscope/hopscope/mesh"
)

const (
	readToken    = "read-0123456789abcdef"
	controlToken = "control-0123456789abcdef"
)

func tokens(t *testing.T, text string) *mesh.Tokens {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := mesh.OpenTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestAccess asks for everything with each role: nobody learns anything without a token,
// not even which paths there are, and who may read can't change anything.
func TestAccess(t *testing.T) {
	var mu sync.Mutex
	refused := map[string]int{}
	read := tokens(t, readToken+"\n")
	control := tokens(t, controlToken)
	f := newFixture(t, func(o *Options) {
		o.Access = &Access{Read: []*mesh.Tokens{read}, Control: []*mesh.Tokens{control}, Ready: true, Refused: func(reason string) {
			mu.Lock()
			defer mu.Unlock()
			refused[reason]++
		}}
	})
	f.why = "payments is not known"
	paths := []string{"GET /", "GET /server_info", "GET /metrics", "GET /traces", "GET /hops?trace=" + failedTrace, "GET /v1/hops?trace=" + failedTrace, "GET /v1/peers", "GET /v1/self",
		"GET /v1/peers/127.0.0.1:1/v1/hops", "GET /config_dump", "GET /logging", "GET /debug/pprof/cmdline", "GET /nowhere", "GET /v1/nowhere", "HEAD /traces", "DELETE /traces"}
	controls := []string{"POST /logging?level=debug", "POST /reload", "POST /drain"}
	none := ""
	for _, request := range append(append([]string{}, paths...), controls...) {
		method, path, _ := strings.Cut(request, " ")
		for _, credential := range []string{"X-None: ", "Authorization: Bearer " + readToken + "x", "Authorization: Bearer", "Authorization: Basic " + readToken, "Authorization: " + readToken} {
			got := f.do(method, path, credential)
			if got.status != 401 || len(got.header["Www-Authenticate"]) != 2 || got.header.Get(mesh.HeaderProcess) != "" || got.header.Get(mesh.HeaderRelay) != "" {
				t.Errorf("%s with %q: %d, %v", request, credential, got.status, got.header)
			}
			if none == "" {
				none = got.body
			}
			if method != "HEAD" && got.body != none {
				t.Errorf("%s with %q tells something: %s", request, credential, got.body)
			}
		}
		for _, credential := range []string{"Authorization: Bearer " + readToken, "Authorization: bearer  " + readToken} {
			got, isControl := f.do(method, path, credential), method == "POST" || method == "DELETE"
			if (got.status == 403) != isControl || got.status == 401 {
				t.Errorf("%s, as a reader: %d", request, got.status)
			}
		}
		if got := f.do(method, path, "Authorization: Bearer "+controlToken); got.status == 401 || got.status == 403 {
			t.Errorf("%s, as a controller: %d", request, got.status)
		}
	}
	if f.drained != 1 {
		t.Errorf("drained %d times", f.drained)
	}
	r, _ := http.NewRequest("GET", f.URL+"/traces", nil)
	r.SetBasicAuth("anyone", readToken)
	if got := f.do("GET", "/traces", "Authorization: "+r.Header.Get("Authorization")); got.status != 200 {
		t.Errorf("a browser: %d", got.status)
	}
	mu.Lock()
	defer mu.Unlock()
	if n := len(paths) + len(controls); refused["no_credential"] != n || refused["wrong_token"] != 4*n || refused["role"] != 2*(len(controls)+1) {
		t.Errorf("refused: %v", refused)
	}
	if strings.Contains(none, readToken) {
		t.Errorf("%s", none)
	}
}

// TestOpenPaths: probes and scrapes without a token are let in where that is said, and
// learn no more than they need.
func TestOpenPaths(t *testing.T) {
	read := tokens(t, readToken)
	f := newFixture(t, func(o *Options) {
		o.Access = &Access{Read: []*mesh.Tokens{read}, Ready: true, Metrics: true, Refused: func(string) {}}
	})
	if got := f.do("GET", "/ready"); got.status != 200 {
		t.Errorf("ready: %d", got.status)
	}
	if got := f.do("GET", "/metrics"); got.status != 200 {
		t.Errorf("metrics: %d", got.status)
	}
	f.why = "payments is not known"
	if got := f.do("GET", "/ready"); got.status != 503 || strings.Contains(got.body, "payments") {
		t.Errorf("not ready: %d, %s", got.status, got.body)
	}
	if got := f.do("GET", "/ready", "Authorization: Bearer "+readToken); got.status != 503 || !strings.Contains(got.body, "payments") {
		t.Errorf("not ready, to a reader: %d, %s", got.status, got.body)
	}
	if got := f.do("POST", "/drain", "Authorization: Bearer "+readToken); got.status != 403 || !strings.Contains(got.body, "set admin.control_token_file") {
		t.Errorf("where nobody may control: %d, %s", got.status, got.body)
	}
}
