package outlier

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// origin is one of a host's two windows, with its reasons for ejection.
type origin struct {
	window           func(*Host) *window
	of               string // in the middle of a sentence
	success, failure Reason
}

// rated is a host and its rate.
type rated struct {
	host  *Host
	rate  float64 // of success, in percent
	total int
}

// rates ejects hosts by their rates, the worst first: not all may be ejected.
func (s *sweep) rates(hosts []*Host, of origin) {
	o := &s.options
	bucket := number(s.now, s.width)
	least := min(o.SuccessRateRequestVolume, o.FailurePercentageRequestVolume)
	all := s.rated[:0]
	for _, h := range hosts {
		if h.ejected.Load() {
			continue
		}
		if c := of.window(h).sum(bucket); c.total > 0 && c.total >= least {
			all = append(all, rated{h, c.rate(), c.total})
		}
	}
	slices.SortStableFunc(all, func(a, b rated) int { return cmp.Compare(a.rate, b.rate) })
	s.unlike(all, of)
	s.failing(all, of)
	clear(all) // keep no host alive
	s.rated = all[:0]
}

// rounding is by how much a rate must be below the threshold. If all rates are the same,
// rounding may put their mean a little above them.
const rounding = 1e-9

// unlike ejects hosts with a success rate unlike that of the others: Envoy's
// success_rate.
func (s *sweep) unlike(all []rated, of origin) {
	o := &s.options
	mean, stdev, n := spread(all, o.SuccessRateRequestVolume)
	if n == 0 || n < o.SuccessRateMinimumHosts {
		return
	}
	threshold := mean - o.SuccessRateStdevFactor*stdev
	for _, r := range all {
		if r.rate >= threshold-rounding {
			return // so are those that follow
		}
		if r.total >= o.SuccessRateRequestVolume && s.fresh(r.host, of.success) {
			s.outlier(r.host, of.success, fmt.Sprintf("success rate%s %.1f %% below %.1f %% (mean %.1f %% - %g * stdev %.1f %% of %d endpoints)",
				of.of, r.rate, threshold, mean, o.SuccessRateStdevFactor, stdev, n))
		}
	}
}

// spread returns the mean and the standard deviation of the rates of hosts with at least
// volume requests, and the number of these hosts.
func spread(all []rated, volume int) (mean, stdev float64, n int) {
	for _, r := range all {
		if r.total >= volume {
			mean += r.rate
			n++
		}
	}
	if n == 0 {
		return 0, 0, 0
	}
	mean /= float64(n)
	for _, r := range all {
		if r.total >= volume {
			stdev += (r.rate - mean) * (r.rate - mean)
		}
	}
	return mean, math.Sqrt(stdev / float64(n)), n
}

// failing ejects hosts with too large a share of failed requests, whatever the others do:
// Envoy's failure_percentage.
func (s *sweep) failing(all []rated, of origin) {
	o := &s.options
	n := 0
	for _, r := range all {
		if r.total >= o.FailurePercentageRequestVolume {
			n++
		}
	}
	if n == 0 || n < o.FailurePercentageMinimumHosts {
		return
	}
	for _, r := range all {
		failures := 100 - r.rate
		if failures < float64(o.FailurePercentageThreshold) {
			return // so are those that follow
		}
		if r.total >= o.FailurePercentageRequestVolume && s.fresh(r.host, of.failure) {
			s.outlier(r.host, of.failure, fmt.Sprintf("%.1f %% of its requests failed%s; the threshold is %d %%",
				failures, of.of, o.FailurePercentageThreshold))
		}
	}
}

// fresh reports whether the host is not ejected, and was not found to be an outlier for
// this reason within the last interval. So calling Decide more often changes neither
// counts nor probabilities.
func (s *sweep) fresh(h *Host, r Reason) bool {
	t := h.told[r]
	return !h.ejected.Load() && (!t.is || s.now-t.at >= s.options.Interval)
}
