package main

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	small = cell{Group: groupHTTP1, Connections: 32, BodyBytes: 98}
	large = cell{Group: groupHTTP1, Connections: 256, BodyBytes: 10240}
)

func TestMedian(t *testing.T) {
	for _, tc := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{7}, 7},
		{[]float64{3, 1, 2}, 2},
		{[]float64{4, 1, 3, 2}, 2.5},
		{[]float64{1, 100, 1, 1, 100}, 1},
	} {
		given := append([]float64(nil), tc.values...)
		if got := median(given); got != tc.want {
			t.Errorf("median(%v) = %g, want %g", tc.values, got, tc.want)
		}
		if !cmp.Equal(given, tc.values) {
			t.Errorf("median changed %v into %v", tc.values, given)
		}
	}
}

func TestNewSample(t *testing.T) {
	l := load{requests: 100_000, elapsed: 2 * time.Second, p50: 440 * time.Microsecond, p99: 1050 * time.Microsecond}
	got := newSample(3, "x", small, l, cpuTime{total: 2 * time.Second, user: 500 * time.Millisecond, system: 1500 * time.Millisecond})
	want := sample{Round: 3, Variant: "x", cell: small, Requests: 100_000, CPUMicros: 20, UserMicros: 5, SystemMicros: 15,
		RequestsPerSecond: 50_000, P50Micros: 440, P99Micros: 1050}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(sample{}), cmp.Comparer(near)); diff != "" {
		t.Error(diff)
	}
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

// cpu is a sample that is nothing but its CPU time.
func cpu(round int, variant string, c cell, us float64) sample {
	return sample{Round: round, Variant: variant, cell: c, CPUMicros: us}
}

func TestRatioIsTakenWithinRounds(t *testing.T) {
	samples := []sample{
		// The machine slows down threefold; the ratio in each round does not move.
		cpu(1, "a", small, 10), cpu(1, "b", small, 20),
		cpu(2, "b", small, 40), cpu(2, "a", small, 20),
		cpu(3, "a", small, 30), cpu(3, "b", small, 60),
		// Another load is another matter.
		cpu(1, "a", large, 90), cpu(1, "b", large, 100),
		// A round without its pair says nothing.
		cpu(4, "a", small, 1000),
	}
	for _, tc := range []struct {
		c      cell
		of, to string
		want   float64
		ok     bool
	}{
		{small, "a", "b", 0.5, true},
		{small, "b", "a", 2, true},
		{small, "a", "a", 1, true},
		{large, "a", "b", 0.9, true},
		{small, "a", "c", 0, false},
		{small, "c", "a", 0, false},
		{cell{Connections: 1, BodyBytes: 1}, "a", "b", 0, false},
	} {
		got, ok := ratio(samples, tc.c, tc.of, tc.to)
		if !near(got, tc.want) || ok != tc.ok {
			t.Errorf("ratio(%v, %s/%s) = %g, %t; want %g, %t", tc.c, tc.of, tc.to, got, ok, tc.want, tc.ok)
		}
	}
}

func TestSummarise(t *testing.T) {
	samples := []sample{
		{Round: 1, Variant: haproxyPlain, cell: small, CPUMicros: 10, UserMicros: 2, SystemMicros: 8, RequestsPerSecond: 100, P50Micros: 1, P99Micros: 5},
		{Round: 2, Variant: haproxyPlain, cell: small, CPUMicros: 20, UserMicros: 4, SystemMicros: 16, RequestsPerSecond: 50, P50Micros: 2, P99Micros: 9},
		{Round: 3, Variant: haproxyPlain, cell: small, CPUMicros: 12, UserMicros: 3, SystemMicros: 9, RequestsPerSecond: 90, P50Micros: 3, P99Micros: 7},
		cpu(1, "x", small, 9), cpu(2, "x", small, 16), cpu(3, "x", small, 6),
		cpu(1, "x", large, 50),
	}
	one, point8 := 1.0, 0.8
	want := []row{
		{Variant: haproxyPlain, cell: small, Rounds: 3, CPUMicros: 12, CPULowest: 10, CPUHighest: 20, UserMicros: 3, SystemMicros: 9,
			Ratio: &one, RatioTo: haproxyPlain, RequestsPerSecond: 90, P50Micros: 2, P99Micros: 7},
		{Variant: "x", cell: small, Rounds: 3, CPUMicros: 9, CPULowest: 6, CPUHighest: 16, Ratio: &point8, RatioTo: haproxyPlain},
		{Variant: "x", cell: large, Rounds: 1, CPUMicros: 50, CPULowest: 50, CPUHighest: 50},
	}
	got := summarise(samples, []cell{small, large}, []string{haproxyPlain, "x", "absent"})
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(row{}), cmp.Comparer(near)); diff != "" {
		t.Error(diff)
	}
}

