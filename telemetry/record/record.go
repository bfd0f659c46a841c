package record

import (
	"context"
	"log/slog"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// View receives finished Hops. One goroutine calls all its methods but Name. A panic of a
// method is counted and logged, and the view still gets the next Hop.
type View interface {
	// Name is the view's name in metrics and logs: "spans", "access_log".
	Name() string
	// Observe receives one finished Hop, in the order of its shard. The Hop, its texts
	// and its attempts are reused afterwards: clone what you keep. Observe must not
	// block: meanwhile Hops pile up, and are dropped when a ring is full.
	Observe(h *hop.Hop)
	// Tick is the moment to pass on what the view has buffered. It comes within a tenth
	// of a second of every Observe, and never while nothing happens.
	Tick(now time.Time)
	// Close passes on everything and ends the view, within ctx. No other call follows it.
	Close(ctx context.Context) error
}

// Options are the sizes of a Recorder. The zero value is right for
// production.
type Options struct {
	// Shards is the number of rings; default is GOMAXPROCS.
	Shards int
	// Capacity is how many Hops each ring holds, rounded up to a power of
	// two of at least 128; default 4096.
	Capacity int
	// Log receives views' panics, at most one line every ten seconds, and drops, at
	// most one a minute; default is to discard them.
	Log *slog.Logger
}

const (
	// watermark is how many Hops pile up in a ring before a producer wakes a lingering
	// worker. It is also how many Hops the worker takes from one ring before it goes to
	// the next.
	watermark = 64
	// linger is how long the worker sleeps after work, so that more can gather.
	linger = 5 * time.Millisecond
	// tickEvery is the time between two Ticks while there is work.
	tickEvery = 100 * time.Millisecond
)

// Recorder passes finished Hops from the data plane to the views. Any goroutine may call
// its methods.
type Recorder struct {
	pool   hop.Pool
	shards []shard
	worker worker

	wake chan struct{}      // one token: the worker has been called
	ask  chan chan struct{} // requests of Flush; the worker answers by closing the channel
	quit chan struct{}      // closed by Close
	done chan struct{}      // closed when the worker has ended

	closing  sync.Once
	quitting context.Context // Close's context for the views; set before quit is closed

	_     [64]byte
	state atomic.Uint32
	_     [60]byte
}

// The worker's state tells producers whether to wake it.
const (
	working   uint32 = iota // it will look at the rings again by itself
	lingering               // it sleeps on a timer; a watermark wakes it
	parked                  // it sleeps for good; any Hop wakes it
	closed                  // it has ended; Hops are dropped
)

// New starts a Recorder that passes each Hop to the views in their order. Call
// [Recorder.Close] in the end; it closes the views.
func New(views []View, o Options) *Recorder {
	if o.Shards <= 0 {
		o.Shards = runtime.GOMAXPROCS(0)
	}
	if o.Capacity <= 0 {
		o.Capacity = 4096
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	capacity := 1 << bits.Len(uint(max(o.Capacity, 2*watermark)-1))
	r := &Recorder{
		shards: make([]shard, o.Shards),
		wake:   make(chan struct{}, 1),
		ask:    make(chan chan struct{}),
		quit:   make(chan struct{}),
		done:   make(chan struct{}),
	}
	for i := range r.shards {
		r.shards[i].recorder = r
		r.shards[i].ring.init(capacity)
	}
	r.worker.init(r, views, o.Log)
	go r.worker.run()
	return r
}

// Sink returns shard i modulo the number of shards. Goroutines may share a shard, but
// should not if they run on different cores.
func (r *Recorder) Sink(i int) hop.Sink {
	return &r.shards[uint(i)%uint(len(r.shards))]
}

// Flush returns when the views have observed every Hop that was recorded before the call,
// and have passed on what they hold. The error is ctx's.
func (r *Recorder) Flush(ctx context.Context) error {
	answer := make(chan struct{})
	select {
	case r.ask <- answer:
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-answer:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close passes everything that was recorded so far to the views, closes them with ctx,
// and ends the worker. It returns the views' errors, or ctx's if a view does not return
// in time; the worker then ends when that view returns. Hops that are recorded later are
// dropped and counted. A second Close waits for the first.
func (r *Recorder) Close(ctx context.Context) error {
	r.closing.Do(func() {
		r.quitting = ctx
		close(r.quit)
	})
	select {
	case <-r.done:
		return r.worker.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Dropped calls emit with the number of lost Hops so far, with the labels view and
// reason: "all" with "ring_full" or "closed", and each view with "panic". It is for a
// metric that is read at each scrape.
func (r *Recorder) Dropped(emit func(value float64, labelValues ...string)) {
	full, late := r.lost()
	emit(float64(full), "all", "ring_full")
	emit(float64(late), "all", "closed")
	for i, v := range r.worker.views {
		emit(float64(r.worker.panics[i].Load()), v.Name(), "panic")
	}
}

// lost returns how many Hops were dropped because a ring was full, and because the
// Recorder was closed.
func (r *Recorder) lost() (full, late uint64) {
	for i := range r.shards {
		full += r.shards[i].full.Load()
		late += r.shards[i].late.Load()
	}
	return full, late
}

// call wakes the worker unless another producer has. It never waits: the channel holds
// one token.
func (r *Recorder) call(state uint32) {
	if !r.state.CompareAndSwap(state, working) {
		return
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// shard is one ring, with counts of the Hops that it dropped.
type shard struct {
	ring     ring
	recorder *Recorder
	full     atomic.Uint64 // dropped because the ring was full
	late     atomic.Uint64 // dropped because the Recorder was closed
	_        [64]byte
}

// Open implements [hop.Sink].
func (s *shard) Open() *hop.Hop { return s.recorder.pool.Get() }

// Record implements [hop.Sink].
func (s *shard) Record(h *hop.Hop) {
	r := s.recorder
	pos, ok := s.ring.push(h)
	if !ok {
		s.full.Add(1)
		r.pool.Put(h)
		return
	}
	switch state := r.state.Load(); state {
	case parked:
		r.call(state)
	case lingering:
		// Counting pushes is as good as checking how full the ring is, and saves the
		// producer the consumer's cache line.
		if pos%watermark == watermark-1 {
			r.call(state)
		}
	case closed:
		s.discard()
	}
}

// discard drops Hops that came after the worker's last look.
func (s *shard) discard() {
	w := &s.recorder.worker
	w.consume.Lock()
	defer w.consume.Unlock()
	for h := s.ring.pop(); h != nil; h = s.ring.pop() {
		s.late.Add(1)
		s.recorder.pool.Put(h)
	}
}
