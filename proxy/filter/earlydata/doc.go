// Package earlydata is the filter that answers requests with 425 (Too Early) that came in
// TLS early data, which an attacker can send again (RFC 8470). hopscope's own listeners take
// no early data: a TLS terminator in front of it does, and says so by the field Early-Data.
// Start reading at [New].
package earlydata
