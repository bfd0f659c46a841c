// Package snapshot turns a configuration into a running proxy: the one place
// where everything is put together.
//
// [Start] reads as the architecture: views, recorder, clusters, listeners,
// admin. What lives as long as the process is the [Proxy]; what a configuration
// made is a generation, of which [Proxy.Reload] builds the next.
//
// A generation runs a set of resources, see package resources. There is one way
// from a set to what runs, apply (apply.go), for what a reload changes and for what
// a catalog says: make what is new, take what changed in the place of what was
// there, leave alone what is the same, let go of what is gone. The next generation
// begins as a fork of the one before, and so has its clusters, with their
// connections and ejections, and its TLS. Nothing here is on a request's way. Start
// reading at Start.
package snapshot
