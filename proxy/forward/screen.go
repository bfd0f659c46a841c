package forward

import (
	"net/netip"
	"strconv"

	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/forwarded"
	"github.com/hopscope/hopscope/proxy/message"
)

// screen removes Envoy's own fields from the request of an untrusted client. With them the
// client could pose as a part of the mesh, choose timeouts, or ask for retries. screen
// comes before all filters, since those may change the fields that trust depends on.
//
// How long a client waits is its own affair, as with grpc-timeout: it only ever shortens its
// own wait. That stays, so that deadlines go from hop to hop where nobody has listed who is
// trusted. It tells nothing about endpoints that did not answer by then: see
// [attempt.finish].
func (f *Forwarder) screen(x *filter.Exchange) {
	r := &x.Request
	x.Stranger = r.HasEnvoy() && !f.trusts(x)
	if !x.Stranger {
		return
	}
	left, waits := milliseconds(r, message.XEnvoyExpectedTimeout)
	r.RemoveEnvoy()
	if waits && left > 0 && f.Deadlines != nil {
		r.EndField(message.XEnvoyExpectedTimeout, strconv.AppendInt(r.BeginField(expectedTimeout), left.Milliseconds(), 10))
	}
}

const expectedTimeout = "x-envoy-expected-rq-timeout-ms"

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
