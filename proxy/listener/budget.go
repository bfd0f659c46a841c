package listener

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/descriptors"
	"github.com/hopscope/hopscope/telemetry/events"
)

// Budget limits how many client connections may be open at once, over all listeners
// together. It leaves descriptors for upstream connections and for the admin API. When
// there is no room for another connection, the one that has been idle for longest is
// closed. Use [NewBudget].
type Budget struct {
	// Reclaim closes idle upstream connections, and returns how many; nil closes none.
	Reclaim func() int
	// Note remembers that connections had to wait or could not be accepted; nil remembers
	// nothing.
	Note func(kind events.Kind, text string)

	limit          func() int // the limit on open descriptors
	log            *slog.Logger
	most           atomic.Int64 // client connections
	files          atomic.Int64 // the limit when it was last read
	wanted, others atomic.Int64 // see Set

	mu        sync.Mutex
	open      int
	listeners map[*Listener]int // open connections of each
	freed     chan struct{}     // closed and replaced when a connection ends while somebody waits
	waiting   int

	closed, short atomic.Uint64
	full, failing descriptors.Notice
}

// NewBudget returns a budget; limit returns the process's limit on open descriptors.
func NewBudget(limit func() int, log *slog.Logger) *Budget {
	b := &Budget{limit: limit, log: log, listeners: map[*Listener]int{}, freed: make(chan struct{})}
	b.Renew()
	return b
}

// Set tells how many client connections the configuration asks for. Clients may then have
// more than half of the descriptors, if there are enough. Others is the number of
// descriptors that are open for other things than traffic.
func (b *Budget) Set(wanted, others int) {
	b.wanted.Store(int64(wanted))
	b.others.Store(int64(others))
	b.Renew()
}

// Renew reads the limit again, and reports whether it has changed.
func (b *Budget) Renew() (changed bool) {
	limit := b.limit()
	changed = b.files.Swap(int64(limit)) != int64(limit)
	left := int64(descriptors.Usable(limit)) - b.others.Load()
	b.most.Store(max(min(max(left/2, b.wanted.Load()), left), 1))
	return changed
}

// Limit returns the limit on open descriptors when it was last read.
func (b *Budget) Limit() int { return int(b.files.Load()) }

// Most returns how many client connections may be open.
func (b *Budget) Most() int { return int(b.most.Load()) }

// Open returns how many client connections are open.
func (b *Budget) Open() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// Unused returns how many more client connections may be opened. Upstream connections must
// leave that many descriptors free.
func (b *Budget) Unused() int { return max(b.Most()-b.Open(), 0) }

// Closed returns how many idle connections were closed to make room. Short returns how
// often accept failed for lack of a descriptor.
func (b *Budget) Closed() uint64 { return b.closed.Load() }
func (b *Budget) Short() uint64  { return b.short.Load() }

// admit waits until there is room for an accepted connection. When stop is closed it waits
// no longer: a connection that was accepted is served.
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

// lookAgain is how often admit looks for an idle connection, since a connection that
// becomes idle tells nobody. endTime is how long admit waits for a dismissed connection to
// end before it looks for another: a request may have come, or the client does not heed
// GOAWAY.
const (
	lookAgain = 25 * time.Millisecond
	endTime   = 250 * time.Millisecond
)

// enter counts a connection if there is room for it, or if anyway is true.
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

// leave gives up the room of a connection.
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

// makeRoom closes the connections that have been idle for longest: the listener's own if it
// has reached its maximum, else those of any listener. short says that the process is out
// of descriptors. makeRoom reports whether room is coming.
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
		b.log.Warn("no room for another connection: closing the connections that were idle for longest, else the new one waits",
			"listener", l.Name, "because", why, "open", open, "most", most, "open_files", b.Limit(), "remedy", remedy, "times", times)
		b.note(events.ConnectionLimit, fmt.Sprintf("no room for another connection at listener %s: %s is reached, %d are open; %s", l.Name, why, open, remedy))
	})
	return closed > 0
}

func (b *Budget) note(kind events.Kind, text string) {
	if b.Note != nil {
		b.Note(kind, text)
	}
}

// idler is a connection that is idle.
type idler struct {
	since      time.Duration
	listener   *Listener
	connection connection
}

// closeIdlest closes the connections that have been idle for longest, and returns how many.
// It looks at every connection, so where there are many it closes several at a time.
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

// failed records that accept failed, makes room where that may help, and waits for backOff
// or until a connection ends.
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
		b.note(events.Shortage, fmt.Sprintf("listener %s can't accept connections: %v", l.Name, err))
	})
	select {
	case <-freed:
	case <-time.After(backOff):
	case <-stop:
	}
}
