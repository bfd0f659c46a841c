package overload

import "sync/atomic"

// Level is how full a budget is.
type Level uint8

// The levels, each with what is done from there on, besides what is done before.
const (
	Normal      Level = iota
	Shrink            // clients get smaller windows, and connections no larger buffers
	Streams           // connections that hold much get no more streams, and no head grows
	Relieve           // the connections that hold most are closed, until it is Streams
	Connections       // new connections are refused
	Full              // new requests are, and streams
)

// What the levels begin at, in hundredths of the budget.
var begins = [...]int64{Normal: 0, Shrink: 45, Streams: 60, Relieve: 70, Connections: 80, Full: 100}

// heavyPart is which part of the budget makes a connection one that holds much, at
// Streams, and leastHeavy what it holds at least then. At each level above it is half
// as much, and at least leastStream less: one stream at a time is always light.
const (
	heavyPart   = 64
	leastHeavy  = 128 << 10
	leastStream = 32 << 10
)

// Refusal is what was refused, or taken back, for want of memory.
type Refusal uint8

// The refusals.
const (
	Stream     Refusal = iota // a stream of HTTP/2, by REFUSED_STREAM
	Request                   // a request of HTTP/1, by 503
	Head                      // a head that did not fit into a usual buffer
	Content                   // a stream whose content could not be kept, by a reset
	Connection                // a connection that was just accepted
	Closed                    // a connection that was open
	lastRefusal
)

// Refusals are all of them.
var Refusals = [lastRefusal]Refusal{Stream, Request, Head, Content, Connection, Closed}

// String is the refusal's name in metrics.
func (r Refusal) String() string {
	return [lastRefusal]string{"stream", "request", "head", "content", "connection", "closed"}[r]
}

// Budget is what all clients together may make the proxy hold, in bytes. The zero
// value has no limit. Any goroutine may call its methods.
type Budget struct {
	used    atomic.Int64
	_       [56]byte     // what follows is read often, and used written
	limit   atomic.Int64 // 0 is none
	refused [lastRefusal]atomic.Uint64
	pressed chan struct{}
}

// NewBudget returns a budget without a limit.
func NewBudget() *Budget { return &Budget{pressed: make(chan struct{}, 1)} }

// SetLimit sets the limit, in bytes; 0 is none.
func (b *Budget) SetLimit(n int64) { b.limit.Store(n) }

// Limit is the limit, in bytes; 0 is none.
func (b *Budget) Limit() int64 { return b.limit.Load() }

// Used is how much is held, in bytes.
func (b *Budget) Used() int64 { return b.used.Load() }

// Refused is how often something was refused since the proxy started.
func (b *Budget) Refused(r Refusal) uint64 { return b.refused[r].Load() }

// Level is how full the budget is.
func (b *Budget) Level() Level { return b.level(b.used.Load()) }

func (b *Budget) level(used int64) Level {
	limit := b.limit.Load()
	if limit == 0 || used < at(Shrink, limit) {
		return Normal
	}
	for l := Full; ; l-- {
		if used >= at(l, limit) {
			return l
		}
	}
}

// at is where a level begins, in bytes.
func at(l Level, limit int64) int64 { return limit / 100 * begins[l] }

// Pressed receives when it is time to look at [Budget.Excess], or something was
// refused. It is for one goroutine.
func (b *Budget) Pressed() <-chan struct{} { return b.pressed }

// Press has Pressed receive.
func (b *Budget) Press() {
	select {
	case b.pressed <- struct{}{}:
	default:
	}
}

// Excess is how many bytes are to be freed by closing connections: 0 below
// [Relieve].
func (b *Budget) Excess() int64 {
	used := b.used.Load()
	if b.level(used) < Relieve {
		return 0
	}
	return used - at(Streams, b.limit.Load())
}

// Refuse counts a refusal.
func (b *Budget) Refuse(r Refusal) {
	b.refused[r].Add(1)
	b.Press()
}

// Take counts n bytes that are held for no client in particular; [Budget.Give] gives
// them back.
func (b *Budget) Take(n int) {
	used := b.used.Add(int64(n))
	if limit := b.limit.Load(); limit > 0 && used >= at(Relieve, limit) {
		b.Press()
	}
}

// Give counts n bytes less.
func (b *Budget) Give(n int) { b.used.Add(-int64(n)) }

// Account is what one connection holds of a budget. What is taken by it must be given
// back by it. Any goroutine may call its methods.
type Account struct {
	budget *Budget
	held   atomic.Int64
}

// Open makes a an account of a budget. It is called once, before all else.
func (a *Account) Open(b *Budget) { a.budget = b }

// Budget is the budget that the account is of.
func (a *Account) Budget() *Budget { return a.budget }

// Held is how many bytes the connection holds.
func (a *Account) Held() int64 { return a.held.Load() }

// Level is how full the budget is.
func (a *Account) Level() Level { return a.budget.Level() }

// Take counts n bytes that are held already, or that can't be refused.
func (a *Account) Take(n int) {
	a.held.Add(int64(n))
	a.budget.Take(n)
}

// Give counts n bytes less.
func (a *Account) Give(n int) {
	a.held.Add(-int64(n))
	a.budget.Give(n)
}

// Allows reports whether the connection may take on something new: not where the
// budget is full, and not from [Streams] on if the connection holds much already, where
// less and less is much. So those that hold much can't take the rest of the budget from
// the others.
func (a *Account) Allows() bool {
	l := a.budget.Level()
	if l < Streams || l == Full {
		return l < Streams
	}
	above := int64(l - Streams)
	return a.held.Load() <= max(a.budget.limit.Load()/heavyPart>>above, leastHeavy-above*leastStream)
}

// Keeps reports whether the connection may keep more of what its peer sends ahead: not
// where the budget is full, and not from [Streams] on if it holds very much.
func (a *Account) Keeps() bool {
	l := a.budget.Level()
	if l < Streams || l == Full {
		return l < Streams
	}
	return a.held.Load() <= 2*max(a.budget.limit.Load()/heavyPart, leastHeavy)
}

// Grow takes n bytes beyond what every connection gets. It refuses from [Streams] on.
func (a *Account) Grow(n int) bool {
	if a.budget.Level() >= Streams {
		return false
	}
	a.Take(n)
	return true
}
