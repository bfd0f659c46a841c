package store

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// defaultLimit is how many traces are returned if a Query does not say.
const defaultLimit = 100

// Query selects traces. A trace must meet every condition that is set; the zero value
// selects the latest hundred.
type Query struct {
	// Failed selects traces with a failed hop, Slow with a slow one. Both together select
	// traces with either.
	Failed, Slow bool
	// Service and Route select traces with a hop of that service and route.
	Service, Route string
	// Culprit selects traces whose failure that service made, or that happened on that edge,
	// such as "payments -> bank".
	Culprit string
	// Flag selects traces with a hop that has one of these flags; 0 is no condition.
	Flag hop.Flags
	// Status and the durations are those of the hop nearest to the root. Status is a status
	// such as 503, or a class, 5 for 500 to 599. Max is 0 for no limit.
	Status   int
	Min, Max time.Duration
	// Text selects traces with a hop that has it in its host, path, service, route, endpoint
	// or in why it failed, whatever the case of letters.
	Text string
	// Since selects traces where the hop nearest to the root started then or later.
	Since time.Time
	// Limit is the maximum number of traces; default is 100.
	Limit int
}

// Summary is one trace, as far as this proxy has seen it.
type Summary struct {
	Trace hop.TraceID
	// Root is the hop nearest to the root. Start, Duration, Status and GRPCStatus are
	// that hop's.
	Root       *hop.Hop
	Start      time.Time
	Duration   time.Duration
	Status     int
	GRPCStatus hop.GRPCStatus
	// Flags are the flags of all hops. Failed and Slow report whether any hop failed or
	// was slow.
	Flags        hop.Flags
	Failed, Slow bool
	// Failure says who made the failure and why, according to the hop nearest to it; zero
	// if nothing failed.
	Failure hop.Failure
	// Hops is how many hops of the trace are here.
	Hops int
}

// MarshalJSON writes the summary under the names of the access log, its
// duration in nanoseconds.
func (s Summary) MarshalJSON() ([]byte, error) {
	r := s.Root
	var code *int
	if s.GRPCStatus != 0 {
		n := s.GRPCStatus.Code()
		code = &n
	}
	return json.Marshal(struct {
		TraceID    string        `json:"trace_id"`
		Service    string        `json:"service"`
		Direction  string        `json:"direction"`
		Route      string        `json:"route,omitempty"`
		Template   string        `json:"template,omitempty"`
		Method     string        `json:"method,omitempty"`
		Host       string        `json:"host,omitempty"`
		Path       string        `json:"path,omitempty"`
		Start      time.Time     `json:"start"`
		DurationNS time.Duration `json:"duration_ns"`
		Status     int           `json:"status"`
		GRPCStatus *int          `json:"grpc_status,omitempty"`
		GRPCName   string        `json:"grpc_status_name,omitempty"`
		Flags      string        `json:"flags,omitempty"`
		Failed     bool          `json:"failed"`
		Slow       bool          `json:"slow"`
		FailedHop  string        `json:"failed_hop,omitempty"`
		Reason     string        `json:"failure_reason,omitempty"`
		Culprit    *culprit      `json:"culprit,omitempty"`
		Hops       int           `json:"hops"`
	}{
		s.Trace.String(), r.Labels.Service, r.Labels.Direction.String(), r.Labels.Route, r.Template,
		r.Method, shown(r, r.Host), shown(r, r.Path), s.Start.UTC(), s.Duration, s.Status,
		code, s.GRPCStatus.String(), s.Flags.String(), s.Failed, s.Slow, s.Failure.Hop, s.Failure.Reason, newCulprit(&s.Failure), s.Hops,
	})
}

// culprit is who made a failure, in JSON.
type culprit struct {
	Service  string `json:"service"`
	Instance string `json:"instance"`
	Part     string `json:"part"`
	Kind     string `json:"kind"`
	Edge     string `json:"edge"`
	Caller   string `json:"caller"`
}

func newCulprit(f *hop.Failure) *culprit {
	if f.Hop == "" {
		return nil
	}
	return &culprit{f.Hop, f.Endpoint, f.Part.String(), f.Kind, f.Edge(), f.Caller}
}

// maxShown is how many bytes of a text a summary has. A list may have a thousand
// summaries; the hops have the whole text.
const maxShown = 512

func shown(h *hop.Hop, t hop.Text) string {
	text := h.Bytes(t)
	if len(text) <= maxShown {
		return string(text)
	}
	return strings.ToValidUTF8(string(text[:maxShown]), "") + "…"
}

