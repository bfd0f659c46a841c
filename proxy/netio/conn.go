package netio

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hopscope/hopscope/proxy/overload"
)

// ErrTimeout is returned by reads and writes after their deadline.
var ErrTimeout = os.ErrDeadlineExceeded

// ErrGone is returned by a wait that [Conn.Watch] ended.
var ErrGone = errors.New("nobody waits for the answer any more")

// ErrUnasked is returned by [Conn.Exchange] after [Conn.Doubt], if the answer arrived
// before the request was sent.
var ErrUnasked = errors.New("the answer came before the request")

// ErrOverload is returned when the read buffer would have to grow and the proxy has no
// memory for it.
var ErrOverload = errors.New("the proxy is short of memory")

// Conn is a stream connection with a read buffer. One goroutine at a time may read, and
// one may write; any may call [Conn.Close].
//
// [Conn.Buffered] returns the bytes that were received and not yet consumed. They stay in
// place until [Conn.Fill] is called with all of them consumed, or with the buffer full.
type Conn struct {
	nc     net.Conn
	raw    syscall.RawConn // nil: use nc
	tls    *wire           // nil without TLS
	shared *Shared
	// Account counts what the connection holds of Shared's Memory: its read buffer, and
	// what its user adds.
	Account overload.Account

	// The read buffer: data[r:w] has the received bytes. small or large is set while data
	// is a borrowed buffer. If neither is, data has grown.
	data  []byte
	r, w  int
	small *[BufferSize]byte
	grade grade // of large; usual if large is nil
	want  grade // of the next buffer

	early bool // bytes are here already: call handle before waiting
	// Apart says that another goroutine writes than the one within Turns. Set it before
	// either begins.
	Apart  bool
	handle func() bool

	deadline atomic.Int64 // when the present wait ends
	limit    atomic.Int64 // when all waits end
	armed    atomic.Int64 // when the timer fires, on Shared's clock
	watch    func() bool  // reports that nobody needs the answer any more
	// WriteTimeout is how long a write may go without a byte moving; 0 is for ever.
	WriteTimeout time.Duration
	blocked      time.Duration // how long writes waited, since TakeBlocked; of the writer
	err          error         // why a closure below gave up

	out   [2][]byte // what Exchange sends
	sent  int       // how many bytes of it went out, -1 before the first try
	calls calls     // the closures, and memory for system calls

	// What a request has no use for, if nothing special happens.
	large   *[]byte
	filled  time.Duration // when the present buffer was filled, on Shared's clock
	start   sync.Once
	timer   *time.Timer
	noticed atomic.Int64 // the deadline that the timer saw last
	aborted atomic.Bool
}

const never = int64(1<<63 - 1)

// recheck is how long a wait lasts before it looks at the socket again, although the
// poller reported nothing. An edge-triggered poller reports an event once; this finds
// events from before the wait began (see [Conn.Exchange]). It is also how soon a client
// that went away is noticed.
const recheck = 250 * time.Millisecond

// New returns a Conn that owns nc.
func New(nc net.Conn, shared *Shared) *Conn {
	c := &Conn{nc: nc, shared: shared}
	c.Account.Open(shared.Memory)
	c.armed.Store(never)
	c.deadline.Store(never)
	c.limit.Store(never)
	c.open()
	return c
}

// NetConn returns the connection below. Under TLS it carries the records.
func (c *Conn) NetConn() net.Conn { return c.nc }

// Now returns the time on the clock of deadlines.
func (c *Conn) Now() time.Duration { return c.shared.Now() }

// Buffered returns the bytes that were received and not consumed.
func (c *Conn) Buffered() []byte { return c.data[c.r:c.w] }

// Consume drops the first n buffered bytes.
func (c *Conn) Consume(n int) { c.r += n }

// Release gives the read buffer back if it is empty. A slice that Buffered returned
// before is then no longer valid.
func (c *Conn) Release() {
	if c.r != c.w {
		return
	}
	c.giveBack()
	c.data, c.r, c.w = nil, 0, 0
}

// giveBack returns the buffer to its pool.
func (c *Conn) giveBack() {
	if c.data != nil {
		c.Account.Give(len(c.data))
	}
	switch {
	case c.small != nil:
		c.shared.Return(c.small)
		c.small = nil
	case c.large != nil:
		c.shared.returnLarge(c.grade, c.large)
		c.large, c.grade = nil, usual
	}
}

// drop discards the buffered bytes and gives the buffer back.
func (c *Conn) drop() {
	c.r = c.w
	c.Release()
}

// space returns room to receive into. It is empty only if the buffer is full.
func (c *Conn) space() []byte {
	if c.r == c.w {
		c.r, c.w = 0, 0
		if c.want > usual || c.grade > usual {
			c.resize()
		}
	}
	if c.data == nil {
		c.small = c.shared.Borrow()
		c.data = c.small[:]
		c.Account.Take(BufferSize)
	}
	return c.data[c.w:]
}

