package forward

import (
	"net/netip"

	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/forwarded"
)

// screen removes Envoy's own fields from the request of an untrusted client. With them the
// client could pose as a part of the mesh, choose timeouts, or ask for retries. screen
// comes before all filters, since those may change the fields that trust depends on.
func (f *Forwarder) screen(x *filter.Exchange) {
	if r := &x.Request; r.HasEnvoy() && !f.trusts(x) {
		r.RemoveEnvoy()
	}
}

// trusts reports whether the client's x-envoy- fields are believed. Its address must be
// among the callers', and so must every address that the request says it came from: a TLS
// terminator on this host may speak for anybody. So what a client says of the origin of
// its request can only make it less trusted.
func (f *Forwarder) trusts(x *filter.Exchange) bool {
	peer, err := netip.ParseAddr(x.Conn.Info().PeerIP)
	if err != nil || !contains(f.Callers, peer) {
		return false
	}
	from, ok := forwarded.Addresses(&x.Request)
	for _, ip := range from {
		ok = ok && contains(f.Callers, ip)
	}
	return ok
}
