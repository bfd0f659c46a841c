package snapshot

import (
	"fmt"
	"slices"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/listener"
	"github.com/hopscope/hopscope/proxy/overload"
	"github.com/hopscope/hopscope/telemetry/events"
	"github.com/hopscope/hopscope/telemetry/metrics"
)

// limitMemory sets the limits of memory as a configuration has them.
func (p *Proxy) limitMemory(c *config.Config) {
	memory, from := int64(c.Overload.MaxMemoryBytes), "overload.max_memory_bytes"
	if memory == 0 {
		memory, from = overload.Memory()
	}
	p.shared.Memory.SetLimit(overload.ForClients(memory))
	if limit := p.options.LimitHeap; limit != nil && memory > 0 {
		limit(overload.ForHeap(memory))
	}
	p.options.Log.Debug("the memory that the proxy may use", "bytes", memory, "from", from, "for_clients", overload.ForClients(memory))
}

const (
	// relief is how long closed connections have, at least, to give back their memory
	// before others are closed.
	relief = 5 * time.Millisecond
	// sayOverload is how often the overload is logged.
	sayOverload = 10 * time.Second
)

// relieve closes the connections that hold most when memory runs out, and logs what was
// refused, until the proxy ends.
func (p *Proxy) relieve() {
	b := p.shared.Memory
	var told [len(overload.Refusals)]uint64
	say := time.NewTimer(0) // fires when the log may tell
	defer say.Stop()
	quiet, pending := true, false
	for {
		select {
		case <-p.context.Done():
			return
		case <-say.C:
			quiet = false
		case <-b.Pressed():
			pending = true
		}
		for n := b.Excess(); n > 0; n = b.Excess() {
			start := p.shared.Now()
			for range listener.Shed(p.listeners(), n, start) {
				b.Refuse(overload.Closed)
			}
			select {
			case <-p.context.Done():
				return
			case <-time.After(max(relief, 4*(p.shared.Now()-start))):
			}
		}
		if !quiet && pending && p.tellOverload(&told) {
			quiet, pending = true, false
			say.Reset(sayOverload)
		}
	}
}

// tellOverload logs what was refused since told, if anything was.
func (p *Proxy) tellOverload(told *[len(overload.Refusals)]uint64) bool {
	b := p.shared.Memory
	args := []any{"used", b.Used(), "limit", b.Limit()}
	before := len(args)
	for i, r := range overload.Refusals {
		if n := b.Refused(r); n > told[i] {
			args = append(args, r.String(), n-told[i])
			told[i] = n
		}
	}
	if len(args) == before {
		return false
	}
	p.options.Log.Warn("memory is short: the proxy refuses clients, and closes the connections that hold most; give it more memory, or set overload.max_memory_bytes", args...)
	p.noteOwn(events.Overload, fmt.Sprintf("memory is short: clients are refused, and connections closed; %d of %d bytes are used", b.Used(), b.Limit()))
	return true
}

// listeners are those of all generations that have not drained.
func (p *Proxy) listeners() []*listener.Listener {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*listener.Listener
	for _, g := range p.live {
		for _, b := range g.listeners {
			if !slices.Contains(all, b.listener) {
				all = append(all, b.listener)
			}
		}
	}
	return all
}

// measureOverload registers the metrics of what clients hold, and of what was refused
// because memory was short.
func (p *Proxy) measureOverload() {
	one := func(name, help string, read func() int64) {
		p.metrics.Func(name, help, metrics.Gauge, []string{"service"}, func(emit func(float64, ...string)) {
			emit(float64(read()), p.current.Load().config.Service)
		})
	}
	one("hopscope_overload_memory_bytes", "Memory that clients make the proxy hold, as it is counted.", p.shared.Memory.Used)
	one("hopscope_overload_memory_limit_bytes", "What that may come to; 0 is no limit.", p.shared.Memory.Limit)
	p.metrics.Func("hopscope_overload_refused_total", "What was refused for want of memory: stream, request, head, content, connection; and connections that were closed.", metrics.Counter,
		[]string{"service", "what"}, func(emit func(float64, ...string)) {
			for _, r := range overload.Refusals {
				emit(float64(p.shared.Memory.Refused(r)), p.current.Load().config.Service, r.String())
			}
		})
}
