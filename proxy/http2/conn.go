package http2

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/netio"
)

// Conn is a connection, of a server or of a client.
type Conn struct {
	options  Options
	nio      *netio.Conn
	server   bool
	accept   func(*Stream)
	onChange func()

	reader // what only the reader touches

	mu sync.Mutex // over all that follows, and what the streams say is under it

	streams map[uint32]*Stream // those that are open, by their identifiers
	active  int                // how many there are; a client's are counted before they have one
	held    int                // how many a server's owners have not closed
	left    chan struct{}      // tells the reader that one has been
	idle    time.Duration      // when the last one ended
	free    []*Stream          // to be used again, as are the blocks
	blocks  []*block
	closed  closedStreams // those that ended last

	credit int64 // what the peer may send on the connection
	ahead  int64 // content that was received and not read yet
	outs   int   // what the buffers of what is sent hold, as far as it was counted
	spent  int   // the size of the one that the writer has

	out       []byte // what is to be sent
	gen       uint64 // how many times out was taken
	replies   int    // how many frames in it answer the peer's
	dirty     chan struct{}
	written   chan struct{} // closed when the writer has ended
	cut       bool          // nothing goes out any more
	wasReset  bool          // since the peer reset the connection, which a read need not see then
	shed      bool          // it was closed for want of memory
	closing   bool          // the writer ends when it has sent what there is
	zeroTable bool          // the next header block begins with tableSizeZero
	window    int64         // what may be sent
	firstSend int64         // what a new stream may send
	queue     []*Stream     // those that wait to send, each in turn
	crowd     []*Stream     // those that wait for room for a head
	done      uint64        // streams that have ended whole
	moved     uint64        // frames of DATA sent, and header lists both ways

	peerMost int           // how many streams the peer allows, -1 before it said so
	extended bool          // the peer takes extended CONNECT
	nextID   atomic.Uint32 // a client's next stream; changed under mu
	lastID   uint32        // a server's last stream from its client, of those that it took

	going    bool         // no new stream: this side, or the peer, is going away
	peerGone bool         // it is the peer: nothing new will be answered
	final    bool         // the last GOAWAY was sent
	told     bool         // the end was decided on
	why      *fault.Error // and why, nil for a good end
	ended    bool         // all is over
	wanted   bool         // somebody waits for a stream to end
	newRoom  bool         // onChange is to be called
	lastCall *time.Timer  // sends the last GOAWAY
}

// Server returns the server's side of a connection whose preface is not yet
// read. accept is called by the goroutine of [Conn.Run] when the head of a request
// is whole, or was refused ([Stream.Refused]); it must not block, but hand the
// stream to a goroutine that closes it in the end.
func Server(nio *netio.Conn, o Options, accept func(*Stream)) *Conn {
	c := newConn(nio, o)
	c.server, c.accept = true, accept
	c.credit = c.width()
	c.headers.response = false
	c.out = c.appendSettings(c.out)
	return c
}

// Client returns the client's side of a connection. Streams may be opened at
// once; what they write is sent when [Conn.Run] runs.
func Client(nio *netio.Conn, o Options) *Conn {
	c := newConn(nio, o)
	c.nextID.Store(1)
	c.credit = c.width()
	c.headers.response = true
	c.greeted = true
	c.out = c.appendSettings(append(c.out, Preface...))
	return c
}

func newConn(nio *netio.Conn, o Options) *Conn {
	o.setDefaults()
	c := &Conn{
		options: o, nio: nio,
		streams: make(map[uint32]*Stream),
		dirty:   make(chan struct{}, 1), written: make(chan struct{}), left: make(chan struct{}, 1),
		gen: 1, window: firstWindow, firstSend: firstWindow, peerMost: -1,
	}
	nio.WriteTimeout, nio.Apart = o.StreamIdle, true
	c.reader.init(c)
	return c
}

// Run reads until the connection ends, and has a goroutine write; it is to be
// called once. It returns nil for an orderly end, else a fault.Error that says
// what the peer did. Every stream has failed by then.
func (c *Conn) Run() error {
	c.nio.Account.Take(connSize)
	defer c.nio.Account.Give(connSize)
	go c.write()
	c.wake()
	err := c.read()
	if err != nil {
		c.lost(err)
	}
	lingers, patience := c.finish()
	late := time.AfterFunc(patience, func() { c.nio.Close() })
	<-c.written
	late.Stop()
	if lingers {
		c.linger()
	}
	c.nio.Done()
	c.mu.Lock()
	for _, b := range c.blocks {
		c.nio.Account.Give(b.size())
	}
	c.nio.Account.Give(c.outs)
	c.outs, c.out, c.blocks = 0, nil, nil
	c.releaseBlock()
	why := c.why
	c.newRoom = c.onChange != nil
	c.unlock()
	if why != nil {
		return why
	}
	return nil
}

// lingerTime is how long an end that was said to the peer is waited for.
const lingerTime = time.Second

// linger reads on for a while after the last word was sent: what the peer sends
// meanwhile, unread, would have the kernel reset the connection, and the peer
// might never see that word.
func (c *Conn) linger() {
	if c.nio.CloseWrite() != nil {
		return
	}
	now := c.nio.Now()
	c.nio.Await(now, now+lingerTime)
	c.nio.Limit(0)
	for most := 64 * connWindow; most > 0; {
		n := len(c.nio.Buffered())
		c.nio.Consume(n)
		most -= n
		if c.nio.Fill() != nil {
			return
		}
	}
}

