// Package delivery takes batches of telemetry to exporters, each in a goroutine of its own,
// so that nothing waits for one. What waits is bounded, what is lost is counted, and one
// warning a minute says why.
//
// It does not know what is in a batch, nor any protocol. Start reading at [Queue].
package delivery
