package http2

import (
	"net"
	"sync"
	"time"

	"github.com/hopscope/hopscope/proxy/netio"
)

// Conn is one HTTP/2 connection, of a server or of a client. Its methods are safe for
// concurrent use unless they say otherwise.
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

// room is who to tell when a client may open streams again.
type room struct {
	onChange func() // see Conn.OnChange
	wanted   bool   // somebody waits for a stream to end
	due      bool   // onChange is to be called
}

// Server returns the server's side of a connection on which no byte was read yet, not even
// the client's preface.
//
// The goroutine of [Conn.Run] calls accept for each request, once its head is complete, and
// also for one that was refused ([Stream.Refused]). accept must not block: it hands the
// stream to a goroutine, which closes it in the end.
func Server(nio *netio.Conn, o Options, accept func(*Stream)) *Conn {
	c := newConn(nio, o)
	c.server, c.accept = true, accept
	c.flow.credit = c.width()
	c.headers.response = false
	c.out.buf = c.appendSettings(c.out.buf)
	return c
}

// Client returns the client's side of a connection. Streams may be opened at once. What
// they write is sent once [Conn.Run] runs.
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

// Run reads until the connection ends, while a second goroutine writes. Call it once. It
// returns nil when the connection ended in good order, else a fault.Error that says what
// the peer did. Every stream has failed by then, and the writer has ended.
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

// Abort closes the connection at once, without telling the peer.
func (c *Conn) Abort() {
	c.mu.Lock()
	c.shutdown.decided, c.out.cut, c.shutdown.going = true, true, true
	c.mu.Unlock()
	c.nio.Close()
}

// NetConn returns the connection below; see [netio.Conn.NetConn].
func (c *Conn) NetConn() net.Conn { return c.nio.NetConn() }

// Active returns how many streams are open.
func (c *Conn) Active() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streams.active
}

// Gone reports whether no new stream can be opened: the connection has ended, or is about
// to.
func (c *Conn) Gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shutdown.going || c.shutdown.decided
}

// OnChange sets the function to call when a client's connection has room for streams again
// (see [Conn.Want]), when its server goes away, and when it has ended. It is called without
// any lock. Call OnChange before [Conn.Run].
func (c *Conn) OnChange(f func()) { c.room.onChange = f }

// Capacity returns how many more streams a client may open now: 0 when the connection is
// going away.
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

// most is how many streams a client may have open at once.
func (c *Conn) most() int {
	most := c.peer.maxStreams
	if most < 0 {
		most = defaultStreams // before the server has said
	}
	return min(most, c.options.MaxStreams)
}

// notice has onChange called if somebody waits for room. Call it when a stream has ended.
func (c *Conn) notice() {
	if c.room.wanted && !c.server && !c.shutdown.going {
		c.room.due = true
	}
}

// Want says whether to call the function of [Conn.OnChange] for each stream that ends. Open
// turns that on when it finds no room.
func (c *Conn) Want(wanted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.room.wanted = wanted
}

// Open returns a new stream of a client, or false if there is no room for one. The stream
// gets its identifier when its head is written.
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

// unlock releases the lock and calls onChange if that is due.
func (c *Conn) unlock() {
	tell := c.room.due && c.room.onChange != nil
	c.room.due = false
	c.mu.Unlock()
	if tell {
		c.room.onChange()
	}
}
