package healthcheck

import (
	"strings"
	"testing"
	"time"
)

func none() uint64 { return 0 }

// outcomes are the letters of a test: a probe that passed, degraded, failed, failed
// now, not made. Health is written the same way: pending is ?.
var (
	outcomes = map[rune]Outcome{'p': Passed, 'd': PassedDegraded, 'f': Failed, 'F': FailedNow, 'n': NotMade}
	healths  = "?hdu"
)

func TestMachine(t *testing.T) {
	three := Options{TCP: &TCP{}}
	one := Options{TCP: &TCP{}, UnhealthyThreshold: 1, HealthyThreshold: 1}
	for _, tt := range []struct {
		name          string
		options       Options
		results, want string
	}{
		{"the first result counts at once", three, "p", "h"},
		{"also a failure", three, "f", "u"},
		{"also a degraded one", three, "d", "d"},
		{"three failures", three, "pfffff", "hhhuuu"},
		{"a success between", three, "pffpfff", "hhhhhhu"},
		{"at once", three, "pF", "hu"},
		{"at once, after some that count", three, "pffFp", "hhhuu"},
		{"two successes", three, "fppp", "uuhh"},
		{"a failure between", three, "fpfpp", "uuuuh"},
		{"a failure at once between", three, "fpFpp", "uuuuh"},
		{"degraded and back", three, "pdp", "hdh"},
		{"degraded, then failing", three, "dfff", "dddu"},
		{"back as degraded", three, "fdd", "uud"},
		{"back as it last was", three, "fdp", "uuh"},
		{"rows begin anew", three, "fppffppfff", "uuhhhhhhhu"},
		{"thresholds of one", one, "fpfpFd", "uhuhud"},
		{"not made", three, "npnnnnf", "?hhhhhh"},
		{"not made, after failures", three, "pfnfnnf", "hhhhhhu"},
		{"not made, of one that is down", three, "fnpnp", "uuuuh"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := NewMachine(tt.options)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			last := Pending
			for _, r := range tt.results {
				h, changed, _ := m.Next(Result{Outcome: outcomes[r]}, true, none)
				if changed != (h != last) {
					t.Errorf("%s after %s: changed is %t", h, got.String(), changed)
				}
				last = h
				got.WriteByte(healths[h])
			}
			if got.String() != tt.want {
				t.Errorf("%s makes %s, want %s", tt.results, got.String(), tt.want)
			}
		})
	}
}

func TestWaits(t *testing.T) {
	all := Options{TCP: &TCP{}, Interval: 2 * time.Second, UnhealthyInterval: time.Second, NoTrafficInterval: time.Hour, IntervalJitter: 100}
	for _, tt := range []struct {
		name    string
		options Options
		outcome Outcome
		traffic bool
		random  uint64
		want    time.Duration
	}{
		{"default", Options{TCP: &TCP{}}, Passed, true, 1, 5 * time.Second},
		{"default after a failure", Options{TCP: &TCP{}}, Failed, true, 1, 5 * time.Second},
		{"default without traffic", Options{TCP: &TCP{}}, Failed, false, 1, time.Minute},
		{"unhealthy as the interval is", Options{TCP: &TCP{}, Interval: time.Second}, Failed, true, 1, time.Second},
		{"passed", all, Passed, true, 0, 2 * time.Second},
		{"degraded", all, PassedDegraded, true, 0, 2 * time.Second},
		{"failed", all, Failed, true, 0, time.Second},
		{"failed now", all, FailedNow, true, 0, time.Second},
		{"no traffic", all, FailedNow, false, 0, time.Hour},
		{"jitter", all, Passed, true, 199, 2*time.Second + 99},
	} {
		m, err := NewMachine(tt.options)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, got := m.Next(Result{Outcome: tt.outcome}, tt.traffic, func() uint64 { return tt.random }); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	for want, o := range map[string]Options{
		"not 0 of them":  {},
		"not 2 of them":  {TCP: &TCP{}, GRPC: &GRPC{}},
		"port 65536":     {TCP: &TCP{}, Port: 65536},
		"times":          {TCP: &TCP{}, Timeout: -1},
		"thresholds":     {TCP: &TCP{}, HealthyThreshold: -1},
		`path "health"`:  {HTTP: &HTTP{Path: "health"}},
		`path "/a#b"`:    {HTTP: &HTTP{Path: "/a#b"}},
		`path "/%zz"`:    {HTTP: &HTTP{Path: "/%zz"}},
		`method "G T"`:   {HTTP: &HTTP{Method: "G T"}},
		"CONNECT":        {HTTP: &HTTP{Method: "CONNECT"}},
		`host "a b\r\n"`: {HTTP: &HTTP{Host: "a b\r\n"}},
		"HEAD":           {HTTP: &HTTP{Method: "HEAD", Receive: "ok"}},
		`header "host"`:  {HTTP: &HTTP{Header: map[string][]string{"host": {"a"}}}},
		`header "a:b"`:   {HTTP: &HTTP{Header: map[string][]string{"a:b": {"a"}}}},
		`value of the health check's header "Token"`: {HTTP: &HTTP{Header: map[string][]string{"Token": {"secret\n"}}}},
		"200 to 199":  {HTTP: &HTTP{ExpectedStatuses: []StatusRange{{200, 199}}}},
		"500 to 1000": {HTTP: &HTTP{RetriableStatuses: []StatusRange{{500, 1000}}}},
		"99 to 200":   {HTTP: &HTTP{ExpectedStatuses: []StatusRange{{99, 200}}}},
	} {
		_, err := NewMachine(o)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v, want %s", o, err, want)
		}
		if _, err := New([]Options{o}, nil); err == nil {
			t.Errorf("%+v: New takes it", o)
		}
		if _, err := Check(t.Context(), "127.0.0.1:1", o, nil); err == nil {
			t.Errorf("%+v: Check takes it", o)
		}
	}
	if _, err := New(nil, nil); err == nil {
		t.Error("a checker without a check")
	}
}
