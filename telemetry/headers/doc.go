// Package headers is the view of a hop that travels with the response:
// Proxy-Status (RFC 9209), to which each proxy on the way appends its member,
// and Server-Timing.
//
// A caller can tell from Proxy-Status alone which hop made a failure and which
// ones only relayed it: the hop that made one says "error", and every failed
// member names it in the parameter hopscope-failed-hop. [ProxyStatus] writes
// the member of this proxy, [ParseProxyStatus] and [Failure] read what came
// from upstream. Whether a listener appends, passes or cuts the fields is the
// data plane's to decide. Start reading at [ProxyStatus.Append].
package headers
