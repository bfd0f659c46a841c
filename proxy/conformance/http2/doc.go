// Package http2 has the tests of HTTP/2 towards clients: h2spec, and what hostile clients
// do.
package http2
