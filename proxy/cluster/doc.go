// Package cluster is a cluster as a request sees it: an immutable list of
// endpoints, the picker over them, and the pools behind them.
//
// Start reading at [Cluster].
package cluster
