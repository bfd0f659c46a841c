package tally

import (
	"context"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

const (
	// Window is how long a window is, and Windows how many are kept: an hour in all.
	Window  = 30 * time.Second
	Windows = 121 // one is always incomplete
	// maxKeys limits the combinations that a window, or the totals, tell apart; maxHosts the
	// hosts that requests of a forward proxy are told apart by.
	maxKeys  = 256
	maxHosts = 100
	maxHost  = 255 // bytes
)

// Other stands for the values that there was no room for.
const Other = "other"

// Key is what the hops of a count have in common.
type Key struct {
	// Labels are the hops'. Hops of two configurations may have different ones that say the
	// same.
	Labels *hop.Labels
	// Route is the name of the route, as in the other views.
	Route  string
	Method string
	// Endpoint is the address that was tried last, "host:port"; empty if none was.
	Endpoint string
	// Host is what a request of a forward proxy asked for; else it is empty.
	Host string
	// Version is the protocol that was spoken upstream, or else downstream.
	Version hop.Version
}

// Count is how many hops there were. Connections that never became requests are not among
// them.
type Count struct {
	Requests, Failed uint64
	// Roots are those that named no parent. Attempts is how often an endpoint was tried.
	Roots, Attempts uint64
}

func (c *Count) add(o *Count) {
	c.Requests += o.Requests
	c.Failed += o.Failed
	c.Roots += o.Roots
	c.Attempts += o.Attempts
}

// Row is a count and what it is of.
type Row struct {
	Key
	Count
}

// Tally is the view. Use [New]. One goroutine calls its view methods; any may call Since
// and Totals.
type Tally struct {
	mu      sync.Mutex
	started time.Time
	windows [Windows]window
	now     int  // the window that is counted in
	late    bool // time has passed, the window may be over; of the goroutine that observes
	totals  totals
	hosts   map[string]string
	recent  [6]recent
	next    int // of recent, the one to replace
	strays  strays
}

type window struct {
	start time.Time // zero if it has not been used
	keys  map[Key]*Count
	spare []*Count
}

// New returns an empty tally, which begins to count at now.
func New(now time.Time) *Tally {
	t := &Tally{started: now, totals: newTotals(), hosts: map[string]string{}}
	t.windows[0].begin(now)
	return t
}

// begin empties the window. What it had allocated is used again.
func (w *window) begin(now time.Time) {
	if w.keys == nil {
		w.keys = map[Key]*Count{}
	}
	for _, c := range w.keys {
		*c = Count{}
		w.spare = append(w.spare, c)
	}
	clear(w.keys)
	w.start = now
}

// at returns the count of a key. Where there is no room for another key, the hops with the
// same labels share one; where there is none for that either, those of a direction.
func (w *window) at(k Key) *Count {
	for _, most := range [...]int{maxKeys, 2 * maxKeys, math.MaxInt} {
		if c := w.keys[k]; c != nil {
			return c
		}
		if len(w.keys) < most {
			break
		}
		if k.Method == Other {
			k = Key{Labels: rest[k.Labels.Direction], Method: Other}
		} else {
			k = Key{Labels: k.Labels, Method: Other}
		}
	}
	return w.add(k)
}

// rest are the labels of hops that are not told apart.
var rest = [...]*hop.Labels{hop.Inbound: {Direction: hop.Inbound}, hop.Outbound: {Direction: hop.Outbound}}

func (w *window) add(k Key) *Count {
	var c *Count
	if n := len(w.spare); n > 0 {
		c, w.spare = w.spare[n-1], w.spare[:n-1]
	} else {
		c = new(Count)
	}
	w.keys[k] = c
	return c
}

// Name is "tally".
func (t *Tally) Name() string { return "tally" }

// Observe counts a hop in the window in which it ended.
func (t *Tally) Observe(h *hop.Hop) {
	if h.Kind == hop.KindConnection || h.Labels.Direction == hop.Mirror { // which is no call of the service
		return
	}
	k := Key{Labels: h.Labels, Route: h.RouteName(), Method: h.Method, Version: h.Version}
	if a := h.LastAttempt(); a != nil {
		k.Endpoint = a.Endpoint
		if a.Version != hop.VersionUnknown {
			k.Version = a.Version
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	k.Host = t.host(h)
	if k.Host == Other { // nor are their addresses told apart
		k.Endpoint = ""
	}
	failed := h.Failed()
	if t.late { // a look at each hop would cost more than all else here
		t.late = false
		t.roll(h.Start.Add(h.End))
	}
	r := t.find(k)
	c := r.count
	c.Requests++
	c.Attempts += uint64(len(h.Attempts))
	if failed {
		c.Failed++
	}
	if h.Parent.IsZero() {
		c.Roots++
	}
	r.total.add(h, failed)
	t.strays.observe(h)
}

// recent is where hops of a key are counted. Most hops have one of a few keys, which are
// compared faster than they are hashed.
type recent struct {
	Key
	count *Count // of the present window
	total *Total
}

func (t *Tally) find(k Key) *recent {
	for i := range t.recent {
		if r := &t.recent[i]; r.count != nil && r.Key == k {
			return r
		}
	}
	r := &t.recent[t.next]
	t.next = (t.next + 1) % len(t.recent)
	*r = recent{k, t.windows[t.now].at(k), t.totals.of(k.Labels, k.Host)}
	return r
}

// Open reports whether a hop with these labels went where its request asked to, and not
// to a cluster of the configuration: the route is that of a forward proxy, whose cluster
// has the name of the listener.
func Open(l *hop.Labels) bool {
	return l.Direction == hop.Outbound && l.Cluster != "" && l.Cluster == l.Listener
}

// host is the host that a request of a forward proxy asked for.
func (t *Tally) host(h *hop.Hop) string {
	if !Open(h.Labels) {
		return ""
	}
	b := h.Bytes(h.Host)
	if known, ok := t.hosts[string(b)]; ok {
		return known
	}
	if len(t.hosts) >= maxHosts || len(b) > maxHost {
		return Other
	}
	name := strings.ToLower(string(b))
	t.hosts[string(b)] = name
	return name
}

// roll begins a new window at now, if the present one is over.
func (t *Tally) roll(now time.Time) {
	if now.Sub(t.windows[t.now].start) < Window {
		return
	}
	t.now = (t.now + 1) % Windows
	t.windows[t.now].begin(now)
	clear(t.recent[:])
}

// Tick has the next hop looked at, whether it is of another window.
func (t *Tally) Tick(time.Time) { t.late = true }

// Close does nothing: what was counted can still be asked for.
func (t *Tally) Close(context.Context) error { return nil }

// Since returns what was counted in the windows that reach into the time after since, and
// from when on that is. That is before since if a window began then, and after since if
// nothing is known of the time before: the proxy started, or it was more than an hour ago.
func (t *Tally) Since(since time.Time) (rows []Row, from time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := map[Key]*Count{}
	from = since
	if known := t.known(); known.After(since) {
		from = known
	}
	for i := range t.windows {
		w := &t.windows[i]
		if w.start.IsZero() || !w.start.Add(Window).After(since) {
			continue
		}
		if w.start.Before(from) {
			from = w.start
		}
		for k, c := range w.keys {
			if sum[k] == nil {
				sum[k] = new(Count)
			}
			sum[k].add(c)
		}
	}
	rows = make([]Row, 0, len(sum))
	for k, c := range sum {
		rows = append(rows, Row{k, *c})
	}
	return rows, from
}

// known is since when everything is known: the start, or that of the oldest window.
func (t *Tally) known() time.Time {
	if oldest := t.windows[(t.now+1)%Windows].start; !oldest.IsZero() {
		return oldest
	}
	return t.started
}
