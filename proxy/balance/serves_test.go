package balance

import "testing"

func TestServes(t *testing.T) {
	v2 := NewCriteria(map[string]string{"version": "v2"})
	for _, tt := range []struct {
		health   Health
		metadata map[string]string
		subset   *Criteria
		want     bool
	}{
		{Healthy, nil, nil, true},
		{Degraded, nil, nil, true},
		{Unchecked, nil, nil, true},
		{Unhealthy, nil, nil, false},
		{Excluded, nil, nil, false},
		{Healthy, map[string]string{"version": "v2", "zone": "a"}, v2, true},
		{Healthy, map[string]string{"version": "v1"}, v2, false},
		{Healthy, nil, v2, false},
		{Unhealthy, map[string]string{"version": "v2"}, v2, false},
	} {
		s := NewSet([]Host{{Key: "a", Health: tt.health, Metadata: tt.metadata, Load: NewLoad(0, nil)}}, &Options{}, 1)
		if got := s.Serves(0, &Request{Subset: tt.subset}); got != tt.want {
			t.Errorf("%s, %v, subset %v: %t", tt.health, tt.metadata, tt.subset, got)
		}
	}
}
