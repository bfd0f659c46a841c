package balance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestSetOfNone(t *testing.T) {
	for p := range lastPolicy {
		if i, how := NewSet(nil, policyOptions(p), 1).Pick(&Request{}); i != -1 || how != 0 {
			t.Errorf("%v: Pick = %d, %q of no hosts", p, i, how)
		}
	}
}

func TestEqualWeightsAreHeld(t *testing.T) {
	for p := range lastPolicy {
		o := policyOptions(p)
		o.MinRingSize = 1 << 17
		counts := picks(t, NewSet(weighted(3, 3, 3, 3, 3), o, 1), 50000, nil)
		for i, n := range counts {
			if n < 9500 || n > 10500 {
				t.Errorf("%v: host %d was picked %d times of 50000, want 10000 ± 5%%", p, i, n)
			}
		}
	}
}

func TestSenselessWeightsCountAsOne(t *testing.T) {
	for _, w := range []float64{-3, 0, math.NaN(), math.Inf(1), math.Inf(-1)} {
		h := Host{Weight: w}
		if got := h.weight(); got != 1 {
			t.Errorf("weight %v counts as %v, want 1", w, got)
		}
	}
}

func TestPriorities(t *testing.T) {
	hosts := weighted(1, 1, 1, 1, 1, 1, 1, 1)
	for i := range hosts {
		hosts[i].Priority = 10 * (i / 4) // the levels need not be next to each other
	}
	hosts[0].Health, hosts[1].Health = Unhealthy, Unhealthy
	hosts[4].Health = Degraded
	for p := range lastPolicy {
		o := policyOptions(p)
		o.MinRingSize = 1 << 18
		s := NewSet(hosts, o, 1)
		failover := 0
		rnd := rand.New(rand.NewPCG(3, 4))
		for range 20000 {
			i, how := s.Pick(&Request{Hashed: true, Hash: rnd.Uint64(), Random: rnd.Uint64()})
			if hosts[i].Health != Healthy || (how == Failover) != (i >= 4) || how&^Failover != 0 {
				t.Fatalf("%v: %s host %d with outcome %q", p, hosts[i].Health, i, how)
			}
			if how == Failover {
				failover++
			}
		}
		wantShares(t, []int{20000 - failover, failover}, []float64{70, 30})
	}
}

func TestHashesStickToTheirPriority(t *testing.T) {
	hosts := weighted(1, 1, 1, 1, 1, 1, 1, 1)
	for i := range hosts {
		hosts[i].Priority = i / 4
	}
	hosts[0].Health, hosts[1].Health = Unhealthy, Unhealthy
	for _, p := range hashPolicies {
		s := NewSet(hosts, policyOptions(p), 1)
		for n := range 100 {
			hash := HashString(fmt.Sprint(n))
			first, _ := s.Pick(&Request{Hashed: true, Hash: hash, Random: 1})
			for random := range uint64(20) {
				if i, _ := s.Pick(&Request{Hashed: true, Hash: hash, Random: mix(random, 1)}); i != first {
					t.Fatalf("%v: the same hash went to host %d and host %d", p, first, i)
				}
			}
		}
	}
}

// Envoy's whole percents round one or two hosts of five hundred to none; with the panic
// off, those hosts are used all the same.
func TestTheLastHostsAreFound(t *testing.T) {
	for p := range lastPolicy {
		hosts := manyHosts(1000)
		for i := range hosts {
			hosts[i].Priority = i % 2
			hosts[i].Health = Unhealthy
		}
		hosts[501].Health = Degraded
		o := policyOptions(p)
		o.PanicThreshold = 0
		if i, how := NewSet(hosts, o, 1).Pick(&Request{}); i != 501 || how != Failover|DegradedHost {
			t.Errorf("%v: Pick = %d, %q; want the one degraded host, 501", p, i, how)
		}
		hosts[502].Health, hosts[504].Health = Healthy, Healthy
		counts := picks(t, NewSet(hosts, o, 1), 1000, nil)
		if got := counts[502] + counts[504]; got != 1000 {
			t.Errorf("%v: %d of 1000 picks are the two healthy hosts, want all", p, got)
		}
	}
}

