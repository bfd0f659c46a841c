// Package catalog turns a service catalog into routes and clusters. Every service is
// then served without a line of configuration: by its name as host, and by the tags
// of its instances, in hopscope's own form and in Fabio's.
//
//	plan := catalog.Compile(services, catalog.Options{Datacenter: "dc1"})
//
// The plan depends on the services alone, and not on their order. The package asks no
// catalog and forwards no request: package snapshot follows Consul's catalog, and
// package resources turns plans into resources. Start reading at [Compile]. tag.go has
// the form of tags, order.go which route comes first, weight.go the shares of traffic.
package catalog
