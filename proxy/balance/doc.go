// Package balance picks endpoints. A picker is a pure function of its inputs:
// it knows how many endpoints there are and what it picked before, not what
// they are.
//
// Start reading at [RoundRobin].
package balance
