package outlier

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// never and always are the ends of chance: the highest draw and the lowest.
func never() uint64  { return math.MaxUint64/100*100 - 1 } // 99 of 100
func always() uint64 { return 0 }

// rig is a cluster whose clock the test moves.
type rig struct {
	*Detector
	now   time.Duration
	hosts []*Host
}

func newRig(hosts int, change func(o *Options)) *rig {
	o := Defaults()
	if change != nil {
		change(&o)
	}
	r := &rig{Detector: New(o), now: time.Hour}
	for range hosts {
		r.hosts = append(r.hosts, r.NewHost())
	}
	return r
}

// put notes n results of a host, and returns whether one of them asked for a look.
func (r *rig) put(host, n int, result Result) (look bool) {
	for range n {
		look = r.hosts[host].Put(r.now, result) || look
	}
	return look
}

// rate notes a hundred requests of a host, of which so many succeed. They take
// turns, so that no failures stand in a row.
func (r *rig) rate(host, good int, bad Result) {
	for i := range 100 {
		if (i+1)*good/100 > i*good/100 {
			r.put(host, 1, Success)
		} else {
			r.put(host, 1, bad)
		}
	}
}

// decide returns the changes in words: event, host, reason.
func (r *rig) decide() string {
	var b strings.Builder
	for _, c := range r.Decide(r.now, r.hosts, always) {
		fmt.Fprintf(&b, "%s %d %s; ", c.Event, slices.Index(r.hosts, c.Host), c.Reason)
	}
	return strings.TrimSuffix(b.String(), "; ")
}

func (r *rig) want(t *testing.T, want string) {
	t.Helper()
	if got := r.decide(); got != want {
		t.Fatalf("at %s: %q, want %q", r.now, got, want)
	}
}

func TestFailuresInARow(t *testing.T) {
	split := func(o *Options) { o.SplitExternalLocalOriginErrors = true }
	gateway := func(o *Options) { o.EnforcingConsecutiveGatewayFailure = 100 }
	off := func(o *Options) { o.Consecutive5xx, o.ConsecutiveGatewayFailure = 0, 0 }
	s, e, g, l := Success, Error5xx, GatewayError, LocalOrigin
	for _, tt := range []struct {
		name    string
		change  func(*Options)
		results []Result
		look    bool
		want    string
	}{
		{"four", nil, []Result{e, e, e, e}, false, ""},
		{"five", nil, []Result{e, e, e, e, e}, true, "ejected 0 consecutive_5xx"},
		{"a success between", nil, []Result{e, e, e, e, s, e}, false, ""},
		{"of all kinds", nil, []Result{e, g, l, e, g}, true, "ejected 0 consecutive_5xx"},
		{"gateway failures are told, and are failures", nil, []Result{g, g, g, g, g}, true,
			"not_enforced 0 consecutive_gateway_failure; ejected 0 consecutive_5xx"},
		{"gateway failures", gateway, []Result{g, g, g, g, g}, true, "ejected 0 consecutive_gateway_failure"},
		{"local failures are gateway failures", gateway, []Result{l, g, l, g, l}, true, "ejected 0 consecutive_gateway_failure"},
		{"a 500 between gateway failures", gateway, []Result{g, g, e, g, g}, true, "ejected 0 consecutive_5xx"},
		{"a success between gateway failures", gateway, []Result{g, g, g, g, s, g}, false, ""},
		{"split: local", split, []Result{l, l, l, l, l}, true, "ejected 0 consecutive_local_origin_failure"},
		{"split: a 500 is an answer", split, []Result{l, l, e, l, l, l, l}, false, ""},
		{"split: local failures do not end a row", split, []Result{e, e, l, e, e, l, e}, true, "ejected 0 consecutive_5xx"},
		{"split: local failures are not gateway failures", split, []Result{g, g, l, l, g, g, l}, false, ""},
		{"off", off, []Result{g, g, g, g, g, g}, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(10, tt.change)
			look := false
			for _, result := range tt.results {
				look = r.put(0, 1, result) || look
			}
			if look != tt.look {
				t.Errorf("asked for a look: %t, want %t", look, tt.look)
			}
			r.want(t, tt.want)
			if got := r.hosts[0].Ejected(); got != strings.Contains(tt.want, "ejected 0") {
				t.Errorf("ejected: %t", got)
			}
			r.want(t, "") // all has been said
		})
	}
}

