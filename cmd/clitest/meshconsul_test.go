package clitest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/mesh"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// shop is a mesh of processes that find each other in Consul and ask each other with a
// token: each service calls the next, by its proxy.
type shop struct {
	t        *testing.T
	consul   *backends.ConsulServer
	services []string
	proxies  map[string]*process
	configs  map[string]string // their paths
	admin    map[string]string // addresses
	token    string            // its file
	acl      string            // the file of Consul's token
	fails    atomic.Bool       // the application of the last service
}

// aclToken may do all in Consul, where nobody else may do anything.
const aclToken = "11111111-2222-3333-4444-555555555555"

func startShop(t *testing.T, services ...string) *shop {
	t.Helper()
	s := &shop{
		t: t, consul: backends.Consul(t, backends.ConsulOptions{Token: aclToken}), services: services,
		proxies: map[string]*process{}, configs: map[string]string{}, admin: map[string]string{}, token: file(t, "mesh.token", "a-token-of-the-mesh-0123456789"),
		acl: file(t, "acl.token", aclToken),
	}
	addresses, next := freeAddresses(t, len(services)), ""
	for i, service := range slices.Backward(services) {
		s.admin[service] = addresses[i]
		more := fmt.Sprintf("upgrade_socket: %q\nconsul: {address: %q, token_file: %q}\nmesh: {name: shop, instance: %s-1, consul: {}, token_file: %q}\n",
			fmt.Sprintf("@hopscope-mesh-%s-%s", service, addresses[i]), s.consul.Address, s.acl, service, s.token)
		s.configs[service] = file(t, service+".yaml", fileOf(service, addresses[i], s.application(next), more))
		p := start(t, "run", "-c", s.configs[service])
		s.proxies[service], next = p, "http://"+p.address("in")+"/"
	}
	return s
}

// application calls the next service, passes its status on, and fails if it is the last.
func (s *shop) application(next string) string {
	client := newClient(s.t)
	return serve(s.t, func(w http.ResponseWriter, r *http.Request) {
		if next == "" {
			if s.fails.Load() {
				w.WriteHeader(http.StatusInternalServerError)
			}
			return
		}
		call, _ := http.NewRequestWithContext(r.Context(), http.MethodGet, next, nil)
		call.Header.Set("traceparent", r.Header.Get("traceparent"))
		resp, err := client.Do(call)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
	})
}

// members are those that a service's proxy lists: their services and addresses.
func (s *shop) members(service string) (all []mesh.Member) {
	s.t.Helper()
	status, body := s.get(service, "/v1/peers")
	var m mesh.Members
	if err := json.Unmarshal([]byte(body), &m); err != nil || status != 200 {
		s.t.Fatalf("%d, %v: %s", status, err, body)
	}
	return m.Peers
}

