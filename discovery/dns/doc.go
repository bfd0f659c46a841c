// Package dns is the source of endpoints that have a name in the DNS: the addresses of a
// host (A, AAAA), or the hosts, ports, priorities and weights of a service (SRV, RFC 2782).
// An SRV weight of 0 counts as 1: the small chance beside others that the RFC asks for.
//
// The name is asked for again when the shortest TTL of its answer ends. What the answers
// mean:
//
//   - Addresses replace those before. Their order does not matter.
//   - No addresses (NXDOMAIN, or no record of the type) may be a mistake: a zone that is
//     being reloaded says so, and a resolver that has lost its upstream. So the name is
//     asked for again within a second, then less often, down to every 5 s. The last good
//     answer stays, marked as stale. The cluster is emptied when all answers have said the
//     same until the negative TTL of the first one (RFC 2308) is over; from then on that
//     TTL decides when to ask again.
//   - If one host of a service disappears, or one family of addresses, while others stay,
//     it is left out at once, and asked for again in the same way.
//   - Anything that is no answer (SERVFAIL, REFUSED, a timeout, garbage) marks the last
//     good answer as stale, and the question is asked again with back-off. Of a name with
//     two families of addresses, or a service with several hosts, the part that was
//     answered is taken over, and the rest stays.
//
// Without a resolver of its own it does as the system does: /etc/hosts first, then the
// servers and the search list of /etc/resolv.conf. It reads both for each lookup, so a
// change needs no restart.
//
// It is no cache for others and does not check DNSSEC. Start reading at [Source.Run];
// answer.go reads answers, lastgood.go decides what to believe.
package dns
