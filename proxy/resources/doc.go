// Package resources says what a proxy is made of: named, immutable listeners, route
// tables, clusters and secrets, a [Set] of them, and what differs between two sets.
//
// Each source of settings makes a set of its own: [FromConfig] of the configuration
// file, [FromCatalog] of a service catalog. [Set.Join] puts them together. Package
// snapshot runs a set: it asks [Diff] what is new, changed or gone, makes what is
// new, and leaves alone what is the same. A resource is data: nothing here opens a
// socket, reads a file or knows the time.
//
//	d := resources.Diff(running, resources.FromConfig(c).Join(catalog))
//	for _, id := range d.Clusters.Added { ... }
//
// Start reading at [Set], then [Diff].
package resources
