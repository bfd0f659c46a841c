package events

import (
	"context"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// View notes in a Ring what Hops tell of the proxy. It is a record.View.
type View struct{ Ring *Ring }

// Name is "events".
func (v View) Name() string { return "events" }

// Observe notes that a circuit breaker was open.
func (v View) Observe(h *hop.Hop) {
	if h.Flags&hop.UpstreamOverflow == 0 {
		return
	}
	cluster := h.Labels.Cluster
	if a := h.LastAttempt(); a != nil && a.Cluster != "" {
		cluster = a.Cluster
	}
	v.Ring.Note(Event{
		Time: h.Start.Add(h.End), Kind: CircuitOpen, Service: h.Labels.Service, Cluster: cluster,
		Text: "the circuit breaker of cluster " + cluster + " is open: " + h.Failure.Reason,
	})
}

// Tick does nothing.
func (v View) Tick(time.Time) {}

// Close does nothing.
func (v View) Close(context.Context) error { return nil }
