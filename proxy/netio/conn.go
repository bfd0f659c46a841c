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

// ErrTimeout is returned by reads and writes whose deadline passed.
var ErrTimeout = os.ErrDeadlineExceeded

// ErrGone is returned by a wait that [Conn.Watch] ended.
var ErrGone = errors.New("nobody waits for the answer any more")

// ErrUnasked is returned by an Exchange on a connection of [Conn.Doubt] whose answer
// was there before its request.
var ErrUnasked = errors.New("the answer came before the request")

// ErrOverload is returned where the read buffer would have to grow, and the proxy has
// no memory for that.
var ErrOverload = errors.New("the proxy is short of memory")

// Conn is a stream connection with a read buffer. Reads are for one goroutine
// at a time, and so are writes; [Conn.Close] may be called from any.
//
// Bytes that were received and not yet consumed are [Conn.Buffered]; they stay
// where they are until [Conn.Fill] is called with all of them consumed, or
// with the buffer full.
type Conn struct {
	nc     net.Conn
	raw    syscall.RawConn // nil: use nc
	tls    *wire           // nil without TLS
	shared *Shared

	// Account is what the connection holds of Shared's Memory: its read buffer, and
	// what whoever uses the connection takes.
	Account overload.Account

	// The read buffer: data[r:w] is what was received. small or large is set
	// while data is a borrowed one; what is neither is one that has grown.
	data   []byte
	small  *[BufferSize]byte
	large  *[]byte
	r, w   int
	grade  grade         // of large; else usual
	want   grade         // of the next buffer
	filled time.Duration // when the present buffer was, on Shared's clock

	out    [2][]byte // what Exchange sends
	sent   int       // how much of it went out, -1 before the first try
	err    error     // why a closure below gave up
	handle func() bool
	early  bool  // handle is to be called for what is here already
	calls  calls // the closures, and what system calls need

	start    sync.Once
	timer    *time.Timer
	armed    atomic.Int64 // when the timer fires, on Shared's clock
	deadline atomic.Int64 // when the present wait ends
	limit    atomic.Int64 // when all waits end
	noticed  atomic.Int64 // the deadline that the timer saw last

	// WriteTimeout is how long a write may be stuck without a byte moving;
	// 0 is for ever.
	WriteTimeout time.Duration

	// Apart says that writes are made by another goroutine than the one that
	// is within Turns; it is set before either begins.
	Apart bool

	watch   func() bool // reports that it is no use to wait any more
	aborted atomic.Bool
}

const never = int64(1<<63 - 1)

// recheck is how long a wait lasts before the socket is looked at again
// although the poller said nothing. An edge-triggered poller tells once what
// happened; what it told before a wait began is seen here (see
// [Conn.Exchange]). It is also how soon a client that went away is noticed.
const recheck = 250 * time.Millisecond

// New returns a Conn over nc, which it owns from then on.
func New(nc net.Conn, shared *Shared) *Conn {
	c := &Conn{nc: nc, shared: shared}
	c.Account.Open(shared.Memory)
	c.armed.Store(never)
	c.deadline.Store(never)
	c.limit.Store(never)
	c.open()
	return c
}

// NetConn is the connection below; under TLS it is what carries the records.
func (c *Conn) NetConn() net.Conn { return c.nc }

// Now is the clock that deadlines are on.
func (c *Conn) Now() time.Duration { return c.shared.Now() }

// Buffered returns the bytes that were received and not consumed.
func (c *Conn) Buffered() []byte { return c.data[c.r:c.w] }

// Consume drops the first n buffered bytes.
func (c *Conn) Consume(n int) { c.r += n }

// Release gives the read buffer back if nothing is in it. What Buffered
// returned before is then no longer valid.
func (c *Conn) Release() {
	if c.r != c.w {
		return
	}
	c.giveBack()
	c.data, c.r, c.w = nil, 0, 0
}

// giveBack ends the use of the buffer.
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

// drop gives the buffer back whatever is in it.
func (c *Conn) drop() {
	c.r = c.w
	c.Release()
}

// space returns room to receive into: never empty unless the buffer is full.
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

// resize replaces an empty buffer by one of the size that is wanted, if that is to
// be had.
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

// took counts n bytes that were received into room for so many, and decides on the
// size of the next buffer: it grows where a buffer was filled, and shrinks where a
// smaller one would have done.
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

// grow makes room for more bytes, moving those that are buffered to the front
// and, where that is not enough, to a buffer twice the size. It fails where there is
// no memory for that.
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

