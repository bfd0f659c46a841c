package active

import (
	"container/heap"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Hop is a hop under way, as it was when somebody looked.
type Hop struct {
	Labels       *hop.Labels
	Kind         hop.Kind
	GRPC         bool
	Trace        hop.TraceID
	Span, Parent hop.SpanID
	Start        time.Time
	Method       string
	Host, Path   string // their beginnings, if they are long
	// Attempts is how many there were. Attempt is the span of the latest, and Endpoint the
	// address that it tries.
	Attempts int
	Attempt  hop.SpanID
	Endpoint string
	// To is what Enter was given of where the request goes.
	To any
	// Waits is what the hop waits for, and Since from when on; Since is zero if that is
	// not known.
	Waits Phase
	Since time.Time
	// Until is when its time is over; zero is never.
	Until time.Time
}

// Slow reports whether the hop has taken its route's slow threshold by now.
// Tunnels are never slow.
func (h *Hop) Slow(now time.Time) bool { return slow(h.Labels, h.Kind, h.Waits, h.Start, now) }

func slow(l *hop.Labels, k hop.Kind, p Phase, start, now time.Time) bool {
	return k == hop.KindRequest && p != Tunnel && l.Slow > 0 && now.Sub(start) >= l.Slow
}

// Longest returns the hops that have been under way for longest, the longest first, at most
// so many.
func (t *Table) Longest(most int) []Hop {
	var found youngest
	t.each(func(e *Entry) {
		switch {
		case len(found) < most:
			heap.Push(&found, e.look())
		case most > 0 && e.hop.Start.Before(found[0].Start):
			found[0] = e.look()
			heap.Fix(&found, 0)
		}
	})
	slices.SortFunc(found, func(a, b Hop) int { return a.Start.Compare(b.Start) })
	return found
}

// Slow counts the hops that have taken their route's slow threshold by now, by service and
// direction. It calls emit for each pair that has hops under way.
func (t *Table) Slow(now time.Time, emit func(service string, d hop.Direction, slow int)) {
	type key struct {
		service   string
		direction hop.Direction
	}
	counts := map[key]int{}
	t.each(func(e *Entry) {
		n := 0
		if p, _ := e.waits(); slow(e.hop.Labels, e.kind, p, e.hop.Start, now) {
			n = 1
		}
		counts[key{e.hop.Labels.Service, e.hop.Labels.Direction}] += n
	})
	for k, n := range counts {
		emit(k.service, k.direction, n)
	}
}

// each calls f for every entry, under its bucket's lock.
func (t *Table) each(f func(*Entry)) {
	t.buckets(func(b *bucket) bool {
		for e := b.first; e != nil; e = e.next {
			f(e)
		}
		return true
	})
}

// buckets calls f for all buckets that have hops, under the bucket's lock, until it returns
// false.
func (t *Table) buckets(f func(*bucket) bool) {
	for _, part := range [...][]bucket{t.few[:], t.many[:]} {
		for i := range part {
			goOn := true
			part[i].visit(func(b *bucket) { goOn = b.first == nil || f(b) })
			if !goOn {
				return
			}
		}
	}
}

// look copies what is known of the hop. It is called under the lock.
func (e *Entry) look() Hop {
	p, since := e.waits()
	r := e.hop
	h := Hop{
		Labels: r.Labels, Kind: e.kind, GRPC: r.GRPC, Trace: r.Trace, Span: r.Span, Parent: r.Parent, Start: r.Start,
		Method: r.Method, Host: clip(e.host), Path: clip(e.path),
		Attempts: e.tries, Attempt: e.attempt, Endpoint: e.endpoint, To: e.to, Waits: p,
	}
	if since > 0 {
		h.Since = r.Start.Add(since)
	}
	if by := e.limits.by(p.begun()); by > 0 {
		h.Until = r.Start.Add(by)
	}
	return h
}

// clip copies the beginning of a text from outside.
func clip(b []byte) string {
	const most = 256
	if len(b) <= most {
		return string(b)
	}
	return strings.ToValidUTF8(string(b[:most]), "") + "…"
}

// youngest is a heap with the hop that began last at its top.
type youngest []Hop

func (y youngest) Len() int           { return len(y) }
func (y youngest) Less(i, j int) bool { return y[i].Start.After(y[j].Start) }
func (y youngest) Swap(i, j int)      { y[i], y[j] = y[j], y[i] }
func (y *youngest) Push(x any)        { *y = append(*y, x.(Hop)) }
func (y *youngest) Pop() any {
	last := (*y)[len(*y)-1]
	*y = (*y)[:len(*y)-1]
	return last
}

// View is a hop as it is at a time, for encoding/json.
type View struct {
	Hop
	Now time.Time
}

// MarshalJSON writes the facts under the names that a finished Hop has for them, durations
// in nanoseconds.
func (v View) MarshalJSON() ([]byte, error) {
	h := &v.Hop
	var waiting, left *time.Duration
	if !h.Since.IsZero() {
		d := max(v.Now.Sub(h.Since), 0)
		waiting = &d
	}
	if !h.Until.IsZero() {
		d := h.Until.Sub(v.Now)
		left = &d
	}
	return json.Marshal(struct {
		Service   string         `json:"service"`
		Direction string         `json:"direction"`
		Listener  string         `json:"listener,omitempty"`
		Route     string         `json:"route,omitempty"`
		Cluster   string         `json:"cluster,omitempty"`
		Variant   string         `json:"variant,omitempty"`
		TraceID   string         `json:"trace_id"`
		SpanID    string         `json:"span_id"`
		ParentID  string         `json:"parent_id,omitempty"`
		Start     time.Time      `json:"start"`
		Duration  time.Duration  `json:"duration_ns"`
		Slow      bool           `json:"slow"`
		Method    string         `json:"method,omitempty"`
		Host      string         `json:"host,omitempty"`
		Path      string         `json:"path,omitempty"`
		GRPC      bool           `json:"grpc,omitempty"`
		Attempts  int            `json:"attempts"`
		Endpoint  string         `json:"endpoint,omitempty"`
		WaitsFor  string         `json:"waits_for"`
		Waiting   *time.Duration `json:"waiting_ns,omitempty"`
		Left      *time.Duration `json:"left_ns,omitempty"`
	}{
		h.Labels.Service, h.Labels.Direction.String(), h.Labels.Listener, h.Labels.Route, h.Labels.Cluster, h.Labels.Variant,
		h.Trace.String(), h.Span.String(), id(h.Parent), h.Start.UTC(), max(v.Now.Sub(h.Start), 0), h.Slow(v.Now),
		h.Method, h.Host, h.Path, h.GRPC, h.Attempts, h.Endpoint, h.Waits.String(), waiting, left,
	})
}

func id(s hop.SpanID) string {
	if s.IsZero() {
		return ""
	}
	return s.String()
}
