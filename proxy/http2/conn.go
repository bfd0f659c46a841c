package http2

import (
	"sync"
	"time"

	"github.com/hopscope/hopscope/proxy/netio"
)

// Conn is a connection, of a server or of a client.
type Conn struct {
	options Options
	nio     *netio.Conn
	server  bool
	accept  func(*Stream)

	reader // belongs to the goroutine of Run

	mu       sync.Mutex // guards what follows, and what a Stream says is under it
	streams  streams
	out      writer
	flow     flow
	meter    meter
	peer     peerSettings
	shutdown shutdown
	room     room
}

// peerSettings are what the peer's SETTINGS said of streams.
type peerSettings struct {
	maxStreams      int  // how many it allows, -1 before it said so
	extendedConnect bool // it takes extended CONNECT (RFC 8441)
}

// room is about whom to tell that a client may open streams again.
type room struct {
	onChange func() // see Conn.OnChange
	wanted   bool   // somebody waits for a stream to end
	due      bool   // onChange is to be called
}

// Server returns the server's side of a connection whose preface is not yet
// read. accept is called by the goroutine of [Conn.Run] when the head of a request
// is whole, or was refused ([Stream.Refused]); it must not block, but hand the
// stream to a goroutine that closes it in the end.
func Server(nio *netio.Conn, o Options, accept func(*Stream)) *Conn {
	c := newConn(nio, o)
	c.server, c.accept = true, accept
	c.flow.credit = c.width()
	c.headers.response = false
	c.out.buf = c.appendSettings(c.out.buf)
	return c
}

// Client returns the client's side of a connection. Streams may be opened at
// once; what they write is sent when [Conn.Run] runs.
func Client(nio *netio.Conn, o Options) *Conn {
	c := newConn(nio, o)
	c.streams.nextID.Store(1)
	c.flow.credit = c.width()
	c.headers.response = true
	c.greeted = true
	c.out.buf = c.appendSettings(append(c.out.buf, Preface...))
	return c
}

func newConn(nio *netio.Conn, o Options) *Conn {
	o.setDefaults()
	c := &Conn{
		options: o, nio: nio,
		streams: streams{open: make(map[uint32]*Stream), left: make(chan struct{}, 1)},
		out:     writer{wakes: make(chan struct{}, 1), ended: make(chan struct{}), generation: 1},
		flow:    flow{window: firstWindow, first: firstWindow},
		meter:   meter{limits: o.Floods},
		peer:    peerSettings{maxStreams: -1},
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
	c.out.wake()
	err := c.read()
	if err != nil {
		c.lost(err)
	}
	lingers, patience := c.finish()
	late := time.AfterFunc(patience, func() { c.nio.Close() })
	<-c.out.ended
	late.Stop()
	if lingers {
		c.linger()
	}
	c.nio.Done()
	c.mu.Lock()
	c.streams.dropBlocks(&c.nio.Account, 0)
	c.nio.Account.Give(c.out.counted)
	c.out.counted, c.out.buf, c.streams.blocks = 0, nil, nil
	c.releaseBlock()
	why := c.shutdown.why
	c.room.due = c.room.onChange != nil
	c.unlock()
	if why != nil {
		return why
	}
	return nil
}

// Abort ends the connection at once. Any goroutine may call it.
func (c *Conn) Abort() {
	c.mu.Lock()
	c.shutdown.decided, c.out.cut, c.shutdown.going = true, true, true
	c.mu.Unlock()
	c.nio.Close()
}

// Active is how many streams are open.
func (c *Conn) Active() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streams.active
}

// Gone reports whether the connection has ended or is going to: whether new
// streams can't be opened.
func (c *Conn) Gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shutdown.going || c.shutdown.decided
}

// OnChange has f called whenever a client's connection may carry streams again
// that could not before (see [Conn.Want]), when its server goes away, and when it
// has ended. No lock is held then. It is to be set before [Conn.Run].
func (c *Conn) OnChange(f func()) { c.room.onChange = f }

// Capacity is how many more streams a client may open now, 0 when the connection
// is going away.
func (c *Conn) Capacity() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.capacity()
}

func (c *Conn) capacity() int {
	if c.shutdown.going || c.shutdown.decided {
		return 0
	}
	return max(c.most()-c.streams.active, 0)
}

// most is how many streams a client may have open.
func (c *Conn) most() int {
	most := c.peer.maxStreams
	if most < 0 {
		most = defaultStreams // before the server has said
	}
	return min(most, c.options.MaxStreams)
}

// notice has a client told that there is room, if it found none before. It is called
// when a stream has ended.
func (c *Conn) notice() {
	if c.room.wanted && !c.server && !c.shutdown.going {
		c.room.due = true
	}
}

// Want says whether the func of [Conn.OnChange] is to be called with each stream
// that ends, as it is from when no stream could be opened.
func (c *Conn) Want(wanted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.room.wanted = wanted
}

// Open returns a new stream of a client, if there is room for one. Its identifier
// is given to it when the head is written.
func (c *Conn) Open() (*Stream, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.capacity() == 0 {
		c.room.wanted = true
		return nil, false
	}
	c.streams.active++
	return c.newStream(), true
}

// unlock unlocks, and tells that there is room where there is.
func (c *Conn) unlock() {
	tell := c.room.due && c.room.onChange != nil
	c.room.due = false
	c.mu.Unlock()
	if tell {
		c.room.onChange()
	}
}
