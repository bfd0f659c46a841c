package http2_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	frame "golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/http2"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/netio"
)

// TestEndIsMerged into the last frame, if that was not sent yet.
func TestEndIsMerged(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *http2.Stream, h *message.Head) {
		if string(h.Path()) == "/empty" {
			s.WriteHead(response(200, 0), false)
		} else {
			s.WriteHead(response(200, 5), false)
			s.Write([]byte("hello"))
		}
		s.End(nil)
		s.Flush()
	}, nil)
	p := s.dial(t)
	p.headers(1, true, get()...)
	if f := next[*frame.MetaHeadersFrame](p, nil); f.StreamEnded() {
		t.Error("the head ends a stream that has content")
	}
	if f := next[*frame.DataFrame](p, nil); !f.StreamEnded() || string(f.Data()) != "hello" {
		t.Errorf("got %s", f)
	}
	p.headers(3, true, ":method", "GET", ":scheme", "http", ":authority", "web", ":path", "/empty")
	if f := next[*frame.MetaHeadersFrame](p, nil); !f.StreamEnded() {
		t.Error("the head does not end its stream")
	}
}

// TestRefusedRequests are answered, and reset if they were malformed.
func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	p := serve(t, answer, func(o *http2.Options) { o.Limits.HeadBytes = 4000 }).dial(t)
	p.headers(1, true, get("X-Upper", "1")...)
	p.status(1, "400")
	p.reset(1, http2.ProtocolError)
	p.headers(3, true, get("x-large", strings.Repeat("x", 5000))...)
	p.status(3, "431")
	p.headers(5, true, get()...) // the connection goes on, with the same table
	p.status(5, "200")
}

// TestHopelessHeads end the connection.
func TestHopelessHeads(t *testing.T) {
	t.Parallel()
	for name, fields := range map[string][]string{
		"a long value": get("x-large", strings.Repeat("x", 3000)),
		"many fields":  get(strings.Split(strings.Repeat("x,,", 200)+"x,", ",")...),
		"a bomb":       get(append([]string{"x-bomb", strings.Repeat("x", 900)}, strings.Split(strings.Repeat("x-bomb,"+strings.Repeat("x", 900)+",", 100), ",")[:200]...)...),
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, answer, func(o *http2.Options) { o.Limits.HeadBytes = 1000 })
			p := s.dial(t)
			p.headers(1, true, fields...)
			p.goAway(http2.EnhanceYourCalm)
			p.Close()
			s.ended(t, fault.ClientFlood)
		})
	}
}

func TestEcho(t *testing.T) {
	t.Parallel()
	p := serve(t, answer, nil).dial(t)
	p.headers(1, false, post("te", "trailers")...)
	p.WriteDataPadded(1, false, []byte("hel"), make([]byte, 200))
	p.WriteData(1, false, []byte("lo"))
	p.headers(1, true, "x-checksum", "1", "content-length", "3")
	p.status(1, "200")
	got := ""
	for len(got) < 5 {
		got += string(next[*frame.DataFrame](p, nil).Data())
	}
	if got != "hello" {
		t.Errorf("got %q", got)
	}
	f := next[*frame.MetaHeadersFrame](p, nil)
	if len(f.Fields) != 1 || f.Fields[0].Name != "x-checksum" || !f.StreamEnded() {
		t.Errorf("got the trailers %v", f.Fields)
	}
}

// TestWrongLengths of content reset the stream, and its reader knows.
func TestWrongLengths(t *testing.T) {
	t.Parallel()
	errs := make(chan error, 1)
	p := serve(t, func(s *http2.Stream, h *message.Head) {
		for {
			if _, err := s.Read(); err != nil {
				errs <- err
				return
			}
		}
	}, nil).dial(t)
	for i, data := range []string{"hell", "hello!"} {
		id := uint32(2*i + 1)
		p.headers(id, false, post("content-length", "5")...)
		p.WriteData(id, true, []byte(data))
		p.reset(id, http2.ProtocolError)
		if err := <-errs; kindOf(err) != fault.ClientHTTP2 {
			t.Errorf("content %q is read to %v", data, err)
		}
	}
}

func kindOf(err error) fault.Kind {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Kind
	}
	return fault.None
}

