package http2_test

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
	"time"

	frame "golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/http2"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/overload"
)

// budget is that of a server's connections.
func (s *server) budget() *overload.Budget { return s.options.Shared.Memory }

// press fills a server's budget to a share of it, in hundredths.
func (s *server) press(hundredths int) {
	b := s.budget()
	b.SetLimit(64 << 20)
	b.Take(64<<20/100*hundredths - int(b.Used()))
}

// settle has the server take in all that was sent to it.
func (p *peer) settle() {
	p.t.Helper()
	p.WritePing(false, [8]byte{1})
	next(p, func(f *frame.PingFrame) bool { return f.IsAck() })
}

// TestWindowsShrinkWhereMemoryIsShort: a client may send less ahead then, and what it
// has sent counts until it was read; all of that ends with the shortage.
func TestWindowsShrinkWhereMemoryIsShort(t *testing.T) {
	t.Parallel()
	read := make(chan struct{})
	s := serve(t, func(s *http2.Stream, h *message.Head) {
		<-read
		hello(s, h)
	}, nil)
	s.press(50)
	p := s.dial(t)
	p.headers(1, false, post()...)
	window := 65535
	for window > 0 {
		n := min(window, 16<<10)
		p.WriteData(1, false, make([]byte, n))
		window -= n
	}
	// The window of the connection is the same as the stream's, and not given back.
	p.WritePing(false, [8]byte{1})
	next(p, func(f frame.Frame) bool {
		if f, ok := f.(*frame.WindowUpdateFrame); ok {
			t.Errorf("the window of stream %d was widened by %d although nothing was read", f.StreamID, f.Increment)
		}
		ping, ok := f.(*frame.PingFrame)
		return ok && ping.IsAck()
	})
	close(read)
	next(p, func(f *frame.WindowUpdateFrame) bool { return f.StreamID == 0 })
	s.budget().Give(64 << 20 / 2) // more than enough
	p.WriteData(1, true, make([]byte, 10))
	p.headers(3, true, get()...)
	next(p, func(f *frame.WindowUpdateFrame) bool { return f.StreamID == 0 && f.Increment > 500<<10 })
}

// TestStreamsRefusedWhereMemoryIsShort: a connection that holds much gets no more, one
// that holds little does, until the budget is full.
func TestStreamsRefusedWhereMemoryIsShort(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	s := serve(t, func(s *http2.Stream, h *message.Head) {
		if string(h.Path()) == "/hold" {
			<-hold
		}
		hello(s, h)
	}, nil)
	t.Cleanup(func() { close(hold) })
	greedy := s.dial(t)
	for i := range 90 {
		greedy.headers(uint32(2*i+1), true, ":method", "GET", ":scheme", "http", ":authority", "web", ":path", "/hold")
	}
	greedy.settle()
	s.press(65)
	greedy.headers(181, true, get()...)
	greedy.reset(181, http2.RefusedStream)
	modest := s.dial(t)
	modest.headers(1, true, get()...)
	modest.status(1, "200")
	if n := s.budget().Refused(overload.Stream); n != 1 {
		t.Errorf("%d streams are counted as refused, want 1", n)
	}
	s.press(100)
	modest.headers(3, true, get()...)
	modest.reset(3, http2.RefusedStream)
}

// TestContentWhereMemoryIsShort: content for which there is no room ends its stream,
// and not the connection, with a fault that is the proxy's own.
func TestContentWhereMemoryIsShort(t *testing.T) {
	t.Parallel()
	full := make(chan struct{})
	failed := make(chan error, 1)
	s := serve(t, func(s *http2.Stream, h *message.Head) {
		<-full
		for {
			if _, err := s.Read(); err != nil {
				failed <- err
				return
			}
		}
	}, nil)
	p := s.dial(t)
	p.headers(1, false, post()...)
	p.settle()
	s.press(100)
	p.WriteData(1, false, make([]byte, 16<<10))
	p.reset(1, http2.EnhanceYourCalm)
	close(full)
	if err := fault.Of(<-failed); err.Kind != fault.Overload {
		t.Errorf("the stream ended with %v", err)
	}
	s.press(0)
	p.headers(3, true, get()...)
	<-failed // it was served
}

// TestHeaderBlockWhereMemoryIsShort: a header block of several frames is not collected
// then.
func TestHeaderBlockWhereMemoryIsShort(t *testing.T) {
	t.Parallel()
	s := serve(t, hello, nil)
	p := s.dial(t)
	p.settle()
	s.press(65)
	block := p.block(get("cookie", strings.Repeat("|", 40<<10))...)
	p.WriteHeaders(frame.HeadersFrameParam{StreamID: 1, BlockFragment: block[:16<<10], EndStream: true})
	p.WriteContinuation(1, false, block[16<<10:32<<10])
	p.goAway(http2.EnhanceYourCalm)
	s.ended(t, fault.Overload)
}

