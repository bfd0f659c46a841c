package metrics

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// populated are the buckets that hold something, by key.
func populated(h *dto.Histogram) map[int]int64 {
	buckets := map[int]int64{}
	key, i, n := 0, 0, int64(0)
	for _, span := range h.GetPositiveSpan() {
		key += int(span.GetOffset())
		for range span.GetLength() {
			n += h.GetPositiveDelta()[i]
			if n != 0 {
				buckets[key] = n
			}
			key++
			i++
		}
	}
	return buckets
}

// Buckets are where client_golang puts them, at every resolution.
func TestNativeMatchesClientGolang(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	draw := func(n int, f func() float64) []float64 {
		values := make([]float64, n)
		for i := range values {
			values[i] = f()
		}
		return values
	}
	bounds := []float64{0, zeroThreshold}
	for _, f := range fractions {
		bounds = append(bounds, f, 2*f, f/1024)
	}
	for _, c := range []struct {
		name   string
		values []float64
		factor float64 // client_golang's, for the resolution that ours is to end at
	}{
		{"bounds", bounds, 1.1},
		{"bounds, wide", append([]float64{1e-9, 3600}, bounds...), 1.5},
		{"one decade", draw(5000, func() float64 { return 0.001 + random.Float64()/100 }), 1.1},
		{"10 us to minutes", draw(5000, func() float64 { return 1e-5 * float64(uint64(1)<<random.IntN(25)) }), 1.2},
		{"ns to years", draw(5000, func() float64 { return 1e-9 * float64(uint64(1)<<random.IntN(60)) }), 1.5},
		{"centuries", draw(5000, func() float64 { return 1e-9 * float64(uint64(1)<<random.IntN(64)) * 1e10 * random.Float64() }), 1.5},
	} {
		t.Run(c.name, func(t *testing.T) {
			ours := newNative()
			theirs := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "x", NativeHistogramBucketFactor: c.factor})
			for _, v := range c.values {
				ours.add(v)
				theirs.Observe(v)
			}
			var m dto.Metric
			if err := theirs.Write(&m); err != nil {
				t.Fatal(err)
			}
			want, got := m.GetHistogram(), &dto.Histogram{}
			ours.read(got)
			if got.GetSchema() != want.GetSchema() {
				t.Fatalf("schema %d, want %d", got.GetSchema(), want.GetSchema())
			}
			if diff := cmp.Diff(populated(want), populated(got)); diff != "" {
				t.Errorf("buckets (-client_golang +ours):\n%s", diff)
			}
			if got.GetZeroCount() != want.GetZeroCount() {
				t.Errorf("zero bucket %d, want %d", got.GetZeroCount(), want.GetZeroCount())
			}
			if len(got.GetPositiveDelta()) > maxNative {
				t.Errorf("%d buckets, want at most %d", len(got.GetPositiveDelta()), maxNative)
			}
		})
	}
}
