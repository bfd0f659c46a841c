package routing_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// kind is what a client speaks, and the endpoints.
type kind struct {
	name        string
	http2, grpc bool
}

var kinds = []kind{{name: "HTTP/1"}, {name: "HTTP/2", http2: true}, {name: "gRPC", http2: true, grpc: true}}

// eachKind runs a test for every kind.
func eachKind(t *testing.T, test func(t *testing.T, k kind)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			proxytest.NoLeaks(t)
			test(t, k)
		})
	}
}

// protocols are what either side of a kind speaks.
func (k kind) protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(!k.http2)
	p.SetUnencryptedHTTP2(k.http2)
	return p
}

// seen is a request as an endpoint has it.
type seen struct {
	Cluster, Method, Target, Host, Content string // at most 100 bytes
	Size                                   int    // of the content
	Header                                 http.Header
}

// endpoint runs an endpoint of a cluster, which tells what it sees, and answers with the
// fields that the request asks for by x-answer-NAME, and its x-status and x-content, unless
// x-only has the name of another. It fails if x-fail has its name.
func (k kind) endpoint(t *testing.T, cluster string) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		text, _ := json.Marshal(seen{cluster, r.Method, r.RequestURI, r.Host, string(content[:min(len(content), 100)]), len(content), r.Header.Clone()})
		if only := r.Header.Get("X-Only"); only != "" && only != cluster {
			r.Header = http.Header{}
		}
		for name, values := range r.Header {
			if to, ok := strings.CutPrefix(name, "X-Answer-"); ok {
				w.Header()[to] = values
			}
		}
		if w.Header().Set("X-Seen", string(text)); k.grpc {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "grpc-status")
		}
		switch fails := r.Header.Get("X-Fail") == cluster; {
		case k.grpc && fails:
			defer w.Header().Set("grpc-status", "13")
		case k.grpc:
			defer w.Header().Set("grpc-status", "0")
		case fails:
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		status, err := strconv.Atoi(r.Header.Get("X-Status"))
		if err != nil {
			status = http.StatusOK
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, r.Header.Get("X-Content"))
	}))
	s.Config.Protocols = k.protocols()
	s.Start()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.Listener.Addr().String()
}

// rig is a proxy with clusters a, b and c, and a client of it.
type rig struct {
	*proxytest.Proxy
	kind      kind
	client    *http.Client
	endpoints map[string]string // addresses, by the cluster
}

// start runs a proxy with these routes, in YAML. more are further keys of the listener.
func (k kind) start(t *testing.T, routes string, more ...string) *rig {
	t.Helper()
	protocol := "http1"
	if k.http2 {
		protocol = "http2"
	}
	var clusters strings.Builder
	endpoints := map[string]string{}
	for _, name := range []string{"a", "b", "c"} {
		endpoints[name] = k.endpoint(t, name)
		clusters.WriteString("  " + name + ": {endpoints: [\"" + endpoints[name] + "\"], protocol: " + protocol + "}\n")
	}
	listener := "  - name: ingress\n    address: \"" + proxytest.OwnAddress() + "\"\n"
	for _, key := range more {
		listener += "    " + key + "\n"
	}
	text := "listeners:\n" + listener + "    routes:\n" + indent(routes, "      ") + "clusters:\n" + clusters.String()
	x := &rig{Proxy: proxytest.StartYAML(t, text), kind: k, endpoints: endpoints}
	transport := &http.Transport{Protocols: k.protocols(), DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, x.Ingress())
	}}
	t.Cleanup(transport.CloseIdleConnections)
	x.client = &http.Client{Transport: transport, Timeout: proxytest.Patience, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	return x
}

func indent(text, by string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.Trim(text, "\n") + "\n") {
		b.WriteString(by + line)
	}
	return b.String()
}

// answer is a response, read to its end.
type answer struct {
	*http.Response
	body string
	seen seen // by the endpoint; empty where the proxy answered
}

// ask sends a request: "METHOD http://host/path", and fields, "name: value" each. A gRPC
// client posts whatever the method is.
func (x *rig) ask(t *testing.T, line string, fields ...string) answer {
	t.Helper()
	method, url, _ := strings.Cut(line, " ")
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Add(name, value)
	}
	return x.do(t, r)
}

// askRaw is ask for a target that is sent as it is written here.
func (x *rig) askRaw(t *testing.T, target string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://web.test", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.URL = &url.URL{Scheme: "http", Host: "web.test", Opaque: "//web.test" + target}
	return x.do(t, r)
}

func (x *rig) do(t *testing.T, r *http.Request) answer {
	t.Helper()
	if x.kind.grpc {
		r.Method, r.Body, r.ContentLength = "POST", io.NopCloser(strings.NewReader("\x00\x00\x00\x00\x00")), 5
		r.Header.Set("Content-Type", "application/grpc")
		r.Header.Set("TE", "trailers")
	}
	resp, err := x.client.Do(r)
	if err != nil {
		t.Fatalf("%s: %v", r.URL, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: %v", r.URL, err)
	}
	a := answer{Response: resp, body: string(body)}
	if text := resp.Header.Get("X-Seen"); text != "" {
		if err := json.Unmarshal([]byte(text), &a.seen); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// cluster is where a request went, "" for nowhere.
func (x *rig) cluster(t *testing.T, line string, fields ...string) string {
	t.Helper()
	return x.ask(t, line, fields...).seen.Cluster
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
