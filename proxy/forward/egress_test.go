package forward

import (
	"net/netip"
	"testing"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
)

// from is a client at another address: tests have only this machine's loopback
// to call from.
type from struct {
	filter.Downstream
	info filter.ConnInfo
}

func (f from) Info() *filter.ConnInfo { return &f.info }

func TestPermittedByClient(t *testing.T) {
	networks := []Allow{{
		Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Reaches: func(host string, _ netip.Addr, port uint16) bool { return host == "api.internal" && port == 80 },
	}}
	tests := []struct {
		name, peer  string
		loopback    bool
		allow       []Allow
		destination string
		kind        fault.Kind // None where it is permitted
	}{
		{"loopback without rules", "127.0.0.1", true, nil, "api.internal:80", fault.None},
		{"another machine without rules", "10.1.2.3", false, nil, "api.internal:80", fault.Forbidden},
		{"a network that is listed", "10.1.2.3", false, networks, "api.internal:80", fault.None},
		{"another port", "10.1.2.3", false, networks, "api.internal:81", fault.Forbidden},
		{"a network that is not listed", "192.168.0.1", false, networks, "api.internal:80", fault.Forbidden},
		{"loopback, not listed", "127.0.0.1", true, networks, "api.internal:80", fault.Forbidden},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &Forwarder{Options: Options{Egress: &Egress{Allow: tt.allow}}}
			x := &filter.Exchange{Down: from{info: filter.ConnInfo{PeerIP: tt.peer, Loopback: tt.loopback}}}
			address, err := f.permitted(x, tt.destination)
			kind := fault.None
			if err != nil {
				kind = fault.Of(err).Kind
			}
			if kind != tt.kind || err == nil && address != tt.destination {
				t.Errorf("%q, %v; want %v", address, err, tt.kind)
			}
		})
	}
}
