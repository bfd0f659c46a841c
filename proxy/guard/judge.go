package guard

import (
	"fmt"
	"math"
	"time"
)

// sure is how many standard deviations a difference must be above what is allowed: if
// the canary is just as bad as it may be, one comparison in 30,000 finds it worse. The
// comparisons of one window are nearly the same, so there are few that are independent.
const sure = 4.0

// unlikely is the probability that corresponds to that.
var unlikely = math.Erfc(sure/math.Sqrt2) / 2

// Verdict says why a canary is worse.
type Verdict struct {
	At time.Time
	// Reason is a sentence for a person.
	Reason         string
	Stable, Canary Summary
}

// Summary is one side in short.
type Summary struct {
	Requests, Failed uint64
	P99              time.Duration // 0 without requests
}

// ErrorRate is the share of the requests that failed.
func (s Summary) ErrorRate() float64 { return float64(s.Failed) / max(float64(s.Requests), 1) }

func (c *counts) summary() Summary {
	s := Summary{Requests: c.requests, Failed: c.failed}
	if c.requests > 0 {
		s.P99 = above(c.took.bucket(uint64(math.Ceil(float64(c.requests) * percentile))))
	}
	return s
}

// judge compares the sides; nil is that the canary is not worse for sure.
func (o *Options) judge(stable, canary *counts) *Verdict {
	if least := uint64(max(o.MinRequests, 1)); stable.requests < least || canary.requests < least {
		return nil
	}
	s, c := stable.summary(), canary.summary()
	v := &Verdict{Stable: s, Canary: c}
	switch {
	case o.MaxErrorRate < 1 && worse(s, c, o.MaxErrorRate):
		v.Reason = fmt.Sprintf("%.2f %% of its %d requests failed, and %.2f %% of the %d of the others: more than %g %% above",
			100*c.ErrorRate(), c.Requests, 100*s.ErrorRate(), s.Requests, 100*o.MaxErrorRate)
	case o.MaxP99 > 0 && slower(stable, canary, o.MaxP99):
		v.Reason = fmt.Sprintf("its 99th percentile is %s over %d requests, and that of the others %s over %d: more than %g times as long",
			short(c.P99), c.Requests, short(s.P99), s.Requests, o.MaxP99)
	default:
		return nil
	}
	return v
}

// short is a duration with three digits.
func short(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}
