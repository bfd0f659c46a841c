package record

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// worker is the one goroutine that empties the rings.
type worker struct {
	recorder *Recorder
	views    []View
	panics   []atomic.Uint64 // of each view
	log      *slog.Logger
	logged   time.Time // when a panic was last logged
	full     uint64    // Hops dropped by full rings, at the last report
	reported time.Time // when the last report was
	next     int       // the view to call next
	err      error     // of the views' Close; read once done is closed
	// consume guards pop once the Recorder is closed: then producers empty the rings
	// themselves.
	consume sync.Mutex
}

func (w *worker) init(r *Recorder, views []View, log *slog.Logger) {
	w.recorder, w.views, w.log = r, views, log
	w.panics = make([]atomic.Uint64, len(views))
}

// run sweeps the rings while they have Hops. Then it lingers, to let more gather. When
// that brought nothing and the views hold nothing back, it sleeps until a producer wakes
// it.
func (w *worker) run() {
	r := w.recorder
	defer close(r.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	again := make(chan time.Time)
	close(again)
	var ticked time.Time
	held := false // whether views may hold something since the last Tick
	for {
		timer.Stop()
		r.state.Store(working)
		worked, more := w.sweep()
		held = held || worked
		now := time.Now()
		if held && now.Sub(ticked) >= tickEvery {
			w.tick(now)
			ticked, held = now, false
		}
		var sleep <-chan time.Time
		switch {
		case more:
			// On a single core the data plane must not wait for us.
			runtime.Gosched()
			sleep = again
		case worked:
			sleep = timer.C
			timer.Reset(linger)
			r.state.Store(lingering)
		case held:
			sleep = timer.C
			timer.Reset(ticked.Add(tickEvery).Sub(now))
			r.state.Store(lingering)
		default:
			r.state.Store(parked)
			if w.ready() { // its producer pushed before it could see us park
				sleep = again
			}
		}
		select {
		case <-r.wake:
		case <-sleep:
		case answer := <-r.ask:
			w.catchUp()
			w.tick(time.Now())
			close(answer)
		case <-r.quit:
			w.close(r.quitting)
			return
		}
	}
}

// sweep observes up to watermark Hops of each ring. It reports whether there were any,
// and whether a ring may have more.
func (w *worker) sweep() (worked, more bool) {
	shards := w.recorder.shards
	for i := range shards {
		n := 0
		for ; n < watermark; n++ {
			h := shards[i].ring.pop()
			if h == nil {
				break
			}
			w.observe(h)
		}
		worked = worked || n > 0
		more = more || n == watermark
	}
	return worked, more
}

// catchUp observes everything that was pushed before the call. It waits for producers
// that have taken a slot but not filled it yet.
func (w *worker) catchUp() {
	for i := range w.recorder.shards {
		ring := &w.recorder.shards[i].ring
		for end := ring.tail.Load(); int64(end-ring.head) > 0; {
			if h := ring.pop(); h != nil {
				w.observe(h)
			} else {
				runtime.Gosched()
			}
		}
	}
}

// ready reports whether any ring has something.
func (w *worker) ready() bool {
	for i := range w.recorder.shards {
		if w.recorder.shards[i].ring.ready() {
			return true
		}
	}
	return false
}

// close ends the Recorder. It observes what producers pushed before they could see the
// new state; they discard later Hops themselves.
func (w *worker) close(ctx context.Context) {
	w.consume.Lock()
	w.recorder.state.Store(closed)
	w.catchUp()
	w.consume.Unlock()
	var errs []error
	w.each(func(v View) {
		if err := v.Close(ctx); err != nil {
			errs = append(errs, fmt.Errorf("closing view %s: %w", v.Name(), err))
		}
	})
	w.err = errors.Join(errs...)
}

// observe passes h to every view and puts it back into the pool.
func (w *worker) observe(h *hop.Hop) {
	for w.next = 0; w.next < len(w.views); {
		w.show(h)
	}
	w.recorder.pool.Put(h)
}

// show calls the views from next on. It returns early if one panics.
func (w *worker) show(h *hop.Hop) {
	defer w.rescue()
	for w.next < len(w.views) {
		v := w.views[w.next]
		w.next++
		v.Observe(h)
	}
}

func (w *worker) tick(now time.Time) {
	w.each(func(v View) { v.Tick(now) })
	w.report(now)
}

// reportEvery is the time between two reports of dropped Hops.
const reportEvery = time.Minute

// report logs that Hops were dropped because the views are too slow.
func (w *worker) report(now time.Time) {
	if now.Sub(w.reported) < reportEvery {
		return
	}
	if full, _ := w.recorder.lost(); full != w.full {
		w.full, w.reported = full, now
		w.log.Warn("hops are missing from all views: they came faster than the views could take them", "reason", "ring_full", "dropped_so_far", full)
	}
}

// each calls f for every view.
func (w *worker) each(f func(View)) {
	for w.next = 0; w.next < len(w.views); {
		func() {
			defer w.rescue()
			v := w.views[w.next]
			w.next++
			f(v)
		}()
	}
}

// rescue is deferred around calls of views: it counts the panic of the view
// before next.
func (w *worker) rescue() {
	p := recover()
	if p == nil {
		return
	}
	i := w.next - 1
	w.panics[i].Add(1)
	if now := time.Now(); now.Sub(w.logged) >= 10*time.Second {
		w.logged = now
		w.log.Error("a telemetry view panicked; the hop is missing from it",
			"view", w.views[i].Name(), "panic", p, "total", w.panics[i].Load(),
			"stack", string(debug.Stack()))
	}
}
