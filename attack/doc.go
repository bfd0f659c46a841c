// Package attack is what a hostile or a careless peer does to a proxy, to be run
// against one on loopback. Each attack goes on until its context ends. It knows nothing
// of the proxy but an address, and judges nothing: whoever runs an attack looks at what
// becomes of the proxy and of its honest clients meanwhile. Start reading at
// [HeavyUploads].
package attack