// resize replaces an empty buffer by one of the wanted size, if there is one.
func (c *Conn) resize() {
	if c.data != nil && c.shared.Now()-c.filled > slowness {
		c.want = max(c.grade, fast) - 1
	}
	if c.want == c.grade {
		return
	}
	c.Release()
	if c.want == usual {
		return
	}
	if c.large = c.shared.borrowLarge(c.want); c.large == nil {
		c.want = usual
		return
	}
	c.grade, c.data = c.want, *c.large
	c.Account.Take(len(c.data))
}

// took counts n received bytes, and chooses the size of the next buffer: larger if the
// room was filled, smaller if a smaller buffer would have sufficed.
func (c *Conn) took(n, room int) {
	c.w += n
	switch {
	case n == room:
		c.want = min(c.grade+1, faster)
	case c.grade > usual && c.w <= (c.grade-1).size():
		c.want = c.grade - 1
	default:
		c.want = c.grade
	}
	if c.want > usual || c.grade > usual {
		c.filled = c.shared.Now()
	}
}

// full reports whether the buffer has no room for another byte.
func (c *Conn) full() bool { return c.w == len(c.data) && c.data != nil && c.r != c.w }

// grow makes room for more bytes. It moves the buffered bytes to the front or, if they
// are there already, to a buffer of twice the size. It fails if there is no memory for
// that.
func (c *Conn) grow() error {
	if c.r > 0 {
		c.w = copy(c.data, c.data[c.r:c.w])
		c.r = 0
		return nil
	}
	size := 2 * len(c.data)
	if !c.Account.Grow(size) {
		return ErrOverload
	}
	bigger := make([]byte, size)
	c.w = copy(bigger, c.data[:c.w])
	c.giveBack()
	c.data = bigger
	return nil
}

// Await sets the deadline of the waits that follow, on the scale of [Shared.Now]; 0 is
// never. now is the current time, as exactly as the caller knows it. Await costs two
// stores unless the timer must fire earlier than it was set to.
func (c *Conn) Await(now, deadline time.Duration) {
	by := int64(deadline)
	if by == 0 {
		by = never
	}
	c.deadline.Store(by)
	if fire := min(by, int64(now+recheck)); fire < c.armed.Load() {
		c.arm(now, fire)
	}
}

// arm sets the timer. A caller that moves the end of a wait stores the end before it
// calls arm, and arm reads it again after setting the timer. So if two goroutines arm at
// once, in any order, one of them sets the timer to the earlier end.
func (c *Conn) arm(now time.Duration, fire int64) {
	c.start.Do(c.newTimer)
	if c.timer == nil {
		return // Done came first
	}
	for {
		c.armed.Store(fire)
		c.timer.Reset(time.Duration(fire) - now)
		by := c.ends()
		if by >= fire {
			return
		}
		fire = by
	}
}

func (c *Conn) newTimer() {
	// An hour, so that the timer can't fire before it is stored.
	c.timer = time.AfterFunc(time.Hour, c.onTimer)
}

// onTimer wakes a reader after its deadline, or if the same wait has lasted since the
// timer fired last.
func (c *Conn) onTimer() {
	c.armed.Store(never)
	now := int64(c.shared.Now())
	by, wait := c.ends(), c.deadline.Load() // no two waits have the same deadline
	switch {
	case now >= by, wait == c.noticed.Load():
		c.nc.SetReadDeadline(time.Unix(1, 0))
	default:
		c.noticed.Store(wait)
		if fire := min(by, now+int64(recheck)); fire < c.armed.Load() {
			c.arm(time.Duration(now), fire)
		}
	}
}

// woken is called when the timer ended a read. It returns ErrTimeout after the deadline,
// ErrGone if Watch's function says so, and else nil: look at the socket again. Without a
// Watch the timer is then set for the deadline alone.
func (c *Conn) woken() error {
	c.nc.SetReadDeadline(time.Time{})
	now, by := c.shared.Now(), c.ends()
	if int64(now) >= by {
		return ErrTimeout
	}
	if c.watch == nil {
		if by < c.armed.Load() {
			c.arm(now, by)
		}
		return nil
	}
	if c.watch() {
		return ErrGone
	}
	c.arm(now, min(by, int64(now+recheck)))
	return nil
}

// ends returns when the present wait ends at the latest.
func (c *Conn) ends() int64 { return min(c.deadline.Load(), c.limit.Load()) }

// Limit ends the present wait and all later ones at the given time at the latest, on the
// scale of [Shared.Now]. 0 lifts the limit. Any goroutine may call it.
func (c *Conn) Limit(at time.Duration) {
	if at == 0 {
		c.limit.Store(never)
		return
	}
	c.limit.Store(int64(at))
	if int64(at) < c.armed.Load() {
		c.arm(c.shared.Now(), int64(at))
	}
}

// again reports whether to retry a read that ended with err. If not, it returns the error
// that the read ends with.
func (c *Conn) again(err error) (bool, error) {
	if err == nil {
		err, c.err = c.err, nil
		return false, err
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false, err
	}
	err = c.woken()
	return err == nil, err
}

