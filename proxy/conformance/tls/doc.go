// Package tls has the tests of TLS on either side: certificates, names, ALPN, resumption,
// files that are replaced, and connections that have to end.
package tls
