package snapshot

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/metrics"
	"github.com/hopscope/hopscope/telemetry/pins"
	"github.com/hopscope/hopscope/telemetry/spans"
)

// tellEvery is the time between two batches of pinned traces.
const tellEvery = time.Second

// pinning keeps the whole traces of requests that failed or were slow.
type pinning struct {
	*pins.Pins
	unreached atomic.Uint64 // batches that a member did not get
}

// pinner makes the view that pins traces, nil if that is of no use: without a mesh, or
// without exporters. The store may be nil.
func (p *Proxy) pinner(c *config.Config, s *spans.Spans) *pinning {
	if c.Mesh == nil || s == nil {
		return nil
	}
	show := func(h *hop.Hop) {
		s.Observe(h)
		if p.store != nil {
			p.store.Pin(h)
		}
	}
	return &pinning{Pins: pins.New(pins.Options{Show: show, Log: p.options.Log})}
}

// Dropped adds to what the view has dropped the batches that did not arrive.
func (p *pinning) Dropped(emit func(value float64, labelValues ...string)) {
	p.Pins.Dropped(emit)
	emit(float64(p.unreached.Load()), p.Name(), "unreachable")
}

// pin is what the admin API does with traces that a member names.
func (p *Proxy) pin(ctx context.Context, traces []hop.TraceID) int {
	taken := p.pins.Ask(traces, time.Now())
	_ = p.recorder.Flush(ctx) // which calls Tick; if it fails, the next one does
	return taken
}

// tellPins tells the other members which traces to pin, until the proxy ends.
func (p *Proxy) tellPins() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-p.pins.Waiting():
		case <-p.context.Done():
			return
		}
		select {
		case <-timer.C:
		case <-p.context.Done():
			return
		}
		timer.Reset(tellEvery)
		p.tell(p.pins.Batch())
	}
}

func (p *Proxy) tell(batch []hop.TraceID) {
	if len(batch) == 0 {
		return
	}
	list := struct {
		Traces []string `json:"traces"`
	}{make([]string, len(batch))}
	for i, trace := range batch {
		list.Traces[i] = trace.String()
	}
	body, err := json.Marshal(list)
	if err != nil { // not reached: it has nothing that can't be marshalled
		return
	}
	left := p.mesh.peers.Tell("/pins", body, func() { p.pins.unreached.Add(1) })
	p.pins.unreached.Add(uint64(left))
}

// measurePins registers what is known of pinned traces.
func (p *Proxy) measurePins() {
	service := p.current.Load().config.Service
	p.metrics.Func("hopscope_pinned_hops_total", "Hops that were exported though their trace was not sampled and they went well, since the request failed or was slow where it entered the mesh.", metrics.Counter,
		[]string{"service"}, func(emit func(float64, ...string)) {
			if p.pins != nil {
				emit(float64(p.pins.Shown()), service)
			}
		})
}