// Await tells the waits that follow when to give up: at deadline, on
// [Shared.Now]'s scale, 0 for never; now is the time, as exactly as the caller
// happens to know it. It costs two stores as long as the timer need not fire
// earlier than it was going to.
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

// arm sets the timer. Who moves the end of a wait stores it before arming, and
// it is looked at again here after: so of two that arm at once, in whatever
// order, one sets the timer to the earlier end.
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
	// Far off, so that it can't fire before it is stored.
	c.timer = time.AfterFunc(time.Hour, c.onTimer)
}

// onTimer wakes a reader whose deadline passed, or that has been waiting since
// the timer fired last.
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

// woken is called when a read was ended by the timer: it returns ErrTimeout
// if the deadline has passed, ErrGone if Watch's function says so, and else
// nil: look at the socket again. A reader that merely idles is told
// to wait for its deadline alone.
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

// ends is when the present wait ends at the latest.
func (c *Conn) ends() int64 { return min(c.deadline.Load(), c.limit.Load()) }

// Limit ends every wait, the present one and those to come, at the latest at
// the given time, on [Shared.Now]'s scale; 0 lifts it. Any goroutine may call
// it.
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

// again reports whether a read that ended with err is to be tried again, and
// if not, with which error it ends.
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

// Fill waits until at least one more byte was received into the buffer. It
// returns [io.EOF] when the peer has closed its side, and [ErrTimeout] at the
// deadline of [Conn.Await]. A full buffer grows; whoever must not let it looks
// at the length of Buffered. Where there is no memory for it to grow, Fill returns
// [ErrOverload].
//
// Over TLS io.EOF is the end that the peer has announced. Where the connection
// below ends without that it is [io.ErrUnexpectedEOF]: a stranger may have cut
// off what was to follow (RFC 9112 section 9.8), though of a connection that is
// idle it means no harm.
func (c *Conn) Fill() error {
	for {
		again, err := c.again(c.readMore())
		if !again {
			return err
		}
	}
}

// Turns calls handle for the bytes that are here, if there are any, and then each
// time that others were received, for as long as it returns true. It waits for them
// without asking the socket first: a request that is answered within handle costs one
// receive, not two. It returns nil when handle has returned false, and else why it
// ended, as Fill does. Within handle nothing may read from c; the buffer is given back
// whenever it is empty as handle returns.
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

// Watch has gone asked now and then, about four times a second, by whoever waits
// for bytes from c; when it reports true the wait ends with [ErrGone]. It lasts
// until Watch(nil).
func (c *Conn) Watch(gone func() bool) { c.watch = gone }

// Exchange sends head and body, then waits until bytes were received. The
// answer is waited for without asking the socket first, so the whole costs one
// send and one receive. sent is how many bytes went out. If the socket does not
// take all of them at once, Exchange returns that number and no error without
// waiting: the rest is for [Conn.Write], and the answer for [Conn.Fill], which
// another goroutine may wait for meanwhile. Over TLS all is sent, within
// WriteTimeout.
//
// What became readable before the call (a peer that had closed already) is not
// told again by the poller; it is noticed when the send provokes a reset, and
// else after a quarter of a second.
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

// Offer sends as much of head and body as the socket takes at once, and returns
// how much that was. Over TLS all is sent, within WriteTimeout.
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

// WriteTwo sends all of head and then all of body, in one call where the socket
// takes them, and over TLS in one record where they fit. A write over TLS that
// fails is the connection's last.
func (c *Conn) WriteTwo(head, body []byte) error {
	if c.tls != nil {
		return c.tls.write(head, body)
	}
	_, err := c.transmit(head, body, c.WriteTimeout)
	return err
}

// CloseWrite closes the sending side: the peer reads to its end. Over TLS it
// tells the peer first, for which it waits five seconds at most.
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

// Close closes the connection and wakes whoever waits for it, and returns when
// those have let go of it: so it must not be called within [Conn.Turns]. The
// read buffer is given back by the reader: see [Conn.Done]. It tells a TLS peer
// nothing, since who writes may be stuck: that is for CloseWrite and Done.
func (c *Conn) Close() error { return c.nc.Close() }

// Done closes the connection and gives up its buffer and its timer. It is for
// the goroutine that reads, as the last thing it does.
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

// Abort makes Close send a reset instead of an orderly end, so that the peer
// can tell that what it received is not whole.
func (c *Conn) Abort() {
	c.aborted.Store(true)
	if t, ok := c.nc.(interface{ SetLinger(int) error }); ok {
		t.SetLinger(0)
	}
}
