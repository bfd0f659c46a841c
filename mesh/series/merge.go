package series

import (
	"cmp"
	"slices"
	"time"
)

// maxRows is how many services, edges, routes and endpoints a table has of each.
const maxRows = 2000

// Table is the history of a mesh. Its JSON is documented in docs/mesh.md.
type Table struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	// Window is how long each window is, Windows how many there are.
	Window  time.Duration `json:"window_ns"`
	Windows int           `json:"windows"`

	Services  []Row `json:"services"`
	Edges     []Row `json:"edges"`
	Routes    []Row `json:"routes"`
	Endpoints []Row `json:"endpoints"`
	// Notes say what is missing.
	Notes []string `json:"notes"`
}

// Row has a number for each window, the oldest first. A number that is not known is 0.
type Row struct {
	// Service is the service that was called, Caller who called it: of edges, where "" is
	// somebody outside the mesh.
	Service string `json:"service"`
	Caller  string `json:"caller"`
	Method  string `json:"method"`
	Route   string `json:"route"`
	// Cluster and Endpoint are those of an endpoint, Proxy the address of the proxy that
	// calls it.
	Cluster  string `json:"cluster"`
	Endpoint string `json:"endpoint"`
	Proxy    string `json:"proxy"`
	// Proxied reports whether a proxy of the service answered.
	Proxied bool `json:"proxied"`

	Requests []uint64 `json:"requests"`
	Failed   []uint64 `json:"failed"`
	Slow     []uint64 `json:"slow"`
	// Blamed are the failed requests that the service, or the edge, was at fault for.
	Blamed []uint64        `json:"blamed"`
	P50    []time.Duration `json:"p50_ns"`
	P90    []time.Duration `json:"p90_ns"`
	P99    []time.Duration `json:"p99_ns"`

	ranges    []time.Duration
	durations [][]uint64 // by window
}

// Told is the part of a proxy at an address.
type Told struct {
	Address string
	*Part
}

// Merge puts the parts of the proxies of a mesh together: so many windows that end at until.
func Merge(parts []Told, until time.Time, windows int) *Table {
	t := &Table{Until: until.Truncate(Window).UTC(), Window: Window, Windows: min(max(windows, 0), Windows), Notes: []string{}}
	t.Windows = min(t.Windows, t.known(parts))
	t.Since = t.Until.Add(-time.Duration(t.Windows) * Window)
	m := &merger{t: t, names: map[string]string{}, proxied: map[string]bool{}, rows: map[rowKey]*Row{}}
	for _, p := range parts {
		m.proxied[p.Service] = true
		for _, a := range p.Listens {
			m.names[a] = p.Service
		}
	}
	for _, p := range parts {
		m.add(p)
	}
	m.unproxied()
	m.outside()
	for _, p := range parts {
		m.blame(p)
	}
	m.finish()
	return t
}

// known is how many windows there are since the first proxy started.
func (t *Table) known(parts []Told) (n int) {
	for _, p := range parts {
		n = max(n, int(min(number(t.Until)-number(p.Started), Windows)))
	}
	return n
}

// list is which list of the table a row belongs to.
type list int

const (
	ofServices list = iota
	ofEdges
	ofRoutes
	ofEndpoints
)

type rowKey struct {
	list                                                     list
	service, caller, method, route, cluster, endpoint, proxy string
}

type merger struct {
	t       *Table
	names   map[string]string // of services, by the addresses at which they listen
	proxied map[string]bool
	rows    map[rowKey]*Row
}

func (m *merger) row(k rowKey) *Row {
	r := m.rows[k]
	if r == nil {
		n := m.t.Windows
		r = &Row{
			Service: k.service, Caller: k.caller, Method: k.method, Route: k.route, Cluster: k.cluster, Endpoint: k.endpoint, Proxy: k.proxy,
			Requests: make([]uint64, n), Failed: make([]uint64, n), Slow: make([]uint64, n), Blamed: make([]uint64, n), durations: make([][]uint64, n),
		}
		m.rows[k] = r
	}
	return r
}

