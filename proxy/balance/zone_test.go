package balance

import (
	"math"
	"slices"
	"testing"
)

func TestRoom(t *testing.T) {
	for _, tt := range []struct {
		name  string
		hosts []int // the local zone's first
		share float64
		stays float64
		upTo  []float64 // nil: of no interest
	}{
		{"as many here as elsewhere", []int{5, 5}, 0, 1, nil},
		{"more here", []int{8, 2}, 0, 1, nil},
		{"half of what we need", []int{10, 45, 45}, 0.2, 0.5, []float64{0, 0.5, 1}},
		{"room in one of two", []int{25, 50, 25}, 0.4, 0.625, []float64{0, 1, 1}}, // 30 % of the traffic begins in each of the others
		{"zones alike", []int{1, 2, 3}, 0, 0.5, []float64{0, 0, 1}},
		{"all proxies are here", []int{5, 5, 10}, 1, 0.25, []float64{0, 1. / 3, 1}},
		{"few proxies are here", []int{1, 9}, 0.1, 1, nil},
	} {
		stays, upTo := room(tt.hosts, tt.share)
		near := func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
		if !near(stays, tt.stays) || tt.upTo != nil && !slices.EqualFunc(upTo, tt.upTo, near) {
			t.Errorf("%s: room(%v, %v) = %v, %v; want %v, %v", tt.name, tt.hosts, tt.share, stays, upTo, tt.stays, tt.upTo)
		}
	}
}

// inZones are as many hosts in each zone, a, b...
func inZones(counts ...int) []Host {
	var hosts []Host
	for z, n := range counts {
		for range n {
			hosts = append(hosts, Host{Zone: string(rune('a' + z)), Weight: 1})
		}
	}
	for i, h := range weighted(make([]float64, len(hosts))...) {
		hosts[i].Key, hosts[i].Load = h.Key, h.Load
	}
	return hosts
}

func zoneAware(p Policy) *Options {
	o := policyOptions(p)
	o.ZoneAware, o.Zone = true, "a"
	return o
}

func TestZoneAware(t *testing.T) {
	for _, tt := range []struct {
		name  string
		hosts []Host
		edit  func(hosts []Host, o *Options)
		want  []float64 // by zone
	}{
		{"enough here", inZones(4, 4), nil, []float64{1, 0}},
		{"half of what we need", inZones(2, 4, 6), nil, []float64{1, 0, 1}},
		{"our share is known", inZones(2, 4, 6), func(_ []Host, o *Options) { o.LocalShare = 1. / 6 }, []float64{1, 0, 0}},
		{"too few hosts", inZones(3, 2), nil, []float64{3, 2}},
		{"five are enough", inZones(3, 2), func(_ []Host, o *Options) { o.MinZoneHosts = 5 }, []float64{1, 0}},
		{"off", inZones(4, 4), func(_ []Host, o *Options) { o.ZoneAware = false }, []float64{1, 1}},
		{"none here", inZones(0, 4, 4), nil, []float64{0, 1, 1}},
		{"one zone", inZones(8), nil, []float64{1}},
		{"unhealthy ones do not count", inZones(6, 4), func(h []Host, _ *Options) {
			for i := range 4 {
				h[i].Health = Unhealthy
			}
		}, []float64{2, 1}},
		{"panic", inZones(6, 6), func(h []Host, _ *Options) {
			for i := range 8 {
				h[i].Health = Unhealthy
			}
		}, []float64{1, 1}},
		{"hashes disregard it", inZones(4, 4), func(_ []Host, o *Options) { o.Policy, o.MinRingSize = PolicyRingHash, 1<<18 }, []float64{1, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := zoneAware(PolicyRandom)
			hosts := slices.Clone(tt.hosts)
			if tt.edit != nil {
				tt.edit(hosts, o)
			}
			s := NewSet(hosts, o, 1)
			byZone := make([]int, len(tt.want))
			for i, n := range picks(t, s, 20000, nil) {
				byZone[hosts[i].Zone[0]-'a'] += n
			}
			if o.Policy.hashes() { // the ring's own error is larger
				if byZone[0] < 9000 || byZone[0] > 11000 {
					t.Errorf("by zone: %v", byZone)
				}
				return
			}
			wantShares(t, byZone, tt.want)
		})
	}
}

func TestCrossingAZoneIsTold(t *testing.T) {
	hosts := inZones(2, 4, 6)
	s := NewSet(hosts, zoneAware(PolicyRoundRobin), 1)
	for n := range uint64(1000) {
		i, how := s.Pick(&Request{Random: mix(n, 1)})
		if want := hosts[i].Zone != "a"; how != 0 && how != CrossZone || (how == CrossZone) != want {
			t.Fatalf("a host of zone %s, outcome %q", hosts[i].Zone, how)
		}
	}
	tried := []*Load{hosts[0].Load, hosts[1].Load}
	for n := range uint64(1000) {
		i, how := s.Pick(&Request{Random: mix(n, 1), Tried: tried})
		if hosts[i].Zone == "a" || how != CrossZone {
			t.Fatalf("all hosts of zone a were tried: got one of zone %s, outcome %q", hosts[i].Zone, how)
		}
	}
}

// Without hosts here there is nothing to keep here, and no crossing to tell of.
func TestNoHostsInOurZone(t *testing.T) {
	s := NewSet(inZones(0, 4, 4), zoneAware(PolicyRandom), 1)
	for n := range uint64(100) {
		if i, how := s.Pick(&Request{Random: mix(n, 1)}); i < 0 || how != 0 {
			t.Fatalf("Pick = %d, %q", i, how)
		}
	}
}
