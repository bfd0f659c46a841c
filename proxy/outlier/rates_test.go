package outlier

import (
	"testing"
	"time"
)

// Envoy's own example: of {50, 100, 100, 100, 100} the threshold is 52.
func TestSuccessRate(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rates []int
		want  string
	}{
		{"one that is unlike the others", []int{100, 50, 100, 100, 100}, "ejected 1 success_rate"},
		{"one of four", []int{50, 100, 100, 100}, ""},
		{"all alike", []int{70, 70, 70, 70, 70, 70}, ""},
		{"all alike, of a rate that does not add up", []int{93, 93, 93, 93, 93, 93, 93}, ""},
		{"half and half", []int{50, 50, 50, 100, 100, 100}, ""},
		{"the worst first, and one in ten", []int{100, 80, 70, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100},
			"ejected 2 success_rate; overflow 1 success_rate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(len(tt.rates), func(o *Options) { o.Consecutive5xx = 0; o.SuccessRateStdevFactor = 1.5 })
			for i, rate := range tt.rates {
				r.rate(i, rate, Error5xx)
			}
			r.want(t, tt.want)
		})
	}

	r := newRig(5, func(o *Options) { o.Consecutive5xx = 0 })
	for i, rate := range []int{50, 100, 100, 100, 100} {
		r.rate(i, rate, Error5xx)
	}
	changes := r.Decide(r.now, r.hosts, always)
	const want = "success rate 50.0 % below 52.0 % (mean 90.0 % - 1.9 * stdev 20.0 % of 5 endpoints), ejected for 30s"
	if len(changes) != 1 || changes[0].Detail != want {
		t.Errorf("%v, want %q", changes, want)
	}
	s := r.hosts[0].State(r.now)
	if rate, ok := s.SuccessRate(); !ok || rate != 50 || s.Requests != 100 || s.Failures != 50 {
		t.Errorf("state %+v, rate %v", s, rate)
	}
}

// Hosts with too few requests are no part of the reckoning.
func TestSuccessRateNeedsRequests(t *testing.T) {
	r := newRig(6, func(o *Options) { o.Consecutive5xx = 0 })
	for i := range 4 {
		r.rate(i, 100, Error5xx)
	}
	r.rate(4, 50, Error5xx)
	for range 33 {
		r.put(5, 2, Error5xx)
		r.put(5, 1, Success)
	}
	r.options.SuccessRateMinimumHosts = 6 // of which five had enough
	r.want(t, "")
	r.options.SuccessRateMinimumHosts = 5
	r.want(t, "ejected 4 success_rate")
}

// However the mean is rounded, hosts that are all alike are no outliers.
func TestAlikeAreNoOutliers(t *testing.T) {
	for hosts := 5; hosts < 15; hosts++ {
		for good := range 100 {
			r := newRig(hosts, func(o *Options) { o.Consecutive5xx, o.ConsecutiveGatewayFailure = 0, 0 })
			for i := range hosts {
				r.rate(i, good, Error5xx)
				r.put(i, 1, Success) // 101 make rates that are no whole numbers
			}
			r.options.SuccessRateStdevFactor = 0 // so that nothing hides it
			r.options.FailurePercentageMinimumHosts = 100
			r.want(t, "")
		}
	}
}

// A host is ejected once, for the reason that came first.
func TestEjectedForOneReason(t *testing.T) {
	r := newRig(5, func(o *Options) {
		o.Consecutive5xx, o.EnforcingFailurePercentage, o.MaxEjectionPercent = 0, 100, 100
	})
	for i, rate := range []int{10, 100, 100, 100, 100} {
		r.rate(i, rate, Error5xx)
	}
	r.want(t, "ejected 0 success_rate")
}

func TestFailurePercentage(t *testing.T) {
	for _, tt := range []struct {
		name  string
		hosts int
		rates []int
		want  string
	}{
		{"at the threshold, all of them", 5, []int{15, 15, 15, 15, 15},
			"ejected 0 failure_percentage; overflow 1 failure_percentage; overflow 2 failure_percentage; overflow 3 failure_percentage; overflow 4 failure_percentage"},
		{"above it", 5, []int{16, 16, 16, 16, 16}, ""},
		{"too few hosts", 9, []int{15, 15, 15, 15}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(tt.hosts, func(o *Options) { o.Consecutive5xx = 0; o.EnforcingFailurePercentage = 100 })
			for i, rate := range tt.rates {
				r.rate(i, rate, Error5xx)
			}
			r.want(t, tt.want)
			r.want(t, "") // told once an interval
		})
	}
}

func TestRatesOfLocalOrigin(t *testing.T) {
	r := newRig(5, func(o *Options) { o.SplitExternalLocalOriginErrors = true; o.ConsecutiveLocalOriginFailure = 0 })
	for i := range 4 {
		r.rate(i, 100, LocalOrigin)
	}
	r.rate(4, 50, LocalOrigin)
	r.want(t, "ejected 4 local_origin_success_rate")
	if s := r.hosts[4].State(r.now); s.LocalRequests != 100 || s.LocalFailures != 50 || s.Requests != 50 || s.Failures != 0 {
		t.Errorf("state %+v", s)
	}
}

// A rate is that of the last interval, whenever one looks.
func TestWindowSlides(t *testing.T) {
	r := newRig(1, nil)
	for second := range 30 { // a request a second; those of seconds 10 to 19 fail
		result := Success
		if second >= 10 && second < 20 {
			result = Error5xx
		}
		r.put(0, 1, result)
		want := min(max(second-9, 0), 10, max(30-second, 0))
		s := r.hosts[0].State(r.now)
		if s.Requests != min(second+1, 11) || s.Failures != want {
			t.Fatalf("after second %d: %d of %d failed, want %d", second, s.Failures, s.Requests, want)
		}
		r.now += time.Second
	}
	r.now += 9 * time.Second
	if s := r.hosts[0].State(r.now); s.Requests != 1 {
		t.Errorf("%d requests of an interval ago, want the last", s.Requests)
	}
	r.now += time.Second
	if s := r.hosts[0].State(r.now); s.Requests != 0 {
		t.Errorf("%d requests of more than an interval ago", s.Requests)
	}
}

// A bucket that is full keeps its rate, and spills into no other.
func TestFullBucket(t *testing.T) {
	var w window
	for range 3 << countBits {
		w.add(7, oneFailed)
	}
	if c := w.sum(7); c.total != fullBucket || c.failed != fullBucket {
		t.Errorf("%+v", c)
	}
	if c := w.sum(7 + buckets); c.total != 0 {
		t.Errorf("a window later: %+v", c)
	}
}

// However often Decide is called, an outlier by its rate that is not ejected is
// told once an interval.
func TestRatesAreToldOnceAnInterval(t *testing.T) {
	r := newRig(5, func(o *Options) { o.Consecutive5xx, o.EnforcingSuccessRate = 0, 0 })
	told := 0
	for range 30 * 10 {
		for i := range 5 {
			for range 10 {
				r.put(i, 1, Success)
				if i == 0 {
					r.put(i, 1, Error5xx)
				}
			}
		}
		if c := r.decide(); c != "" {
			if c != "not_enforced 0 success_rate" {
				t.Fatal(c)
			}
			told++
		}
		r.now += r.Every()
	}
	if told < 29 || told > 30 {
		t.Errorf("told %d times in 30 intervals", told)
	}
}