// add adds what a proxy has counted.
func (m *merger) add(p Told) {
	for i := range p.Edges {
		l := &p.Edges[i]
		own := rowKey{list: ofServices, service: p.Service}
		switch callee := cmp.Or(m.names[l.Callee], l.Callee); {
		case l.Callee == "":
			m.sum(own, p, l, p.EdgeBounds)
		default:
			if l.Direction == "inbound" { // a gateway's requests are both
				m.sum(own, p, l, p.EdgeBounds)
			}
			m.sum(rowKey{list: ofEdges, service: callee, caller: p.Service}, p, l, p.EdgeBounds)
		}
	}
	for i := range p.Routes {
		l := &p.Routes[i]
		m.sum(rowKey{list: ofRoutes, service: p.Service, method: l.Method, route: l.Route}, p, l, p.RouteBounds)
	}
	for i := range p.Endpoints {
		l := &p.Endpoints[i]
		callee := cmp.Or(m.names[l.Callee], l.Callee, p.Service)
		m.sum(rowKey{list: ofEndpoints, service: callee, cluster: l.Cluster, endpoint: l.Endpoint, proxy: p.Address}, p, l, nil)
	}
}

// sum adds the numbers of a line to a row, window by window.
func (m *merger) sum(k rowKey, p Told, l *Line, ranges []time.Duration) {
	if l.empty() {
		return
	}
	r := m.row(k)
	m.each(p, func(from, to int) {
		r.Requests[to] += value(l.Requests, from)
		r.Failed[to] += value(l.Failed, from)
		r.Slow[to] += value(l.Slow, from)
		if len(l.Durations) == 0 || ranges == nil || r.ranges != nil && !slices.Equal(r.ranges, ranges) {
			return
		}
		r.ranges = ranges
		for i, n := range l.Durations[from] {
			for len(r.durations[to]) <= i {
				r.durations[to] = append(r.durations[to], 0)
			}
			r.durations[to][i] += uint64(n)
		}
	})
}

// each calls do for the windows that a part and the table both have.
func (m *merger) each(p Told, do func(from, to int)) {
	shift := int(min(max(number(m.t.Until)-number(p.Until), -Windows), Windows)) + p.Windows - m.t.Windows
	for to := range m.t.Windows {
		if from := to + shift; from >= 0 && from < p.Windows {
			do(from, to)
		}
	}
}

func value(all []uint32, i int) uint64 {
	if i < len(all) {
		return uint64(all[i])
	}
	return 0
}

// unproxied adds the services that are known from those who call them alone.
func (m *merger) unproxied() {
	for k, edge := range m.rows {
		if k.list != ofEdges || m.proxied[k.service] {
			continue
		}
		r := m.row(rowKey{list: ofServices, service: k.service})
		for i := range m.t.Windows {
			r.Requests[i] += edge.Requests[i]
			r.Failed[i] += edge.Failed[i]
			r.Slow[i] += edge.Slow[i]
		}
		r.takeDurations(edge)
	}
}

func (r *Row) takeDurations(from *Row) {
	if from.ranges == nil || r.ranges != nil && !slices.Equal(r.ranges, from.ranges) {
		return
	}
	r.ranges = from.ranges
	for w, all := range from.durations {
		for i, n := range all {
			for len(r.durations[w]) <= i {
				r.durations[w] = append(r.durations[w], 0)
			}
			r.durations[w][i] += n
		}
	}
}

