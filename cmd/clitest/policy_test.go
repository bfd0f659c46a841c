package clitest

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/mesh"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// example reads a file of the folder deploy.
func example(t *testing.T, name string) string {
	t.Helper()
	return mustRead(t, filepath.Join("../../deploy", name))
}

// rules are the blocks of an ACL policy.
func rules(policy string) (all []string) {
	for block := range strings.SplitSeq(policy, "\n\n") {
		if strings.Contains(block, "policy =") {
			all = append(all, block)
		}
	}
	return all
}

// withRights starts the proxy of deploy/consul with a token of the policy.
func withRights(t *testing.T, c *backends.ConsulServer, name, policy, endpoint string) *process {
	t.Helper()
	acl := c.API(t).ACL()
	made, _, err := acl.PolicyCreate(&api.ACLPolicy{Name: name, Rules: policy}, nil)
	must(t, err)
	token, _, err := acl.TokenCreate(&api.ACLToken{Policies: []*api.ACLLink{{ID: made.ID}}}, nil)
	must(t, err)
	path := file(t, "consul.token", token.SecretID)
	text := strings.NewReplacer(
		"127.0.0.1:9901", "127.0.0.1:0", "127.0.0.1:8500", c.Address, "/etc/hopscope/consul.token", path,
		"0.0.0.0:8080", "127.0.0.1:0", "127.0.0.1:8081", "127.0.0.1:0", "127.0.0.1:3000", endpoint, "interval: 5s", "interval: 1s",
	).Replace(example(t, "consul/hopscope.yaml"))
	_, err = c.API(t).KV().Put(&api.KVPair{Key: "hopscope/web.yaml", Value: []byte(text)}, nil)
	must(t, err)
	return start(t, "run", "-c", "consul://"+c.Address+"/hopscope/web.yaml?token_file="+url.QueryEscape(path))
}

// refusal is what the proxy says when Consul denies it something.
const refusal = `(Permission denied|lacks permission|may not read|403)`

// TestLeastRightsInConsul runs a proxy with the policy that is in deploy/consul, which suffices,
// and with each rule of it left out, which does not.
func TestLeastRightsInConsul(t *testing.T) {
	t.Parallel()
	c := backends.Consul(t, backends.ConsulOptions{Token: aclToken})
	endpoint := serve(t, hello)
	host, port, _ := strings.Cut(serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ordered") }), ":")
	number, err := strconv.Atoi(port)
	must(t, err)
	c.Register(t, &api.AgentServiceRegistration{ID: "orders-1", Name: "orders", Address: host, Port: number})
	policy := example(t, "consul/policy.hcl")
	all := rules(policy)
	if len(all) != 6 {
		t.Fatalf("%d rules in the policy", len(all))
	}
	for i, rule := range all {
		p := withRights(t, c, fmt.Sprintf("without-%d", i), strings.Replace(policy, rule, "", 1), endpoint)
		p.find(refusal)
		if strings.Contains(rule, "\nkey ") { // it has no configuration
			p.exit()
			continue
		}
		p.drained()
	}

	p := withRights(t, c, "whole", policy, endpoint)
	client := newClient(t)
	client.Transport.(*http.Transport).Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: p.address("outbound")})
	proxytest.Eventually(t, "it calls orders", func() bool {
		_, body, err := tryGet(client, http.MethodGet, "http://orders/")
		return err == nil && body == "ordered"
	})
	for _, service := range []string{"web", "web-sidecar-proxy", mesh.ConsulService} {
		proxytest.Eventually(t, service+" is registered and passes", func() bool {
			ports, _, err := instances(c.API(t), service)
			return err == nil && len(ports) == 1
		})
	}
	p.drained()
	for _, word := range []string{"Permission denied", "lacks permission", "may not read", "403"} {
		if said := p.stderr.String(); strings.Contains(said, word) {
			t.Errorf("Consul denied something though the policy is whole:\n%s", said)
		}
	}
}

// TestServiceDefinition has the real agent load it.
func TestServiceDefinition(t *testing.T) {
	t.Parallel()
	c := backends.Consul(t, backends.ConsulOptions{HCL: example(t, "consul/orders.hcl")})
	found, _, err := c.API(t).Agent().Service("orders-1", nil)
	must(t, err)
	if found.Service != "orders" || found.Port != 8080 || found.Meta["version"] == "" {
		t.Errorf("the agent knows %+v", found)
	}
}
