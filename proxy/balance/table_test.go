package balance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

var hashPolicies = []Policy{PolicyRingHash, PolicyMaglev}

// owners are the keys of the hosts that hashes go to.
func owners(t *testing.T, s *Set, n int) []string {
	t.Helper()
	keys := make([]string, n)
	for i := range keys {
		at, _ := s.Pick(&Request{Hashed: true, Hash: HashString(fmt.Sprint("client-", i))})
		if at < 0 {
			t.Fatal("nothing was picked")
		}
		keys[i] = s.Hosts()[at].Key
	}
	return keys
}

func TestRingIsLaidAsEnvoyLaysIt(t *testing.T) {
	hosts := weighted(1, 2)
	s := NewSet(hosts, policyOptions(PolicyRingHash), 1)
	var r *ring
	for _, tab := range s.tables {
		r = tab.ring
	}
	// The lighter has ceil(1/3 * 1024) = 342 points, the other twice as many.
	want := map[uint64]uint32{}
	for i := range 342 {
		want[HashString(fmt.Sprintf("host-0_%d", i))] = 0
	}
	for i := range 684 {
		want[HashString(fmt.Sprintf("host-1_%d", i))] = 1
	}
	if len(r.hashes) != len(want) {
		t.Fatalf("the ring has %d points, want %d", len(r.hashes), len(want))
	}
	if !slices.IsSorted(r.hashes) {
		t.Error("the ring is not sorted")
	}
	for i, h := range r.hashes {
		if host, is := want[h]; !is || host != r.hosts[i] {
			t.Errorf("point %#x is host %d's; want it there: %v, of host %d", h, r.hosts[i], is, host)
		}
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	probes := []uint64{0, math.MaxUint64, r.hashes[0], r.hashes[0] + 1, r.hashes[500], r.hashes[len(r.hashes)-1], r.hashes[len(r.hashes)-1] + 1}
	for range 10000 {
		probes = append(probes, rnd.Uint64())
	}
	for _, h := range probes {
		at, _ := slices.BinarySearch(r.hashes, h)
		if got := r.find(h); got != at%len(r.hashes) {
			t.Fatalf("find(%#x) is point %d, want %d", h, got, at%len(r.hashes))
		}
	}
}

func TestRingSizes(t *testing.T) {
	for _, tt := range []struct {
		hosts, smallest, largest, want int
	}{
		{1000, 1024, MaxRingSize, 2000}, // two points each
		{10, 1024, MaxRingSize, 1030},
		{10, 1, 5, 5}, // not all have one
		{3, 5000, 10000, 5001},
	} {
		o := policyOptions(PolicyRingHash)
		o.MinRingSize, o.MaxRingSize = tt.smallest, tt.largest
		s := NewSet(manyHosts(tt.hosts), o, 1)
		for _, tab := range s.tables {
			if n := len(tab.ring.hashes); n != tt.want {
				t.Errorf("%d hosts, %d to %d: a ring of %d points, want %d", tt.hosts, tt.smallest, tt.largest, n, tt.want)
			}
		}
		owners(t, s, 100)
	}
}

func TestMaglevSharesAreEven(t *testing.T) {
	weights := []float64{1, 2, 5, 1, 2, 5, 0.5}
	s := NewSet(weighted(weights...), policyOptions(PolicyMaglev), 1)
	for _, tab := range s.tables {
		counts := make([]int, len(weights))
		for _, h := range tab.maglev.narrow {
			counts[h]++
		}
		for i, n := range counts {
			if want := weights[i] / sum(weights) * DefaultMaglevTable; math.Abs(float64(n)-want) > 2 {
				t.Errorf("host %d of weight %v has %d slots, want %.1f ± 2", i, weights[i], n, want)
			}
		}
	}
}

func TestHashPoliciesHoldWeights(t *testing.T) {
	weights := []float64{1, 2, 5}
	for _, p := range hashPolicies {
		o := policyOptions(p)
		o.MinRingSize = 1 << 16
		counts := picks(t, NewSet(weighted(weights...), o, 1), 100000, nil)
		for i, n := range counts {
			if want := weights[i] / 8 * 100000; math.Abs(float64(n)-want) > 0.05*want {
				t.Errorf("%v: host %d of weight %v has %d of 100000, want %.0f ± 5%%", p, i, weights[i], n, want)
			}
		}
	}
}

func TestRequestsWithoutHashGoAnywhere(t *testing.T) {
	for _, p := range hashPolicies {
		o := policyOptions(p)
		o.MinRingSize = 1 << 16
		counts := picks(t, NewSet(weighted(1, 1, 1, 1), o, 1), 10000, func(r *Request) { r.Hashed, r.Hash = false, 7 })
		for i, n := range counts {
			if n < 2200 || n > 2800 {
				t.Errorf("%v: host %d has %d of 10000, want about 2500", p, i, n)
			}
		}
	}
}

// When one of n hosts goes, all of its keys move, which are about 1/n. Of the others'
// some do: Envoy's ring keeps its size, so each host that stays gets 1/n more points and
// takes 1/n of the keys with them; a Maglev table is filled anew, which moves about as
// many. (Where the host is unhealthy and not gone, none move: see the next test.)
func TestFewKeysMove(t *testing.T) {
	const n, keys = 50, 50000
	for _, tt := range []struct {
		policy Policy
		others float64 // the greatest fraction of keys that may move between other hosts
	}{{PolicyRingHash, 1.1 / n}, {PolicyMaglev, 1.5 / n}} {
		o := policyOptions(tt.policy)
		o.MinRingSize = 1 << 16
		hosts := manyHosts(n)
		before := owners(t, NewSet(hosts, o, 1), keys)
		gone := hosts[17].Key
		after := owners(t, NewSet(slices.Delete(slices.Clone(hosts), 17, 18), o, 2), keys)
		its, moved := 0, 0
		for i := range before {
			switch {
			case before[i] == gone:
				its++
			case before[i] != after[i]:
				moved++
			}
		}
		if got := float64(its) / keys; got < 0.9/n || got > 1.1/n {
			t.Errorf("%v: %.4f of the keys were the host's, want 1/%d", tt.policy, got, n)
		}
		if got := float64(moved) / keys; got > tt.others {
			t.Errorf("%v: %.4f of the keys moved between hosts that stay, want at most %v", tt.policy, got, tt.others)
		}
	}
}

// A host that becomes unhealthy loses its keys, no other does, and it gets them back.
func TestHealthMovesOnlyAHostsOwnKeys(t *testing.T) {
	for _, p := range hashPolicies {
		hosts := manyHosts(50)
		s := NewSet(hosts, policyOptions(p), 1)
		before := owners(t, s, 20000)
		sick := slices.Clone(hosts)
		sick[3].Health = Unhealthy
		s = s.Next(sick, 2)
		heirs := map[string]int{}
		for i, k := range owners(t, s, 20000) {
			switch {
			case k == hosts[3].Key:
				t.Fatalf("%v: an unhealthy host was picked", p)
			case before[i] == hosts[3].Key:
				heirs[k]++
			case before[i] != k:
				t.Fatalf("%v: a key moved from %s to %s, both of which are healthy", p, before[i], k)
			}
		}
		if len(heirs) < 10 {
			t.Errorf("%v: the unhealthy host's keys all went to %v", p, heirs)
		}
		if !slices.Equal(owners(t, s.Next(hosts, 3), 20000), before) {
			t.Errorf("%v: keys did not come back", p)
		}
	}
}

func TestOrderOfHostsDoesNotMatter(t *testing.T) {
	for _, p := range hashPolicies {
		hosts := unequal(manyHosts(100))
		want := owners(t, NewSet(hosts, policyOptions(p), 1), 5000)
		other := slices.Clone(hosts)
		slices.Reverse(other)
		if !slices.Equal(owners(t, NewSet(other, policyOptions(p), 2), 5000), want) {
			t.Errorf("%v: hosts in another order get other keys, so two proxies would disagree", p)
		}
	}
}

// A retry goes to the next host of the hash, always the same one, and back to the first
// when all were tried.
func TestRetriesOfAHash(t *testing.T) {
	for _, p := range hashPolicies {
		hosts := manyHosts(20)
		s := NewSet(hosts, policyOptions(p), 1)
		for key := range 50 {
			r := Request{Hashed: true, Hash: HashString(fmt.Sprint(key))}
			first, _ := s.Pick(&r)
			r.Tried = []*Load{hosts[first].Load}
			second, _ := s.Pick(&r)
			for random := range uint64(10) {
				r.Random = mix(random, 1)
				if i, how := s.Pick(&r); i != second || i == first || how != 0 {
					t.Fatalf("%v: retries of one hash went from host %d to %d and to %d, outcome %q", p, first, second, i, how)
				}
			}
			for i := range hosts {
				r.Tried = append(r.Tried, hosts[i].Load)
			}
			if i, how := s.Pick(&r); i != first || how != Repeated {
				t.Fatalf("%v: with all tried host %d was picked, outcome %q; want the first, %d", p, i, how, first)
			}
		}
	}
}

func TestTablesAreShared(t *testing.T) {
	only := func(s *Set) *table {
		if len(s.tables) != 1 {
			t.Fatalf("the Set has %d tables, want 1", len(s.tables))
		}
		for _, tab := range s.tables {
			return tab
		}
		return nil
	}
	for _, p := range hashPolicies {
		hosts := manyHosts(20)
		s := NewSet(hosts, policyOptions(p), 1)
		sick := slices.Clone(hosts)
		sick[3].Health, sick[4].Health = Unhealthy, Excluded
		if only(s) != only(s.Next(sick, 1)) {
			t.Errorf("%v: a change of health made a new table", p)
		}
		heavy := slices.Clone(hosts)
		heavy[3].Weight = 2
		if only(s) == only(s.Next(heavy, 1)) {
			t.Errorf("%v: a change of weight kept the old table", p)
		}
		if only(s) == only(s.Next(hosts[:19], 1)) {
			t.Errorf("%v: a host that went kept the old table", p)
		}
	}
}

func TestFewHealthyHosts(t *testing.T) {
	for _, p := range hashPolicies {
		hosts := manyHosts(100)
		for i := range hosts {
			if i%10 != 0 {
				hosts[i].Health = Unhealthy
			}
		}
		o := policyOptions(p)
		o.PanicThreshold, o.MinRingSize = 0, 1<<14
		s := NewSet(hosts, o, 1)
		for _, tab := range s.tables {
			if len(tab.keys) != 10 {
				t.Errorf("%v: the table has %d hosts, so that picks walk far; want the 10 healthy ones", p, len(tab.keys))
			}
		}
		for i, n := range picks(t, s, 10000, nil) {
			if want := 1000; (hosts[i].Health == Unhealthy) != (n == 0) || n > want*5/4 {
				t.Errorf("%v: %s host %d has %d of 10000, want about %d if it is healthy", p, hosts[i].Health, i, n, want)
			}
		}
	}
}

func TestBoundedLoad(t *testing.T) {
	for _, p := range hashPolicies {
		for _, total := range []*Total{{}, nil} {
			o := policyOptions(p)
			o.BoundedLoad = 1.25
			weights := []float64{1, 2, 5, 1, 1}
			hosts := weighted(weights...)
			for i := range hosts {
				hosts[i].Load = NewLoad(0, total)
			}
			s := NewSet(hosts, o, 1)
			if s.total != total {
				t.Fatal("each pick would add up the load of all hosts")
			}
			hot := &Request{Hashed: true, Hash: HashString("hot")}
			first, _ := s.Pick(hot)
			for n := 1; n <= 400; n++ { // all of one key, which stay in flight
				i, _ := s.Pick(hot)
				hosts[i].Load.Begin(0)
				for i, h := range hosts {
					if bound := max(math.Ceil(1.25*float64(n)*weights[i]/10), 1); float64(h.Load.Active()) > bound {
						t.Fatalf("%v: host %d has %d of %d requests, more than %v", p, i, h.Load.Active(), n, bound)
					}
				}
			}
			if got := float64(hosts[first].Load.Active()); got < 1.2*400*weights[first]/10 {
				t.Errorf("%v: the key's own host has only %v of 400", p, got)
			}
			for i := range hosts {
				for hosts[i].Load.Active() > 0 {
					hosts[i].Load.End()
				}
			}
			if again, _ := s.Pick(hot); again != first {
				t.Errorf("%v: the key went to host %d, and to %d when load had gone", p, first, again)
			}
		}
	}
}

// Where a walk through the table finds nobody, all hosts are asked.
func TestBoundedLoadFindsTheLastFreeHost(t *testing.T) {
	for _, p := range hashPolicies {
		o := policyOptions(p)
		o.BoundedLoad = 1
		total := &Total{}
		hosts := manyHosts(1000)
		for i := range hosts {
			hosts[i].Load = NewLoad(0, total)
			if i != 777 {
				hosts[i].Load.Begin(0)
			}
		}
		s := NewSet(hosts, o, 1)
		for i := range 20 {
			if got, _ := s.Pick(&Request{Hashed: true, Hash: HashString(fmt.Sprint(i))}); got != 777 {
				t.Errorf("%v: host %d was picked, want the only one without a request", p, got)
			}
		}
	}
}
