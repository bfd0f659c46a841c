// Package headers writes a hop into the response's headers: Proxy-Status (RFC 9209),
// where each proxy on the way appends its member, and Server-Timing.
//
// Proxy-Status alone tells a caller which hop made a failure and which ones only relayed
// it: the hop that made it says "error", and every failed member names that hop in the
// parameter hopscope-failed-hop. A hop that went well although a call failed names that
// failure, too, and adds hopscope-recovered: see [RecoveredFrom]. [ProxyStatus] writes this proxy's member;
// [ParseProxyStatus] and [Failure] read what came from upstream. The data plane decides
// whether a listener appends, passes or cuts the fields. Start reading at
// [ProxyStatus.Append].
package headers