// A proxy with many endpoints is compared with the same proxy that has one.
func TestRatiosAreToTheSameProxyWhereEndpointsAreMany(t *testing.T) {
	scale := cell{Group: groupScale, Connections: 32, BodyBytes: 98}
	samples := []sample{
		cpu(1, hopscopeOne, scale, 10), cpu(1, hopscopeMany, scale, 11),
		cpu(1, haproxyOne, scale, 20), cpu(1, "haproxy-many", scale, 25),
	}
	want := map[string]struct {
		ratio float64
		to    string
	}{hopscopeOne: {1, hopscopeOne}, hopscopeMany: {1.1, hopscopeOne}, haproxyOne: {1, haproxyOne}, "haproxy-many": {1.25, haproxyOne}}
	rows := summarise(samples, []cell{scale}, variantNames())
	if len(rows) != len(want) {
		t.Errorf("%d rows, want %d", len(rows), len(want))
	}
	for _, r := range rows {
		if w := want[r.Variant]; r.Ratio == nil || !near(*r.Ratio, w.ratio) || r.RatioTo != w.to {
			t.Errorf("%s: ratio %s to %s, want %g to %s", r.Variant, ratioText(r.Ratio), r.RatioTo, w.ratio, w.to)
		}
	}
}

func TestNewDelivery(t *testing.T) {
	for _, tc := range []struct {
		name              string
		arrived, requests int64
		promised, allowed float64
		perRequest        float64
		undelivered       bool
	}{
		{"every line", 1000, 1000, 1, 0.99, 1, false},
		{"requests that wrk left in flight", 1032, 1000, 1, 0.99, 1.032, false},
		{"a tenth dropped", 900, 1000, 1, 0.99, 0.9, true},
		{"no span", 0, 1000, 0.02, 0.9, 0, true},
		{"sampled by chance", 19, 1000, 0.02, 0.9, 0.019, false},
		{"datagrams may be lost on the way", 0, 1000, 1, 0, 0, false},
		{"no request at all", 0, 0, 1, 0.99, 0, true},
	} {
		got := newDelivery("v", "w", tc.arrived, tc.requests, tc.promised, tc.allowed)
		if !near(got.PerRequest, tc.perRequest) || got.Undelivered != tc.undelivered {
			t.Errorf("%s: %+v, want %g a request, undelivered %t", tc.name, got, tc.perRequest, tc.undelivered)
		}
	}
}

func TestHasSettled(t *testing.T) {
	for _, tc := range []struct {
		name    string
		history []int64
		want    bool
	}{
		{"too short", []int64{1000, 1000}, false},
		{"still", []int64{1, 1000, 1000, 1000}, true},
		{"within the spread", []int64{1000, 996, 999}, true},
		{"growing", []int64{1000, 1010, 1020}, false},
		{"shrinking", []int64{1020, 1010, 1000}, false},
		{"a peak between", []int64{1000, 2000, 1000}, false},
	} {
		if got := hasSettled(tc.history, 3); got != tc.want {
			t.Errorf("%s: hasSettled(%v) = %t, want %t", tc.name, tc.history, got, tc.want)
		}
	}
}
