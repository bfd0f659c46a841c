package why

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/hopscope/hopscope/telemetry/events"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Merge puts the digests of the proxies of a mesh together. The digests of other proxies
// come from [Parse].
func Merge(digests []*Digest) *Report {
	m := &merger{services: map[string]string{}, entries: map[route]uint64{}, calls: map[string]uint64{}, causes: map[culprit]*cause{}, recovered: map[culprit]*cause{}}
	for _, d := range digests {
		if d != nil {
			m.digests = append(m.digests, d)
		}
	}
	m.names()
	m.countCalls()
	m.read()
	m.weigh()
	for from, to := 0, 0; from < len(m.records); from = to {
		for to = from; to < len(m.records) && m.records[to].trace == m.records[from].trace; to++ {
		}
		m.judge(m.records[from:to])
	}
	return m.report()
}

type merger struct {
	digests   []*Digest
	services  map[string]string     // by the addresses at which their proxies take requests
	endpoints []map[string]Endpoint // of the digests, by address
	entries   map[route]uint64      // requests by where they entered the mesh
	calls     map[string]uint64     // of services, by how often they were tried
	records   []record              // by trace, and then by when they began
	broken    int                   // hops that made no sense
	weights   []float64             // of the digests' hops: how many each stands for
	cuts      []int64               // of the digests: from when on roots are known for sure

	causes, recovered map[culprit]*cause
	failed, mended    float64
	estimated         bool
}

// names learns at which address which service is.
func (m *merger) names() {
	ambiguous := map[string]bool{}
	defer func() {
		for a := range ambiguous {
			delete(m.services, a)
		}
	}()
	for _, d := range m.digests {
		for _, a := range d.Listens {
			if known, ok := m.services[a]; ok && known != d.Service {
				ambiguous[a] = true // as 127.0.0.1 on two machines
			}
			m.services[a] = d.Service
		}
		known := make(map[string]Endpoint, len(d.Endpoints))
		for _, e := range d.Endpoints {
			known[e.Address] = e
		}
		m.endpoints = append(m.endpoints, known)
		inbound := d.hasInbound()
		for i := range d.Counts {
			if c := &d.Counts[i]; c.Direction == "inbound" || !inbound {
				m.entries[route{d.Service, c.Method, c.Route}] += c.Requests
			}
		}
	}
}

// countCalls counts the calls of services that come from other services.
func (m *merger) countCalls() {
	for _, d := range m.digests {
		for i := range d.Counts {
			if c := &d.Counts[i]; c.Callee != "" {
				m.calls[m.called(c)] += c.Attempts
			}
		}
	}
}

// name is the name of a service that may have been called by its address.
func (m *merger) name(service string) string {
	if known, ok := m.services[service]; ok {
		return known
	}
	return service
}

// read reads the hops, and has calls that began a trace of their own be of the trace that
// they were made for.
func (m *merger) read() {
	n := 0
	for _, d := range m.digests {
		for i := range d.Groups {
			n += len(d.Groups[i].Hops)
		}
	}
	m.records = make([]record, 0, n)
	claims := map[hop.TraceID]claim{}
	for i, d := range m.digests {
		for j := range d.Groups {
			g := &d.Groups[j]
			for _, s := range g.Hops {
				r := record{group: g, digest: i}
				if r.parse(s) != nil {
					m.broken++
					continue
				}
				if !r.owner.IsZero() && r.owner != r.trace && r.parent.IsZero() {
					claims[r.trace] = claim{r.owner, i}
				}
				m.records = append(m.records, r)
			}
		}
	}
	for i := range m.records { // another proxy saw the trace begin
		r := &m.records[i]
		if c, ok := claims[r.trace]; ok && r.parent.IsZero() && r.digest != c.digest {
			delete(claims, r.trace)
		}
	}
	for i := range m.records {
		r := &m.records[i]
		for n := 0; n < 8; n++ { // a circle ends here, too
			c, ok := claims[r.trace]
			if !ok {
				break
			}
			if n == 0 && !r.under.IsZero() && r.digest == c.digest {
				r.parent = r.under
			}
			r.trace = c.owner
		}
	}
	slices.SortFunc(m.records, func(a, b record) int {
		return cmp.Or(bytes.Compare(a.trace[:], b.trace[:]), cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end), bytes.Compare(a.span[:], b.span[:]))
	})
}

