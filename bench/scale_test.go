package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

func TestEndpointAddressesAreDifferentOnesOfLoopback(t *testing.T) {
	all := endpointAddresses(maxEndpoints, "80")
	for _, address := range all {
		a, err := netip.ParseAddrPort(address)
		if err != nil || !a.Addr().IsLoopback() || a.Port() != 80 || a.Addr().As4()[3] == 0 {
			t.Fatalf("%s: %v", address, err)
		}
	}
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != maxEndpoints {
		t.Errorf("%d different addresses, want %d", n, maxEndpoints)
	}
	if one := endpointAddresses(1, "80"); one[0] != "127.1.0.1:80" {
		t.Errorf("the first is %s", one[0])
	}
}

// None of the other routes may take a request of the benchmark: "/98" and "/seen", with
// GET, whose host is an address.
func TestOtherRoutesAreMetByNoRequest(t *testing.T) {
	all := otherRoutes(manyRoutes - 1)
	for _, text := range all {
		var m struct {
			Path       string
			PathPrefix string `yaml:"path_prefix"`
			Hosts      []string
			Methods    []string
		}
		if err := yaml.Unmarshal([]byte(text), &m); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		noPath := m.Path != "" && m.Path != "/98" && m.Path != "/seen" ||
			m.PathPrefix != "" && !strings.HasPrefix("/98", m.PathPrefix) && !strings.HasPrefix("/seen", m.PathPrefix)
		if !noPath && len(m.Hosts) == 0 && !(len(m.Methods) > 0 && !slices.Contains(m.Methods, "GET")) {
			t.Errorf("%s takes requests", text)
		}
	}
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != manyRoutes-1 {
		t.Errorf("%d different routes, want %d", n, manyRoutes-1)
	}
}
