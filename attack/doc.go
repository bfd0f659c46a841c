// Package attack is what a hostile or a careless peer does to a proxy, to be run
// against one on loopback. It judges nothing: whoever runs an attack looks at what
// became of the proxy and of its honest clients.
package attack
