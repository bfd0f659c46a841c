package listener

import (
	"cmp"
	"slices"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/overload"
)

// What a connection takes besides what is counted as it grows, in bytes: its own
// state, its goroutine's stack and the kernel's part; and TLS, whose buffers are kept.
// An estimate that the peaks under attack bear out.
const (
	connSize = 20 << 10
	tlsSize  = 24 << 10
)

// size is what a connection of the listener takes.
func (l *Listener) size() int {
	if l.TLS != nil {
		return connSize + tlsSize
	}
	return connSize
}

// awaitMemory waits a moment for memory where a connection can't be taken on: others
// are being closed then. It reports false where there still is none.
func (l *Listener) awaitMemory() bool {
	const most, again = 200 * time.Millisecond, time.Millisecond
	m := l.Shared.Memory
	for end := l.Shared.Now() + most; m.Level() >= overload.Connections; {
		if l.Shared.Now() >= end || l.phase.Load() == draining {
			m.Refuse(overload.Connection)
			return false
		}
		m.Press()
		time.Sleep(again)
	}
	return true
}

// holding is what a connection holds.
type holding struct {
	connection
	bytes  int64
	weight int64 // what it is closed for; the heaviest is the first
	going  bool  // it is being closed already
}

// Shed closes connections of the listeners for want of memory, the heaviest first,
// until what they hold comes to so many bytes, together with those that are being closed
// already. It returns how many it closed; what they held is free a moment later.
func Shed(listeners []*Listener, bytes int64, now time.Duration) (closed int) {
	var all []holding
	for _, l := range listeners {
		l.each(func(c connection) {
			if h := c.holds(now); h.going {
				bytes -= h.bytes
			} else {
				all = append(all, h)
			}
		})
	}
	slices.SortFunc(all, func(a, b holding) int { return cmp.Compare(b.weight, a.weight) })
	for _, h := range all {
		if bytes <= 0 {
			break
		}
		h.shed()
		bytes -= h.bytes
		closed++
	}
	return closed
}

// overloaded is the fault of a connection that was closed for want of memory.
func overloaded() *fault.Error {
	return fault.New(fault.Overload, "the proxy ran out of memory (overload.max_memory_bytes), and closed the connections that held most")
}

// full is the fault of a request that memory lacks for.
func (l *Listener) full(r overload.Refusal, what string) *fault.Error {
	l.Shared.Memory.Refuse(r)
	return fault.New(fault.Overload, "the proxy has no memory left for "+what+" (overload.max_memory_bytes)")
}

// progress is how a connection gets on, as far as those that close connections have
// seen. The listener's lock guards it.
type progress struct {
	done uint64        // how many requests were answered
	at   time.Duration // when there was one more last
}

const (
	// stalls is how long a connection may go without having a request answered before
	// it counts as one that stalls.
	stalls = time.Second
	// fewRequests is what the requests of a connection hold, and the connection for
	// them, as long as they are few.
	fewRequests = 128 << 10
)

// weigh is what a connection is closed for that holds n bytes, and whose requests were
// answered so many times. Those that get on have their requests for nothing, as far as
// they are few: closing one would cost its client more. One that had none answered is
// a little heavier than one that had.
func (p *progress) weigh(n int64, l *Listener, done uint64, now time.Duration) int64 {
	if done != p.done {
		p.done, p.at = done, now
	}
	switch {
	case done == 0:
		return n + 1
	case now-p.at < stalls:
		return n - min(max(n-int64(l.size()), 0), fewRequests)
	}
	return n
}

func (c *http1Conn) holds(now time.Duration) holding {
	n := c.nio.Account.Held()
	return holding{c, n, c.weigh(n, c.listener, uint64(c.done.Load()), now), c.going()}
}

func (c *http2Conn) holds(now time.Duration) holding {
	n, done, going := c.conn.Held()
	return holding{c, n, c.weigh(n, c.listener, done, now), going}
}

func (c *http2Conn) shed() { c.conn.Shed() }

// shed ends the connection: one that is idle as drain does, another in the middle of
// what it does.
func (c *http1Conn) shed() {
	c.because(overloaded())
	if c.state.CompareAndSwap(idle, woken) {
		c.nio.Limit(1) // long past
		return
	}
	c.cutOff()
}
