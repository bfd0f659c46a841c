package metrics

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// seriesKey is the part of hop.Labels that goes into metric labels.
type seriesKey struct {
	service        string
	direction      hop.Direction
	route, cluster string
}

// series is everything that is counted under one seriesKey. The combinations of methods,
// codes and flags that have occurred are kept in short lists, frequent ones first. Nothing
// is made before it is needed: a route that nobody asks for has no series.
type series struct {
	seriesKey
	retired           bool
	learned           map[string]*series // by the Hop's Template
	bytesIn, bytesOut *counter
	hops              []hopCell
	attempts          []attemptCell
	failures          map[failureKey]*counter
	methods           map[string]*rpcMethod // of gRPC, by name
	connections       []connectionCell
}

// maxLearned limits the learned routes of a series. Whoever learns them has a lower limit.
const maxLearned = 128

// connectionCell counts the connections of one listener that failed for one
// reason.
type connectionCell struct {
	listener, reason string
	failures         *counter
}

// hopCell has what one combination on a hop is counted in.
type hopCell struct {
	method    string
	status    int
	grpc      hop.GRPCStatus
	flag      hop.Flags
	errorType string

	requests *counter
	duration *histogram // nil until there is one
}

// attemptCell has what one combination on an attempt is counted in.
type attemptCell struct {
	cluster, errorType string
	status             int
	grpc               hop.GRPCStatus
	flag               hop.Flags

	attempts *counter
	duration *histogram // nil until there is one
}

// Series returns the series of l. Store it in l.Metrics when a configuration is built.
// Labels with equal service, direction, route and cluster share a series.
func (m *Metrics) Series(l *hop.Labels) any {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.resolve(l)
}

// Retain removes all series except those of live. Call it after a reload, when the old
// configuration has drained, to drop routes, clusters and listeners that are gone. Hops
// of removed series that end later are not counted.
func (m *Metrics) Retain(live []*hop.Labels) {
	m.mu.Lock()
	defer m.mu.Unlock()
	keep, listeners, services := make(map[seriesKey]bool, len(live)), make(map[string]bool, len(live)), map[string]bool{}
	for _, l := range live {
		keep[seriesKeyOf(l)], listeners[l.Listener], services[l.Service] = true, true, true
	}
	u := used{map[child]bool{}, map[string]bool{}, map[string]bool{}, map[string]map[string]bool{}}
	for key, s := range m.series {
		if keep[key] {
			s.connections = slices.DeleteFunc(s.connections, func(c connectionCell) bool { return !listeners[c.listener] })
			s.mark(&u)
		} else {
			s.retired = true
			delete(m.series, key)
		}
	}
	m.ledger.retain(services, &u)
	for _, f := range m.families.all() {
		f.retain(u.children)
	}
	m.culprits.retain(u.culprits)
	m.kinds.retain(u.kinds)
	for service, n := range m.methods {
		n.retain(u.methods[service])
	}
}

// used is what live series still count into.
type used struct {
	children        map[child]bool
	culprits, kinds map[string]bool
	methods         map[string]map[string]bool // by service
}

// seriesKeyOf is the key of l. A route without a name has none in metrics.
func seriesKeyOf(l *hop.Labels) seriesKey {
	route := l.Route
	if route == hop.UnnamedRoute {
		route = ""
	}
	return seriesKey{l.Service, l.Direction, route, l.Cluster}
}

func (m *Metrics) resolve(l *hop.Labels) *series {
	key := seriesKeyOf(l)
	s := m.series[key]
	if s == nil {
		s = &series{seriesKey: key}
		m.series[key] = s
	}
	return s
}

// of returns the series of the route that was learned for h, or s if there is none.
func (s *series) of(h *hop.Hop) *series {
	if h.Template == "" {
		return s
	}
	if l := s.learned[h.Template]; l != nil {
		return l
	}
	route := h.Template
	if len(s.learned) >= maxLearned {
		route = hop.OtherRoute
		if l := s.learned[route]; l != nil {
			return l
		}
	}
	if s.learned == nil {
		s.learned = map[string]*series{}
	}
	l := &series{seriesKey: s.seriesKey}
	l.route = strings.Clone(route)
	s.learned[l.route] = l
	return l
}

// mark adds what s counts into to u.
func (s *series) mark(u *used) {
	u.children[s.bytesIn], u.children[s.bytesOut] = true, true
	for key, c := range s.failures {
		u.children[c], u.culprits[key.hop], u.kinds[key.kind] = true, true, true
	}
	for i := range s.hops {
		u.children[s.hops[i].requests], u.children[s.hops[i].duration] = true, true
	}
	for i := range s.attempts {
		u.children[s.attempts[i].attempts], u.children[s.attempts[i].duration] = true, true
	}
	for name, method := range s.methods {
		if u.methods[s.service] == nil {
			u.methods[s.service] = map[string]bool{}
		}
		u.methods[s.service][name] = true
		for i := range method.cells {
			u.children[method.cells[i].duration] = true
		}
	}
	for i := range s.connections {
		u.children[s.connections[i].failures] = true
	}
	for _, l := range s.learned {
		l.mark(u)
	}
}

