package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/record"
)

var _ record.View = (*Store)(nil)

var start = time.Unix(1_700_000_000, 0)

var labels = &hop.Labels{Service: "web", Route: "/", Slow: time.Second}

// number is the trace id of that number, spread as random ids are.
func number(n uint64) hop.TraceID {
	var id hop.TraceID
	binary.BigEndian.PutUint64(id[:], n)
	binary.BigEndian.PutUint64(id[8:], n*0x9e3779b97f4a7c15+1)
	return id
}

func newHop(id hop.TraceID, change func(h *hop.Hop)) *hop.Hop {
	h := &hop.Hop{
		Labels: labels, Trace: id, Span: hop.SpanID{1}, Start: start,
		End: time.Millisecond, Method: "GET", Status: 200,
	}
	h.SetString(&h.Path, "/a/path/of/some/length")
	h.Attempt().Span = hop.SpanID{2}
	if change != nil {
		change(h)
	}
	return h
}

func failed(h *hop.Hop) {
	h.Status = 503
	h.Failure = hop.Failure{Origin: hop.OriginProxy, Hop: "cart", Caller: h.Labels.Service}
}

// check verifies that the store's books agree with what it holds.
func check(t *testing.T, s *Store) {
	t.Helper()
	inHalves, inTraces, order := 0, 0, 0
	for i := range s.halves {
		h := &s.halves[i]
		hops, bytes := 0, 0
		for e := h.first; e != nil; e = e.next {
			hops++
			bytes += e.size
			if s.traces[e.hop.Trace] != e.trace {
				t.Fatal("a hop's trace is not in the index")
			}
		}
		if hops != h.hops || bytes != h.bytes || bytes > h.maxBytes {
			t.Fatalf("half %d: %d hops of %d bytes, said to be %d of %d, at most %d",
				i, hops, bytes, h.hops, h.bytes, h.maxBytes)
		}
		inHalves += hops
	}
	for id, tr := range s.traces {
		var nFailed, nSlow int
		hops := tr.appendHops(nil)
		for _, h := range hops {
			if h.Trace != id {
				t.Fatal("a hop in the wrong trace")
			}
			if fails(h) {
				nFailed++
			}
			if h.Slow() && h.Labels.Direction != hop.Mirror {
				nSlow++
			}
		}
		if len(hops) == 0 || nFailed != tr.failed || nSlow != tr.slow {
			t.Fatalf("a trace of %d hops, %d failed, %d slow, says %d and %d",
				len(hops), nFailed, nSlow, tr.failed, tr.slow)
		}
		inTraces += len(hops)
	}
	var last *trace
	for tr := s.newest; tr != nil; tr = tr.older {
		if tr.newer != last {
			t.Fatal("the order of traces is torn")
		}
		last = tr
		order++
	}
	if last != s.oldest || order != len(s.traces) || inHalves != inTraces {
		t.Fatalf("%d traces in order, %d in the index; %d hops in halves, %d in traces",
			order, len(s.traces), inHalves, inTraces)
	}
}

func TestEveryHopIsKeptAtLowRates(t *testing.T) {
	s := New(1 << 20)
	for second := range 5 {
		for i := range uint64(ordinaryPerSecond) {
			s.Observe(newHop(number(uint64(second)<<32|i), nil))
		}
		s.Tick(start.Add(time.Duration(second+1) * time.Second))
	}
	if st := s.Stats(); st.Skipped != 0 || st.Kept != 5*ordinaryPerSecond || st.Sample != 1 {
		t.Errorf("at %d hops a second: %+v", ordinaryPerSecond, st)
	}
	check(t, s)
}

func TestKeptIsACopy(t *testing.T) {
	s := New(1 << 20)
	h := newHop(number(1), failed)
	s.Observe(h)
	h.Status = 200
	copy(h.Bytes(h.Path), "/overwritten")
	h.Attempts[0].Status = 1
	got := s.Trace(number(1))
	if len(got) != 1 || got[0].Status != 503 || got[0].String(got[0].Path) != "/a/path/of/some/length" || got[0].Attempts[0].Status != 0 {
		t.Errorf("what was kept changed with the hop: %+v", got)
	}
	if s.Trace(number(2)) != nil {
		t.Error("hops of a trace that never was")
	}
}

