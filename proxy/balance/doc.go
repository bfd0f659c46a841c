// Package balance picks endpoints. A [Set] holds what a cluster knows about its endpoints
// at one moment. [Set.Pick] chooses the endpoint of the next attempt: priorities, health,
// zones and subsets narrow the hosts down, and the cluster's policy (round robin, least
// request, random, ring hash, Maglev, peak EWMA) picks one of them.
//
// It opens no connections, checks no health and ejects no hosts; others do, and set
// [Host.Health]. It reads no clock and draws no random numbers: both come with the
// [Request], so equal inputs give equal picks. Behaviour, formulas and defaults are
// Envoy's, or Linkerd's for peak EWMA; comments say where we differ.
//
// Start reading at [Set.Pick].
package balance
