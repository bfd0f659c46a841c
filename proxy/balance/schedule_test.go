package balance

import (
	"math"
	"slices"
	"sync"
	"testing"
)

func TestWholeWeightsAreHeldByEachCycle(t *testing.T) {
	for _, tt := range []struct {
		weights []float64
		cycle   int
	}{
		{[]float64{1, 2, 5}, 8},
		{[]float64{10, 20, 50}, 8}, // the same in lowest terms
		{[]float64{3, 7}, 10},
		{[]float64{1, 1, 1, 1, 96}, 100},
	} {
		s := NewSet(weighted(tt.weights...), policyOptions(PolicyRoundRobin), 99)
		unit := float64(tt.cycle) / sum(tt.weights)
		for range 5 {
			for i, n := range picks(t, s, tt.cycle, nil) {
				if want := int(tt.weights[i] * unit); n != want {
					t.Errorf("weights %v: host %d has %d turns of a cycle of %d, want %d", tt.weights, i, n, tt.cycle, want)
				}
			}
		}
	}
}

func sum(weights []float64) (s float64) {
	for _, w := range weights {
		s += w
	}
	return s
}

func TestScheduleIsSmooth(t *testing.T) {
	s := newSchedule([]float64{1, 2, 5}, 0)
	last := -1
	for range 80 {
		i := s.pick()
		if i == last && i != 2 {
			t.Errorf("host %d has two turns on end", i)
		}
		last = i
	}
	var runs []int // of the heaviest, which has 5 of 8 turns
	run := 0
	for range 80 {
		if s.pick() == 2 {
			run++
		} else if run > 0 {
			runs, run = append(runs, run), 0
		}
	}
	if slices.Max(runs) > 3 {
		t.Errorf("a host of 5 in 8 has runs of %v turns", runs)
	}
}

// Weights that no short cycle can hold are right to a turn in each cycle, and in the
// long run exact.
func TestOddWeightsAreHeldInTheLongRun(t *testing.T) {
	weights := make([]float64, 300)
	for i := range weights {
		weights[i] = math.Exp(float64(i%37)/5) * math.Pi // 1 to 1,339
	}
	const cycles = 1000
	s := newSchedule(weights, 12345)
	size := len(s.slots)
	counts := make([]int, len(weights))
	for range cycles {
		cycle := make([]int, len(weights))
		for range size {
			cycle[s.pick()]++
		}
		for i, n := range cycle {
			counts[i] += n
		}
	}
	all := sum(weights)
	for i, n := range counts {
		want := weights[i] / all * float64(size*cycles)
		if slack := 5.0; math.Abs(float64(n)-want) > slack { // turns, of more than a million
			t.Errorf("host %d has %d turns of %d, want %.1f ± %v", i, n, size*cycles, want, slack)
		}
	}
}

func TestASetBeginsWhereTheSeedSays(t *testing.T) {
	for _, weights := range [][]float64{{1, 1, 1, 1, 1}, {1, 2, 3, 4, 5}} {
		for _, p := range []Policy{PolicyRoundRobin, PolicyLeastRequest} {
			first := make([]int, len(weights))
			for seed := range uint64(500) {
				i, _ := NewSet(weighted(weights...), policyOptions(p), seed).Pick(&Request{Random: seed * goldenRatio})
				first[i]++
			}
			wantShares(t, first, weights)
		}
	}
}

func TestTurnsAreFairUnderConcurrency(t *testing.T) {
	const workers, each = 4, 2000
	s := NewSet(weighted(1, 2, 5), policyOptions(PolicyRoundRobin), 0)
	counts := make([][3]int, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range each {
				i, _ := s.Pick(&Request{})
				counts[w][i]++
			}
		})
	}
	wg.Wait()
	for i, want := range []int{1000, 2000, 5000} {
		got := 0
		for w := range workers {
			got += counts[w][i]
		}
		if got != want {
			t.Errorf("host %d had %d turns, want %d", i, got, want)
		}
	}
}
