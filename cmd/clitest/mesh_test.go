package clitest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hopscope/hopscope/mesh"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// fileOf is a configuration of a proxy in front of an application, with further keys.
func fileOf(service, admin, to, more string) string {
	return "service: " + service + "\nadmin: {address: " + admin + "}\ntelemetry: {access_log: {path: \"off\"}}\n" +
		"listeners: [{name: in, address: 127.0.0.1:0, routes: [{cluster: app}]}]\nclusters: {app: {endpoints: [" + to + "]}}\n" + more
}

// TestTraceThroughOneMember asks one proxy of a mesh of three processes. When another is
// killed, it is said who did not answer, and the rest is there.
func TestTraceThroughOneMember(t *testing.T) {
	t.Parallel()
	addresses := proxytest.FreeAddresses(t, 3)
	list := "mesh: {name: shop, peers: [" + strings.Join(addresses, ", ") + "]}\n"
	backend := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	var all []*process
	for i, service := range []string{"web", "orders", "stock"} {
		all = append(all, start(t, "run", "-c", file(t, service+".yaml", fileOf(service, addresses[i], backend, list))))
	}
	for _, p := range all {
		p.address("in")
		p.admin()
	}
	var members mesh.Members
	_, body := get(t, "http://"+addresses[0]+"/v1/peers")
	if err := json.Unmarshal([]byte(body), &members); err != nil || len(members.Peers) != 3 {
		t.Fatalf("%v: %s", err, body)
	}
	for i, want := range []string{"web", "orders", "stock"} {
		if m := members.Peers[i]; m.Service != want || m.Self != (i == 0) || m.Address != addresses[i] || m.Version != testVersion || !strings.HasSuffix(m.Instance, m.Address[strings.LastIndex(m.Address, ":"):]) {
			t.Errorf("member %d: %+v", i, m)
		}
	}
	all[2].signal(syscall.SIGKILL)
	<-all[2].exited
	for i := range 2 {
		stdout, stderr, code := hopscope(t, "traces", "--admin", addresses[i], "--timeout=1m")
		if code != 0 || stderr != "" || !strings.Contains(stdout, "2 of 3 proxies answered") || !strings.Contains(stdout, "\n  "+addresses[2]) || !strings.Contains(stdout, "connection refused") {
			t.Errorf("exit code %d, standard error %q:\n%s", code, stderr, stdout)
		}
	}
}

