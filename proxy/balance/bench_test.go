package balance

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// A pick from 1,000 endpoints costs at most 200 ns and allocates nothing.
func BenchmarkPick(b *testing.B) {
	for p := range lastPolicy {
		for _, tt := range []struct {
			name  string
			hosts []Host
		}{
			{"one", manyHosts(1)},
			{"equal", manyHosts(1000)},
			{"unequal", unequal(manyHosts(1000))},
			{"divided", divided(unequal(manyHosts(1000)))},
			{"half-unhealthy", halfUnhealthy(manyHosts(1000))},
		} {
			b.Run(p.String()+"/"+tt.name, func(b *testing.B) {
				o := DefaultOptions(p)
				r := Request{Hashed: true}
				if tt.name == "divided" {
					o.Zone, o.ZoneAware = "z1", true
					o.Subsets = []Selector{{Keys: []string{"stage", "version"}}}
					r.Subset = NewCriteria(map[string]string{"stage": "prod", "version": "2"})
				}
				s := NewSet(tt.hosts, &o, 1)
				warm(tt.hosts)
				rnd := rand.New(rand.NewPCG(1, 2))
				b.ReportAllocs()
				for b.Loop() {
					r.Random = rnd.Uint64()
					r.Hash = r.Random
					r.Now += 1000
					s.Pick(&r)
				}
			})
		}
	}
}

func BenchmarkPickBoundedLoad(b *testing.B) {
	for _, p := range []Policy{PolicyRingHash, PolicyMaglev} {
		b.Run(p.String(), func(b *testing.B) {
			o := DefaultOptions(p)
			o.BoundedLoad = 1.25
			hosts := manyHosts(1000)
			s := NewSet(hosts, &o, 1)
			warm(hosts)
			rnd := rand.New(rand.NewPCG(1, 2))
			b.ReportAllocs()
			for b.Loop() {
				s.Pick(&Request{Hashed: true, Hash: rnd.Uint64()})
			}
		})
	}
}

func BenchmarkPickParallel(b *testing.B) {
	for _, tt := range []struct {
		policy  Policy
		unequal bool
	}{{PolicyRoundRobin, false}, {PolicyRoundRobin, true}, {PolicyLeastRequest, false}, {PolicyLeastRequest, true}, {PolicyPeakEWMA, true}} {
		b.Run(fmt.Sprintf("%v/unequal=%v", tt.policy, tt.unequal), func(b *testing.B) {
			hosts := manyHosts(1000)
			if tt.unequal {
				hosts = unequal(hosts)
			}
			o := DefaultOptions(tt.policy)
			s := NewSet(hosts, &o, 1)
			b.RunParallel(func(pb *testing.PB) {
				rnd := rand.New(rand.NewPCG(1, 2))
				for pb.Next() {
					s.Pick(&Request{Random: rnd.Uint64(), Now: 1})
				}
			})
		})
	}
}

func BenchmarkPickAndLoad(b *testing.B) {
	hosts := manyHosts(1000)
	o := DefaultOptions(PolicyPeakEWMA)
	s := NewSet(hosts, &o, 1)
	rnd := rand.New(rand.NewPCG(1, 2))
	r := Request{}
	b.ReportAllocs()
	for b.Loop() {
		r.Random = rnd.Uint64()
		r.Now += 1000
		i, _ := s.Pick(&r)
		l := hosts[i].Load
		l.Begin(r.Now)
		l.Answer(r.Now, r.Now+500, true)
		l.End()
	}
}

func BenchmarkNewSet(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		hosts := unequal(manyHosts(n))
		for p := range lastPolicy {
			b.Run(fmt.Sprintf("%v/%d", p, n), func(b *testing.B) {
				o := DefaultOptions(p)
				b.ReportAllocs()
				for b.Loop() {
					NewSet(hosts, &o, 1)
				}
			})
		}
	}
}

// A change of health alone builds no table.
func BenchmarkNext(b *testing.B) {
	for _, p := range []Policy{PolicyRingHash, PolicyMaglev} {
		b.Run(p.String(), func(b *testing.B) {
			hosts := manyHosts(1000)
			o := DefaultOptions(p)
			s := NewSet(hosts, &o, 1)
			hosts = append([]Host(nil), hosts...)
			hosts[7].Health = Unhealthy
			b.ReportAllocs()
			for b.Loop() {
				s.Next(hosts, 1)
			}
		})
	}
}

func BenchmarkHash(b *testing.B) {
	for _, n := range []int{4, 16, 64, 1024} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			data := make([]byte, n)
			b.SetBytes(int64(n))
			for b.Loop() {
				Hash(data)
			}
		})
	}
}