// outside adds an edge from outside the mesh to each service that has clearly more requests
// than its callers in the mesh have made. How long those took is known where there are no
// others.
func (m *merger) outside() {
	within := map[string]*Row{} // by service: the sum of its callers
	for k, edge := range m.rows {
		if k.list != ofEdges || k.service == k.caller {
			continue
		}
		sum := within[k.service]
		if sum == nil {
			sum = &Row{Requests: make([]uint64, m.t.Windows), Failed: make([]uint64, m.t.Windows)}
			within[k.service] = sum
		}
		for i := range m.t.Windows {
			sum.Requests[i] += edge.Requests[i]
			sum.Failed[i] += edge.Failed[i]
		}
	}
	for service := range m.proxied {
		r, sum := m.rows[rowKey{list: ofServices, service: service}], within[service]
		if r == nil {
			continue
		}
		all, inside := total(r.Requests), uint64(0)
		if sum != nil {
			inside = total(sum.Requests)
		}
		if all < inside+all/50+10 && inside > 0 {
			continue // what is on its way when a window ends makes a small difference
		}
		edge := m.row(rowKey{list: ofEdges, service: service})
		if sum == nil {
			copy(edge.Requests, r.Requests)
			copy(edge.Failed, r.Failed)
			copy(edge.Slow, r.Slow)
			edge.takeDurations(r)
			continue
		}
		for i := range m.t.Windows {
			edge.Requests[i] = r.Requests[i] - min(sum.Requests[i], r.Requests[i])
			edge.Failed[i] = min(r.Failed[i]-min(sum.Failed[i], r.Failed[i]), edge.Requests[i])
		}
	}
}

func total(all []uint64) (sum uint64) {
	for _, n := range all {
		sum += n
	}
	return sum
}

// blame adds who is at fault, as the proxies know at which failed requests entered.
func (m *merger) blame(p Told) {
	for i := range p.Blamed {
		l := &p.Blamed[i]
		service, caller := cmp.Or(m.names[l.Callee], l.Callee), l.Caller
		rows := []*Row{m.rows[rowKey{list: ofServices, service: service}]}
		if caller != "" && caller != service {
			rows = append(rows, m.rows[rowKey{list: ofEdges, service: service, caller: caller}])
		}
		for _, r := range rows {
			if r != nil {
				m.each(p, func(from, to int) { r.Blamed[to] += value(l.Failed, from) })
			}
		}
	}
}

// finish makes the lists of the table.
func (m *merger) finish() {
	lists := [...]*[]Row{ofServices: &m.t.Services, ofEdges: &m.t.Edges, ofRoutes: &m.t.Routes, ofEndpoints: &m.t.Endpoints}
	for _, l := range lists {
		*l = []Row{}
	}
	for k, r := range m.rows {
		r.Proxied = m.proxied[k.service]
		r.P50, r.P90, r.P99 = r.quantiles(0.5), r.quantiles(0.9), r.quantiles(0.99)
		*lists[k.list] = append(*lists[k.list], *r)
	}
	cut := false
	for _, l := range lists {
		if len(*l) > maxRows { // those with the most requests stay
			cut = true
			slices.SortFunc(*l, func(a, b Row) int { return cmp.Compare(total(b.Requests), total(a.Requests)) })
			*l = (*l)[:maxRows]
		}
		slices.SortFunc(*l, func(a, b Row) int {
			return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Caller, b.Caller), cmp.Compare(a.Route, b.Route), cmp.Compare(a.Method, b.Method),
				cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Proxy, b.Proxy))
		})
	}
	if cut {
		m.t.Notes = append(m.t.Notes, "some rows with few requests were left out: there are too many")
	}
}

// quantiles are the durations that a share of the requests of each window did not exceed;
// 0 where there were none. Within a range they are taken to be spread evenly.
func (r *Row) quantiles(share float64) []time.Duration {
	all := make([]time.Duration, len(r.Requests))
	for w, counts := range r.durations {
		all[w] = quantile(counts, r.ranges, share)
	}
	return all
}

func quantile(counts []uint64, ranges []time.Duration, share float64) time.Duration {
	sum := uint64(0)
	for _, n := range counts {
		sum += n
	}
	left := share * float64(sum)
	for i, n := range counts {
		if n == 0 || left > float64(n) {
			left -= float64(n)
			continue
		}
		low := time.Duration(0)
		if i > 0 {
			low = ranges[min(i, len(ranges))-1]
		}
		if i >= len(ranges) {
			return low
		}
		return low + time.Duration(left/float64(n)*float64(ranges[i]-low))
	}
	return 0
}
