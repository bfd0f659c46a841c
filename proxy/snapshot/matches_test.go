package snapshot

import (
	"net/netip"
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
)

func TestMatchesInWords(t *testing.T) {
	m := config.NewMatch()
	if got := matches(&m); got != "every request" {
		t.Errorf("%q", got)
	}
	m.Methods, m.PathTemplate, m.Percent = []string{"GET", "PUT"}, "/cart/{id}", 10
	m.Headers = map[string]config.ValueMatch{"x-b": {Present: true}, "x-a": {Absent: true}}
	m.Clients = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	m.GRPC = &config.GRPCMatch{Service: "shop.Cart"}
	m.Not = &config.Conditions{PathRegex: "/a+"}
	want := "method GET, PUT; path template /cart/{id}; header x-a, x-b; client 10.0.0.0/8; gRPC shop.Cart/; 10 per cent; not path regex /a+"
	if got := matches(&m); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