// TestWaitsEnd in each of the ways there are.
func TestWaitsEnd(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		end  func(s *http2.Stream, p *peer, now time.Duration)
		want error
		kind fault.Kind
	}{
		{"await", func(s *http2.Stream, _ *peer, now time.Duration) { s.Await(now, now+time.Millisecond) }, os.ErrDeadlineExceeded, 0},
		{"limit", func(s *http2.Stream, _ *peer, now time.Duration) { go s.Limit(now + time.Millisecond) }, os.ErrDeadlineExceeded, 0},
		{"stop", func(s *http2.Stream, _ *peer, _ time.Duration) { go s.Stop(true) }, os.ErrDeadlineExceeded, 0},
		{"watch", func(s *http2.Stream, _ *peer, _ time.Duration) { s.Watch(func() bool { return true }) }, netio.ErrGone, 0},
		{"reset by the client", func(_ *http2.Stream, p *peer, _ time.Duration) { p.WriteRSTStream(1, frame.ErrCodeCancel) }, nil, fault.ClientReset},
		{"reset here", func(s *http2.Stream, _ *peer, _ time.Duration) { go s.Reset(http2.InternalError) }, net.ErrClosed, fault.ClientClosed},
		{"the client closes", func(_ *http2.Stream, p *peer, _ time.Duration) { p.Close() }, nil, fault.ClientClosed},
		{"the client breaks a rule", func(_ *http2.Stream, p *peer, _ time.Duration) { p.WriteData(3, false, nil) }, nil, fault.ClientHTTP2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			errs, begun := make(chan error, 1), make(chan *http2.Stream)
			hold := make(chan struct{})
			s := serve(t, func(s *http2.Stream, h *message.Head) {
				begun <- s
				<-hold
				_, err := s.Read()
				errs <- err
			}, nil)
			p := s.dial(t)
			p.headers(1, false, post()...)
			st := <-begun
			tt.end(st, p, s.options.Shared.Now())
			close(hold)
			err := <-errs
			if tt.want != nil && !errors.Is(err, tt.want) || kindOf(err) != tt.kind {
				t.Errorf("the read ended with %v", err)
			}
		})
	}
}

// TestDeadlineWhileReading moves on with each Await, though the timer stays.
func TestDeadlineWhileReading(t *testing.T) {
	t.Parallel()
	errs := make(chan error, 1)
	s := serve(t, nil, nil)
	nc, far := pipe(t)
	s.attach(nc, func(st *http2.Stream, h *message.Head) {
		for {
			now := s.options.Shared.Now()
			st.Await(now, now+20*time.Millisecond)
			if _, err := st.Read(); err != nil {
				errs <- err
				return
			}
		}
	})
	p := newPeer(t, far)
	io.WriteString(far, http2.Preface)
	p.WriteSettings()
	p.headers(1, false, post()...)
	p.WriteData(1, false, []byte("a"))
	if err := <-errs; !errors.Is(err, netio.ErrTimeout) {
		t.Error(err)
	}
}

func pipe(t testing.TB) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if far, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if near, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	return near, far
}

// TestTooManyStreams are refused, and the others go on.
func TestTooManyStreams(t *testing.T) {
	t.Parallel()
	p := serve(t, answer, func(o *http2.Options) { o.MaxStreams = 2 }).dial(t)
	if v, _ := next[*frame.SettingsFrame](p, nil).Value(frame.SettingMaxConcurrentStreams); v != 2 {
		t.Errorf("%d streams are allowed", v)
	}
	p.headers(1, false, post()...)
	p.headers(3, false, post()...)
	p.headers(5, true, get()...)
	p.reset(5, http2.RefusedStream)
	p.WriteData(1, true, nil)
	p.whole(1)
	p.headers(7, true, get()...)
	p.status(7, "200")
}

