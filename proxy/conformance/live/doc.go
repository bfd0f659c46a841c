// Package live has the tests of a cluster that changes under load: endpoints come, go, die,
// get slow and are ejected, by Consul, DNS, a file or health checks.
package live
