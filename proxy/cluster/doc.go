// Package cluster is a cluster as a request sees it: the endpoints that there are now,
// which of them the request goes to, and how much may be under way.
//
// The endpoints, their health and the picker over them are one immutable state behind one
// pointer, which [Cluster.Pick] reads once. A source of endpoints, health checks, outlier
// detection and people change it: each says what it knows of an [Endpoint], and a new state
// is built. Start reading at [New], then state.go.
package cluster
