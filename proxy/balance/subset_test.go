package balance

import (
	"slices"
	"testing"
)

func TestSubsets(t *testing.T) {
	hosts := weighted(1, 1, 1, 1, 1)
	for i, m := range []map[string]string{
		{"stage": "prod", "version": "1"},
		{"stage": "prod", "version": "2"},
		{"stage": "canary", "version": "2"},
		{"stage": "prod"},
		nil,
	} {
		hosts[i].Metadata = m
	}
	selectors := []Selector{{Keys: []string{"stage"}}, {Keys: []string{"version", "stage"}}, {Keys: []string{"stage", "version"}}}
	prod := NewCriteria(map[string]string{"stage": "prod"})
	for _, tt := range []struct {
		name     string
		fallback Fallback
		ask      map[string]string // nil: no criteria
		want     []int             // hosts
		how      Outcome
	}{
		{"one key", FallbackNone, map[string]string{"stage": "prod"}, []int{0, 1, 3}, 0},
		{"two keys", FallbackNone, map[string]string{"version": "2", "stage": "prod"}, []int{1}, 0},
		{"no such value", FallbackNone, map[string]string{"stage": "test"}, nil, SubsetFallback},
		{"no such selector", FallbackNone, map[string]string{"version": "2"}, nil, SubsetFallback},
		{"no criteria", FallbackNone, nil, nil, 0},
		{"any", FallbackAnyEndpoint, map[string]string{"stage": "test"}, []int{0, 1, 2, 3, 4}, SubsetFallback},
		{"any, without criteria", FallbackAnyEndpoint, nil, []int{0, 1, 2, 3, 4}, 0},
		{"default", FallbackDefaultSubset, map[string]string{"stage": "test"}, []int{0, 1, 3}, SubsetFallback},
		{"default, without criteria", FallbackDefaultSubset, nil, []int{0, 1, 3}, 0},
		{"subset before default", FallbackDefaultSubset, map[string]string{"stage": "canary"}, []int{2}, 0},
		{"empty criteria", FallbackNone, map[string]string{}, nil, SubsetFallback},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := policyOptions(PolicyRoundRobin)
			o.Subsets, o.Fallback, o.DefaultSubset = selectors, tt.fallback, prod
			s := NewSet(hosts, o, 1)
			if n := len(s.subsets.byHash); n != 5 { // prod, canary, and three of both keys
				t.Errorf("there are %d subsets, want 5", n)
			}
			for _, same := range s.subsets.byHash {
				if len(same) > 1 {
					t.Errorf("the subset of %v was made twice", same[0].criteria.pairs)
				}
			}
			r := Request{}
			if tt.ask != nil {
				r.Subset = NewCriteria(tt.ask)
			}
			var got []int
			for range 20 {
				i, how := s.Pick(&r)
				if how != tt.how {
					t.Fatalf("outcome %q, want %q", how, tt.how)
				}
				if i >= 0 && !slices.Contains(got, i) {
					got = append(got, i)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, tt.want) {
				t.Errorf("hosts %v, want %v", got, tt.want)
			}
		})
	}
}

func TestADefaultSubsetWithoutHostsPicksNone(t *testing.T) {
	o := policyOptions(PolicyRoundRobin)
	o.Subsets = []Selector{{Keys: []string{"stage"}}}
	o.Fallback, o.DefaultSubset = FallbackDefaultSubset, NewCriteria(map[string]string{"stage": "prod"})
	if i, _ := NewSet(weighted(1, 1), o, 1).Pick(&Request{}); i != -1 {
		t.Errorf("host %d was picked, which is in no subset", i)
	}
}

func TestCriteriaWithoutSelectorsAreDisregarded(t *testing.T) {
	s := NewSet(weighted(1, 1), policyOptions(PolicyRoundRobin), 1)
	if i, how := s.Pick(&Request{Subset: NewCriteria(map[string]string{"a": "b"})}); i < 0 || how != 0 {
		t.Errorf("Pick = %d, %q; want any host", i, how)
	}
}

// A subset has a panic of its own, as it has priorities of its own.
func TestPanicWithinASubset(t *testing.T) {
	hosts := weighted(1, 1, 1, 1, 1, 1)
	for i := range hosts {
		hosts[i].Metadata = map[string]string{"version": string(rune('1' + i/3))}
		if i == 0 || i == 1 {
			hosts[i].Health = Unhealthy
		}
	}
	o := policyOptions(PolicyRoundRobin)
	o.Subsets = []Selector{{Keys: []string{"version"}}}
	s := NewSet(hosts, o, 1)
	for version, want := range map[string]Outcome{"1": Panic, "2": 0} {
		if _, how := s.Pick(&Request{Subset: NewCriteria(map[string]string{"version": version})}); how != want {
			t.Errorf("version %s: outcome %q, want %q", version, how, want)
		}
	}
}

func TestSubsetsOfEqualHashAreToldApart(t *testing.T) {
	hosts := weighted(1, 1)
	hosts[0].Metadata = map[string]string{"a": "1"}
	o := policyOptions(PolicyRoundRobin)
	o.Subsets = []Selector{{Keys: []string{"a"}}}
	s := NewSet(hosts, o, 1)
	other := NewCriteria(map[string]string{"a": "2"})
	other.hash = NewCriteria(hosts[0].Metadata).hash
	if i, _ := s.Pick(&Request{Subset: other}); i != -1 {
		t.Error("criteria were taken for others with the same hash")
	}
}
