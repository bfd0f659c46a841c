package pins

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

const (
	// defaultBytes limits the hops that are kept, keepFor is how long they are, and pinFor how
	// long a trace stays pinned for hops that are still to end.
	defaultBytes = 16 << 20
	keepFor      = 30 * time.Second
	pinFor       = 10 * time.Second
	// ownPerSecond is how many traces this proxy pins in a second, and othersPerSecond how
	// many others may have it pin. In a storm in which everything fails, whole traces of some
	// requests say as much as those of all.
	ownPerSecond    = 200
	othersPerSecond = 2000
	// MaxBatch is how many traces one batch has.
	MaxBatch = 1000
	// maxShown is how many hops of a trace are exported at once. Clients choose trace ids.
	maxShown = 1000
	// warnEvery is how often a storm is told.
	warnEvery = time.Minute
)

// Options configure Pins.
type Options struct {
	// Show shows a hop of a pinned trace to the views that export and keep hops, and did not
	// when it ended. It does not keep the hop.
	Show func(*hop.Hop)
	// Bytes limits the hops that are kept; default 16 MiB.
	Bytes int
	// Log is told of storms, once a minute at most.
	Log *slog.Logger
}

// Pins is a view that comes before those that export and keep hops. It implements
// record.View: one goroutine calls its view methods; any may call the others.
type Pins struct {
	options Options
	recent  recent // of the observing goroutine, as all up to mu
	pinned  map[hop.TraceID]time.Time
	order   []pin // of pinned, the oldest first
	own     rate
	warned  time.Time

	mu     sync.Mutex
	others rate
	asked  []hop.TraceID // what others have asked for, until the next Tick
	batch  []hop.TraceID // what they are to be told
	wake   chan struct{}

	shown, storm, flood atomic.Uint64
}

type pin struct {
	trace hop.TraceID
	until time.Time
}

// rate counts what happens in a second.
type rate struct {
	since time.Time
	n     int
}

// allow reports whether there is room for one more in this second.
func (r *rate) allow(now time.Time, most int) bool {
	if d := now.Sub(r.since); d >= time.Second || d < 0 {
		r.since, r.n = now, 0
	}
	r.n++
	return r.n <= most
}

// New returns a view that has pinned nothing.
func New(o Options) *Pins {
	if o.Bytes <= 0 {
		o.Bytes = defaultBytes
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Pins{
		options: o, recent: recent{maxBytes: o.Bytes, traces: map[hop.TraceID]chain{}},
		pinned: map[hop.TraceID]time.Time{}, wake: make(chan struct{}, 1),
	}
}

// Name implements record.View.
func (p *Pins) Name() string { return "pins" }

// Observe marks a hop of a pinned trace as to be exported, keeps another that is not
// exported for a while, and pins the trace of a request that failed, or was slow, where it
// entered the mesh.
func (p *Pins) Observe(h *hop.Hop) {
	if h.Trace.IsZero() || h.Span.IsZero() || h.Kind == hop.KindConnection {
		return
	}
	end := h.Start.Add(h.End)
	pinned := p.pinned[h.Trace].After(end)
	switch h.Keep {
	case hop.KeepNot:
		if pinned {
			h.Keep = hop.KeepMesh
			p.shown.Add(1)
			return
		}
		p.recent.add(h, end, end.Add(-keepFor))
	case hop.KeepFailed, hop.KeepSlow:
		if h.Entry && !pinned {
			p.begin(h.Trace, end)
		}
	}
}

// begin pins a trace here, and has the others told.
func (p *Pins) begin(trace hop.TraceID, now time.Time) {
	if !p.own.allow(now, ownPerSecond) {
		p.storm.Add(1)
		if now.Sub(p.warned) >= warnEvery {
			p.warned = now
			p.options.Log.Warn("more requests fail or are slow than the mesh exports the whole traces of; of the rest, only the hops that failed or were slow are exported",
				"traces_per_second", ownPerSecond, "left_out_so_far", p.storm.Load())
		}
		return
	}
	p.pin(trace, now)
	p.mu.Lock()
	if len(p.batch) < MaxBatch {
		p.batch = append(p.batch, trace)
	}
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// pin exports the hops of a trace that are here, and remembers it for others.
func (p *Pins) pin(trace hop.TraceID, now time.Time) {
	p.forget(now)
	if _, known := p.pinned[trace]; !known {
		p.order = append(p.order, pin{trace, now.Add(pinFor)})
		p.pinned[trace] = now.Add(pinFor)
	}
	n := 0
	p.recent.take(trace, func(h *hop.Hop) {
		if n++; n <= maxShown {
			h.Keep = hop.KeepMesh
			p.shown.Add(1)
			p.options.Show(h)
		}
	})
}

// forget removes the pins whose time is over.
func (p *Pins) forget(now time.Time) {
	n := 0
	for n < len(p.order) && !p.order[n].until.After(now) {
		delete(p.pinned, p.order[n].trace)
		n++
	}
	p.order = p.order[n:]
}

// Tick pins what others have asked for.
func (p *Pins) Tick(now time.Time) {
	p.mu.Lock()
	asked := p.asked
	p.asked = nil
	p.mu.Unlock()
	for _, trace := range asked {
		p.pin(trace, now)
	}
	p.forget(now)
}

// Close implements record.View.
func (p *Pins) Close(context.Context) error { return nil }

// Ask has traces pinned that another proxy names, at the next Tick. It returns how many: in
// a second there is room for some thousand.
func (p *Pins) Ask(traces []hop.TraceID, now time.Time) (taken int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, trace := range traces {
		if trace.IsZero() {
			continue
		}
		if !p.others.allow(now, othersPerSecond) || len(p.asked) >= othersPerSecond {
			p.flood.Add(1)
			continue
		}
		p.asked = append(p.asked, trace)
		taken++
	}
	return taken
}

// Waiting has a value when there may be something to tell the others.
func (p *Pins) Waiting() <-chan struct{} { return p.wake }

// Batch returns the traces that the others are to be told, each once.
func (p *Pins) Batch() []hop.TraceID {
	p.mu.Lock()
	defer p.mu.Unlock()
	batch := p.batch
	p.batch = nil
	return batch
}

// Shown is how many hops were exported because their trace was pinned.
func (p *Pins) Shown() uint64 { return p.shown.Load() }

// Dropped calls emit with how many traces were not pinned, by view and reason: "storm",
// those that failed here beyond the rate, and "flood", those that others named beyond it.
func (p *Pins) Dropped(emit func(value float64, labelValues ...string)) {
	emit(float64(p.storm.Load()), p.Name(), "storm")
	emit(float64(p.flood.Load()), p.Name(), "flood")
}