// claim is what a proxy says of a trace that a call began: which trace it was made for.
type claim struct {
	owner  hop.TraceID
	digest int
}

// weigh finds how many failed hops each of a digest stands for. Where a proxy had no room
// for all, its hops stand for as many as it has counted. A hop then only counts as a root
// if the proxy that called would have had it, too.
func (m *merger) weigh() {
	m.weights, m.cuts = make([]float64, len(m.digests)), make([]int64, len(m.digests))
	for i := range m.digests {
		for j, d := range m.digests {
			if j != i && d.partial() {
				m.cuts[i] = max(m.cuts[i], d.Failures.UnixMicro())
			}
		}
	}
	counted, all := make([]float64, len(m.digests)), make([]float64, len(m.digests))
	for i := range m.records {
		if r := &m.records[i]; r.group.Failed {
			all[r.digest]++
			if m.certain(r) {
				counted[r.digest]++
			}
		}
	}
	for i, d := range m.digests {
		m.weights[i] = 1
		if counted[i] == 0 { // uncertain ones are better than none
			m.cuts[i], counted[i] = 0, all[i]
		}
		exact := 0.0
		for j := range d.Counts {
			exact += float64(d.Counts[j].Failed)
		}
		if d.partial() && counted[i] > 0 && exact > counted[i] {
			m.weights[i] = exact / counted[i]
			m.estimated = true
		}
	}
}

func (d *Digest) partial() bool { return d.Failures.After(d.Since) }

// certain reports whether it can be told if the hop is a root.
func (m *merger) certain(r *record) bool { return r.parent.IsZero() || r.start >= m.cuts[r.digest] }

// settles is how long the proxies may take to agree that a request has ended: they are not
// asked at the very same time, and a callee ends before its caller.
const settles = int64(time.Second / time.Microsecond)

// unfinished reports whether the hop has just ended, and what called it is missing only
// because that goes on: it is the call of a service whose requests are known, or a request
// to a service that others call. The request then counts when it has ended.
func (m *merger) unfinished(root *record) bool {
	d := m.digests[root.digest]
	if root.parent.IsZero() || root.end < d.Until.UnixMicro()-settles {
		return false
	}
	if root.group.Direction == "outbound" {
		return d.hasInbound()
	}
	return m.calls[d.Service] > 0
}

// judge finds who is at fault for a trace, and counts it.
func (m *merger) judge(records []record) {
	t := newTree(records)
	root := t.root()
	if !m.certain(root) || m.unfinished(root) {
		return
	}
	guilty := root
	if !root.group.Failed {
		if guilty = t.firstFailed(); guilty == nil {
			guilty = t.firstMended()
		}
		if guilty == nil {
			return
		}
	}
	guilty = t.descend(guilty)
	g, all, weight := guilty.group, m.causes, m.weights[root.digest]
	if !root.group.Failed {
		all = m.recovered
		m.mended += weight
	} else {
		m.failed += weight
	}
	key := culprit{m.name(g.Service), g.Part, g.Kind, m.name(g.Caller)}
	if key.caller == key.service {
		key.caller = ""
	}
	c := all[key]
	if c == nil {
		c = newCause(key)
		all[key] = c
	}
	c.add(m, t, root, guilty, weight)
}

// tree has the hops of a trace, without repetitions.
type tree struct {
	records  []*record
	children [][]int
	parents  []int // -1 for none
}

func newTree(records []record) *tree {
	t := &tree{}
	places := make(map[hop.SpanID]int, 3*len(records))
	for i := range records {
		r := &records[i]
		if _, known := places[r.span]; known {
			continue
		}
		n := len(t.records)
		t.records = append(t.records, r)
		places[r.span] = n
		for _, a := range r.attempts {
			if _, known := places[a]; !known {
				places[a] = n
			}
		}
	}
	t.children, t.parents = make([][]int, len(t.records)), make([]int, len(t.records))
	for i, r := range t.records {
		t.parents[i] = -1
		if p, ok := places[r.parent]; ok && p != i && !r.parent.IsZero() {
			t.parents[i] = p
		}
	}
	t.cutCircles()
	for i, p := range t.parents {
		if p >= 0 {
			t.children[p] = append(t.children[p], i)
		}
	}
	return t
}