func (s *shop) get(service, path string) (status int, body string) {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+s.admin[service]+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.SetBasicAuth("test", strings.TrimSpace(mustRead(s.t, s.token)))
	resp, err := newClient(s.t).Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// knows waits until a service's proxy lists exactly these services.
func (s *shop) knows(service string, want ...string) {
	s.t.Helper()
	want = slices.Sorted(slices.Values(want)) // a copy: the slice is the caller's
	proxytest.Eventually(s.t, fmt.Sprintf("%s knows %q", service, want), func() bool {
		var got []string
		for _, m := range s.members(service) {
			got = append(got, m.Service)
		}
		slices.Sort(got)
		return slices.Equal(got, want)
	})
}

// ask sends a request to the first service, and returns its trace when every proxy that
// runs has its hop.
func (s *shop) ask(status int) (trace string) {
	s.t.Helper()
	id, parent := proxytest.NewTrace()
	first := s.proxies[s.services[0]]
	req, err := http.NewRequest(http.MethodGet, "http://"+first.address("in")+"/", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("traceparent", strings.TrimSpace(strings.TrimPrefix(parent, "traceparent:")))
	resp, err := newClient(s.t).Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	proxytest.Finish(resp)
	if resp.StatusCode != status {
		s.t.Fatalf("%s answered %d, want %d", s.services[0], resp.StatusCode, status)
	}
	for _, service := range s.services {
		if s.proxies[service].running() {
			proxytest.Eventually(s.t, "the hop of "+service, func() bool {
				_, body := s.get(service, "/v1/hops?trace="+id.String())
				return strings.Contains(body, `"span_id"`)
			})
		}
	}
	return id.String()
}

// trace runs hopscope trace with the mesh's token.
func (s *shop) trace(id string, args ...string) (stdout, stderr string, code int) {
	return hopscope(s.t, append([]string{"trace", id, "--timeout=1m", "--token-file", s.token}, args...)...)
}

// TestMeshInConsul has four proxies find each other in Consul. Any of them answers for all;
// one that is killed is named as who did not answer, one that drains is a member no more,
// one that is upgraded stays, and a Consul that is away changes nothing.
func TestMeshInConsul(t *testing.T) {
	t.Parallel()
	services := []string{"web", "orders", "stock", "bank"}
	s := startShop(t, services...)
	for _, service := range services {
		s.knows(service, services...)
	}
	for _, m := range s.members("orders") {
		if m.Address != s.admin[m.Service] || m.Instance != m.Service+"-1" || m.Version != testVersion || m.Since.IsZero() || m.Self != (m.Service == "orders") || m.Error != "" {
			t.Errorf("%+v", m)
		}
	}
	s.fails.Store(true)
	id := s.ask(500)
	for _, service := range services {
		stdout, stderr, code := s.trace(id, "--admin", s.admin[service])
		if code != 3 || stderr != "" || !strings.Contains(stdout, "\nculprit: bank: the application at ") || !strings.Contains(stdout, "4 hops") || !strings.HasSuffix(stdout, "\n4 proxies answered\n") {
			t.Errorf("by way of %s: exit code %d, %s%s", service, code, stderr, stdout)
		}
	}
	if stdout, stderr, code := s.trace(id, "--consul", s.consul.Address, "--consul-token-file", s.acl, "--mesh", "shop"); code != 3 || stderr != "" || !strings.HasSuffix(stdout, "\n4 proxies answered\n") {
		t.Errorf("by way of Consul: exit code %d, %s%s", code, stderr, stdout)
	}
	if stdout, stderr, code := s.trace(id, "--consul", s.consul.Address, "--consul-token-file", s.acl, "--mesh", "bank"); code != 1 || stdout != "" || !strings.Contains(stderr, "no proxy of the mesh bank is registered") {
		t.Errorf("of another mesh: exit code %d, %s%s", code, stderr, stdout)
	}
	if _, stderr, code := s.trace(id, "--consul", s.consul.Address); code != 1 || !strings.Contains(stderr, "consul") {
		t.Errorf("without Consul's token: exit code %d, %s", code, stderr)
	}
	if stdout, stderr, code := hopscope(t, "trace", id, "--admin", s.admin["web"]); code != 1 || !strings.Contains(stdout+stderr, "it answered 401") {
		t.Errorf("without a token: exit code %d, %s%s", code, stderr, stdout)
	}

	next := start(t, "run", "-c", s.configs["stock"], "--upgrade")
	next.address("in")
	s.proxies["stock"].exit()
	s.proxies["stock"] = next
	s.knows("web", services...)

	s.proxies["bank"].signal(syscall.SIGKILL)
	s.proxies["bank"].exit()
	stdout, stderr, code := s.trace(id, "--admin", s.admin["web"])
	if code != 3 || stderr != "" || !strings.Contains(stdout, "3 of 4 proxies answered; not, or not all, from:\n  "+s.admin["bank"]+" (bank): ") || !strings.Contains(stdout, "connection refused") {
		t.Errorf("with bank killed: exit code %d, %s%s", code, stderr, stdout)
	}
	s.proxies["orders"].drained()
	s.knows("web", "web", "stock", "bank")

	s.consul.Kill()
	s.knows("web", "web", "stock", "bank")
	s.knows("stock", "web", "stock", "bank")
	if stdout, stderr, code := s.trace(id, "--admin", s.admin["stock"]); code != 3 || !strings.Contains(stdout, "2 of 3 proxies answered") {
		t.Errorf("with Consul killed: exit code %d, %s%s", code, stderr, stdout)
	}
	if _, stderr, code := s.trace(id, "--consul", s.consul.Address, "--consul-token-file", s.acl); code != 1 || !strings.Contains(stderr, s.consul.Address) {
		t.Errorf("by way of a Consul that is away: exit code %d, %s", code, stderr)
	}
	for _, service := range []string{"web", "stock"} {
		s.proxies[service].signal(os.Interrupt)
		if code := s.proxies[service].exit(); code != 0 {
			t.Errorf("%s ended with %d", service, code)
		}
	}
}
