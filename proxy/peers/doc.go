// Package peers knows which proxies belong to a mesh, and who each of them is.
//
// It is told of addresses, and asks each address who answers there when somebody wants
// to know. It keeps what it has learned: a member that is away is still a member. What
// members know of requests is asked by package mesh, for which the admin API relays.
// Start reading at [Peers.Members].
package peers