func TestPanic(t *testing.T) {
	hosts := weighted(1, 1, 1, 1, 1)
	for i := range 3 {
		hosts[i].Health = Unhealthy
	}
	for p := range lastPolicy {
		if counts := picks(t, NewSet(hosts, policyOptions(p), 1), 1000, nil); slices.Contains(counts, 0) {
			t.Errorf("%v: in a panic hosts were left out: %v", p, counts)
		}
		if _, how := NewSet(hosts, policyOptions(p), 1).Pick(&Request{}); how != Panic {
			t.Errorf("%v: outcome %q, want panic", p, how)
		}
		o := policyOptions(p)
		o.PanicThreshold = 0
		if counts := picks(t, NewSet(hosts, o, 1), 1000, nil); counts[0]+counts[1]+counts[2] > 0 {
			t.Errorf("%v: without a panic unhealthy hosts were picked: %v", p, counts)
		}
	}
	drained := slices.Clone(hosts)
	drained[2].Health = Excluded // 2 of 4 are healthy now: no panic
	if _, how := NewSet(drained, policyOptions(PolicyRandom), 1).Pick(&Request{}); how != 0 {
		t.Errorf("a host that drains was counted: outcome %q", how)
	}
}

// Hosts that nobody has checked yet are picked while there is no other, and then for
// those who have tried all others.
func TestUncheckedHosts(t *testing.T) {
	for p := range lastPolicy {
		for _, threshold := range []float64{0, 50} {
			o := policyOptions(p)
			o.PanicThreshold = threshold
			hosts := weighted(1, 1, 1, 1)
			hosts[0].Health, hosts[1].Health, hosts[2].Health, hosts[3].Health = Unchecked, Unchecked, Unhealthy, Excluded
			counts := picks(t, NewSet(hosts, o, 1), 1000, nil)
			if counts[0] == 0 || counts[1] == 0 || counts[2]+counts[3] > 0 {
				t.Errorf("%v, threshold %v: with none that is well, picked %v", p, threshold, counts)
			}
			if _, how := NewSet(hosts, o, 1).Pick(&Request{}); how != UncheckedHost {
				t.Errorf("%v: outcome %q, want unchecked", p, how)
			}
			hosts = slices.Clone(hosts)
			hosts[2].Health, hosts[3].Health = Healthy, Degraded // two of four: no panic
			s := NewSet(hosts, o, 1)
			if counts := picks(t, s, 1000, nil); counts[0]+counts[1] > 0 {
				t.Errorf("%v, threshold %v: beside one that is well, picked %v", p, threshold, counts)
			}
			tried := Request{Tried: []*Load{hosts[2].Load, hosts[3].Load}}
			if i, how := s.Pick(&tried); i > 1 || how != UncheckedHost {
				t.Errorf("%v: after those that are well, host %d is picked with outcome %q", p, i, how)
			}
		}
	}
}

// Pick is checked against what may be picked, over hosts, options and requests of all
// kinds.
func TestPickIsAlwaysRight(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2024, 5))
	for round := range 3000 {
		hosts := anyHosts(rnd)
		o := DefaultOptions(Policy(rnd.IntN(int(lastPolicy))))
		o.MaglevTable, o.MinRingSize = 251, 64
		o.PanicThreshold = []float64{0, 50, 100}[rnd.IntN(3)]
		o.ZoneAware, o.Zone, o.MinZoneHosts = rnd.IntN(2) == 0, "a", 1
		o.BoundedLoad = []float64{0, 1.25}[rnd.IntN(2)]
		s := NewSet(hosts, &o, rnd.Uint64())
		if rnd.IntN(2) == 0 { // and by way of another Set
			other := anyHosts(rnd)
			s = NewSet(other, &o, rnd.Uint64()).Next(hosts, rnd.Uint64())
		}
		may, spare := mayBePicked(hosts, &o)
		for range 30 {
			r := Request{Random: rnd.Uint64(), Hash: rnd.Uint64(), Hashed: rnd.IntN(4) > 0, Now: time.Duration(rnd.IntN(1e9))}
			for len(hosts) > 0 && rnd.IntN(3) > 0 {
				r.Tried = append(r.Tried, hosts[rnd.IntN(len(hosts))].Load)
			}
			i, how := s.Pick(&r)
			checkPick(t, hosts, may, spare, &r, i, how)
			if t.Failed() {
				t.Fatalf("round %d: policy %v, panic %v, zones %v, hosts %+v, tried %d", round, o.Policy, o.PanicThreshold, o.ZoneAware, hosts, len(r.Tried))
			}
		}
	}
}

func anyHosts(rnd *rand.Rand) []Host {
	hosts := make([]Host, rnd.IntN(9))
	odd := rnd.IntN(2) == 0
	for i := range hosts {
		hosts[i] = Host{Key: fmt.Sprint("h", i), Weight: 1, Priority: rnd.IntN(3), Zone: string(rune('a' + rnd.IntN(3))), Health: Health(rnd.IntN(5)), Load: NewLoad(0, nil)}
		if rnd.IntN(2) == 0 {
			hosts[i].Health = Healthy
		}
		if odd {
			hosts[i].Weight = rnd.Float64() * 10
		}
		for range rnd.IntN(4) {
			hosts[i].Load.Begin(0)
		}
	}
	return hosts
}