// Whatever the order and kinds of hops, the books agree and the bounds hold.
func TestBounds(t *testing.T) {
	const maxBytes = 64 << 10
	s := New(maxBytes)
	random := rand.New(rand.NewPCG(1, 2))
	now := start
	for i := range 20_000 {
		h := newHop(number(random.Uint64N(300)), func(h *hop.Hop) {
			switch random.IntN(10) {
			case 0:
				h.Status = 500
			case 1:
				h.End = 2 * time.Second
			case 2:
				h.Flags = hop.NoRoute
			}
			for range random.IntN(4) {
				h.Attempt()
			}
		})
		s.Observe(h)
		if i%100 == 0 {
			now = now.Add(time.Second)
			s.Tick(now)
			check(t, s)
		}
	}
	check(t, s)
	st := s.Stats()
	if st.Bytes > maxBytes || st.Bytes < maxBytes*8/10 {
		t.Errorf("%d of %d bytes used", st.Bytes, maxBytes)
	}
	if int(st.Kept-st.Evicted) != st.Hops || st.Kept+st.Skipped != 20_000 {
		t.Errorf("the counts don't add up: %+v", st)
	}
}

// Ordinary hops don't push out failed ones, nor the other way round.
func TestHalvesAreApart(t *testing.T) {
	s := New(64 << 10)
	s.Observe(newHop(number(1), failed))
	s.Observe(newHop(number(2), nil))
	for i := range uint64(1000) {
		s.Observe(newHop(number(100+i), nil))
	}
	if len(s.Trace(number(1))) != 1 {
		t.Error("a failed hop was pushed out by ordinary ones")
	}
	for i := range uint64(1000) {
		s.Observe(newHop(number(5000+i), failed))
	}
	if len(s.Trace(number(1))) != 0 {
		t.Error("the oldest failed hop is still there after a thousand others")
	}
	if len(s.Trace(number(5999))) != 1 {
		t.Error("the newest failed hop is not there")
	}
	if st := s.Stats(); st.Notable == 0 || st.Notable == st.Hops {
		t.Errorf("one half is empty: %+v", st)
	}
	check(t, s)
}

func TestNotable(t *testing.T) {
	for name, change := range map[string]func(h *hop.Hop){
		"failed": failed,
		"slow":   func(h *hop.Hop) { h.End = time.Second },
		"tried again": func(h *hop.Hop) {
			h.Attempts[0].Flags = hop.UpstreamConnectionFailure
			h.Attempt().Status = 200
		},
		"flagged": func(h *hop.Hop) { h.Status, h.Flags = 404, hop.NoRoute },
	} {
		s := New(1 << 20)
		s.sample.level = maxLevel // the sample takes nothing
		s.Observe(newHop(number(1), change))
		s.Observe(newHop(number(2), nil))
		if len(s.Trace(number(1))) != 1 || len(s.Trace(number(2))) != 0 {
			t.Errorf("%s: kept %d, ordinary kept %d", name, len(s.Trace(number(1))), len(s.Trace(number(2))))
		}
	}
}

// TestBesideFailures: what ends after a failed hop of its trace is kept with it.
func TestBesideFailures(t *testing.T) {
	s := New(1 << 20)
	s.sample.level = maxLevel // the sample takes nothing
	for n, change := range []func(*hop.Hop){nil, failed, nil} {
		for i := range 3 {
			s.Observe(newHop(number(1), func(h *hop.Hop) {
				h.Span = hop.SpanID{byte(n), byte(i)}
				if change != nil {
					change(h)
				}
			}))
		}
	}
	s.Observe(newHop(number(2), nil))
	if n := len(s.Trace(number(1))); n != 6 || s.Stats().Notable != 6 || s.Stats().Skipped != 4 {
		t.Errorf("%d hops, of 3 before, 3 that failed and 3 after; %+v", n, s.Stats())
	}
	for i := range 10 * maxBeside {
		s.Observe(newHop(number(1), func(h *hop.Hop) { h.Span = hop.SpanID{9, byte(i), byte(i >> 8)} }))
	}
	if n := len(s.Trace(number(1))); n != 3+maxBeside {
		t.Errorf("%d hops beside 3 failures, at most %d", n-3, maxBeside)
	}
	check(t, s)
}