// cutCircles makes a root of one hop in each circle, which only broken records have.
func (t *tree) cutCircles() {
	walk := make([]int, len(t.records)) // the walk in which each hop was seen, 0 for none
	for i := range t.records {
		for at := i; at >= 0 && walk[at] == 0; at = t.parents[at] {
			walk[at] = i + 1
			if p := t.parents[at]; p >= 0 && walk[p] == i+1 {
				t.parents[at] = -1
			}
		}
	}
}

// root is the hop that no other led to. If there are several, since hops are missing or one
// is no hop of the trace, it is the one that led to most, and of those the first.
func (t *tree) root() *record {
	best, most := 0, 0
	for i, p := range t.parents {
		if p >= 0 {
			continue
		}
		n := 0
		for below := []int{i}; len(below) > 0; n++ {
			last := below[len(below)-1]
			below = append(below[:len(below)-1], t.children[last]...)
		}
		if n > most {
			best, most = i, n
		}
	}
	return t.records[best]
}

// firstFailed is the first hop that failed, nil if none did.
func (t *tree) firstFailed() *record {
	for _, r := range t.records {
		if r.group.Failed {
			return r
		}
	}
	return nil
}

// firstMended is the first hop with an attempt that failed, nil if there is none.
func (t *tree) firstMended() *record {
	for _, r := range t.records {
		if r.group.Service != "" {
			return r
		}
	}
	return nil
}

// descend goes from a failed hop to the one that made the failure: of several failed
// calls, the last counts, which nothing recovered.
func (t *tree) descend(r *record) *record {
	at := slices.Index(t.records, r)
	for range t.records {
		next := -1
		for _, c := range t.children[at] {
			if t.records[c].group.Failed && (next < 0 || t.records[c].end > t.records[next].end) {
				next = c
			}
		}
		if next < 0 {
			break
		}
		at = next
	}
	return t.records[at]
}

// culprit is what causes are told apart by.
type culprit struct{ service, part, kind, caller string }

// cause is a culprit with the requests that failed for it.
type cause struct {
	culprit
	count       float64
	first, last int64
	inferred    float64
	reasons     map[string]float64
	instances   map[string]float64
	suffer      map[route]float64
	path        map[string]float64 // the services that the failure came through
	met         map[meeting]float64
	example     hop.TraceID
	hops        int // of the example
	exampleAt   int64
}

// route is where failing requests entered the mesh.
type route struct{ service, method, route string }

// meeting is where a failure was met: by which proxy, on what kind of hop.
type meeting struct {
	Facts
	digest int
}

func newCause(key culprit) *cause {
	return &cause{
		culprit: key, first: math.MaxInt64, reasons: map[string]float64{}, instances: map[string]float64{},
		suffer: map[route]float64{}, path: map[string]float64{}, met: map[meeting]float64{},
	}
}

func (c *cause) add(m *merger, t *tree, root, guilty *record, weight float64) {
	g := guilty.group
	c.count += weight
	c.first, c.last = min(c.first, guilty.start), max(c.last, guilty.end)
	if g.Inferred {
		c.inferred += weight
	}
	c.reasons[g.Reason] += weight
	if g.Instance != "" {
		c.instances[g.Instance] += weight
	}
	c.suffer[route{m.digests[root.digest].Service, root.group.Method, root.group.Route}] += weight
	seen := map[string]bool{}
	for _, r := range t.records {
		if service := m.digests[r.digest].Service; r.group.Failed && !seen[service] {
			seen[service] = true
			c.path[service] += weight
		}
	}
	c.met[meeting{g.Facts, guilty.digest}] += weight
	// The example is a trace of which much is known, and the latest of those.
	if n := len(t.records); n > c.hops || n == c.hops && root.start > c.exampleAt {
		c.example, c.hops, c.exampleAt = root.trace, n, root.start
	}
}

func instant(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

// allEvents are the events of all proxies, each once, the earliest first.
func (m *merger) allEvents() (all []events.Event) {
	seen := map[events.Event]bool{}
	for _, d := range m.digests {
		for _, e := range d.Events {
			e.Time, e.Last = e.Time.UTC(), e.Last.UTC()
			if !seen[e] {
				seen[e] = true
				all = append(all, e)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b events.Event) int { return a.Time.Compare(b.Time) })
	return all
}
