// Package catalog turns a catalog of services into routes and clusters, so
// that every service is served with none of them written down: by its name as
// host, and by what tags on its instances say, in hopscope's own form and in
// Fabio's.
//
// It is a pure function of its input, in whatever order that comes; it asks no
// catalog and forwards no request. Start reading at [Compile], then tag.go
// for the form of tags, order.go for which route comes first, and weight.go
// for shares of traffic.
package catalog
