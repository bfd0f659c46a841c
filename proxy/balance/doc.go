// Package balance picks endpoints. A [Set] is what a cluster knows of its
// endpoints at one moment; [Set.Pick] says which of them the next attempt goes
// to, by the cluster's policy (round robin, least request, random, ring hash,
// Maglev, peak EWMA) among the hosts that priorities, health, zones and subsets
// leave it.
//
// It is not what opens connections, checks health or ejects hosts: those tell it
// what they found in [Host.Health]. It reads no clock and draws no random
// numbers: both come in with the [Request], so that equal inputs give equal
// picks. Behaviour, formulas and defaults are Envoy's where Envoy has them, and
// Linkerd's for peak EWMA; the comments say where we differ.
//
// Start reading at [Set.Pick].
package balance