// TestShedConnection: a connection that is closed for want of memory says so, and gives
// all of it back.
func TestShedConnection(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *http2.Stream, h *message.Head) {
		for {
			if _, err := s.Read(); err != nil {
				return
			}
		}
	}, nil)
	s.budget().SetLimit(64 << 20)
	p := s.dial(t)
	for i := range 10 {
		p.headers(uint32(2*i+1), false, post()...)
		p.WriteData(uint32(2*i+1), false, make([]byte, 6000))
	}
	p.settle()
	c := <-s.conns
	if held, _, _ := c.Held(); held < 10*6000 {
		t.Errorf("%d bytes are counted for ten streams with 6000 bytes each", held)
	}
	c.Shed()
	p.goAway(http2.EnhanceYourCalm)
	s.ended(t, fault.Overload)
	for end := time.Now().Add(patience); s.budget().Used() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d bytes are in use after the connection's end", s.budget().Used())
		}
	}
}

// TestIdleConnectionHoldsLittle: what a large head and content made a connection hold
// is given back when it idles, of what is counted and of what is not.
func TestIdleConnectionHoldsLittle(t *testing.T) { // it looks at the heap: not parallel
	const conns = 20
	s := serve(t, answer, nil)
	s.budget().SetLimit(1 << 30)
	var clients []*peer
	var served []*http2.Conn
	for range conns {
		p := s.dial(t)
		p.headers(1, true, get()...)
		p.whole(1)
		clients, served = append(clients, p), append(served, <-s.conns)
	}
	counted, heap := resting(t, s, served)
	for _, p := range clients {
		p.headers(3, false, post("cookie", strings.Repeat("c", 3000))...)
		for range 3 {
			p.WriteData(3, false, make([]byte, 16<<10))
		}
		p.WriteData(3, true, nil)
		p.whole(3)
		block := p.block(get("cookie", strings.Repeat("|", 55<<10))...)
		p.WriteHeaders(frame.HeadersFrameParam{StreamID: 5, BlockFragment: block[:16<<10], EndStream: true})
		for block = block[16<<10:]; len(block) > 16<<10; block = block[16<<10:] {
			p.WriteContinuation(5, false, block[:16<<10])
		}
		p.WriteContinuation(5, true, block)
		p.whole(5)
		p.Framer, p.encoder = nil, nil // they have grown, too
		p.encoded = bytes.Buffer{}
	}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		countedAfter, heapAfter := resting(t, s, served)
		moreCounted, moreHeld := (countedAfter-counted)/conns, (heapAfter-heap)/conns
		// The heap is the whole process's; what is not given back would be over 55 KiB.
		if moreCounted <= 10<<10 && moreHeld <= 30<<10 {
			break
		}
		if time.Now().After(end) { // what a burst leaves is kept for a moment
			t.Fatalf("an idle connection is counted for %d bytes more after a large request, and holds %d more", moreCounted, moreHeld)
		}
	}
}

// TestRestsAfterABurst: what a burst of requests leaves is kept for the next one, but not
// for long.
func TestRestsAfterABurst(t *testing.T) {
	const burst = 30
	s := serve(t, answer, nil)
	s.budget().SetLimit(1 << 30)
	p := s.dial(t)
	p.headers(1, true, get()...)
	p.whole(1)
	conn := <-s.conns
	counted, _ := resting(t, s, []*http2.Conn{conn})
	for id := uint32(3); id < 3+2*burst; id += 2 {
		p.headers(id, true, get("cookie", strings.Repeat("c", 2000))...)
	}
	for left := burst; left > 0; left-- {
		next(p, func(f frame.Frame) bool {
			head, is := f.(*frame.MetaHeadersFrame)
			data, other := f.(*frame.DataFrame)
			return is && head.StreamEnded() || other && data.StreamEnded()
		})
	}
	for end := time.Now().Add(patience); s.budget().Used() > counted+10<<10; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("a connection that is idle is counted for %d bytes more after a burst of requests", s.budget().Used()-counted)
		}
	}
}

// whole expects the end of a response.
func (p *peer) whole(id uint32) {
	p.t.Helper()
	next(p, func(f frame.Frame) bool {
		switch f := f.(type) {
		case *frame.MetaHeadersFrame:
			return f.StreamID == id && f.StreamEnded()
		case *frame.DataFrame:
			return f.StreamID == id && f.StreamEnded()
		}
		return false
	})
}

// resting is what a server's connections are counted for, and the size of the heap,
// when nothing is under way any more.
func resting(t testing.TB, s *server, conns []*http2.Conn) (counted, heap int64) {
	t.Helper()
	for _, c := range conns {
		for end := time.Now().Add(patience); !c.Quiet(); {
			if time.Now().After(end) {
				t.Fatal("a connection does not come to rest")
			}
			time.Sleep(time.Millisecond)
		}
	}
	for range 3 { // so that pools are empty
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return s.budget().Used(), int64(m.HeapAlloc)
}
