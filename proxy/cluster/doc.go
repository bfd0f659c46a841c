// Package cluster is a cluster as a request sees it: the endpoints that there are
// at one moment, which of them a request goes to, and how much may be under way.
//
// Endpoints, their health and the picker over them are one immutable state behind
// one pointer ([Cluster.Pick] reads it once). What changes it are a source of
// endpoints, health checks, ejected outliers, and people: each of them says what
// it knows of an [Endpoint], and a new state is built. Start reading at [New], then
// state.go.
package cluster
