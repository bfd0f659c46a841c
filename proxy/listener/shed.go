package listener

import (
	"cmp"
	"slices"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/overload"
)

// The fixed cost of a connection in bytes, besides the buffers that are counted as they
// grow: its state, its goroutine's stack and the kernel's part, and for TLS its buffers.
// The estimates match the peaks that we measured under attack.
const (
	connSize = 20 << 10
	tlsSize  = 24 << 10
)

// size is the fixed cost of a connection of the listener, in bytes.
func (l *Listener) size() int {
	if l.TLS != nil {
		return connSize + tlsSize
	}
	return connSize
}

// awaitMemory waits a moment while memory is too short for another connection; other
// connections are being closed then. It reports false if there still is none.
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

// holding is the memory that a connection holds.
type holding struct {
	connection
	bytes  int64
	weight int64 // the heaviest is closed first
	going  bool  // it is being closed already
}

// Shed closes connections of the listeners to free memory, the heaviest first, until the
// closed ones held the given number of bytes. Connections that are being closed already
// count. It returns how many it closed; their memory is free a moment later.
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

// overloaded is the fault of a connection that was closed to free memory.
func overloaded() *fault.Error {
	return fault.New(fault.Overload, "the proxy ran out of memory (overload.max_memory_bytes), and closed the connections that held most")
}

// full is the fault of a request that there is no memory for. what says what needed it.
func (l *Listener) full(r overload.Refusal, what string) *fault.Error {
	l.Shared.Memory.Refuse(r)
	return fault.New(fault.Overload, "the proxy has no memory left for "+what+" (overload.max_memory_bytes)")
}

// progress is what weigh has seen of a connection's progress. The listener's lock guards
// it.
type progress struct {
	done uint64        // how many requests were answered
	at   time.Duration // when weigh last saw done change
}

const (
	// stalls is how long a connection may go without an answered request before it counts
	// as stalled.
	stalls = time.Second
	// fewRequests is how many bytes a few requests hold, and their connection for them.
	fewRequests = 128 << 10
)

// weigh returns the weight of a connection that holds n bytes and has had done requests
// answered. A connection that makes progress does not pay for a few requests, since closing
// it would cost its client more. A connection without any answered request is slightly
// heavier.
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

// shed ends the connection: an idle one as drain does, a busy one at once.
func (c *http1Conn) shed() {
	c.because(overloaded())
	if c.state.CompareAndSwap(idle, woken) {
		c.nio.Limit(1) // long past
		return
	}
	c.cutOff()
}
