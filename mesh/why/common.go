package why

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
)

// Common is something that failing requests have in common, against those that went well.
type Common struct {
	// Dimension is what kind of thing: endpoint, version, zone, network, instance,
	// caller_zone, caller, route, method or protocol.
	Dimension string `json:"dimension"`
	// Values are the values that the failing requests have, of Of that there are.
	Values []string `json:"values"`
	Of     int      `json:"of"`
	// Failing is the share of the failing requests that have them, Good that of the requests
	// that went well, from 0 to 1. The difference is how much they explain.
	Failing float64 `json:"failing_share"`
	Good    float64 `json:"good_share"`
	// Text says it in a sentence.
	Text string `json:"text"`
}

const (
	// few of the failing requests tell nothing, and neither does what they hardly have more
	// often than others.
	leastFailing  = 5
	leastShare    = 0.75
	leastExplains = 0.25
	leastOfBest   = 0.6
	maxCommon     = 4
	maxValues     = 3
)

// dimension is one kind of thing that requests may have in common.
type dimension struct {
	name, words string
	of          func(m *merger, f *Facts, digest int) string
}

// dimensions are in the order in which equally good explanations are told.
var dimensions = []dimension{
	{"endpoint", "endpoint", func(_ *merger, f *Facts, _ int) string { return f.Endpoint }},
	{"version", "version", func(m *merger, f *Facts, d int) string { return m.endpoint(f, d).Version }},
	{"zone", "zone", func(m *merger, f *Facts, d int) string { return m.endpoint(f, d).Zone }},
	{"network", "network", func(_ *merger, f *Facts, _ int) string { return network(f.Endpoint) }},
	{"caller", "caller", func(m *merger, _ *Facts, d int) string { return m.digests[d].Service }},
	{"instance", "instance of the proxy that met it", func(m *merger, _ *Facts, d int) string {
		return strings.TrimSpace(m.digests[d].Service + " " + m.digests[d].Instance)
	}},
	{"caller_zone", "zone of the proxy that met it", func(m *merger, _ *Facts, d int) string { return m.digests[d].Zone }},
	{"route", "route", func(_ *merger, f *Facts, _ int) string { return f.Route }},
	{"method", "method", func(_ *merger, f *Facts, _ int) string { return f.Method }},
	{"protocol", "protocol", func(_ *merger, f *Facts, _ int) string { return f.Protocol }},
}

// endpoint is what the proxy knows of the endpoint.
func (m *merger) endpoint(f *Facts, digest int) Endpoint {
	return m.endpoints[digest][f.Endpoint]
}

// network is the network that an address is in: 256 addresses of IPv4, a /64 of IPv6.
func network(endpoint string) string {
	a, err := netip.ParseAddrPort(endpoint)
	if err != nil || a.Addr().IsLoopback() {
		return ""
	}
	bits := 64
	if a.Addr().Is4() {
		bits = 24
	}
	p, err := a.Addr().WithZone("").Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// tallied is how many requests with a value failed for the cause, and how many went well.
type tallied struct{ failing, good float64 }

// common compares the failing requests, where the failure was met, with the requests of
// the same kind that went well: all calls of the same service, or all requests to the
// application of the same one.
func (m *merger) common(c *cause) []Common {
	all := []Common{}
	if c.count < leastFailing {
		return all
	}
	target := m.target(c)
	for _, d := range dimensions {
		values := map[string]*tallied{}
		at := func(value string) *tallied {
			if values[value] == nil {
				values[value] = &tallied{}
			}
			return values[value]
		}
		for met, n := range c.met {
			if m.targetOf(&met.Facts, met.digest) == target {
				at(d.of(m, &met.Facts, met.digest)).failing += n
			}
		}
		for i := range m.digests {
			for j := range m.digests[i].Counts {
				k := &m.digests[i].Counts[j]
				if m.targetOf(&k.Facts, i) == target {
					at(d.of(m, &k.Facts, i)).good += float64(k.Requests - k.Failed)
				}
			}
		}
		if found, ok := explain(d, values); ok {
			all = append(all, found)
		}
	}
	// Differences of less than a hundredth are no reason to prefer one.
	slices.SortStableFunc(all, func(a, b Common) int {
		return cmp.Compare(math.Round(100*(b.Failing-b.Good)), math.Round(100*(a.Failing-a.Good)))
	})
	if len(all) > 0 { // what explains much less is an effect of the same
		least := leastOfBest * (all[0].Failing - all[0].Good)
		all = slices.DeleteFunc(all, func(c Common) bool { return c.Failing-c.Good < least })
	}
	return all[:min(len(all), maxCommon)]
}

// goal is what requests have that can be compared: they call the same service, or are
// to the application of the same one.
type goal struct{ service, direction string }

func (m *merger) targetOf(f *Facts, digest int) goal {
	if f.Callee == "" {
		return goal{m.digests[digest].Service, f.Direction}
	}
	if known, ok := m.services[f.Endpoint]; ok {
		return goal{known, ""}
	}
	return goal{m.name(f.Callee), ""}
}

// target is that of most failing requests of the cause.
func (m *merger) target(c *cause) (target goal) {
	sums := map[goal]float64{}
	for met, n := range c.met {
		sums[m.targetOf(&met.Facts, met.digest)] += n
	}
	most := 0.0
	for g, n := range sums {
		if n > most || n == most && (g.service < target.service || g.service == target.service && g.direction < target.direction) {
			target, most = g, n
		}
	}
	return target
}

// explain finds the values that the failing requests have, and others have not.
func explain(d dimension, values map[string]*tallied) (found Common, ok bool) {
	delete(values, "") // not known
	var sum tallied
	for _, v := range values {
		sum.failing += v.failing
		sum.good += v.good
	}
	if len(values) < 2 || sum.failing == 0 || sum.good == 0 {
		return found, false
	}
	share := func(names []string) (failing, good float64) {
		for _, name := range names {
			failing += values[name].failing / sum.failing
			good += values[name].good / sum.good
		}
		return failing, good
	}
	best := -1.0
	try := func(names []string) {
		if len(names) == 0 || len(names) > maxValues || len(names) == len(values) {
			return
		}
		if failing, good := share(names); failing >= leastShare && failing-good >= leastExplains && failing-good > best+0.01 {
			best = failing - good
			found = Common{Dimension: d.name, Values: names, Of: len(values), Failing: min(failing, 1), Good: min(good, 1)}
		}
	}
	var bad []string // those of which most requests fail
	for _, name := range slices.Sorted(maps.Keys(values)) {
		try([]string{name})
		if v := values[name]; v.failing > v.good {
			bad = append(bad, name)
		}
	}
	try(bad)
	if best < 0 {
		return found, false
	}
	found.Text = found.text(d.words)
	return found, true
}

func (c *Common) text(words string) string {
	if len(c.Values) > 1 {
		words += "s"
	}
	failing := "all of the failures"
	if c.Failing < 0.9995 {
		failing = percent(c.Failing) + " of the failures"
	}
	good := "nothing that went well"
	if c.Good > 0 {
		good = percent(c.Good) + " of what went well"
	}
	return fmt.Sprintf("%s %s, only %d of %d: %s, %s", words, strings.Join(c.Values, ", "), len(c.Values), c.Of, failing, good)
}