// What is not enforced is told again after as many failures again.
func TestRowBeginsAnewWhereItIsNotEnforced(t *testing.T) {
	r := newRig(1, func(o *Options) { o.EnforcingConsecutive5xx = 0 })
	for range 3 {
		if r.put(0, 4, Error5xx) {
			t.Fatal("asked for a look after four")
		}
		r.want(t, "")
		if !r.put(0, 1, Error5xx) {
			t.Fatal("did not ask for a look after five")
		}
		r.want(t, "not_enforced 0 consecutive_5xx")
	}
}

// An ejection lasts 30 s for each in a row, at most 300 s, and one less for each
// interval that the host was healthy.
func TestMultiplier(t *testing.T) {
	r := newRig(1, nil)
	// fail ejects the host and returns for how long.
	fail := func() time.Duration {
		t.Helper()
		r.put(0, 5, Error5xx)
		r.want(t, "ejected 0 consecutive_5xx")
		s := r.hosts[0].State(r.now)
		length := s.Until - r.now
		r.now = s.Until - 1
		r.want(t, "")
		r.now++
		r.want(t, "unejected 0 consecutive_5xx")
		return length
	}
	for n := 1; n <= 14; n++ {
		if got, want := fail(), min(time.Duration(n)*30*time.Second, 300*time.Second); got != want {
			t.Errorf("ejection %d lasts %s, want %s", n, got, want)
		}
	}
	if s := r.hosts[0].State(r.now); s.Multiplier != 11 || s.Times != 14 {
		t.Errorf("%+v", s)
	}
	r.now += 10*time.Second - 1
	r.want(t, "")
	if s := r.hosts[0].State(r.now); s.Multiplier != 11 {
		t.Errorf("multiplier %d before an interval is over", s.Multiplier)
	}
	for range 14 {
		r.now += 5 * time.Second
		r.want(t, "")
	}
	r.want(t, "")
	if s := r.hosts[0].State(r.now); s.Multiplier != 4 {
		t.Errorf("multiplier %d after seven healthy intervals, want 4", s.Multiplier)
	}
	if got := fail(); got != 150*time.Second {
		t.Errorf("the next ejection lasts %s, want 150 s", got)
	}
	r.now += time.Hour // looked at once in a long while
	r.want(t, "")
	if got := fail(); got != 30*time.Second {
		t.Errorf("after a healthy hour an ejection lasts %s, want 30 s", got)
	}
}

func TestTimesAndJitter(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Options)
		random func() uint64
		want   time.Duration
	}{
		{"base above the default maximum", func(o *Options) { o.BaseEjectionTime, o.MaxEjectionTime = 10*time.Minute, 0 }, always, 10 * time.Minute},
		{"maximum below base", func(o *Options) { o.MaxEjectionTime = time.Second }, always, 30 * time.Second},
		{"jitter", func(o *Options) { o.MaxEjectionTimeJitter = 10 * time.Second }, func() uint64 { return 3e9 }, 33 * time.Second},
		{"most jitter", func(o *Options) { o.MaxEjectionTimeJitter = 10 * time.Second }, func() uint64 { return 10e9 }, 40 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(1, tt.change)
			r.put(0, 5, Error5xx)
			c := r.Decide(r.now, r.hosts, tt.random)
			if len(c) != 1 || c[0].Event != Ejected || c[0].Until-r.now != tt.want {
				t.Errorf("%+v, want %s", c, tt.want)
			}
		})
	}
}

func TestMostEjected(t *testing.T) {
	for _, tt := range []struct{ hosts, percent, want int }{
		{1, 0, 1}, {1, 10, 1}, {9, 10, 1}, {10, 10, 1}, {19, 10, 1}, {20, 10, 2}, {29, 10, 2}, {3, 50, 1}, {4, 50, 2}, {4, 100, 4}, {1000, 10, 100},
	} {
		r := newRig(tt.hosts, func(o *Options) { o.MaxEjectionPercent = tt.percent })
		for i := range r.hosts {
			r.put(i, 5, Error5xx)
		}
		got := map[Event]int{}
		for _, c := range r.Decide(r.now, r.hosts, always) {
			if c.Reason == Consecutive5xx {
				got[c.Event]++
			}
		}
		if got[Ejected] != tt.want || got[Overflow] != tt.hosts-tt.want {
			t.Errorf("%d hosts, at most %d %%: %v, want %d", tt.hosts, tt.percent, got, tt.want)
		}
	}
}

