package snapshot_test

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/mesh"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// ofMesh starts a proxy with a mesh.
func ofMesh(t *testing.T, service, of string) *proxytest.Proxy {
	return proxytest.StartYAML(t, meshText(service, of))
}

func meshText(service, of string) string {
	return fmt.Sprintf("service: %s\nmesh: {%s}\nlisteners: [{name: in, address: 127.0.0.1:0, routes: [{cluster: web}]}]\nclusters: {web: {endpoints: [127.0.0.1:1]}}\n", service, of)
}

// lists waits until a proxy lists these services.
func lists(t *testing.T, p *proxytest.Proxy, want ...string) {
	t.Helper()
	proxytest.Eventually(t, fmt.Sprintf("the members %q", want), func() bool {
		var m mesh.Members
		p.AdminJSON("/v1/peers", &m)
		var got []string
		for _, member := range m.Peers {
			if member.Error == "" { // localhost may have an address at which nobody listens
				got = append(got, member.Service)
			}
		}
		return slices.Equal(got, want)
	})
}

// TestMeshByDNS finds a member by a name, and learns who it is by asking it.
func TestMeshByDNS(t *testing.T) {
	proxytest.NoLeaks(t)
	orders := ofMesh(t, "orders", "")
	web := ofMesh(t, "web", "dns: {name: localhost, port: "+strconv.Itoa(int(orders.AdminAddr().Port()))+"}")
	lists(t, web, "web", "orders")
	lists(t, orders, "orders")
	status, body := web.Call("GET", "http://"+web.AdminAddr().String()+"/v1/peers/"+orders.AdminAddr().String()+"/v1/self", "")
	if status != 200 || !strings.Contains(body, `"service": "orders"`) {
		t.Errorf("%d %s", status, body)
	}
}

// TestReloadOfPeers: other peers are members at once; nothing else of the mesh can change.
func TestReloadOfPeers(t *testing.T) {
	proxytest.NoLeaks(t)
	one, two := ofMesh(t, "one", ""), ofMesh(t, "two", "")
	web := ofMesh(t, "web", "peers: ["+one.AdminAddr().String()+"]")
	lists(t, web, "web", "one")
	reloadYAML(web, meshText("web", "peers: ["+one.AdminAddr().String()+", "+two.AdminAddr().String()+"]"))
	lists(t, web, "web", "one", "two")
	reloadYAML(web, meshText("web", "peers: ["+net.JoinHostPort("127.0.0.1", strconv.Itoa(int(two.AdminAddr().Port())))+"]"))
	lists(t, web, "web", "two")
}
