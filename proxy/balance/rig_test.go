package balance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// hosts of these weights, named a, b...
func weighted(weights ...float64) []Host {
	hosts := make([]Host, len(weights))
	for i, w := range weights {
		hosts[i] = Host{Key: fmt.Sprintf("host-%d", i), Weight: w, Load: NewLoad(0, nil)}
	}
	return hosts
}

func manyHosts(n int) []Host {
	total := &Total{}
	hosts := make([]Host, n)
	for i := range hosts {
		hosts[i] = Host{Key: fmt.Sprintf("10.0.%d.%d:8080", i/250, i%250), Weight: 1, Load: NewLoad(0, total)}
	}
	return hosts
}

func unequal(hosts []Host) []Host {
	for i := range hosts {
		hosts[i].Weight = []float64{1, 2, 5}[i%3]
	}
	return hosts
}

// divided spreads hosts over two priorities, three zones and six subsets, with a
// first priority that is short of hosts.
func divided(hosts []Host) []Host {
	for i := range hosts {
		h := &hosts[i]
		h.Priority = i % 2
		h.Zone = fmt.Sprintf("z%d", i/2%3+1)
		h.Metadata = map[string]string{"stage": []string{"prod", "canary"}[i/6%2], "version": fmt.Sprint(i / 12 % 3)}
		if h.Priority == 0 && i%5 == 0 {
			h.Health = Unhealthy
		}
	}
	return hosts
}

func halfUnhealthy(hosts []Host) []Host {
	for i := range hosts {
		if i%2 == 1 {
			hosts[i].Health = Unhealthy
		}
	}
	return hosts
}

// warm gives every host a latency and a request in flight.
func warm(hosts []Host) {
	for i := range hosts {
		l := hosts[i].Load
		l.Begin(0)
		l.Answer(0, time.Duration(i+1)*time.Microsecond, true)
	}
}

// picks counts n picks by host. Each has random bits and a hash of its own.
func picks(t testing.TB, s *Set, n int, each func(r *Request)) []int {
	t.Helper()
	rnd := rand.New(rand.NewPCG(7, 11))
	counts := make([]int, len(s.Hosts()))
	for range n {
		r := Request{Random: rnd.Uint64(), Hash: rnd.Uint64(), Hashed: true}
		if each != nil {
			each(&r)
		}
		i, _ := s.Pick(&r)
		if i < 0 {
			t.Fatal("nothing was picked")
		}
		counts[i]++
	}
	return counts
}

// wantShares checks counts against shares within five standard deviations of a fair
// draw, which one true test in a million misses (and the seeds are fixed).
func wantShares(t *testing.T, counts []int, shares []float64) {
	t.Helper()
	n, sum := 0, 0.0
	for i := range counts {
		n += counts[i]
		sum += shares[i]
	}
	for i, c := range counts {
		p := shares[i] / sum
		want := p * float64(n)
		if slack := 5*math.Sqrt(want*(1-p)) + 1; math.Abs(float64(c)-want) > slack {
			t.Errorf("host %d was picked %d times of %d, want %.0f ± %.0f", i, c, n, want, slack)
		}
	}
}

func policyOptions(p Policy) *Options {
	o := DefaultOptions(p)
	return &o
}