// A share of the hosts that are outliers is ejected, where it is enforced so.
func TestChance(t *testing.T) {
	r := newRig(10000, func(o *Options) { o.EnforcingConsecutive5xx, o.MaxEjectionPercent = 30, 100 })
	for i := range r.hosts {
		r.put(i, 5, Error5xx)
	}
	ejected := 0
	for _, c := range r.Decide(r.now, r.hosts, rand.New(rand.NewPCG(1, 2)).Uint64) {
		if c.Event == Ejected {
			ejected++
		}
	}
	if ejected < 2800 || ejected > 3200 {
		t.Errorf("%d of 10000 ejected at 30 %%", ejected)
	}
	for _, tt := range []struct {
		percent int
		random  func() uint64
		want    Event
	}{{100, never, Ejected}, {99, never, NotEnforced}, {1, always, Ejected}, {0, always, NotEnforced}} {
		r := newRig(1, func(o *Options) { o.EnforcingConsecutive5xx, o.ConsecutiveGatewayFailure = tt.percent, 0 })
		r.put(0, 5, Error5xx)
		if c := r.Decide(r.now, r.hosts, tt.random); len(c) != 1 || c[0].Event != tt.want {
			t.Errorf("at %d %%: %+v", tt.percent, c)
		}
	}
}

// What a host did before it came back counts no more.
func TestComesBackWithACleanRecord(t *testing.T) {
	r := newRig(5, nil)
	for i := range 4 {
		r.rate(i, 100, Error5xx)
	}
	r.rate(4, 50, Error5xx)
	r.want(t, "ejected 4 success_rate")
	r.put(4, 4, Error5xx)
	if c, ok := r.Passed(r.now, r.hosts[4]); !ok || c.Event != Unejected || c.Reason != SuccessRate {
		t.Fatalf("%+v %t", c, ok)
	}
	if r.put(4, 4, Error5xx) {
		t.Error("failures of before count")
	}
	r.want(t, "")
	if _, ok := r.Passed(r.now, r.hosts[4]); ok {
		t.Error("came back twice")
	}
}

func TestPassingCheckMayBeOfNoUse(t *testing.T) {
	r := newRig(1, func(o *Options) { o.SuccessfulActiveHealthCheckUnejectHost = false })
	r.put(0, 5, Error5xx)
	r.want(t, "ejected 0 consecutive_5xx")
	if _, ok := r.Passed(r.now, r.hosts[0]); ok || !r.hosts[0].Ejected() {
		t.Error("a check ended the ejection")
	}
}

// An ejection by hand counts among the others, and ends by hand alone.
func TestByHand(t *testing.T) {
	r := newRig(3, nil)
	if c := r.Eject(r.now, r.hosts[0]); c.Event != Ejected || c.Reason != Manual || c.Until != 0 {
		t.Errorf("%+v", c)
	}
	r.put(1, 5, Error5xx)
	r.want(t, "overflow 1 consecutive_5xx")
	r.now += 1000 * time.Hour
	r.want(t, "")
	if _, ok := r.Passed(r.now, r.hosts[0]); ok {
		t.Error("a check ended it")
	}
	if s := r.hosts[0].State(r.now); !s.Ejected || s.Reason != Manual || s.Since != time.Hour || s.Multiplier != 0 {
		t.Errorf("%+v", s)
	}
	if c, ok := r.Uneject(r.now, r.hosts[0]); !ok || c.Event != Unejected || c.Reason != Manual {
		t.Errorf("%+v %t", c, ok)
	}
	if _, ok := r.Uneject(r.now, r.hosts[0]); ok {
		t.Error("came back twice")
	}

	r.put(2, 5, Error5xx)
	r.want(t, "ejected 2 consecutive_5xx")
	since := r.now
	r.now += time.Second
	r.Eject(r.now, r.hosts[2])
	if s := r.hosts[2].State(r.now); s.Since != since || s.Until != 0 || s.Times != 1 {
		t.Errorf("by hand on top: %+v", s)
	}
	r.now += time.Hour
	r.want(t, "")
}

func TestOptions(t *testing.T) {
	if got := New(Options{}).options; got != Defaults() {
		t.Errorf("zero options are %+v", got)
	}
	o := New(Options{Consecutive5xx: 3}).options
	if o.Interval != 10*time.Second || o.BaseEjectionTime != 30*time.Second || o.MaxEjectionTime != 300*time.Second || o.EnforcingSuccessRate != 0 {
		t.Errorf("%+v", o)
	}
	if d := New(Options{Interval: 1}); d.Every() <= 0 {
		t.Error("a bucket without a width")
	}
	for r := range reasons {
		if r.String() == "" {
			t.Errorf("reason %d has no name", r)
		}
	}
}