// mayBePicked says of each host whether it may: the available ones, and in the
// priorities that panic all but those that drain. It panics by the definition, not by
// the code's shares. Those that were not checked yet are spare ones, or, where no other
// is available, as good as healthy.
func mayBePicked(hosts []Host, o *Options) (may, spare []bool) {
	hosts = slices.Clone(hosts)
	well := func(h Host) bool { return h.Health == Healthy || h.Health == Degraded }
	if !slices.ContainsFunc(hosts, well) {
		for i := range hosts {
			if hosts[i].Health == Unchecked {
				hosts[i].Health = Healthy
			}
		}
	}
	present, available, healthy, degraded := map[int]int{}, map[int]int{}, map[int]int{}, map[int]int{}
	for _, h := range hosts {
		if h.Health != Excluded {
			present[h.Priority]++
		}
		switch h.Health {
		case Healthy:
			available[h.Priority]++
			healthy[h.Priority]++
		case Degraded:
			available[h.Priority]++
			degraded[h.Priority]++
		}
	}
	total := 0
	for p, n := range present {
		total += min(100, 140*healthy[p]/n) + min(100, 140*degraded[p]/n)
	}
	may, spare = make([]bool, len(hosts)), make([]bool, len(hosts))
	for i, h := range hosts {
		p := h.Priority
		panics := total < 100 && h.Health != Excluded && 100*float64(available[p])/float64(present[p]) < o.PanicThreshold
		may[i] = well(h) || panics
		spare[i] = h.Health == Unchecked && !panics
	}
	return may, spare
}

func checkPick(t *testing.T, hosts []Host, may, spare []bool, r *Request, i int, how Outcome) {
	t.Helper()
	better, fresh := false, false // there is a host that may be picked, or is a spare one, and was not tried
	for j := range hosts {
		untried := !slices.Contains(r.Tried, hosts[j].Load)
		better = better || may[j] && untried
		fresh = fresh || (may[j] || spare[j]) && untried
	}
	switch {
	case i < -1 || i >= len(hosts):
		t.Errorf("host %d of %d was picked", i, len(hosts))
	case i == -1 && slices.Contains(may, true):
		t.Errorf("nothing was picked, of %v", may)
	case i == -1:
	case !may[i] && (better || !spare[i]):
		t.Errorf("host %d was picked, which may not be", i)
	case fresh && slices.Contains(r.Tried, hosts[i].Load):
		t.Errorf("host %d was picked again, and others were not tried", i)
	case fresh == (how&Repeated != 0):
		t.Errorf("host %d has outcome %q; others to try: %v", i, how, fresh)
	case hosts[i].Health == Unhealthy && how&Panic == 0:
		t.Errorf("unhealthy host %d was picked with outcome %q", i, how)
	case hosts[i].Health == Unchecked && how&(UncheckedHost|Panic) == 0:
		t.Errorf("host %d, which was not checked, was picked with outcome %q", i, how)
	case hosts[i].Health == Degraded && how&(DegradedHost|Panic) == 0:
		t.Errorf("degraded host %d was picked with outcome %q", i, how)
	}
}

func TestPickUnderConcurrency(t *testing.T) {
	for p := range lastPolicy {
		hosts := divided(unequal(manyHosts(60)))
		o := policyOptions(p)
		o.ZoneAware, o.Zone, o.BoundedLoad, o.MaglevTable = true, "z1", 1.25, 1009
		s := NewSet(hosts, o, 1)
		var wg sync.WaitGroup
		for w := range uint64(4) {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(w, 1))
				for n := range 500 {
					now := time.Duration(n) * ms
					i, _ := s.Pick(&Request{Random: rnd.Uint64(), Hash: rnd.Uint64(), Hashed: true, Now: now})
					hosts[i].Load.Begin(now)
					hosts[i].Load.Answer(now, now+ms, true)
					hosts[i].Load.End()
				}
			})
		}
		wg.Wait()
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	hosts := divided(unequal(manyHosts(100)))
	for p := range lastPolicy {
		o := policyOptions(p)
		o.ZoneAware, o.Zone, o.BoundedLoad, o.MaglevTable = true, "z1", 1.25, 1009
		o.Subsets = []Selector{{Keys: []string{"stage"}}}
		s := NewSet(hosts, o, 1)
		prod := NewCriteria(map[string]string{"stage": "prod"})
		random := uint64(0)
		if n := testing.AllocsPerRun(500, func() {
			random = mix(random, 1)
			tried := [...]*Load{hosts[0].Load, hosts[1].Load}
			s.Pick(&Request{Random: random, Hash: random, Hashed: true, Subset: prod, Tried: tried[:]})
		}); n != 0 {
			t.Errorf("%v: %v allocations a pick", p, n)
		}
	}
}
