package forward

import (
	"net/netip"

	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/forwarded"
)

// screen removes Envoy's own fields from the request of a client that is not trusted,
// which could say with them that it is of the mesh, who it is, and what is to be done
// for it. It comes before all filters: they may change what says whom the request is
// from.
func (f *Forwarder) screen(x *filter.Exchange) {
	if r := &x.Request; r.HasEnvoy() && !f.trusts(x) {
		r.RemoveEnvoy()
	}
}

// trusts reports whether the client's x-envoy- fields are believed: its address, and
// every other one that the request says it came from, must be among the callers'. What
// a client says of where its request came from can make it less trusted, never more:
// a TLS terminator on this host may speak for anybody.
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
