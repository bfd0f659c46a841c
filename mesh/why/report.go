package why

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/hopscope/hopscope/telemetry/events"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Report says why requests failed. Its JSON is documented in docs/mesh.md.
type Report struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	// Requests is how many requests entered the mesh, Failed how many of them failed, and
	// Recovered how many went well though something below them failed.
	Requests  uint64 `json:"requests"`
	Failed    uint64 `json:"failed"`
	Recovered uint64 `json:"recovered"`
	// Exact is false if some of the numbers of failures are estimated.
	Exact   bool    `json:"exact"`
	Verdict string  `json:"verdict"`
	Causes  []Cause `json:"causes"`
	// Mended are the causes of what was recovered from.
	Mended []Cause `json:"recovered_causes"`
	// NotAtFault are services that only relayed failures.
	NotAtFault []string  `json:"not_at_fault"`
	Lost       []Lost    `json:"lost_context"`
	Services   []Service `json:"services"`
	// Notes say what is missing, a sentence each.
	Notes []string `json:"notes"`
}

// Service is what the proxies of a service counted.
type Service struct {
	Service  string `json:"service"`
	Requests uint64 `json:"requests"`
	Failed   uint64 `json:"failed"`
}

// Cause is who is at fault for some of the failed requests.
type Cause struct {
	Culprit Culprit `json:"culprit"`
	// Reason is what happened, in words; Reasons is how many other words there were for it.
	Reason  string `json:"reason"`
	Reasons int    `json:"other_reasons"`
	// Requests is how many failed for it, Share how many that is of all that failed, from 0
	// to 1.
	Requests uint64  `json:"requests"`
	Share    float64 `json:"share"`
	// First and Last are when it was seen. FirstIsLate is true if it may have begun before.
	First       time.Time `json:"first"`
	Last        time.Time `json:"last"`
	FirstIsLate bool      `json:"first_is_late"`
	// Inferred is true if it was found by times, without ids that were passed on.
	Inferred bool `json:"inferred"`
	// Suffering are the requests that failed, by where they entered the mesh.
	Suffering []Suffering `json:"suffering"`
	// Relays are the services that the failure came through. They are not at fault for it.
	Relays []string `json:"relays"`
	// Common is what the failing requests have in common, that which explains most first.
	Common []Common `json:"common"`
	// Changed is what changed before, the nearest first; Then is what came of it.
	Changed []Change `json:"changed"`
	Then    []Change `json:"then"`
	// TraceID is an example, and Next the command that shows it.
	TraceID string `json:"trace_id"`
	Next    string `json:"next"`
}

// Culprit is who is at fault.
type Culprit struct {
	Service string `json:"service"`
	// Instance is the address of the instance, if it was always the same.
	Instance string `json:"instance"`
	Part     string `json:"part"`
	Kind     string `json:"kind"`
	// Edge is where it happened, such as "payments -> bank", or the service alone; Caller is
	// who met it there, empty if it is within the service.
	Edge   string `json:"edge"`
	Caller string `json:"caller"`
}

// Suffering are failing requests of a route where they entered the mesh.
type Suffering struct {
	Service string `json:"service"`
	Method  string `json:"method"`
	Route   string `json:"route"`
	Failed  uint64 `json:"failed"`
	// Requests is how many there were in all.
	Requests uint64 `json:"requests"`
}

// Change is something that happened to one proxy or several.
type Change struct {
	events.Event
	// Services are those of the proxies that it happened to.
	Services []string `json:"services"`
	// Before is how long before the first failure it was; negative if after.
	Before time.Duration `json:"before_ns"`
}

const (
	maxCauses    = 20
	maxSuffering = 5
	maxServices  = 100
)

func (m *merger) report() *Report {
	r := &Report{
		Failed: round(m.failed), Recovered: round(m.mended), Exact: !m.estimated,
		Causes: []Cause{}, Mended: []Cause{}, NotAtFault: []string{}, Lost: []Lost{}, Services: []Service{}, Notes: []string{},
	}
	r.Since, r.Until = m.span()
	for _, d := range m.digests {
		r.Lost = append(r.Lost, d.Lost...)
	}
	r.Lost = lost(r.Lost)
	r.Requests = max(m.entered(), r.Failed)
	m.countServices(r)
	changes := m.allEvents()
	for _, c := range sorted(m.causes) {
		r.Causes = append(r.Causes, m.describe(c, m.failed, changes))
	}
	for _, c := range sorted(m.recovered) {
		mended := m.describe(c, m.mended, nil)
		mended.Common = []Common{} // the hops went well: their facts are not those of what failed
		r.Mended = append(r.Mended, mended)
	}
	r.NotAtFault = m.innocent()
	r.Verdict = r.verdict()
	m.note(r)
	return r
}

