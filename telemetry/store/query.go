package store

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// defaultLimit is how many traces are returned where a Query does not say.
const defaultLimit = 100

// Query says which traces are wanted. Every condition that is set must be met;
// the zero value wants the latest hundred.
type Query struct {
	// Failed and Slow want traces with a hop that failed or was slow; both
	// together, with a hop that was either.
	Failed, Slow bool
	// Service and Route want traces with a hop of that service and route.
	Service, Route string
	// Since wants traces whose root-most hop started then or later.
	Since time.Time
	// Limit is the most that are returned; default is 100.
	Limit int
}

// Summary is one trace, as far as this proxy has seen it.
type Summary struct {
	Trace hop.TraceID
	// Root is the hop nearest to the root; Start, Duration, Status and
	// GRPCStatus are its.
	Root       *hop.Hop
	Start      time.Time
	Duration   time.Duration
	Status     int
	GRPCStatus hop.GRPCStatus
	// Flags are those of all hops together, and Failed and Slow report
	// whether any hop was.
	Flags        hop.Flags
	Failed, Slow bool
	// FailedHop and Reason say who made the failure and why, by the hop
	// that is nearest to it; empty where nothing failed.
	FailedHop, Reason string
	// Hops is how many hops of it are here.
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
		Hops       int           `json:"hops"`
	}{
		s.Trace.String(), r.Labels.Service, r.Labels.Direction.String(), r.Labels.Route,
		r.Method, shown(r, r.Host), shown(r, r.Path), s.Start.UTC(), s.Duration, s.Status,
		code, s.GRPCStatus.String(), s.Flags.String(), s.Failed, s.Slow, s.FailedHop, s.Reason, s.Hops,
	})
}

// maxShown is how many bytes of a text a summary has: a list may be of a thousand, and
// the hops have it whole.
const maxShown = 512

func shown(h *hop.Hop, t hop.Text) string {
	text := h.Bytes(t)
	if len(text) <= maxShown {
		return string(text)
	}
	return strings.ToValidUTF8(string(text[:maxShown]), "") + "…"
}

// Traces returns the traces that q wants, the one with the latest hop first.
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
		if summary := summarize(hops[:n]); q.wants(summary, hops[:n]) {
			found = append(found, summary)
		}
		hops = hops[n:]
	}
	return found
}

// candidates returns the hops of the traces among which are those that q
// wants, latest trace first. It is all that is done under the lock.
func (s *Store) candidates(q Query) []*hop.Hop {
	enough := q.Limit
	if q.Service != "" || q.Route != "" || !q.Since.IsZero() {
		enough = 0 // how many it takes is not known before they are looked at
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

// wants reports whether the trace meets the conditions that candidates does
// not look at.
func (q *Query) wants(s Summary, hops []*hop.Hop) bool {
	if s.Start.Before(q.Since) {
		return false
	}
	for _, h := range hops {
		if (q.Service == "" || q.Service == h.Labels.Service) && (q.Route == "" || q.Route == h.Labels.Route) {
			return true
		}
	}
	return false
}

// summarize makes the summary of one trace's hops, of which there is at least
// one.
func summarize(hops []*hop.Hop) Summary {
	root, culprit := hops[0], hops[0]
	s := Summary{Trace: root.Trace, Hops: len(hops)}
	spans := make(map[hop.SpanID]bool, 2*len(hops))
	for _, h := range hops {
		spans[h.Span] = true
		for i := range h.Attempts {
			spans[h.Attempts[i].Span] = true
		}
	}
	for _, h := range hops {
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
	s.FailedHop, s.Reason = culprit.Failure.Hop, culprit.Failure.Reason
	return s
}

// above reports whether h is nearer to the root than other: its parent is not
// here while other's is, or else it started earlier.
func above(h, other *hop.Hop, spans map[hop.SpanID]bool) bool {
	if top, otherTop := !spans[h.Parent], !spans[other.Parent]; top != otherTop {
		return top
	}
	return h.Start.Before(other.Start)
}

// blame ranks hops by how much they know of a failure: one that made it more
// than one that relayed it, and one that counts as failed more than one with,
// say, a 404.
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
