// Package attack is what a hostile or broken client does to a proxy: each function
// attacks an address of this machine, at most until its context ends. It judges nothing:
// whoever calls it looks at how honest clients fare meanwhile.
package attack
