package main

import (
	"slices"
	"time"
)

// result is everything one run of the harness found out; results.json holds it.
type result struct {
	Measured  time.Time  `json:"measured"`
	Machine   machine    `json:"machine"`
	Method    method     `json:"method"`
	Rows      []row      `json:"rows,omitempty"`
	Views     []delivery `json:"views,omitempty"`
	Idle      *idle      `json:"idle,omitempty"`
	Memory    *memory    `json:"endpoints,omitempty"`
	Discovery *discovery `json:"discovery,omitempty"`
	Targets   []verdict  `json:"targets,omitempty"`
	Samples   []sample   `json:"samples,omitempty"`
}

// method says how the figures came about.
type method struct {
	Rounds          int      `json:"rounds"`
	DurationSeconds float64  `json:"duration_seconds"`
	WarmupSeconds   float64  `json:"warmup_seconds"`
	Pinned          bool     `json:"pinned"`
	ProxyCore       int      `json:"proxy_core"` // -1: any
	LoadCore        int      `json:"load_core"`  // -1: any
	Notes           []string `json:"notes,omitempty"`
}

// cell is one kind of load. Figures of different cells are never mixed.
type cell struct {
	Group       string `json:"group"`
	Connections int    `json:"connections"`
	Streams     int    `json:"streams,omitempty"` // of each HTTP/2 connection
	BodyBytes   int    `json:"body_bytes"`
	Fresh       bool   `json:"fresh,omitempty"` // a connection, over TLS a handshake, for each request
}

// sample is one measured load on one variant. CPU times are microseconds a
// request, latencies microseconds, 0 where the load generator told none.
type sample struct {
	Round   int    `json:"round"`
	Variant string `json:"variant"`
	cell
	Requests          int64   `json:"requests"`
	CPUMicros         float64 `json:"cpu_us"`
	UserMicros        float64 `json:"user_us"`
	SystemMicros      float64 `json:"system_us"`
	RequestsPerSecond float64 `json:"requests_per_second"`
	P50Micros         float64 `json:"p50_us"`
	P99Micros         float64 `json:"p99_us"`
}

// newSample makes a sample of what the load generator saw and what the proxy used meanwhile.
func newSample(round int, variant string, c cell, l load, used cpuTime) sample {
	each := func(d time.Duration) float64 { return micros(d) / float64(l.requests) }
	return sample{
		Round: round, Variant: variant, cell: c,
		Requests:          l.requests,
		CPUMicros:         each(used.total),
		UserMicros:        each(used.user),
		SystemMicros:      each(used.system),
		RequestsPerSecond: float64(l.requests) / l.elapsed.Seconds(),
		P50Micros:         micros(l.p50),
		P99Micros:         micros(l.p99),
	}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// row is the median over rounds of one variant's samples in one cell. Medians
// are taken of each figure by itself, so user and system need not add up to CPU.
type row struct {
	Variant string `json:"variant"`
	cell
	Rounds            int      `json:"rounds"`
	CPUMicros         float64  `json:"cpu_us"`
	CPULowest         float64  `json:"cpu_us_lowest"`
	CPUHighest        float64  `json:"cpu_us_highest"`
	UserMicros        float64  `json:"user_us"`
	SystemMicros      float64  `json:"system_us"`
	Ratio             *float64 `json:"cpu_ratio,omitempty"`
	RatioTo           string   `json:"cpu_ratio_to,omitempty"` // the variant
	RequestsPerSecond float64  `json:"requests_per_second"`
	P50Micros         float64  `json:"p50_us"`
	P99Micros         float64  `json:"p99_us"`
}

// delivery compares what a variant's configuration promised to show with what
// arrived, over all loads on it, warm-ups included.
type delivery struct {
	Variant     string  `json:"variant"`
	View        string  `json:"view"`
	Requests    int64   `json:"requests"`
	PerRequest  float64 `json:"per_request"`
	Promised    float64 `json:"promised_per_request"`
	Undelivered bool    `json:"undelivered,omitempty"`
}

// newDelivery compares arrivals with the promise. allowed is the share of the
// promise that must have arrived; 0 where the way there may lose messages
// without the sender's sparing anything.
func newDelivery(variant, view string, arrived, requests int64, promised, allowed float64) delivery {
	d := delivery{Variant: variant, View: view, Requests: requests, Promised: promised}
	if requests > 0 {
		d.PerRequest = float64(arrived) / float64(requests)
	}
	d.Undelivered = d.PerRequest < promised*allowed
	return d
}

// median of values, which it leaves as they are; 0 of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// ratio is the median over rounds of CPU a request of one variant to another in
// the same round and cell: what drifts between rounds hits both. It is false
// when no round has both.
func ratio(samples []sample, c cell, of, to string) (float64, bool) {
	base := map[int]float64{}
	for _, s := range samples {
		if s.cell == c && s.Variant == to {
			base[s.Round] = s.CPUMicros
		}
	}
	var ratios []float64
	for _, s := range samples {
		if s.cell == c && s.Variant == of && base[s.Round] > 0 {
			ratios = append(ratios, s.CPUMicros/base[s.Round])
		}
	}
	return median(ratios), len(ratios) > 0
}

// summarise makes a row of each variant in each cell, in the order given.
func summarise(samples []sample, cells []cell, names []string) []row {
	var rows []row
	for _, c := range cells {
		for _, name := range names {
			var own []sample
			for _, s := range samples {
				if s.cell == c && s.Variant == name {
					own = append(own, s)
				}
			}
			if len(own) > 0 {
				rows = append(rows, newRow(samples, own))
			}
		}
	}
	return rows
}

// newRow summarises own, the samples of one variant in one cell.
func newRow(all, own []sample) row {
	column := func(figure func(sample) float64) []float64 {
		var values []float64
		for _, s := range own {
			values = append(values, figure(s))
		}
		return values
	}
	cpu := column(func(s sample) float64 { return s.CPUMicros })
	r := row{
		Variant: own[0].Variant, cell: own[0].cell, Rounds: len(own),
		CPUMicros:         median(cpu),
		CPULowest:         slices.Min(cpu),
		CPUHighest:        slices.Max(cpu),
		UserMicros:        median(column(func(s sample) float64 { return s.UserMicros })),
		SystemMicros:      median(column(func(s sample) float64 { return s.SystemMicros })),
		RequestsPerSecond: median(column(func(s sample) float64 { return s.RequestsPerSecond })),
		P50Micros:         median(column(func(s sample) float64 { return s.P50Micros })),
		P99Micros:         median(column(func(s sample) float64 { return s.P99Micros })),
	}
	base := baseOf(r.Group, r.Variant)
	if q, ok := ratio(all, r.cell, r.Variant, base); ok {
		r.Ratio, r.RatioTo = &q, base
	}
	return r
}
