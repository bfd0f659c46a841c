package balance

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestRandomIsByWeight(t *testing.T) {
	for _, weights := range [][]float64{{1, 1, 1}, {1, 2, 5}, {0.1, 1000, 3, 3, 3}, {7, 7}} {
		s := NewSet(weighted(weights...), policyOptions(PolicyRandom), 1)
		wantShares(t, picks(t, s, 100000, nil), weights)
	}
}

func TestLeastRequestAvoidsTheBusy(t *testing.T) {
	hosts := weighted(1, 1, 1, 1)
	for range 10 {
		hosts[2].Load.Begin(0)
	}
	s := NewSet(hosts, policyOptions(PolicyLeastRequest), 1)
	counts := picks(t, s, 60000, nil)
	if counts[2] != 0 { // it is never alone: two are compared, and they differ
		t.Errorf("the busy host was picked %d times", counts[2])
	}
	// A pair is one of six. The busy one is in three of them, one with each.
	wantShares(t, counts, []float64{1, 1, 0, 1})
}

func TestLeastRequestComparesAsManyAsItIsTold(t *testing.T) {
	hosts := weighted(1, 1, 1, 1, 1, 1, 1, 1)
	for i := range 7 {
		hosts[i].Load.Begin(0)
	}
	idle := func(choices int) float64 {
		o := policyOptions(PolicyLeastRequest)
		o.Choices = choices
		return float64(picks(t, NewSet(hosts, o, 1), 50000, nil)[7]) / 50000
	}
	if two := idle(2); two < 0.24 || two > 0.26 { // 1/8 to be the first, and 1/8 the second
		t.Errorf("of two of eight, the idle host is %.3f, want 0.25", two)
	}
	if many := idle(50); many < 0.99 {
		t.Errorf("of fifty draws, the idle host is %.3f, want nearly all", many)
	}
}

func TestWeightedLeastRequest(t *testing.T) {
	weights := []float64{1, 2, 5}
	hosts := weighted(weights...)
	s := NewSet(hosts, policyOptions(PolicyLeastRequest), 1)
	for i, n := range picks(t, s, 8000, nil) {
		if want := int(weights[i] * 1000); n < want-1 || n > want+1 {
			t.Errorf("idle host %d was picked %d times, want %d", i, n, want)
		}
	}
	for range 4 { // its weight is 5/5 now
		hosts[2].Load.Begin(0)
	}
	for i, n := range picks(t, s, 4000, nil) {
		if want := []int{1000, 2000, 1000}[i]; n < want-2 || n > want+2 {
			t.Errorf("with a busy host, host %d was picked %d times, want %d", i, n, want)
		}
	}
	o := policyOptions(PolicyLeastRequest)
	o.Bias = 0
	for i, n := range picks(t, NewSet(hosts, o, 1), 8000, nil) {
		if want := int(weights[i] * 1000); n < want-1 || n > want+1 {
			t.Errorf("without bias, host %d was picked %d times, want %d", i, n, want)
		}
	}
}

func TestPeakEWMAPrefersTheQuick(t *testing.T) {
	hosts := weighted(1, 1, 1)
	for i, took := range []time.Duration{10 * ms, 20 * ms, 100 * ms} {
		answer(hosts[i].Load, time.Second, took, true)
	}
	s := NewSet(hosts, policyOptions(PolicyPeakEWMA), 1)
	now := func(r *Request) { r.Now = time.Second }
	counts := picks(t, s, 30000, now)
	wantShares(t, counts, []float64{2, 1, 0}) // each wins against the slower ones it meets
	for range 5 {                             // 10 ms * 6 is more than 20 ms * 1
		hosts[0].Load.Begin(time.Second)
	}
	wantShares(t, picks(t, s, 30000, now), []float64{1, 2, 0})
}

func TestPeakEWMAFeelsAHangingEndpoint(t *testing.T) {
	hosts := weighted(1, 1, 1)
	for _, h := range hosts {
		answer(h.Load, time.Second, 10*ms, true)
	}
	hosts[0].Load.Begin(time.Second)
	s := NewSet(hosts, policyOptions(PolicyPeakEWMA), 1)
	counts := picks(t, s, 3000, func(r *Request) { r.Now = 2 * time.Second })
	if counts[0] != 0 {
		t.Errorf("the endpoint that hangs for 1s was picked %d times of 3000", counts[0])
	}
}

func TestPeakEWMATriesTheSlowAgain(t *testing.T) {
	hosts := weighted(1, 1)
	answer(hosts[0].Load, time.Second, 2*time.Second, true)
	s := NewSet(hosts, policyOptions(PolicyPeakEWMA), 1)
	at := func(now time.Duration) (slow int) {
		for range 10 { // the other keeps answering in 20 ms
			answer(hosts[1].Load, now, 20*ms, true)
		}
		return picks(t, s, 1000, func(r *Request) { r.Now = now })[0]
	}
	if n := at(2 * time.Second); n != 0 {
		t.Errorf("a second after a peak of 2s the endpoint was picked %d times", n)
	}
	if n := at(2 * time.Minute); n == 0 {
		t.Error("two minutes after its peak the endpoint is still avoided")
	}
}

// Requests are simulated: each takes as long as its host needs, ten at a time.
func TestPeakEWMAHoldsWeights(t *testing.T) {
	weights := []float64{1, 2, 5, 1, 2, 5}
	hosts := weighted(weights...)
	s := NewSet(hosts, policyOptions(PolicyPeakEWMA), 1)
	type flight struct {
		host  int
		began time.Duration
	}
	var flights []flight
	counts := make([]int, len(hosts))
	rnd := rand.New(rand.NewPCG(5, 6))
	now := time.Second
	for range 60000 {
		now += 100 * time.Microsecond
		if len(flights) >= 30 {
			f := flights[0]
			flights = flights[1:]
			hosts[f.host].Load.Answer(f.began, now, true)
			hosts[f.host].Load.End()
		}
		i, _ := s.Pick(&Request{Random: rnd.Uint64(), Now: now})
		hosts[i].Load.Begin(now)
		flights = append(flights, flight{i, now})
		counts[i]++
	}
	for i, w := range weights {
		if want, got := w/sum(weights), float64(counts[i])/60000; got < 0.7*want || got > 1.3*want {
			t.Errorf("host %d of weight %v has %.3f of the traffic, want about %.3f", i, w, got, want)
		}
	}
}
