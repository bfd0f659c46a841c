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

// View is one way to see Hops. All its methods but Name are called from one
// goroutine. A method that panics is counted and logged, and the view is
// called again with the next Hop.
type View interface {
	// Name is the view's name in metrics and logs: "spans", "access_log".
	Name() string
	// Observe shows one finished Hop, in the order in which a shard received
	// them. The Hop, its texts and its attempts are reused afterwards: a
	// view that keeps something clones it. Observe must not block, because
	// while it does Hops pile up, and are dropped when a ring is full.
	Observe(h *hop.Hop)
	// Tick is the moment to hand on what was buffered. It comes within a
	// tenth of a second of every Observe, and never while nothing happens.
	Tick(now time.Time)
	// Close hands on everything and ends the view, within ctx. No other call
	// follows it.
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
	// watermark is how many Hops pile up in a ring before its producers wake
	// a worker that lingers, and how many the worker takes from one ring
	// before it goes on to the next.
	watermark = 64
	// linger is how long the worker sleeps after work to let more of it
	// gather.
	linger = 5 * time.Millisecond
	// tickEvery is the time between two Ticks while there is work.
	tickEvery = 100 * time.Millisecond
)

// Recorder takes finished Hops from the data plane and shows them to the
// views. Its methods may be called from any goroutine.
type Recorder struct {
	pool   hop.Pool
	shards []shard
	worker worker

	wake chan struct{}      // one token: the worker has been called
	ask  chan chan struct{} // of Flush; the answer is that it is closed
	quit chan struct{}      // closed by Close
	done chan struct{}      // closed when the worker has ended

	closing  sync.Once
	quitting context.Context // of Close, for the views; set before quit is closed

	_     [64]byte
	state atomic.Uint32
	_     [60]byte
}

// The worker's state, for producers to know whether to wake it.
const (
	working   uint32 = iota // it will look at the rings again by itself
	lingering               // it sleeps on a timer; a watermark wakes it
	parked                  // it sleeps for good; any Hop wakes it
	closed                  // it has ended; Hops are dropped
)

// New starts a Recorder that shows each Hop to views in their order. The
// caller ends it with [Recorder.Close], which closes the views.
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

// Sink returns shard i modulo the number of shards. Goroutines may share one;
// those that run on different cores had better not.
func (r *Recorder) Sink(i int) hop.Sink {
	return &r.shards[uint(i)%uint(len(r.shards))]
}

// Flush returns when every Hop that was recorded before the call has been
// observed and the views have been told to hand on what they hold. The error
// is ctx's.
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

// Close shows the views everything that was recorded so far, closes them with
// ctx, and ends the worker. It returns the views' errors, or ctx's where a
// view does not come back in time; the worker then ends when that view does.
// Hops that are recorded later are dropped and counted. A second Close waits
// for the first.
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

// Dropped tells emit how many Hops were lost so far, with the labels view and
// reason: "all" with "ring_full" or "closed", and each view with "panic". It
// has the form that a metric read at each scrape wants.
func (r *Recorder) Dropped(emit func(value float64, labelValues ...string)) {
	full, late := r.lost()
	emit(float64(full), "all", "ring_full")
	emit(float64(late), "all", "closed")
	for i, v := range r.worker.views {
		emit(float64(r.worker.panics[i].Load()), v.Name(), "panic")
	}
}

// lost is how many Hops were dropped because a ring was full, and because the
// Recorder was closed.
func (r *Recorder) lost() (full, late uint64) {
	for i := range r.shards {
		full += r.shards[i].full.Load()
		late += r.shards[i].late.Load()
	}
	return full, late
}

// call wakes the worker unless another producer has. The channel holds one
// token and is never waited for.
func (r *Recorder) call(state uint32) {
	if !r.state.CompareAndSwap(state, working) {
		return
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// shard is one ring and what was dropped before it.
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
		// Once in so many pushes is as good as looking at the fill, and
		// spares the producer the consumer's cache line.
		if pos%watermark == watermark-1 {
			r.call(state)
		}
	case closed:
		s.discard()
	}
}

// discard drops what came after the worker's last look.
func (s *shard) discard() {
	w := &s.recorder.worker
	w.consume.Lock()
	defer w.consume.Unlock()
	for h := s.ring.pop(); h != nil; h = s.ring.pop() {
		s.late.Add(1)
		s.recorder.pool.Put(h)
	}
}
