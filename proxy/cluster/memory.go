package cluster

import (
	"fmt"
	"time"

	"github.com/hopscope/hopscope/proxy/outlier"
)

// Memory is what a cluster knows of its endpoints besides what their source says. The
// process that takes over gets it.
type Memory struct {
	Endpoints map[string]EndpointMemory `json:"endpoints"` // by address
	// Outlier are the settings of outlier detection by which endpoints were ejected.
	Outlier string `json:"outlier,omitempty"`
}

// EndpointMemory is what is known of an endpoint. Times are in nanoseconds.
type EndpointMemory struct {
	Drained bool          `json:"drained,omitempty"`
	ByHand  bool          `json:"ejected_by_hand,omitempty"`
	Latency time.Duration `json:"latency,omitempty"`
	Ejected *Ejection     `json:"ejected,omitempty"`
}

// Ejection says why an outlier is ejected, since when and for how long.
type Ejection struct {
	Reason     outlier.Reason `json:"reason"`
	Detail     string         `json:"detail"`
	Ago        time.Duration  `json:"ago"`  // it began
	Left       time.Duration  `json:"left"` // until it ends
	Times      int            `json:"times"`
	Multiplier int            `json:"multiplier"`
}

// Memory returns what is known of the endpoints, for the process that takes over. An
// endpoint without a record is left out.
func (c *Cluster) Memory() Memory {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := Memory{Endpoints: map[string]EndpointMemory{}, Outlier: c.outlierSettings()}
	now := c.shared.Now()
	for _, e := range c.order {
		one := EndpointMemory{Drained: e.drained, ByHand: e.byHand, Latency: e.Load.Latency(now)}
		if e.record != nil {
			if s := e.record.State(now); s.Ejected && s.Until > now {
				one.Ejected = &Ejection{s.Reason, s.Detail, now - s.Since, s.Until - now, s.Times, s.Multiplier}
			}
		}
		if one != (EndpointMemory{}) {
			m.Endpoints[e.Address] = one
		}
	}
	return m
}

func (c *Cluster) outlierSettings() string {
	if c.options.Outlier == nil {
		return ""
	}
	return fmt.Sprintf("%+v", *c.options.Outlier)
}

// recollect gives a new endpoint what another process knew of it.
func (c *Cluster) recollect(e *Endpoint) {
	m, ok := c.options.Memory.Endpoints[e.Address]
	if !ok {
		return
	}
	now := c.shared.Now()
	e.drained, e.byHand = m.Drained, m.ByHand
	remember(e.Load, m.Latency, now)
	if x := m.Ejected; x != nil && e.record != nil && c.options.Memory.Outlier == c.outlierSettings() {
		c.detector.Restore(e.record, outlier.State{
			Reason: x.Reason, Detail: x.Detail, Since: now - x.Ago, Until: now + x.Left, Times: x.Times, Multiplier: x.Multiplier,
		})
	}
}