// TestSlowOwners: streams that the client has reset are none of those that it may
// open. While they are not done with here, it has to wait, but is refused none.
func TestSlowOwners(t *testing.T) {
	t.Parallel()
	p := serve(t, func(s *http2.Stream, h *message.Head) {
		if string(h.Path()) != "/" {
			time.Sleep(20 * time.Millisecond) // it notices late
			return
		}
		answer(s, h)
	}, func(o *http2.Options) { o.MaxStreams = 2 }).dial(t)
	id := uint32(1)
	for range 50 {
		p.headers(id, true, ":method", "GET", ":scheme", "http", ":authority", "web", ":path", "/slow")
		p.WriteRSTStream(id, frame.ErrCodeCancel)
		id += 2
	}
	p.headers(id, true, get()...)
	for {
		switch f := next[frame.Frame](p, nil).(type) {
		case *frame.RSTStreamFrame: // one that was done with before its reset was read says so
			if f.StreamID == id || f.ErrCode != frame.ErrCodeInternal {
				t.Fatalf("stream %d was refused: %s", f.StreamID, f.ErrCode)
			}
		case *frame.MetaHeadersFrame:
			if f.StreamID == id {
				return
			}
		}
	}
}

// TestStalledStream does not stall another: neither one whose content nobody
// reads, nor one whose client does not let it send.
func TestStalledStream(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	p := serve(t, func(s *http2.Stream, h *message.Head) {
		switch string(h.Path()) {
		case "/unread":
			<-hold
		default:
			s.WriteHead(response(200, -1), false)
			s.Write(make([]byte, 100<<10))
			s.End(nil)
			s.Flush()
		}
	}, func(o *http2.Options) { o.StreamIdle = 0 }).dial(t)
	defer close(hold)
	p.WriteWindowUpdate(0, 1<<20)
	p.headers(1, false, ":method", "POST", ":scheme", "http", ":authority", "web", ":path", "/unread")
	for range 4 { // as much as its window
		p.WriteData(1, false, make([]byte, 16000))
	}
	p.headers(3, true, get()...) // stays at the 65535 bytes that it may send
	p.headers(5, true, get()...)
	p.WriteWindowUpdate(5, 1<<20)
	next(p, func(f *frame.DataFrame) bool { return f.StreamID == 5 && f.StreamEnded() })
}

// TestUnreadContent beyond the stream's window resets it.
func TestUnreadContent(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	p := serve(t, func(*http2.Stream, *message.Head) { <-hold }, nil).dial(t)
	defer close(hold)
	p.headers(1, false, post()...)
	for range 5 {
		p.WriteData(1, false, make([]byte, 16000))
	}
	p.reset(1, http2.FlowControlError)
}

// TestNegativeWindow follows from smaller initial ones (RFC 9113 section 6.9.2).
func TestNegativeWindow(t *testing.T) {
	t.Parallel()
	p := serve(t, func(s *http2.Stream, h *message.Head) {
		s.WriteHead(response(200, 30), false)
		s.Write(make([]byte, 30))
		s.End(nil)
		s.Flush()
	}, nil).dial(t, frame.Setting{ID: frame.SettingInitialWindowSize, Val: 10})
	size := func() (n int, end bool) {
		f := next[*frame.DataFrame](p, nil)
		return len(f.Data()), f.StreamEnded()
	}
	p.headers(1, true, get()...)
	if n, _ := size(); n != 10 {
		t.Errorf("%d bytes were sent", n)
	}
	p.WriteSettings(frame.Setting{ID: frame.SettingInitialWindowSize, Val: 5}) // -5 left
	p.WriteWindowUpdate(1, 12)
	if n, _ := size(); n != 7 {
		t.Errorf("%d bytes were sent", n)
	}
	p.WriteSettings(frame.Setting{ID: frame.SettingInitialWindowSize, Val: 100})
	if n, end := size(); n != 13 || !end {
		t.Errorf("%d bytes were sent, the last %t", n, end)
	}
}

// TestNoWindow at all ends a write after its time.
func TestNoWindow(t *testing.T) {
	t.Parallel()
	errs := make(chan error, 1)
	p := serve(t, func(s *http2.Stream, h *message.Head) {
		s.WriteHead(response(200, 30), false)
		errs <- s.Write(make([]byte, 30))
	}, func(o *http2.Options) { o.StreamIdle = 20 * time.Millisecond }).dial(t, frame.Setting{ID: frame.SettingInitialWindowSize, Val: 1})
	p.headers(1, true, get()...)
	if err := <-errs; !errors.Is(err, netio.ErrTimeout) {
		t.Error(err)
	}
	p.reset(1, http2.InternalError)
}

