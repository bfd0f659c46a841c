// Package catalog has the tests of what a registry says: the services of Consul's catalog
// are served, endpoints are set by hand, and the proxy registers itself.
package catalog
