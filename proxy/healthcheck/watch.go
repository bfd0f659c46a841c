package healthcheck

import (
	"math/rand/v2"
	"sync"
	"time"
)

// watch is one check of one endpoint. Between probes it is a timer, not a goroutine,
// since there may be ten thousand watches.
type watch struct {
	endpoint *Endpoint
	check    int
	prober   prober

	machine Machine // guarded by endpoint.mu, as is detail
	detail  string  // of the last result

	mu      sync.Mutex // never held while a probe or a report is made
	timer   *time.Timer
	due     time.Time // of the next probe
	probing bool
	over    bool
}

// begin sets the first probe.
func (w *watch) begin(wait time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due = time.Now().Add(wait)
	w.timer = time.AfterFunc(wait, w.run)
}

// run probes, and sets the next probe.
func (w *watch) run() {
	checker := w.endpoint.checker
	if !checker.enter() {
		return
	}
	defer checker.probes.Done()
	if !w.start() {
		return
	}
	result := timed(w.endpoint.ctx, w.prober, w.machine.options.Timeout)
	traffic := checker.traffic.Load()
	wait := w.endpoint.note(w, result, traffic)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.probing = false
	if w.over {
		w.prober.close()
		return
	}
	if !traffic && checker.traffic.Load() { // it began in the meantime
		wait = jitter(w.machine.options.Interval, rand.Uint64)
	}
	w.set(wait)
}

// start reports whether to probe now.
func (w *watch) start() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.probing || w.over {
		return false
	}
	w.probing = true
	return true
}

func (w *watch) set(wait time.Duration) {
	w.due = time.Now().Add(wait)
	w.timer.Reset(wait)
}

// hasten moves a probe that is farther off than its interval to a random time within the
// interval. A probe that is under way sets the next one itself.
func (w *watch) hasten() {
	w.mu.Lock()
	defer w.mu.Unlock()
	interval := w.machine.options.Interval
	if w.probing || w.over || time.Until(w.due) <= interval {
		return
	}
	w.set(jitter(interval, rand.Uint64))
}

// end stops further probes. It closes the prober now, or leaves that to the probe that is
// under way.
func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return
	}
	w.over = true
	w.timer.Stop()
	if !w.probing {
		w.prober.close()
	}
}