// TestEarlyAnswer tells the client to send no more.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *http2.Stream, h *message.Head) {
		s.WriteHead(response(200, 0), true)
		s.Flush()
	}, nil)
	p := s.dial(t)
	p.headers(1, false, post()...)
	p.status(1, "200")
	p.reset(1, http2.NoError)
	p.WriteData(1, false, []byte("on its way"))
	p.headers(1, true, "x-trailer", "1")
	p.headers(3, true, get()...)
	p.status(3, "200")
}

func TestInterimResponses(t *testing.T) {
	t.Parallel()
	p := serve(t, func(s *http2.Stream, h *message.Head) {
		s.WriteHead(response(103, 0, "link", "</a>"), false)
		s.WriteHead(response(204, 0), false)
		s.End(nil)
		s.Flush()
	}, nil).dial(t)
	p.headers(1, true, get()...)
	if f := next[*frame.MetaHeadersFrame](p, nil); f.PseudoValue("status") != "103" || f.StreamEnded() {
		t.Errorf("got %v", f)
	}
	if f := next[*frame.MetaHeadersFrame](p, nil); f.PseudoValue("status") != "204" || !f.StreamEnded() {
		t.Errorf("got %v", f)
	}
}

// TestTunnels carry bytes both ways: of CONNECT, and of another protocol.
func TestTunnels(t *testing.T) {
	t.Parallel()
	for name, fields := range map[string][]string{
		"connect":   {":method", "CONNECT", ":authority", "db:1"},
		"websocket": {":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":authority", "web", ":path", "/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := serve(t, func(s *http2.Stream, h *message.Head) {
				r := response(200, 0)
				if r.Framing = message.Tunnel; h.Upgrade {
					r.Status = 101
				}
				s.WriteHead(r, false)
				s.Flush()
				d := s.Duplex()
				d.SetWriteTimeout(patience)
				for d.Fill() == nil {
					d.Write(d.Buffered())
					d.Consume(len(d.Buffered()))
				}
				d.CloseWrite()
			}, nil).dial(t)
			p.headers(1, false, fields...)
			p.status(1, "200")
			p.WriteData(1, false, []byte("ping"))
			if f := next[*frame.DataFrame](p, nil); string(f.Data()) != "ping" || f.StreamEnded() {
				t.Errorf("got %s", f)
			}
			p.WriteData(1, true, nil)
			if f := next[*frame.DataFrame](p, nil); !f.StreamEnded() {
				t.Errorf("got %s", f)
			}
		})
	}
}

// TestSlowHeads end the connection: no SETTINGS, and a header block or a frame
// that stays unfinished.
func TestSlowHeads(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(p *peer){
		"preface": func(p *peer) {},
		"block": func(p *peer) {
			io.WriteString(p.Conn, http2.Preface)
			p.WriteSettings()
			p.WriteHeaders(frame.HeadersFrameParam{StreamID: 1, BlockFragment: p.block(get()...)})
		},
		"frame": func(p *peer) {
			io.WriteString(p.Conn, http2.Preface)
			p.WriteSettings()
			p.Write([]byte{0, 0, 8, 6, 0, 0, 0, 0, 0, 'p', 'i'})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, answer, func(o *http2.Options) { o.HeadTimeout = 50 * time.Millisecond })
			nc, err := net.Dial("tcp", s.address)
			if err != nil {
				t.Fatal(err)
			}
			p := newPeer(t, nc)
			begin(p)
			next[*frame.GoAwayFrame](p, nil)
			p.Close()
			s.ended(t, fault.RequestTimeout)
		})
	}
}

// TestIdleConnections end in good order.
func TestIdleConnections(t *testing.T) {
	t.Parallel()
	s := serve(t, answer, func(o *http2.Options) { o.IdleTimeout = 50 * time.Millisecond })
	p := s.dial(t)
	p.goAway(http2.NoError)
	p.Close()
	s.ended(t, fault.None)
}

