package events

import (
	"strings"
	"sync"
	"time"

	"github.com/hopscope/hopscope/telemetry/redact"
)

// Kind is what happened.
type Kind string

// The kinds.
const (
	// Start, Upgrade and Drain are the life of the process. Upgrade is one that took over
	// from another, or that another took over from.
	Start   Kind = "start"
	Upgrade Kind = "upgrade"
	Drain   Kind = "drain"

	// Reload is a new configuration in use, ReloadRejected one that was refused.
	Reload         Kind = "reload"
	ReloadRejected Kind = "reload_rejected"

	// EndpointsChanged says that endpoints came or went.
	EndpointsChanged  Kind = "endpoints_changed"
	EndpointHealthy   Kind = "endpoint_healthy"
	EndpointDegraded  Kind = "endpoint_degraded"
	EndpointUnhealthy Kind = "endpoint_unhealthy"
	// EndpointEjected and EndpointRestored are what outlier detection did, or a person.
	EndpointEjected  Kind = "endpoint_ejected"
	EndpointRestored Kind = "endpoint_restored"
	// DiscoveryFailing says that a source of endpoints can't be asked, DiscoveryBack that it
	// answers again.
	DiscoveryFailing Kind = "discovery_failing"
	DiscoveryBack    Kind = "discovery_back"

	// CircuitOpen says that a circuit breaker let requests through no more.
	CircuitOpen Kind = "circuit_open"
	// PanicRouting says that too few endpoints were healthy, so that all were used.
	PanicRouting Kind = "panic_routing"
	// GuardTripped says that the canary of a route was worse and was taken back, GuardReset
	// that somebody gave it its weight again.
	GuardTripped Kind = "guard_tripped"
	GuardReset   Kind = "guard_reset"

	CertificateReplaced Kind = "certificate_replaced"
	CertificateExpired  Kind = "certificate_expired"
	// CertificateRejected says that changed files are of no use.
	CertificateRejected Kind = "certificate_rejected"

	// Overload is want of memory, ConnectionLimit want of room for clients' connections, and
	// Shortage want of descriptors or ports.
	Overload        Kind = "overload"
	ConnectionLimit Kind = "connection_limit"
	Shortage        Kind = "shortage"
	// Panic is a defect of the proxy.
	Panic Kind = "panic"
)

// Event is something that happened, once or several times.
type Event struct {
	// Time is when it happened first, Last when it happened last, and Count how often.
	Time  time.Time `json:"time"`
	Last  time.Time `json:"last"`
	Count int       `json:"count"`
	Kind  Kind      `json:"kind"`
	// Service is the proxy's own. Cluster and Endpoint are what it happened to; empty if that
	// is the proxy itself, or many endpoints.
	Service  string `json:"service"`
	Cluster  string `json:"cluster"`
	Endpoint string `json:"endpoint"`
	// Text says it in a sentence.
	Text string `json:"text"`
}

const (
	// fold is for how long after an event a like one is counted with it.
	fold = time.Minute
	// apart is how many different events of a kind and a cluster are kept apart within that
	// time. Further ones are counted together.
	apart = 8
	// maxText is the length of a sentence, in bytes.
	maxText = 400
)

// Ring keeps the latest events. Use [New]. Its methods are safe for concurrent use.
type Ring struct {
	mu    sync.Mutex
	ring  []entry
	first int // the oldest
	n     int
}

type entry struct {
	Event
	others bool // it stands for several endpoints or texts
}

// New returns a ring of at most size events, at least 1.
func New(size int) *Ring { return &Ring{ring: make([]entry, 0, max(size, 1))} }

// Note remembers an event that happened at e.Time. Last and Count are set here. An event
// that is the same as one within the minute before is counted with that, and so are those
// of the same kind and cluster beyond the first few. A nil Ring remembers nothing.
func (r *Ring) Note(e Event) {
	if r == nil {
		return
	}
	e.Text = short(e.Text)
	e.Last, e.Count = e.Time, 1
	r.mu.Lock()
	defer r.mu.Unlock()
	like, others := 0, (*entry)(nil)
	for i := r.n - 1; i >= 0; i-- {
		o := r.at(i)
		if o.Kind != e.Kind || o.Cluster != e.Cluster || e.Time.Sub(o.Last) >= fold {
			continue
		}
		if !o.others && o.Endpoint == e.Endpoint && o.Text == e.Text {
			o.again(e.Time)
			return
		}
		if like++; o.others {
			others = o
		}
	}
	switch {
	case others != nil:
		others.again(e.Time)
		others.Text = e.Text
	case like >= apart:
		e.Endpoint = ""
		r.add(entry{e, true})
	default:
		r.add(entry{e, false})
	}
}

func (e *entry) again(now time.Time) {
	e.Count++
	if now.After(e.Last) {
		e.Last = now
	}
}

func (r *Ring) at(i int) *entry { return &r.ring[(r.first+i)%len(r.ring)] }

func (r *Ring) add(e entry) {
	if r.n < cap(r.ring) {
		r.ring = append(r.ring, e)
		r.n++
		return
	}
	r.ring[r.first] = e
	r.first = (r.first + 1) % len(r.ring)
}

// Since returns the events that happened at t or later, at least once, in the order in
// which they happened first.
func (r *Ring) Since(t time.Time) []Event {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []Event
	for i := range r.n {
		if e := r.at(i); !e.Last.Before(t) {
			all = append(all, e.Event)
		}
	}
	return all
}

// short is a text of bounded length, on one line, without passwords.
func short(s string) string {
	s = redact.Text(strings.Join(strings.Fields(s), " "))
	if len(s) <= maxText {
		return strings.Clone(s) // which keeps nothing else in memory
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}
