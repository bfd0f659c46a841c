// Package http1 has the tests of HTTP/1 on either side: framing, fields, strictness,
// streaming, pools of connections, timeouts, tunnels and draining.
package http1