// Traces returns the traces that q selects, the one with the latest hop first.
func (s *Store) Traces(q Query) []Summary {
	if q.Limit <= 0 {
		q.Limit = defaultLimit
	}
	var found []Summary
	for hops := s.candidates(q); len(hops) > 0 && len(found) < q.Limit; {
		n := 1
		for n < len(hops) && hops[n].Trace == hops[0].Trace {
			n++
		}
		if summary := Summarize(hops[:n]); q.wants(summary, hops[:n]) {
			found = append(found, summary)
		}
		hops = hops[n:]
	}
	return found
}

// candidates returns the hops of traces that q may select, latest trace first. Only this
// runs under the lock.
func (s *Store) candidates(q Query) []*hop.Hop {
	enough := q.Limit
	if plain := (Query{Failed: q.Failed, Slow: q.Slow, Limit: q.Limit}); q != plain {
		enough = 0 // it is not known how many are needed before they are checked
	}
	all := !q.Failed && !q.Slow
	var hops []*hop.Hop
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for t := s.newest; t != nil && (enough == 0 || n < enough); t = t.older {
		if all || q.Failed && t.failed > 0 || q.Slow && t.slow > 0 {
			hops = t.appendHops(hops)
			n++
		}
	}
	return hops
}

// wants reports whether the trace meets the conditions that candidates does not check.
func (q *Query) wants(s Summary, hops []*hop.Hop) bool {
	switch {
	case s.Start.Before(q.Since), s.Duration < q.Min, q.Max > 0 && s.Duration > q.Max:
		return false
	case q.Culprit != "" && q.Culprit != s.Failure.Hop && q.Culprit != s.Failure.Edge():
		return false
	case q.Status > 0 && q.Status != s.Status && q.Status != s.Status/100:
		return false
	case q.Flag != 0 && q.Flag&s.Flags == 0:
		return false
	}
	return slices.ContainsFunc(hops, q.passes) && (q.Text == "" || slices.ContainsFunc(hops, q.says))
}

// passes reports whether the hop is of the service and the route.
func (q *Query) passes(h *hop.Hop) bool {
	return (q.Service == "" || q.Service == h.Labels.Service) && (q.Route == "" || q.Route == h.Labels.Route || q.Route == h.RouteName())
}

// says reports whether the hop has the text.
func (q *Query) says(h *hop.Hop) bool {
	text := strings.ToLower(q.Text)
	for _, s := range []string{h.String(h.Path), h.String(h.Host), h.Labels.Service, h.RouteName(), h.Failure.Reason, h.Failure.Hop, h.Failure.Endpoint} {
		if strings.Contains(strings.ToLower(s), text) {
			return true
		}
	}
	return slices.ContainsFunc(h.Attempts, func(a hop.Attempt) bool { return strings.Contains(a.Endpoint, text) })
}

// Summarize makes the summary of a trace with at least one hop.
func Summarize(hops []*hop.Hop) Summary {
	root := hops[0]
	for _, h := range hops {
		if h.Labels.Direction != hop.Mirror {
			root = h
			break
		}
	}
	culprit := root
	s := Summary{Trace: root.Trace, Hops: len(hops)}
	spans := make(map[hop.SpanID]bool, 2*len(hops))
	for _, h := range hops {
		spans[h.Span] = true
		for i := range h.Attempts {
			spans[h.Attempts[i].Span] = true
		}
	}
	for _, h := range hops {
		if h.Labels.Direction == hop.Mirror && root.Labels.Direction != hop.Mirror { // nobody waits for it
			continue
		}
		s.Flags |= h.Flags
		s.Failed = s.Failed || h.Failed()
		s.Slow = s.Slow || h.Slow()
		if above(h, root, spans) {
			root = h
		}
		if blame(h) > blame(culprit) {
			culprit = h
		}
	}
	s.Root, s.Start, s.Duration, s.Status = root, root.Start, root.End, root.Status
	s.GRPCStatus = root.GRPCStatus
	s.Failure = culprit.Failure
	return s
}

// above reports whether h is nearer to the root than other: h's parent is not here and
// other's is, or else h started earlier.
func above(h, other *hop.Hop, spans map[hop.SpanID]bool) bool {
	if top, otherTop := !spans[h.Parent], !spans[other.Parent]; top != otherTop {
		return top
	}
	return h.Start.Before(other.Start)
}

// blame ranks hops by how much they know about a failure: a hop that made it ranks above
// one that relayed it, and a failed hop above one with, say, a 404.
func blame(h *hop.Hop) int {
	switch {
	case h.Failure == hop.Failure{}:
		return 0
	case !h.Failed():
		return 1
	case h.Failure.Origin == hop.OriginRelayed:
		return 2
	}
	return 3
}
