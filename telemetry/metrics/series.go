package metrics

import (
	"slices"
	"strconv"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// seriesKey is the part of hop.Labels that goes into metric labels.
type seriesKey struct {
	service        string
	direction      hop.Direction
	route, cluster string
}

// series is everything that is counted under one seriesKey. The combinations of methods,
// codes and flags that have occurred are kept in short lists, frequent ones first.
type series struct {
	seriesKey
	retired           bool
	bytesIn, bytesOut *counter
	failures          [hop.OriginRelayed + 1]*counter
	hops              []hopCell
	attempts          []attemptCell
	connections       []connectionCell
}

// connectionCell counts the connections of one listener that failed for one
// reason.
type connectionCell struct {
	listener, reason string
	failures         *counter
}

// hopCell has the counters for one combination on a hop.
type hopCell struct {
	method string
	status int
	grpc   hop.GRPCStatus
	flag   hop.Flags

	requests *counter
	duration *histogram
}

// attemptCell has the counters for one combination on an attempt.
type attemptCell struct {
	method, cluster, proxyError string
	status                      int
	grpc                        hop.GRPCStatus
	flag                        hop.Flags

	attempts *counter
	duration *histogram
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
	keep, listeners := make(map[seriesKey]bool, len(live)), make(map[string]bool, len(live))
	for _, l := range live {
		keep[seriesKeyOf(l)], listeners[l.Listener] = true, true
	}
	used := map[child]bool{}
	for key, s := range m.series {
		if keep[key] {
			s.connections = slices.DeleteFunc(s.connections, func(c connectionCell) bool { return !listeners[c.listener] })
			s.mark(used)
		} else {
			s.retired = true
			delete(m.series, key)
		}
	}
	for _, f := range m.families() {
		f.retain(used)
	}
}

func seriesKeyOf(l *hop.Labels) seriesKey {
	return seriesKey{l.Service, l.Direction, l.Route, l.Cluster}
}

func (m *Metrics) resolve(l *hop.Labels) *series {
	key := seriesKeyOf(l)
	if s := m.series[key]; s != nil {
		return s
	}
	direction := key.direction.String()
	s := &series{
		seriesKey: key,
		bytesIn:   m.bytesIn.counter(key.service, direction, key.route, key.cluster),
		bytesOut:  m.bytesOut.counter(key.service, direction, key.route, key.cluster),
	}
	m.series[key] = s
	return s
}

// mark adds the metrics that s counts into to used.
func (s *series) mark(used map[child]bool) {
	used[s.bytesIn], used[s.bytesOut] = true, true
	for _, c := range s.failures {
		if c != nil {
			used[c] = true
		}
	}
	for i := range s.hops {
		used[s.hops[i].requests], used[s.hops[i].duration] = true, true
	}
	for i := range s.attempts {
		used[s.attempts[i].attempts], used[s.attempts[i].duration] = true, true
	}
	for i := range s.connections {
		used[s.connections[i].failures] = true
	}
}

// count adds one hop to s.
func (m *Metrics) count(s *series, h *hop.Hop) {
	c := m.hopCell(s, h)
	c.requests.n++
	s.bytesIn.n += uint64(max(h.BytesIn, 0))
	s.bytesOut.n += uint64(max(h.BytesOut, 0))
	origin := h.Failure.Origin
	if origin == hop.OriginNone && h.GRPCStatus.ServerError() {
		origin = hop.OriginEndpoint // nobody said otherwise
	}
	if origin != hop.OriginNone {
		m.failure(s, origin).n++
	}
	if h.Kind == hop.KindConnection {
		m.connection(s, h).n++
	}
	// A tunnel lasts as long as its users like, and an unparsable connection has no
	// request: neither tells how fast requests are.
	timed := h.Kind == hop.KindRequest
	if timed {
		c.duration.observe(h.End, h, h.ExportedSpan(), h.End)
	}
	for i := range h.Attempts {
		a := &h.Attempts[i]
		c := m.attemptCell(s, h, a)
		c.attempts.n++
		if timed {
			c.duration.observe(a.End-a.Start, h, a.Span, a.End)
		}
	}
}

// hopCell finds the cell of h, or makes it.
func (m *Metrics) hopCell(s *series, h *hop.Hop) *hopCell {
	method, status, flag := methodOf(h), statusOf(h.Status), h.Flags.First()
	for i := range s.hops {
		c := &s.hops[i]
		if c.status == status && c.flag == flag && c.grpc == h.GRPCStatus && c.method == method {
			if i == 0 {
				return c
			}
			s.hops[i-1], s.hops[i] = s.hops[i], s.hops[i-1]
			return &s.hops[i-1]
		}
	}
	s.hops = append(s.hops, hopCell{
		method: method, status: status, grpc: h.GRPCStatus, flag: flag,
		requests: m.requests.counter(s.service, s.route, s.cluster, method, strconv.Itoa(status), h.GRPCStatus.String(), flag.Code()),
		duration: m.server.histogram(m.native, s.service, s.direction.String(), s.route, s.cluster,
			method, responseCode(status), h.GRPCStatus.String()),
	})
	return &s.hops[len(s.hops)-1]
}

// attemptCell finds the cell of a, or makes it.
func (m *Metrics) attemptCell(s *series, h *hop.Hop, a *hop.Attempt) *attemptCell {
	method, status, flag := methodOf(h), statusOf(a.Status), a.Flags.First()
	cluster := a.Cluster
	if cluster == "" {
		cluster = s.cluster
	}
	for i := range s.attempts {
		c := &s.attempts[i]
		if c.status == status && c.flag == flag && c.grpc == a.GRPCStatus && c.method == method &&
			c.proxyError == a.ProxyError && c.cluster == cluster {
			if i == 0 {
				return c
			}
			s.attempts[i-1], s.attempts[i] = s.attempts[i], s.attempts[i-1]
			return &s.attempts[i-1]
		}
	}
	errorType := a.ProxyError
	switch { // for a client, 4xx and every gRPC status but OK are errors, too
	case errorType != "":
	case a.GRPCStatus.Failed():
		errorType = a.GRPCStatus.String()
	case status >= 400:
		errorType = strconv.Itoa(status)
	}
	s.attempts = append(s.attempts, attemptCell{
		method: method, cluster: cluster, proxyError: a.ProxyError, status: status, grpc: a.GRPCStatus, flag: flag,
		attempts: m.attempts.counter(s.service, s.route, cluster, strconv.Itoa(status), a.GRPCStatus.String(), flag.Code()),
		duration: m.client.histogram(m.native, s.service, s.direction.String(), s.route, cluster,
			method, responseCode(status), a.GRPCStatus.String(), errorType, flag.Code()),
	})
	return &s.attempts[len(s.attempts)-1]
}

func (m *Metrics) failure(s *series, o hop.Origin) *counter {
	if s.failures[o] == nil {
		s.failures[o] = m.failures.counter(s.service, s.route, s.cluster, o.String())
	}
	return s.failures[o]
}

// connection finds the counter of a connection that failed, or makes it. The
// reasons are those of the data plane's table of faults, so they are few.
func (m *Metrics) connection(s *series, h *hop.Hop) *counter {
	for i := range s.connections {
		if c := &s.connections[i]; c.reason == h.Details && c.listener == h.Labels.Listener {
			return c.failures
		}
	}
	c := connectionCell{h.Labels.Listener, h.Details, m.connections.counter(s.service, h.Labels.Listener, h.Details)}
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
