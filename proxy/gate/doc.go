// Package gate bounds how many requests are under way, and says who goes first when there
// is no room for all.
//
// A [Gate] lets requests in up to a limit. Beyond that they wait in a queue: the most urgent
// first, and among those the one that came first. A request that finds the queue full
// displaces the last of those that are less urgent than itself; if there is none, it is
// refused. The package is pure: it knows no clock and does not wait. Whoever waits for a
// [Waiter] does so by its channel.
package gate
