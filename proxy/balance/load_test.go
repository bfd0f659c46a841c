package balance

import (
	"math"
	"sync"
	"testing"
	"time"
)

const ms = time.Millisecond

func TestLoadCountsRequests(t *testing.T) {
	var total Total
	a, b := NewLoad(0, &total), NewLoad(0, &total)
	a.Begin(1)
	a.Begin(2)
	b.Begin(3)
	a.Answer(1, 4, true) // an answer ends nothing: its body may take long
	if a.Active() != 2 || b.Active() != 1 || total.Active() != 3 {
		t.Errorf("active %d, %d, together %d; want 2, 1, 3", a.Active(), b.Active(), total.Active())
	}
	a.End()
	a.End()
	b.End()
	if a.Active() != 0 || b.Active() != 0 || total.Active() != 0 {
		t.Errorf("active %d, %d, together %d; want none", a.Active(), b.Active(), total.Active())
	}
}

// answer is an answer at that moment that took so long.
func answer(l *Load, at, took time.Duration, ok bool) {
	l.Begin(at - took)
	l.Answer(at-took, at, ok)
	l.End()
}

func TestLatency(t *testing.T) {
	fade := math.Exp(-1)
	near := func(got, want time.Duration) bool { return math.Abs(float64(got-want)) <= 2 }
	l := NewLoad(10*time.Second, nil)
	if got := l.Latency(time.Second); got != 0 {
		t.Errorf("latency before any answer is %v, want 0", got)
	}
	answer(l, time.Second, 10*ms, true)
	if got := l.Latency(time.Second); got != 10*ms {
		t.Errorf("latency is %v, want the first answer's 10ms", got)
	}
	answer(l, time.Second, 100*ms, true)
	if got := l.Latency(time.Second); got != 100*ms {
		t.Errorf("latency is %v, want the peak of 100ms at once", got)
	}
	if got, want := l.Latency(11*time.Second), time.Duration(float64(100*ms)*fade); !near(got, want) {
		t.Errorf("latency after 10s is %v, want %v: 1/e of it", got, want)
	}
	answer(l, 11*time.Second, 10*ms, true) // the memory's weight is 1/e, the answer's the rest
	if got, want := l.Latency(11*time.Second), time.Duration(float64(100*ms)*fade+float64(10*ms)*(1-fade)); !near(got, want) {
		t.Errorf("latency is %v, want %v", got, want)
	}
}

func TestFailuresDoNotMakeFast(t *testing.T) {
	l := NewLoad(0, nil)
	answer(l, time.Second, 100*time.Microsecond, false)
	if got := l.Latency(time.Second); got != 0 {
		t.Errorf("latency after a quick refusal is %v, want none known", got)
	}
	answer(l, time.Second, 50*ms, true)
	answer(l, 9*time.Second, ms, false)
	if got := l.Latency(9 * time.Second); got != 50*ms {
		t.Errorf("latency after a quick failure is %v, want the 50ms before it", got)
	}
	answer(l, 9*time.Second, 5*time.Second, false)
	if got := l.Latency(9 * time.Second); got != 5*time.Second {
		t.Errorf("latency after a timeout is %v, want its 5s", got)
	}
	unknown := NewLoad(0, nil)
	answer(unknown, time.Minute, 5*time.Second, false)
	if got := unknown.Latency(time.Minute); got != 5*time.Second {
		t.Errorf("latency after a first timeout is %v, want its 5s", got)
	}
}

func TestWaitingIsFelt(t *testing.T) {
	l := NewLoad(0, nil)
	expected := func(now time.Duration) time.Duration {
		return time.Duration(l.expected(now, float64(DefaultRTT)))
	}
	if got := expected(time.Hour); got != DefaultRTT {
		t.Errorf("an endpoint that never answered is expected to take %v, want %v", got, DefaultRTT)
	}
	l.Begin(time.Hour)
	l.Begin(time.Hour + 2*time.Second)
	if got, want := expected(time.Hour+4*time.Second), 3*time.Second; got != want {
		t.Errorf("two that wait for 4s and 2s: %v, want their mean, %v", got, want)
	}
	if got := expected(time.Hour - time.Second); got != DefaultRTT {
		t.Errorf("a clock that is behind: %v, want %v", got, DefaultRTT)
	}
	l.Answer(time.Hour, time.Hour+4*time.Second, true)
	l.Answer(time.Hour+2*time.Second, time.Hour+4*time.Second, true)
	if got := expected(time.Hour + 4*time.Second); got != 4*time.Second {
		t.Errorf("after the answers: %v, want the peak, 4s", got)
	}
	if got := expected(3 * time.Hour); got >= time.Microsecond {
		t.Errorf("streams that go on after their answer are held against the endpoint: %v", got)
	}
}

func TestLoadUnderConcurrency(t *testing.T) {
	var total Total
	l := NewLoad(0, &total)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				now := time.Duration(w*1000+i) * ms
				l.Begin(now)
				l.Latency(now)
				l.Answer(now, now+20*ms, true)
				l.End()
			}
		})
	}
	wg.Wait()
	if l.Active() != 0 || total.Active() != 0 || l.waiting.Load() != 0 {
		t.Errorf("left over: %d active, %d in all, %#x waiting", l.Active(), total.Active(), l.waiting.Load())
	}
	if got := l.Latency(0); got != 20*ms {
		t.Errorf("latency is %v, want 20ms, which all took", got)
	}
}
