package listener

import (
	"cmp"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/descriptors"
)

// Budget is how many connections of clients may be open at once, over all listeners
// together, so that descriptors are left for those to endpoints and for the admin API.
// Where there is no room for another, the one that has been idle for longest is
// closed for it. Use [NewBudget].
type Budget struct {
	// Reclaim closes connections to endpoints that nobody uses, and returns how many;
	// nil is none.
	Reclaim func() int

	limit          func() int // the limit on open descriptors
	log            *slog.Logger
	most           atomic.Int64 // connections of clients
	files          atomic.Int64 // the limit, as it was last
	wanted, others atomic.Int64 // see Set

	mu        sync.Mutex
	open      int
	listeners map[*Listener]int // how many are open of each
	freed     chan struct{}     // closed, and made anew, when one has ended and somebody waits
	waiting   int

	closed, short atomic.Uint64
	full, failing descriptors.Notice
}

// NewBudget returns the budget of a process whose descriptors are limited so.
func NewBudget(limit func() int, log *slog.Logger) *Budget {
	b := &Budget{limit: limit, log: log, listeners: map[*Listener]int{}, freed: make(chan struct{})}
	b.Renew()
	return b
}

// Set says how many connections the configuration asks for by itself: they get more
// than their half then, as far as there is more. Others is how many descriptors are
// open for other things than traffic.
func (b *Budget) Set(wanted, others int) {
	b.wanted.Store(int64(wanted))
	b.others.Store(int64(others))
	b.Renew()
}

// Renew has the budget go by the limit as it is now, which somebody may have changed; it
// reports whether somebody has.
func (b *Budget) Renew() (changed bool) {
	limit := b.limit()
	changed = b.files.Swap(int64(limit)) != int64(limit)
	left := int64(descriptors.Usable(limit)) - b.others.Load()
	b.most.Store(max(min(max(left/2, b.wanted.Load()), left), 1))
	return changed
}

// Limit is the limit on open descriptors, as it was when something lacked last.
func (b *Budget) Limit() int { return int(b.files.Load()) }

// Most is how many connections of clients may be open.
func (b *Budget) Most() int { return int(b.most.Load()) }

// Open is how many connections of clients are open.
func (b *Budget) Open() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// Unused is how many more may be opened: connections to endpoints leave them.
func (b *Budget) Unused() int { return max(b.Most()-b.Open(), 0) }

// Closed is how many idle connections were closed to make room for others; Short is
// how often a connection could not be accepted, since there was no descriptor.
func (b *Budget) Closed() uint64 { return b.closed.Load() }
func (b *Budget) Short() uint64  { return b.short.Load() }

// admit waits until there is room for a connection that was accepted. With stop it
// waits no more: who was accepted is served.
func (b *Budget) admit(l *Listener, nc net.Conn, stop <-chan struct{}) {
	short := descriptors.Reserved(nc, descriptors.Usable(b.Limit()))
	if !short && b.enter(l, false) {
		return
	}
	b.wait(1)
	defer b.wait(-1)
	for {
		freed := b.whenFreed()
		b.Renew()
		short = short && descriptors.Short()
		if !short && b.enter(l, false) {
			return
		}
		again := lookAgain
		if b.makeRoom(l, short) {
			again = endTime
		}
		select {
		case <-freed:
		case <-time.After(again):
		case <-stop:
			b.enter(l, true)
			return
		}
	}
}

// lookAgain is when one that waits for room looks again whether a connection is idle,
// since those that become so tell nobody. endTime is when it looks for another, should
// the one that was dismissed go on: a request came, or its client reads no GOAWAY.
const (
	lookAgain = 25 * time.Millisecond
	endTime   = 250 * time.Millisecond
)

// enter counts a connection, if there is room for it, or in any case.
func (b *Budget) enter(l *Listener, anyway bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !anyway && (b.open >= int(b.most.Load()) || l.MaxConns > 0 && b.listeners[l] >= l.MaxConns) {
		return false
	}
	b.open++
	b.listeners[l]++
	return true
}

// leave gives the room of a connection up.
func (b *Budget) leave(l *Listener) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open--
	if b.listeners[l]--; b.listeners[l] == 0 {
		delete(b.listeners, l)
	}
	if b.waiting > 0 {
		close(b.freed)
		b.freed = make(chan struct{})
	}
}

func (b *Budget) wait(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting += n
}

func (b *Budget) whenFreed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.freed
}

// makeRoom closes what has been idle for longest: of the listener, if that has as many
// connections as it may have, else of any. Short is that descriptors lack.
// It reports whether room is coming.
func (b *Budget) makeRoom(l *Listener, short bool) bool {
	b.mu.Lock()
	open, most := b.open, int(b.most.Load())
	all := slices.Collect(maps.Keys(b.listeners))
	why, remedy := "the limit on open files", "raise ulimit -n (LimitNOFILE= of systemd)"
	if own := b.listeners[l]; !short && l.MaxConns > 0 && own >= l.MaxConns {
		open, most, all = own, l.MaxConns, []*Listener{l}
		why, remedy = "max_connections of the listener", "raise max_connections"
	}
	b.mu.Unlock()
	closed := closeIdlest(all)
	b.closed.Add(uint64(closed))
	if closed == 0 && short && b.Reclaim != nil {
		b.Reclaim()
	}
	b.full.Happened(func(times uint64) {
		b.log.Warn("no room for another connection: those that were idle for longest are closed, or the new one waits",
			"listener", l.Name, "because", why, "open", open, "most", most, "open_files", b.Limit(), "remedy", remedy, "times", times)
	})
	return closed > 0
}

// idler is a connection that is idle.
type idler struct {
	since      time.Duration
	listener   *Listener
	connection connection
}

// closeIdlest closes the connections that have been idle for longest, and returns how
// many: a few at a time where there are many, since it looks at all of them.
func closeIdlest(all []*Listener) (closed int) {
	var idle []idler
	for _, l := range all {
		idle = append(idle, l.idle()...)
	}
	slices.SortFunc(idle, func(a, b idler) int { return cmp.Compare(a.since, b.since) })
	for _, i := range idle {
		if closed > len(idle)/64 {
			break
		}
		if i.listener.dismiss(i.connection) {
			closed++
		}
	}
	return closed
}

// failed notes that accept failed, and waits before it is tried again; it makes room
// where that may help.
func (b *Budget) failed(l *Listener, err error, backOff time.Duration, stop <-chan struct{}) {
	b.wait(1)
	defer b.wait(-1)
	freed := b.whenFreed()
	b.Renew()
	if descriptors.Lacks(err) {
		b.short.Add(1)
		b.makeRoom(l, true)
	}
	b.failing.Happened(func(times uint64) {
		b.log.Warn("accepting connections fails", "listener", l.Name, "error", err, "open_files", b.Limit(), "times", times)
	})
	select {
	case <-freed:
	case <-time.After(backOff):
	case <-stop:
	}
}
