// Package egress has the tests of the forward proxy: which destinations it lets clients
// reach, by name and by address.
package egress
