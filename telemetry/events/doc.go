// Package events remembers what happened to one proxy: endpoints came and went, health
// changed, a configuration was loaded, a limit was reached. Somebody who looks for the
// cause of a failure asks first what changed just before.
//
// It is a short memory, not a log: a [Ring] keeps a fixed number of events, folds a storm
// of like ones into one with a count, and forgets the oldest. It has no clock of its own.
// [View] notes what the Hops themselves tell, such as an open circuit breaker.
//
// Start reading at [Ring.Note].
package events
