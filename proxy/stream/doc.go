// Package stream carries bytes that are no HTTP: tunnels, between two
// connections that have been made.
//
// Start reading at [Tunnel].
package stream
