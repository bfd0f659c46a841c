// Package basicauth is the filter that asks clients for a name and a password (RFC 7617),
// and refuses those that have none of its users'. A [Verifier] compares passwords for all
// routes of a proxy: hashes are costly on purpose, so it compares few at a time, and
// remembers for a while which were right. Start reading at [New].
package basicauth
