package http2_test

import (
	"io"
	"strings"
	"testing"

	frame "golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/http2"
	"github.com/hopscope/hopscope/proxy/message"
)

// TestFloods end the connection, with the code and the kind that say why.
func TestFloods(t *testing.T) {
	t.Parallel()
	limits := http2.Floods{Resets: 10, Control: 20, Continuations: 4, Replies: 1000}
	for _, tt := range []struct {
		name string
		send func(p *peer, i int)
	}{
		{"rapid reset", func(p *peer, i int) {
			p.headers(uint32(2*i+1), true, get()...)
			p.WriteRSTStream(uint32(2*i+1), frame.ErrCodeCancel)
		}},
		{"made resets", func(p *peer, i int) { // CVE-2025-8671
			p.headers(uint32(2*i+1), true, get()...)
			p.WriteWindowUpdate(uint32(2*i+1), 0)
		}},
		{"settings", func(p *peer, i int) { p.WriteSettings() }},
		{"settings in a frame", func(p *peer, i int) {
			p.WriteSettings(make([]frame.Setting, 2000)...)
		}},
		{"acknowledgements", func(p *peer, i int) { p.WriteSettingsAck() }},
		{"pings", func(p *peer, i int) { p.WritePing(false, [8]byte{}) }},
		{"priorities", func(p *peer, i int) { p.WritePriority(uint32(i+1), frame.PriorityParam{StreamDep: 0}) }},
		{"window updates", func(p *peer, i int) { p.WriteWindowUpdate(0, 1) }},
		{"empty data", func(p *peer, i int) {
			if i == 0 {
				p.headers(1, false, post()...)
			}
			p.WriteData(1, false, nil)
		}},
		{"padding", func(p *peer, i int) {
			if i == 0 {
				p.headers(1, false, post()...)
			}
			p.WriteDataPadded(1, false, nil, make([]byte, 255))
		}},
		{"unknown frames", func(p *peer, i int) { p.WriteRawFrame(0xee, 0, 0, []byte("x")) }},
		{"streams too many", func(p *peer, i int) { p.headers(uint32(2*i+1), false, post()...) }},
		{"continuations", func(p *peer, i int) {
			if i == 0 {
				p.WriteHeaders(frame.HeadersFrameParam{StreamID: 1, BlockFragment: p.block(get()...)})
			}
			p.WriteContinuation(1, false, nil)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hold := make(chan struct{})
			s := serve(t, func(s *http2.Stream, h *message.Head) { <-hold }, func(o *http2.Options) { o.Floods, o.MaxStreams = limits, 10 })
			defer close(hold)
			other := s.dial(t) // which is none of its business
			p := s.dial(t)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for i := range 200 {
					tt.send(p, i)
				}
			}()
			p.goAway(http2.EnhanceYourCalm)
			p.Close()
			<-done
			if f := s.ended(t, fault.ClientFlood); f != nil && !strings.HasPrefix(f.Reason, "the client sent ") {
				t.Errorf("the reason is %q", f.Reason)
			}
			other.WritePing(false, [8]byte{1})
			next(other, func(f *frame.PingFrame) bool { return f.IsAck() })
		})
	}
}

// TestUnreadReplies end the connection of a peer that asks and does not read.
func TestUnreadReplies(t *testing.T) {
	t.Parallel()
	s := serve(t, hello, func(o *http2.Options) { o.Floods.Control = 1 << 30 })
	p := s.dial(t)
	for {
		if p.WritePing(false, [8]byte{}) != nil {
			break
		}
	}
	s.ended(t, fault.ClientFlood)
}

// TestUnreadHeads do not pile up: those that serve wait, and then the client's
// streams are too many.
func TestUnreadHeads(t *testing.T) {
	t.Parallel()
	r := response(200, 0, "x-large", strings.Repeat("~", 30000))
	s := serve(t, func(s *http2.Stream, h *message.Head) {
		if s.WriteHead(r, true) == nil {
			s.Flush()
		}
	}, func(o *http2.Options) { o.Floods.Control = 1 << 30 })
	p := s.dial(t)
	for i := range uint32(1 << 20) {
		if p.WriteHeaders(frame.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: p.block(get()...), EndHeaders: true, EndStream: true}) != nil {
			break
		}
	}
	s.ended(t, fault.ClientFlood)
}