// count adds one hop to s.
func (m *Metrics) count(s *series, h *hop.Hop) {
	c := m.hopCell(s, h)
	c.requests.n++
	m.bytes(s, &s.bytesIn, m.families.bytesIn, h.BytesIn)
	m.bytes(s, &s.bytesOut, m.families.bytesOut, h.BytesOut)
	m.failed(s, h)
	if h.Kind == hop.KindConnection {
		m.connection(s, h).n++
	}
	// A tunnel lasts as long as its users like, and an unparsable connection has no
	// request: neither tells how fast requests are.
	timed := h.Kind == hop.KindRequest
	switch {
	case timed && h.GRPC:
		m.call(s, h).observe(h.End, h, h.ExportedSpan(), h.End)
	case timed:
		if c.duration == nil {
			c.duration = m.request(s, c)
		}
		c.duration.observe(h.End, h, h.ExportedSpan(), h.End)
	}
	for i := range h.Attempts {
		a := &h.Attempts[i]
		c := m.attemptCell(s, a)
		c.attempts.n++
		if timed {
			if c.duration == nil {
				c.duration = m.families.attemptDuration.histogram(m.native, s.service, s.direction.String(), s.route, c.cluster,
					strconv.Itoa(c.status), c.grpc.String(), c.flag.Code(), c.errorType)
			}
			c.duration.observe(a.End-a.Start, h, a.Span, a.End)
		}
	}
}

// bytes adds n to a counter of bytes, and makes it first if it has to.
func (m *Metrics) bytes(s *series, c **counter, f *family, n int64) {
	if n <= 0 {
		return
	}
	if *c == nil {
		*c = f.counter(s.service, s.direction.String(), s.route, s.cluster)
	}
	(*c).n += uint64(n)
}

// request returns the histogram of requests, but gRPC calls, that ended as c says.
func (m *Metrics) request(s *series, c *hopCell) *histogram {
	family := m.families.server
	if s.direction.Calls() {
		family = m.families.client
	}
	return family.histogram(m.native, s.service, s.route, s.cluster, c.method, responseCode(c.status), c.errorType)
}

// hopCell finds the cell of h, or makes it.
func (m *Metrics) hopCell(s *series, h *hop.Hop) *hopCell {
	method, status, flag, errorType := methodOf(h), statusOf(h.Status), h.Flags.First(), h.ErrorType()
	for i := range s.hops {
		c := &s.hops[i]
		if c.status == status && c.flag == flag && c.grpc == h.GRPCStatus && c.method == method && c.errorType == errorType {
			if i == 0 {
				return c
			}
			s.hops[i-1], s.hops[i] = s.hops[i], s.hops[i-1]
			return &s.hops[i-1]
		}
	}
	s.hops = append(s.hops, hopCell{
		method: method, status: status, grpc: h.GRPCStatus, flag: flag, errorType: errorType,
		requests: m.families.requests.counter(s.service, s.direction.String(), s.route, s.cluster,
			method, strconv.Itoa(status), h.GRPCStatus.String(), flag.Code()),
	})
	return &s.hops[len(s.hops)-1]
}

// attemptCell finds the cell of a, or makes it.
func (m *Metrics) attemptCell(s *series, a *hop.Attempt) *attemptCell {
	status, flag, errorType, cluster := statusOf(a.Status), a.Flags.First(), a.ErrorType(), a.Cluster
	if cluster == "" {
		cluster = s.cluster
	}
	for i := range s.attempts {
		c := &s.attempts[i]
		if c.status == status && c.flag == flag && c.grpc == a.GRPCStatus && c.errorType == errorType && c.cluster == cluster {
			if i == 0 {
				return c
			}
			s.attempts[i-1], s.attempts[i] = s.attempts[i], s.attempts[i-1]
			return &s.attempts[i-1]
		}
	}
	s.attempts = append(s.attempts, attemptCell{
		cluster: cluster, errorType: errorType, status: status, grpc: a.GRPCStatus, flag: flag,
		attempts: m.families.attempts.counter(s.service, s.direction.String(), s.route, cluster,
			strconv.Itoa(status), a.GRPCStatus.String(), flag.Code()),
	})
	return &s.attempts[len(s.attempts)-1]
}

// connection finds the counter of a connection that failed, or makes it. The
// reasons are those of the data plane's table of faults, so they are few.
func (m *Metrics) connection(s *series, h *hop.Hop) *counter {
	for i := range s.connections {
		if c := &s.connections[i]; c.reason == h.Details && c.listener == h.Labels.Listener {
			return c.failures
		}
	}
	c := connectionCell{h.Labels.Listener, h.Details,
		m.families.connections.counter(s.service, s.direction.String(), h.Labels.Listener, h.Details)}
	s.connections = append(s.connections, c)
	return c.failures
}

// methodOf returns a method from a fixed set.
func methodOf(h *hop.Hop) string {
	if h.Method == "" {
		return "_OTHER"
	}
	return h.Method
}

// statusOf returns the status, or 0 if HTTP has no such status.
func statusOf(status int) int {
	if status < 100 || status > 999 {
		return 0
	}
	return status
}

// responseCode is OpenTelemetry's attribute, absent if there is no status.
func responseCode(status int) string {
	if status == 0 {
		return ""
	}
	return strconv.Itoa(status)
}
