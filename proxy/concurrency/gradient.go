package concurrency

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// Options are the settings of a [Gradient].
type Options struct {
	// Percentile of the samples stands for all of them, in per cent.
	Percentile float64
	// MinLimit and MaxLimit bound the limit. While the shortest time is measured the limit
	// is MinLimit.
	MinLimit, MaxLimit int
	// UpdateInterval is how often the limit moves.
	UpdateInterval time.Duration
	// MinRTTInterval is how often the shortest time is measured anew, and Jitter by how much
	// of it, in per cent, a measurement may come later, so that not all proxies measure at
	// once. MinRTTRequests is how many requests it takes.
	MinRTTInterval time.Duration
	Jitter         float64
	MinRTTRequests int
	// Buffer is by how much, in per cent, requests may take longer than the shortest time
	// before the limit falls.
	Buffer float64
	// FixedMinRTT takes the place of what is measured; 0 is none.
	FixedMinRTT time.Duration
}

// windows is after how many windows at the least limit the shortest time is measured anew,
// as it is probably wrong.
const windows = 5

// Gradient is a limit that follows how long requests take. Use [New]. Any goroutine may use
// it. Times are on one clock that only goes forward.
type Gradient struct {
	options Options

	mu       sync.Mutex
	random   rand.PCG
	limit    int
	samples  histogram
	shortest time.Duration
	latest   time.Duration // what stands for the last window
	gradient float64
	update   time.Duration // when the window ends
	// measuring is true while the shortest time is measured, since epoch. The limit was
	// deferred before.
	measuring bool
	epoch     time.Duration
	deferred  int
	measure   time.Duration // when it is measured next
	atLeast   int           // windows in a row at the least limit
}

// New returns a Gradient that begins with a measurement.
func New(o Options, now time.Duration, seed uint64) *Gradient {
	g := &Gradient{options: o, limit: o.MinLimit, gradient: 1, shortest: o.FixedMinRTT}
	g.random.Seed(seed, seed)
	g.update = now + o.UpdateInterval
	if o.FixedMinRTT == 0 {
		g.begin(now)
	}
	return g
}

// Limit is how many requests may be under way now.
func (g *Gradient) Limit(now time.Duration) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.advance(now)
	return g.limit
}

// Sample tells how long a request took that began then and was over now. It reports the
// limit.
func (g *Gradient) Sample(began, took, now time.Duration) (limit int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.advance(now)
	if began < g.epoch { // others were under way beside it
		return g.limit
	}
	g.samples.add(took)
	if g.measuring && g.samples.count >= g.options.MinRTTRequests {
		g.end(now)
	}
	return g.limit
}

// Stats are what a Gradient goes by.
type Stats struct {
	Limit int
	// MinRTT is the shortest time, and SampleRTT the time of the last window; 0 is not known
	// as yet. Gradient is what the limit was last multiplied by.
	MinRTT, SampleRTT time.Duration
	Gradient          float64
	// Measuring is true while the shortest time is measured.
	Measuring bool
}

// Stats returns what the gradient goes by.
func (g *Gradient) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Stats{g.limit, g.shortest, g.latest, g.gradient, g.measuring}
}

// advance ends the windows that are over.
func (g *Gradient) advance(now time.Duration) {
	switch {
	case g.measuring:
		return
	case g.options.FixedMinRTT == 0 && now >= g.measure:
		g.begin(now)
		return
	case now < g.update:
		return
	}
	g.update = now + g.options.UpdateInterval
	if g.samples.count == 0 {
		return
	}
	g.latest = g.samples.percentile(g.options.Percentile)
	g.samples = histogram{}
	g.set(g.next())
	if g.atLeast >= windows && g.options.FixedMinRTT == 0 {
		g.begin(now)
	}
}

// next is the limit after a window.
func (g *Gradient) next() int {
	o := &g.options
	good := float64(g.shortest) * (1 + o.Buffer/100)
	g.gradient = min(max(good/float64(max(g.latest, 1)), 0.5), 2)
	limit := float64(g.limit) * g.gradient
	limit += math.Sqrt(limit) // room for it to rise, and for bursts
	return min(max(int(limit), o.MinLimit), o.MaxLimit)
}

func (g *Gradient) set(limit int) {
	if least := g.options.MinLimit; !g.measuring && g.limit == least && limit == least {
		g.atLeast++
	} else {
		g.atLeast = 0
	}
	g.limit = limit
}

// begin begins to measure the shortest time.
func (g *Gradient) begin(now time.Duration) {
	g.deferred, g.epoch, g.measuring = g.limit, now, true
	g.samples = histogram{}
	g.set(g.options.MinLimit)
}

// end ends the measurement.
func (g *Gradient) end(now time.Duration) {
	o := &g.options
	g.shortest = max(g.samples.percentile(o.Percentile), 1)
	g.samples = histogram{}
	g.set(g.deferred)
	g.measuring = false
	g.update = now + o.UpdateInterval
	g.measure = now + o.MinRTTInterval
	if late := uint64(float64(o.MinRTTInterval) * o.Jitter / 100); late > 0 {
		g.measure += time.Duration(g.random.Uint64() % late)
	}
}
