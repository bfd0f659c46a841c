// Package attack is hostile clients: each function is one attack on a proxy's
// resources, which goes on until its context ends.
//
// It knows nothing of the proxy but an address, and judges nothing: whoever runs an
// attack looks at what becomes of the proxy, and of honest clients, meanwhile. It is
// for one's own proxy, on loopback. Start reading at [HeavyUploads].
package attack