// TestBusyConnections are not idle, though no byte comes.
func TestBusyConnections(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, func(o *http2.Options) { o.IdleTimeout = 50 * time.Millisecond })
	near, far := pipe(t)
	p := newPeer(t, far)
	io.WriteString(far, http2.Preface)
	p.WriteSettings()
	p.headers(1, false, post()...) // before the time begins
	s.attach(near, answer)
	p.status(1, "200")
	var ended atomic.Bool
	time.AfterFunc(120*time.Millisecond, func() {
		ended.Store(true)
		p.WriteData(1, true, nil)
	})
	p.goAway(http2.NoError)
	if !ended.Load() {
		t.Error("the connection ended under a stream")
	}
	p.Close()
	s.ended(t, fault.None)
}

// TestKeepAlive asks a silent client whether it is there.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	s := serve(t, answer, func(o *http2.Options) { o.KeepAlive, o.KeepAliveTimeout = 20*time.Millisecond, patience })
	p := s.dial(t)
	for range 3 { // answered, it goes on
		f := next(p, func(f *frame.PingFrame) bool { return !f.IsAck() })
		p.WritePing(true, f.Data)
	}
}

func TestUnresponsiveClient(t *testing.T) {
	t.Parallel()
	s := serve(t, answer, func(o *http2.Options) { o.KeepAlive, o.KeepAliveTimeout = 20*time.Millisecond, 20*time.Millisecond })
	s.dial(t)
	s.ended(t, fault.ClientUnresponsive)
}

// TestShutdown serves what the client has sent before it knew.
func TestShutdown(t *testing.T) {
	t.Parallel()
	s := serve(t, answer, nil)
	p := s.dial(t)
	p.headers(1, false, post()...)
	p.status(1, "200")
	(<-s.conns).Shutdown()
	if f := next[*frame.GoAwayFrame](p, nil); f.LastStreamID != 1<<31-1 || f.ErrCode != 0 {
		t.Errorf("got %v", f)
	}
	f := next(p, func(f *frame.PingFrame) bool { return !f.IsAck() })
	p.headers(3, true, get()...)
	p.status(3, "200")
	p.WritePing(true, f.Data)
	if f := next[*frame.GoAwayFrame](p, nil); f.LastStreamID != 3 || f.ErrCode != 0 {
		t.Errorf("got %v", f)
	}
	p.headers(5, true, get()...)
	p.reset(5, http2.RefusedStream)
	p.WriteData(1, true, []byte("the end"))
	if f := next[*frame.DataFrame](p, nil); string(f.Data()) != "the end" || f.StreamID != 1 {
		t.Errorf("got %s", f)
	}
	if _, err := io.Copy(io.Discard, p.Conn); err != nil {
		t.Error(err)
	}
	p.Close()
	s.ended(t, fault.None)
}

// TestAbort ends the connection under its streams.
func TestAbort(t *testing.T) {
	t.Parallel()
	errs := make(chan error, 1)
	s := serve(t, func(s *http2.Stream, h *message.Head) {
		_, err := s.Read()
		if !s.Gone() {
			t.Error("the client is not gone")
		}
		errs <- err
	}, nil)
	p := s.dial(t)
	p.headers(1, false, post()...)
	c := <-s.conns
	eventually(t, "the stream", func() bool { return c.Active() == 1 })
	c.Abort()
	if err := <-errs; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	s.ended(t, fault.None)
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come", what)
		}
	}
}

// TestHandedOver serves a connection whose first bytes were read already.
func TestHandedOver(t *testing.T) {
	t.Parallel()
	near, far := pipe(t)
	p := newPeer(t, far)
	io.WriteString(far, http2.Preface)
	p.WriteSettings()
	p.headers(1, true, get()...)
	nio := netio.New(near, netio.NewShared())
	for len(nio.Buffered()) < len(http2.Preface) {
		if err := nio.Fill(); err != nil {
			t.Fatal(err)
		}
	}
	s := serve(t, nil, nil)
	c := http2.Server(nio, s.options, func(st *http2.Stream) {
		s.running.Go(func() {
			defer st.Close()
			hello(st, nil)
		})
	})
	s.running.Go(func() { s.ends <- c.Run() })
	p.status(1, "200")
	far.Close()
	s.ended(t, fault.None)
}