// TestMeshWithTokens has proxies ask each other with a token. Who has it asks all of them
// through one; who has none, or a wrong one, learns nothing; a token for reading changes
// nothing. No log and no dump shows a token.
func TestMeshWithTokens(t *testing.T) {
	t.Parallel()
	const meshToken, control = "mesh-hunter2-0123456789", "control-hunter2-0123456789"
	inMesh, ops, wrong := file(t, "mesh.token", meshToken+"\n"), file(t, "control.token", control+"\n"), file(t, "wrong.token", "wrong-hunter2-0123456789")
	addresses := proxytest.FreeAddresses(t, 2)
	backend := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	var all []*process
	for i, service := range []string{"web", "orders"} {
		more := "mesh: {peers: [" + strings.Join(addresses, ", ") + "], token_file: " + inMesh + "}\n"
		text := strings.Replace(fileOf(service, addresses[i], backend, more), "admin: {", "admin: {control_token_file: "+ops+", ", 1)
		all = append(all, start(t, "run", "-c", file(t, service+".yaml", text)))
	}
	for _, p := range all {
		p.address("in")
	}
	ask := func(want string, code int, args ...string) {
		t.Helper()
		stdout, stderr, got := hopscope(t, append([]string{"traces", "--admin", addresses[0], "--timeout=1m"}, args...)...)
		if got != code || !strings.Contains(stdout+stderr, want) {
			t.Errorf("%q: exit code %d, %s%s, want %d and %q", args, got, stdout, stderr, code, want)
		}
	}
	ask("2 proxies answered", 0, "--token-file", inMesh)
	ask("2 proxies answered", 0, "--token-file", ops)
	ask("it answered 401: this needs a token", 1)
	ask("it answered 401: this needs a token", 1, "--token-file", wrong)
	ask("--token-file: the file", 1, "--token-file", file(t, "short", "hunter2"))

	call := func(method, path, token string) (status int, body string) {
		t.Helper()
		r, err := http.NewRequest(method, "http://"+addresses[0]+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := newClient(t).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	if status, _ := call("POST", "/logging?level=debug", meshToken); status != 403 {
		t.Errorf("who may read changed the log level: %d", status)
	}
	if status, _ := call("POST", "/logging?level=debug", control); status != 200 {
		t.Errorf("who may control did not change the log level: %d", status)
	}
	_, metrics := call("GET", "/metrics", meshToken)
	for _, want := range []string{`hopscope_admin_refused_total{reason="no_credential",service="web"} 1`, `hopscope_admin_refused_total{reason="wrong_token",service="web"} 1`, `hopscope_admin_refused_total{reason="role",service="web"} 1`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s", want)
		}
	}
	_, dump := call("GET", "/config_dump", control)
	for _, p := range all {
		p.drained()
		if dump += p.stderr.String(); strings.Contains(dump, "hunter2") {
			t.Errorf("a token is shown:\n%s", dump)
		}
	}
}

// TestMeshWithCertificates has proxies ask each other with certificates, over TLS. Who has
// one of the mesh's authority may read, a name that the configuration lists may control,
// and others are not let in.
func TestMeshWithCertificates(t *testing.T) {
	t.Parallel()
	authority, stranger := proxytest.NewAuthority(t), proxytest.NewAuthority(t)
	ours, ops, theirs := authority.Issue("127.0.0.1"), authority.Issue("ops.example.com"), stranger.Issue("127.0.0.1")
	addresses := proxytest.FreeAddresses(t, 2)
	backend := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	for i, service := range []string{"web", "orders"} {
		more := "mesh: {peers: [" + strings.Join(addresses, ", ") + "], tls: {ca: " + authority.File + ", cert: " + ours.Cert + ", key: " + ours.Key + "}}\n"
		own := authority.Issue("127.0.0.1")
		text := strings.Replace(fileOf(service, addresses[i], backend, more), "admin: {", "admin: {tls: {cert: "+own.Cert+", key: "+own.Key+", control_san: [ops.example.com]}, ", 1)
		p := start(t, "run", "-c", file(t, service+".yaml", text))
		p.address("in")
		p.find(`msg="admin API" url=(https://\S+)/`)
	}
	ask := func(want string, code int, args ...string) {
		t.Helper()
		stdout, stderr, got := hopscope(t, append([]string{"traces", "--admin", addresses[0], "--timeout=1m"}, args...)...)
		if got != code || !strings.Contains(stdout+stderr, want) {
			t.Errorf("%q: exit code %d, %s%s, want %d and %q", args, got, stdout, stderr, code, want)
		}
	}
	ask("2 proxies answered", 0, "--tls-ca", authority.File, "--tls-cert", ours.Cert, "--tls-key", ours.Key)
	ask("2 proxies answered", 0, "--tls-ca", authority.File, "--tls-cert", ours.Cert, "--tls-key", ours.Key, "--tls-san", "127.0.0.1,spiffe://shop")
	ask("0 of 1 proxy answered", 1, "--tls-ca", authority.File, "--tls-cert", ours.Cert, "--tls-key", ours.Key, "--tls-san", "spiffe://shop/web")
	ask("it answered 401", 1, "--tls-ca", authority.File)
	ask("unknown authority", 1, "--tls-ca", stranger.File, "--tls-cert", ours.Cert, "--tls-key", ours.Key)
	ask("0 of 1 proxy answered", 1, "--tls-ca", authority.File, "--tls-cert", theirs.Cert, "--tls-key", theirs.Key)
	ask("it answered 400: it speaks TLS", 1)
	ask("unknown authority", 1, "--peers", "https://"+addresses[0])

	for _, tt := range []struct {
		show config.Certificate
		want int
	}{{ours, 403}, {ops, 200}} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: authority.ClientConfig("127.0.0.1", tt.show)}}
		resp, err := client.Post("https://"+addresses[0]+"/logging?level=debug", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		proxytest.Finish(resp)
		client.CloseIdleConnections()
		if resp.StatusCode != tt.want {
			t.Errorf("the log level is changed with %d, want %d", resp.StatusCode, tt.want)
		}
	}
}

// TestLookupOverFiftyProxies asks one of fifty processes for a trace. Each process has a hop
// of it. It logs how long the whole command takes.
func TestLookupOverFiftyProxies(t *testing.T) {
	t.Parallel()
	n := 50
	if raced {
		n = 8 // each takes several times the memory then
	}
	addresses, token := proxytest.FreeAddresses(t, n), file(t, "mesh.token", "a-token-of-the-mesh-0123456789")
	more := "mesh: {peers: [" + strings.Join(addresses, ", ") + "], token_file: " + token + "}\n"
	backend := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	id, parent := proxytest.NewTrace()
	client := newClient(t)
	var all []*process
	for i, address := range addresses {
		all = append(all, start(t, "run", "-c", file(t, "hopscope.yaml", fileOf("s"+strconv.Itoa(i), address, backend, more))))
	}
	for _, p := range all {
		req, err := http.NewRequest(http.MethodGet, "http://"+p.address("in")+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("traceparent", strings.TrimSpace(strings.TrimPrefix(parent, "traceparent:")))
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		proxytest.Finish(resp)
	}
	lookup := func() (stdout string, took time.Duration) {
		began := time.Now()
		stdout, _, _ = hopscope(t, "trace", id.String(), "--admin", addresses[0], "--token-file", token, "--timeout=1m")
		return stdout, time.Since(began)
	}
	want := fmt.Sprintf("%d proxies answered", n)
	proxytest.Eventually(t, "all hops", func() bool {
		stdout, _ := lookup()
		return strings.Contains(stdout, want) && strings.Contains(stdout, fmt.Sprintf("%d hops", n))
	})
	var times []time.Duration
	for range 21 {
		_, took := lookup()
		times = append(times, took)
	}
	slices.Sort(times)
	t.Logf("lookup over %d proxies: median %v, from %v to %v", n, times[10], times[0], times[20])
}
