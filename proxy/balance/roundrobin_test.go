package balance

import (
	"sync"
	"testing"
)

func TestRoundRobinTakesTurns(t *testing.T) {
	var r RoundRobin
	for i := range 10 {
		if got := r.Pick(3); got != i%3 {
			t.Fatalf("pick %d is endpoint %d, want %d", i, got, i%3)
		}
	}
}

func TestRoundRobinWithoutEndpoints(t *testing.T) {
	var r RoundRobin
	if got := r.Pick(0); got != -1 {
		t.Fatalf("Pick(0) = %d, want -1", got)
	}
}

func TestRoundRobinIsFairUnderConcurrency(t *testing.T) {
	const each, workers, n = 1200, 4, 3
	var r RoundRobin
	var mu sync.Mutex
	counts := make([]int, n)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			mine := make([]int, n)
			for range each {
				mine[r.Pick(n)]++
			}
			mu.Lock()
			defer mu.Unlock()
			for i, c := range mine {
				counts[i] += c
			}
		})
	}
	wg.Wait()
	for i, c := range counts {
		if c != each*workers/n {
			t.Errorf("endpoint %d was picked %d times, want %d", i, c, each*workers/n)
		}
	}
}

func BenchmarkRoundRobin(b *testing.B) {
	var r RoundRobin
	b.ReportAllocs()
	for b.Loop() {
		r.Pick(1000)
	}
}
