// Package clientcert is the filter that tells the endpoint which certificate
// the client showed: X-Forwarded-Client-Cert, in Envoy's format and with its
// modes.
//
// Start reading at [New].
package clientcert