// Fill waits until at least one more byte is in the buffer. It returns [io.EOF] when the
// peer has closed its side, and [ErrTimeout] at the deadline of [Conn.Await]. A full
// buffer grows; a caller that must bound it checks the length of Buffered. Fill returns
// [ErrOverload] if there is no memory to grow the buffer.
//
// Over TLS, io.EOF means that the peer sent a close_notify. If the connection ends
// without one, Fill returns [io.ErrUnexpectedEOF]: an attacker may have cut off the rest
// (RFC 9112 section 9.8). On an idle connection this does no harm.
func (c *Conn) Fill() error {
	for {
		again, err := c.again(c.readMore())
		if !again {
			return err
		}
	}
}

// Turns calls handle for the bytes that are buffered, if any, and then each time that
// more arrive, until handle returns false. It waits without asking the socket first: a
// request that handle answers costs one receive, not two. Turns returns nil when handle
// has returned false, else an error as Fill does. handle must not read from c. Whenever
// the buffer is empty as handle returns, Turns gives it back.
func (c *Conn) Turns(handle func() bool) error {
	c.handle, c.want, c.early = handle, usual, len(c.Buffered()) > 0
	defer func() { c.handle = nil }()
	for {
		again, err := c.again(c.readTurns())
		if !again {
			return err
		}
	}
}

// Watch makes every wait for bytes from c call gone about four times a second. When gone
// returns true, the wait ends with [ErrGone]. Watch(nil) ends this.
func (c *Conn) Watch(gone func() bool) { c.watch = gone }

// Exchange sends head and body, then waits until bytes were received. It waits without
// asking the socket first, so it costs one send and one receive. sent is how many bytes
// went out. If the socket does not take all of them at once, Exchange does not wait and
// returns no error: send the rest with [Conn.Write], and wait for the answer with
// [Conn.Fill], perhaps in another goroutine. Over TLS Exchange sends all bytes, within
// WriteTimeout.
//
// If the peer had closed before the call, the poller does not report it again. Exchange
// notices it when the send provokes a reset, or else after a quarter of a second.
func (c *Conn) Exchange(head, body []byte) (sent int, err error) {
	c.out, c.sent = [2][]byte{head, body}, -1
	again := true
	for again && c.sent < 0 { // again: the timer of an earlier wait was late
		again, err = c.again(c.readSwap())
	}
	for again && err == nil {
		again, err = c.again(c.readMore())
	}
	c.out = [2][]byte{}
	return max(c.sent, 0), err
}

// Offer sends as much of head and body as the socket takes at once, and returns how much
// that was. Over TLS it sends all bytes, within WriteTimeout.
func (c *Conn) Offer(head, body []byte) (sent int, err error) {
	if c.tls == nil {
		return c.offer(head, body)
	}
	before := c.tls.moved
	if err := c.tls.write(head, body); err != nil {
		return min(len(head)+len(body), c.tls.moved-before), err
	}
	return len(head) + len(body), nil
}

// Write sends all of b.
func (c *Conn) Write(b []byte) error { return c.WriteTwo(b, nil) }

// WriteTwo sends all of head and then all of body: in one call if the socket takes them,
// and over TLS in one record if they fit. After a failed write over TLS no further write
// is possible.
func (c *Conn) WriteTwo(head, body []byte) error {
	if c.tls != nil {
		return c.tls.write(head, body)
	}
	_, err := c.transmit(head, body, c.WriteTimeout)
	return err
}

// TakeBlocked returns how long writes have waited for the socket to take more since it was
// called last: as long as the peer did not read. Only the writer may call it. Where the
// connection makes no system calls of its own it is always 0.
func (c *Conn) TakeBlocked() time.Duration {
	d := c.blocked
	c.blocked = 0
	return d
}

// CloseWrite closes the sending side, so the peer reads an end. Over TLS it sends a
// close_notify first, and waits at most five seconds for that.
func (c *Conn) CloseWrite() error {
	var err error
	if c.tls != nil {
		err = c.tls.tls.CloseWrite()
	}
	shut := c.nc.Close
	if h, ok := c.nc.(interface{ CloseWrite() error }); ok {
		shut = h.CloseWrite
	}
	return errors.Join(err, shut())
}

// Close closes the connection, wakes all waits on it, and returns when they have ended.
// So it must not be called within [Conn.Turns]. The reader gives the read buffer back
// with [Conn.Done]. Close sends no close_notify over TLS, since a writer may be stuck;
// CloseWrite and Done do.
func (c *Conn) Close() error { return c.nc.Close() }

// Done closes the connection and gives up its buffer and its timer. The reading goroutine
// calls it last.
func (c *Conn) Done() {
	c.deadline.Store(never)
	c.limit.Store(never)
	c.start.Do(func() {})
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.tls != nil && c.raw != nil && !c.aborted.Load() {
		c.tls.farewell()
	}
	c.nc.Close()
	c.drop()
}

// Abort makes Close send a reset instead of an orderly end. So the peer can tell that it
// did not receive everything.
func (c *Conn) Abort() {
	c.aborted.Store(true)
	if t, ok := c.nc.(interface{ SetLinger(int) error }); ok {
		t.SetLinger(0)
	}
}