// TestSince: it is said from when on all failures are there.
func TestSince(t *testing.T) {
	s := New(64 << 10)
	at := func(n uint64, change func(*hop.Hop)) {
		s.Observe(newHop(number(n), func(h *hop.Hop) {
			h.Start = start.Add(time.Duration(n) * time.Minute)
			if change != nil {
				change(h)
			}
		}))
	}
	at(1, nil)
	at(2, failed)
	at(3, nil)
	since := start.Add(2 * time.Minute)
	if k := s.Since(since); len(k.Hops) != 2 || !k.Failures.Equal(since) || !k.All.Equal(since) {
		t.Errorf("%d hops, failures from %v, all from %v", len(k.Hops), k.Failures.Sub(start), k.All.Sub(start))
	}
	for n := range uint64(1000) {
		at(3+n, failed)
	}
	k := s.Since(start)
	whole := k.Failures
	notable := 0
	for _, h := range k.Hops {
		if h.Failed() {
			notable++
			if !h.Start.Add(h.End).After(whole) {
				t.Fatalf("a hop at %v, whole from %v", h.Start.Sub(start), whole.Sub(start))
			}
		}
	}
	if oldest := time.Duration(1002-notable) * time.Minute; whole.Sub(start) != oldest+time.Millisecond {
		t.Errorf("%d failures are there, whole from %v, want %v", notable, whole.Sub(start), oldest)
	}
	s.sample.level = maxLevel
	s.Observe(newHop(number(5000), nil)) // which is skipped
	late := start.Add(time.Hour * 24)
	s.Tick(late)
	if k := s.Since(start); !k.All.Equal(late) || k.Failures.Equal(late) {
		t.Errorf("failures from %v, all from %v", k.Failures.Sub(start), k.All.Sub(start))
	}
}

func TestNotKept(t *testing.T) {
	s := New(0)
	s.Observe(newHop(number(1), failed))
	if st := s.Stats(); st.Kept != 0 || st.Hops != 0 {
		t.Errorf("a store of no bytes keeps: %+v", st)
	}
	s = New(8 << 10)
	s.Observe(newHop(number(1), failed))
	s.Observe(newHop(number(2), func(h *hop.Hop) {
		failed(h)
		for range 100 {
			h.Attempt()
		}
	}))
	s.Observe(newHop(hop.TraceID{}, failed))
	if st := s.Stats(); st.Hops != 1 || st.TooLarge != 1 || st.Evicted != 0 {
		t.Errorf("a hop that is too large, and one without a trace: %+v", st)
	}
	check(t, s)
}

// What the store says it holds is about what it costs.
func TestMemory(t *testing.T) {
	const maxBytes = 8 << 20
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	s := New(maxBytes)
	for i := range uint64(100_000) { // several times what fits, each its own trace
		h := newHop(number(i), nil)
		if i%2 == 0 {
			failed(h)
		}
		s.sample.level = 0 // every one, to fill both halves
		s.sample.budget = s.sample.kept + 1
		s.Observe(h)
	}
	used := heap() - before
	st := s.Stats()
	if st.Evicted < 50_000 || st.Traces != st.Hops {
		t.Fatalf("not what was meant: %+v", st)
	}
	if used > maxBytes*5/4 || used < maxBytes/2 {
		t.Errorf("%d bytes of memory for a store of %d", used, maxBytes)
	}
	runtime.KeepAlive(s)
}

// Queries from many goroutines while one observes; the race detector looks on.
func TestConcurrentUse(t *testing.T) {
	s := New(64 << 10)
	var queries sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		queries.Go(func() {
			for n := uint64(0); ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				for _, h := range s.Trace(number(n % 50)) {
					_ = h.Failed()
				}
				for _, sum := range s.Traces(Query{Failed: n%2 == 0, Limit: 5}) {
					_ = fmt.Sprint(sum.Root.Status)
				}
				s.Stats()
			}
		})
	}
	for i := range uint64(5000) {
		h := newHop(number(i%50), nil)
		if i%3 == 0 {
			failed(h)
		}
		s.Observe(h)
		s.Tick(start.Add(time.Duration(i) * 10 * time.Millisecond))
	}
	close(stop)
	queries.Wait()
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
	check(t, s)
}

func BenchmarkObserveSkipped(b *testing.B) {
	s := New(16 << 20)
	s.sample.level = maxLevel
	h := newHop(number(1), nil)
	b.ReportAllocs()
	for b.Loop() {
		s.Observe(h)
	}
	if s.Stats().Kept != 0 {
		b.Fatal("it was kept")
	}
}

func BenchmarkObserveKept(b *testing.B) {
	s := New(16 << 20)
	h := newHop(number(1), failed)
	b.ReportAllocs()
	i := uint64(0)
	for b.Loop() {
		i++
		h.Trace = number(i)
		s.Observe(h)
	}
}

func BenchmarkTraces(b *testing.B) {
	s := New(32 << 20)
	for i := range uint64(60_000) {
		h := newHop(number(i), failed)
		s.Observe(h)
	}
	for b.Loop() {
		s.Traces(Query{Service: "none"})
	}
}

func TestSkippedHopsCostNothing(t *testing.T) {
	s := New(1 << 20)
	s.sample.level = maxLevel
	h := newHop(number(1), nil)
	if n := testing.AllocsPerRun(100, func() { s.Observe(h) }); n != 0 {
		t.Errorf("%v allocations for a hop that is not kept", n)
	}
}