// span is the time that the digests are about. Most of them agree on when now is; those that
// are far off do not count.
func (m *merger) span() (since, until time.Time) {
	if len(m.digests) == 0 {
		return since, until
	}
	var ends []time.Time
	for _, d := range m.digests {
		ends = append(ends, d.Until.UTC())
	}
	slices.SortFunc(ends, time.Time.Compare)
	until = ends[len(ends)/2]
	since = until
	for _, d := range m.digests {
		if d.Since.Before(since) && until.Sub(d.Since) < mostSpan {
			since = d.Since.UTC()
		}
	}
	return since, until
}

// mostSpan is more than a proxy counts back.
const mostSpan = 2 * time.Hour

func round(x float64) uint64 { return uint64(math.Round(x)) }

// sorted returns the causes, that of most requests first.
func sorted(all map[culprit]*cause) []*cause {
	list := slices.SortedFunc(maps.Values(all), func(a, b *cause) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.first, b.first), cmp.Compare(a.service, b.service), cmp.Compare(a.kind, b.kind),
			cmp.Compare(a.caller, b.caller), cmp.Compare(a.part, b.part))
	})
	return list[:min(len(list), maxCauses)]
}

// most returns the key with the largest value; of equal ones, the first.
func most(all map[string]float64) (key string) {
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if key == "" || all[k] > all[key] {
			key = k
		}
	}
	return key
}

func (m *merger) describe(c *cause, total float64, changes []events.Event) Cause {
	out := Cause{
		Culprit: Culprit{Service: c.service, Part: c.part, Kind: c.kind, Caller: c.caller},
		Reason:  most(c.reasons), Reasons: len(c.reasons) - 1, Requests: round(c.count), Share: c.count / max(total, 1),
		First: instant(c.first), Last: instant(c.last), Inferred: 2*c.inferred > c.count,
		Suffering: m.suffering(c), Relays: []string{}, Common: m.common(c), Changed: []Change{}, Then: []Change{}, TraceID: c.example.String(),
	}
	out.Culprit.Edge = (&hop.Failure{Hop: c.service, Caller: c.caller}).Edge()
	if len(c.instances) == 1 {
		out.Culprit.Instance = most(c.instances)
	}
	for _, service := range slices.Sorted(maps.Keys(c.path)) {
		if service != c.service && service != c.caller {
			out.Relays = append(out.Relays, service)
		}
	}
	for _, d := range m.digests {
		// What the proxies forgot may have been the same.
		if d.partial() && c.path[d.Service] > 0 && c.first-d.Failures.UnixMicro() < int64(time.Second/time.Microsecond) {
			out.FirstIsLate = true
		}
	}
	if changes != nil {
		out.Changed, out.Then = around(out.First, changes)
	}
	return out
}

// suffering are the routes that fail most for a cause.
func (m *merger) suffering(c *cause) []Suffering {
	all := []Suffering{}
	for r, n := range c.suffer {
		failed := round(n)
		all = append(all, Suffering{r.service, r.method, r.route, failed, max(m.entries[r], failed)})
	}
	slices.SortFunc(all, func(a, b Suffering) int {
		return cmp.Or(cmp.Compare(b.Failed, a.Failed), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Route, b.Route), cmp.Compare(a.Method, b.Method))
	})
	return all[:min(len(all), maxSuffering)]
}

func (d *Digest) hasInbound() bool {
	return slices.ContainsFunc(d.Counts, func(c Count) bool { return c.Direction == "inbound" })
}

// entered counts the requests that entered the mesh: those to a service that no other
// service's proxy sent there. A service whose proxies see only its calls begins them.
func (m *merger) entered() (n uint64) {
	others := map[string]uint64{} // that had a parent
	for _, d := range m.digests {
		inbound := d.hasInbound()
		for i := range d.Counts {
			switch c := &d.Counts[i]; {
			case c.Direction == "inbound":
				n += c.Roots
				others[d.Service] += c.Requests - c.Roots
			case inbound:
				n += c.Roots
			default:
				n += c.Requests
			}
		}
	}
	for service, all := range others {
		if calls := m.calls[service]; all > calls {
			n += all - calls
		}
	}
	return n
}

