package clitest

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/hopscope/hopscope/mesh"
)

// freeAddresses are addresses that nobody listens at.
func freeAddresses(t *testing.T, n int) (all []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		all = append(all, l.Addr().String())
	}
	return all
}

// fileOf is a configuration of a proxy in front of an application, with further keys.
func fileOf(service, admin, to, more string) string {
	return "service: " + service + "\nadmin: {address: " + admin + "}\ntelemetry: {access_log: {path: \"off\"}}\n" +
		"listeners: [{name: in, address: 127.0.0.1:0, routes: [{cluster: app}]}]\nclusters: {app: {endpoints: [" + to + "]}}\n" + more
}

// TestTraceThroughOneMember asks one proxy of a mesh of three processes. When another is
// killed, it is said who did not answer, and the rest is there.
func TestTraceThroughOneMember(t *testing.T) {
	t.Parallel()
	addresses := freeAddresses(t, 3)
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