// finish fails what is still open. It reports whether the peer may still read,
// and for how long what is unsent is worth waiting for: the last responses are, of
// a good end.
func (c *Conn) finish() (lingers bool, patience time.Duration) {
	c.mu.Lock()
	defer c.unlock()
	c.ended, c.going, c.closing = true, true, true
	if c.lastCall != nil {
		c.lastCall.Stop()
	}
	for _, s := range c.streams {
		s.fail(c.streamFault(s))
		c.closeStream(s, resetByPeer)
	}
	for _, s := range c.free {
		s.stopTimer()
		s.drop()
	}
	c.free, c.queue, c.crowd = nil, nil, nil
	c.wake()
	patience = lingerTime
	if c.why == nil && !c.cut {
		patience = max(patience, c.options.StreamIdle)
	}
	return c.server && !c.cut && !c.shed, patience
}

// streamFault is what the end of the connection is to a stream.
func (c *Conn) streamFault(s *Stream) *fault.Error {
	switch {
	case c.why != nil && c.why.Kind == fault.UpstreamClosed, c.why != nil && c.why.Kind == fault.UpstreamReset:
		when := " before it answered"
		if s.answered {
			when = " within its response"
		}
		return &fault.Error{Kind: c.why.Kind, Reason: c.why.Reason + when, Cause: c.why.Cause}
	case c.why != nil:
		return c.why
	case c.server:
		return fault.Wrap(fault.ClientClosed, "the connection to "+c.options.Name+" was closed", net.ErrClosed)
	}
	return fault.Wrap(fault.UpstreamClosed, "the connection to "+c.options.Name+" was closed", net.ErrClosed)
}

// lost notes that the connection broke, or was closed by the peer.
func (c *Conn) lost(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	if c.told {
		return
	}
	c.told = true
	if c.active == 0 {
		return // nobody loses anything by it
	}
	reset := c.wasReset || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	closed := errors.Is(err, io.EOF)
	cause := err
	if reset || closed {
		cause = nil
	}
	name := c.options.Name
	switch {
	case c.server && reset:
		c.why = fault.New(fault.ClientClosed, name+" reset the connection")
	case c.server:
		c.why = &fault.Error{Kind: fault.ClientClosed, Reason: name + " closed the connection", Cause: cause}
	case reset:
		c.why = fault.New(fault.UpstreamReset, name+" reset the connection")
	default:
		c.why = &fault.Error{Kind: fault.UpstreamClosed, Reason: name + " closed the connection", Cause: cause}
	}
}

// end decides that the connection ends, and why: nil is a good end. The peer is
// told by GOAWAY.
func (c *Conn) end(code Code, why *fault.Error) {
	if c.told {
		return
	}
	c.told, c.going, c.why = true, true, why
	if !c.final || code != NoError {
		c.final = true
		c.out = appendGoAway(c.out, c.lastID, code)
	}
	c.nio.Limit(1) // has passed: the reader returns
}

// Abort ends the connection at once. Any goroutine may call it.
func (c *Conn) Abort() {
	c.mu.Lock()
	c.told, c.cut, c.going = true, true, true
	c.mu.Unlock()
	c.nio.Close()
}

// Active is how many streams are open.
func (c *Conn) Active() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.active
}

// Gone reports whether the connection has ended or is going to: whether new
// streams can't be opened.
func (c *Conn) Gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.going || c.told
}

// OnChange has f called whenever a client's connection may carry streams again
// that could not before (see [Conn.Want]), when its server goes away, and when it
// has ended. No lock is held then. It is to be set before [Conn.Run].
func (c *Conn) OnChange(f func()) { c.onChange = f }

// Capacity is how many more streams a client may open now, 0 when the connection
// is going away.
func (c *Conn) Capacity() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.capacity()
}

func (c *Conn) capacity() int {
	if c.going || c.told {
		return 0
	}
	return max(c.most()-c.active, 0)
}

// most is how many streams a client may have open.
func (c *Conn) most() int {
	most := c.peerMost
	if most < 0 {
		most = defaultStreams // before the server has said
	}
	return min(most, c.options.MaxStreams)
}

// notice sees to it that who found no room is told that there is some. It is
// called when a stream has ended.
func (c *Conn) notice() {
	if c.wanted && !c.server && !c.going {
		c.newRoom = true
	}
}

// Want says whether the func of [Conn.OnChange] is to be called with each stream
// that ends, as it is from when no stream could be opened.
func (c *Conn) Want(wanted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted = wanted
}

// Open returns a new stream of a client, if there is room for one. Its identifier
// is given to it when the head is written.
func (c *Conn) Open() (*Stream, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.capacity() == 0 {
		c.wanted = true
		return nil, false
	}
	c.active++
	return c.newStream(), true
}

// unlock unlocks, and tells that there is room where there is.
func (c *Conn) unlock() {
	tell := c.newRoom && c.onChange != nil
	c.newRoom = false
	c.mu.Unlock()
	if tell {
		c.onChange()
	}
}
