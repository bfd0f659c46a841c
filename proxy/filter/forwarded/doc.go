// Package forwarded is the filter that tells the endpoint who the client is:
// X-Forwarded-For, X-Forwarded-Proto, Forwarded (RFC 7239) and Via; and that
// finds the client's own address behind trusted proxies.
//
// Start reading at [New].
package forwarded
