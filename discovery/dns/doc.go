// Package dns is the source of endpoints that have a name in the DNS: the
// addresses of a host (A, AAAA), or the hosts, ports, priorities and weights of
// a service (SRV, RFC 2782), where a weight of 0 counts as 1: the small chance
// beside others that the RFC asks for.
//
// The name is asked for again when the shortest TTL of its answer ends. What
// the answers mean:
//
//   - Addresses take the place of those before; their order does not matter.
//   - That there are none (NXDOMAIN, or no record of the type) may be a mistake:
//     a zone that is being reloaded, or a resolver that has lost its upstream,
//     says it as well. So the name is asked for again within a second, and then
//     less and less often, every 5 s at last. The cluster is emptied when all
//     answers have said so until the negative TTL of the first (RFC 2308) is
//     over; only then does that TTL decide when to ask again. Until then the
//     last good answer stays, marked as stale.
//   - A host of a service, or one of two families of addresses, that goes while
//     others stay is left out at once, and asked for again in the same way.
//   - Whatever is no answer (SERVFAIL, REFUSED, nothing in time, garbage) marks
//     the last good answer as stale and is tried again with back-off. Of a name
//     with two families of addresses, or a service with several hosts, the part
//     that was answered is taken over, and the rest stays.
//
// With no resolver of its own it does as the system does: /etc/hosts first, then
// the servers and the search list of /etc/resolv.conf. Both are read at each
// lookup, so that a change needs no restart.
//
// It is no cache for others and checks no DNSSEC. Start reading at [Source.Run];
// answer.go reads answers, keep.go decides what is believed.
package dns