// TestHostileServer loses its connection too.
func TestHostileServer(t *testing.T) {
	t.Parallel()
	c, p := clientOf(t, func(o *http2.Options) { o.Floods.Control = 20 })
	s := c.open(t, request("GET", "/"), true)
	defer s.Close()
	go func() {
		for p.WritePing(false, [8]byte{}) == nil {
		}
	}()
	var h message.Head
	if err := s.ReadHead(&h); kindOf(err) != fault.UpstreamHTTP2 {
		t.Error(err)
	}
	checkEnd(t, c.ends, fault.UpstreamHTTP2)
}

// TestHonestPeers are not taken for hostile: who reads much may say so often.
func TestHonestPeers(t *testing.T) {
	t.Parallel()
	p := serve(t, func(s *http2.Stream, h *message.Head) {
		s.WriteHead(response(200, -1), false)
		for range 200 {
			s.Write(make([]byte, 100))
			s.Flush()
		}
		s.End(nil)
		s.Flush()
	}, func(o *http2.Options) { o.Floods.Control = 10 }).dial(t)
	p.headers(1, true, get()...)
	for {
		f := next[*frame.DataFrame](p, nil)
		if f.StreamEnded() {
			return
		}
		p.WriteWindowUpdate(0, uint32(max(len(f.Data()), 1)))
		p.WritePing(false, [8]byte{})
	}
}

// TestBrokenRules end the connection with the code of RFC 9113.
func TestBrokenRules(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		code http2.Code
		send func(p *peer)
	}{
		{"data on an idle stream", http2.ProtocolError, func(p *peer) { p.WriteData(1, true, nil) }},
		{"a push", http2.ProtocolError, func(p *peer) {
			p.headers(1, true, get()...)
			p.WritePushPromise(frame.PushPromiseParam{StreamID: 1, PromiseID: 2, EndHeaders: true})
		}},
		{"a stream of the server's", http2.ProtocolError, func(p *peer) { p.headers(2, true, get()...) }},
		{"a stream out of order", http2.ProtocolError, func(p *peer) { p.headers(5, true, get()...); p.headers(3, true, get()...) }},
		{"headers without a stream", http2.ProtocolError, func(p *peer) { p.headers(0, true, get()...) }},
		{"a frame within a block", http2.ProtocolError, func(p *peer) {
			p.WriteHeaders(frame.HeadersFrameParam{StreamID: 1, BlockFragment: p.block(get()...)})
			p.WritePing(false, [8]byte{})
		}},
		{"a block that is garbage", http2.CompressionError, func(p *peer) {
			p.WriteHeaders(frame.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0x0f}, EndHeaders: true})
		}},
		{"a block that is cut off", http2.CompressionError, func(p *peer) {
			p.WriteHeaders(frame.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x40, 0x05, 'a'}, EndHeaders: true})
		}},
		{"a large frame", http2.FrameSizeError, func(p *peer) { p.WriteRawFrame(frame.FramePing, 0, 0, make([]byte, 16385)) }},
		{"a short ping", http2.FrameSizeError, func(p *peer) { p.WriteRawFrame(frame.FramePing, 0, 0, make([]byte, 7)) }},
		{"a window too wide", http2.FlowControlError, func(p *peer) { p.WriteWindowUpdate(0, 1<<31-1) }},
		{"an initial window too wide", http2.FlowControlError, func(p *peer) {
			p.WriteSettings(frame.Setting{ID: frame.SettingInitialWindowSize, Val: 1 << 31})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hold := make(chan struct{})
			s := serve(t, func(s *http2.Stream, h *message.Head) { <-hold }, nil)
			defer close(hold)
			p := s.dial(t)
			tt.send(p)
			p.goAway(tt.code)
			p.Close()
			s.ended(t, fault.ClientHTTP2)
		})
	}
	t.Run("no preface", func(t *testing.T) {
		t.Parallel()
		s := serve(t, hello, nil)
		near, far := pipe(t)
		s.attach(near, hello)
		io.WriteString(far, "GET / HTTP/1.1\r\n\r\n")
		q := newPeer(t, far)
		q.goAway(http2.ProtocolError)
		far.Close()
		s.ended(t, fault.ClientHTTP2)
	})
}

// FuzzServerFrames throws bytes at a server, which may end the connection but
// not hang or panic.
func FuzzServerFrames(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x05\x01\x05\x00\x00\x00\x01\x82\x86\x84\x41\x00"))
	f.Add([]byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x04\x01\x04\x00\x00\x00\x01\x83\x86\x84\x01\x00\x00\x03\x00\x01\x00\x00\x00\x01abc"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		s := serve(t, nil, nil)
		near, far := memory()
		s.attach(near, answer)
		go io.Copy(io.Discard, far)
		io.WriteString(far, http2.Preface)
		far.Write(sent)
		far.Close()
		<-s.ends
	})
}