// called is the service that was called, under the name that its own proxy has for it, if
// the address of the endpoint says so.
func (m *merger) called(c *Count) string {
	if known, ok := m.services[c.Endpoint]; ok {
		return known
	}
	return m.name(c.Callee)
}

func (m *merger) countServices(r *Report) {
	sums := map[string]*Service{}
	for _, d := range m.digests {
		inbound := d.hasInbound()
		for i := range d.Counts {
			c := &d.Counts[i]
			if inbound && c.Direction != "inbound" {
				continue
			}
			if sums[d.Service] == nil {
				sums[d.Service] = &Service{Service: d.Service}
			}
			sums[d.Service].Requests += c.Requests
			sums[d.Service].Failed += c.Failed
		}
	}
	for _, s := range sums {
		r.Services = append(r.Services, *s)
	}
	slices.SortFunc(r.Services, func(a, b Service) int {
		return cmp.Or(cmp.Compare(b.Failed, a.Failed), cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Service, b.Service))
	})
	r.Services = r.Services[:min(len(r.Services), maxServices)]
}

// innocent are the services that only relayed failures.
func (m *merger) innocent() []string {
	relays, guilty := map[string]bool{}, map[string]bool{}
	for key, c := range m.causes {
		guilty[key.service], guilty[key.caller] = true, true
		for service := range c.path {
			relays[service] = true
		}
	}
	all := []string{}
	for _, service := range slices.Sorted(maps.Keys(relays)) {
		if !guilty[service] {
			all = append(all, service)
		}
	}
	return all[:min(len(all), maxServices)]
}

// lost adds up what proxies of the same service say.
func lost(all []Lost) []Lost {
	slices.SortFunc(all, func(a, b Lost) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Reason, b.Reason))
	})
	merged := []Lost{}
	for _, l := range all {
		if n := len(merged); n > 0 && merged[n-1].Service == l.Service {
			merged[n-1].Calls += l.Calls
		} else {
			merged = append(merged, l)
		}
	}
	slices.SortStableFunc(merged, func(a, b Lost) int { return cmp.Compare(b.Calls, a.Calls) })
	return merged[:min(len(merged), maxServices)]
}

func (m *merger) note(r *Report) {
	if m.estimated {
		r.Notes = append(r.Notes, "the numbers of failed requests are estimated: the proxies had no room for every hop of that time (telemetry.store.max_bytes); how many hops failed at each is exact")
	}
	if m.broken > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d hops were left out: they make no sense", m.broken))
	}
	var failed uint64
	for _, s := range r.Services {
		failed += s.Failed
	}
	if r.Failed == 0 && failed > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("the proxies counted %d failed hops, but have none of them any more: ask for less time, or give telemetry.store.max_bytes more", failed))
	}
}

// verdict says the most important in a sentence.
func (r *Report) verdict() string {
	switch {
	case len(r.Causes) == 0 && r.Requests == 0:
		return "no requests"
	case len(r.Causes) == 0:
		return "nothing failed"
	}
	c := &r.Causes[0]
	return fmt.Sprintf("%s of %s failed %s: %s, since %s", percent(c.Share), number(r.Failed), plural("request", r.Failed), c.sentence(), c.First.Format(clock))
}

// sentence is the culprit and what happened.
func (c *Cause) sentence() string { return c.Culprit.Edge + ", " + c.Reason }

const clock = "15:04:05"

// percent is a share in words, which is 0 % or 100 % only if it is.
func percent(share float64) string {
	p := 100 * share
	switch {
	case p <= 0:
		return "0 %"
	case p < 0.1:
		return "< 0.1 %"
	case p < 10 && p < 9.95:
		return fmt.Sprintf("%.1f %%", p)
	case p < 100 && p >= 99.5:
		return "> 99 %"
	}
	return fmt.Sprintf("%.0f %%", min(p, 100))
}

// number writes thousands apart: 1,204.
func number(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func plural(word string, n uint64) string {
	if n == 1 {
		return word
	}
	return word + "s"
}
