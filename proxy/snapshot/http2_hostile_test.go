package snapshot_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
)

// hostile is a client that means no good: attack goes on until the connection is
// ended, which it does not check.
type hostile struct {
	name   string
	attack func(f *framed)
	// code is what GOAWAY says; reason is a part of why.
	code   http2.ErrCode
	reason string
	// streams is true where requests come to be served by it, and are hops of
	// their own.
	streams bool
}

// forever has f do one thing until the connection ends. The test ends it if the
// proxy does not, long after it should have.
func (f *framed) forever(do func(i uint32) error) {
	f.nc.SetWriteDeadline(timeLimit())
	for i := uint32(0); i < 1<<20; i++ {
		if do(i) != nil {
			return
		}
	}
}

var attacks = []hostile{
	{
		name: "rapid reset", code: http2.ErrCodeEnhanceYourCalm, reason: "the client sent more ", streams: true,
		attack: func(f *framed) {
			block := f.encode(":method: GET", ":scheme: http", ":authority: web.test", ":path: /slow")
			f.forever(func(i uint32) error {
				f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block, EndStream: true, EndHeaders: true})
				return f.WriteRSTStream(2*i+1, http2.ErrCodeCancel)
			})
		},
	},
	{
		name: "resets that the server is made to send", code: http2.ErrCodeEnhanceYourCalm, reason: "the client sent more ", streams: true,
		attack: func(f *framed) {
			block := f.encode(":method: GET", ":scheme: http", ":authority: web.test", ":path: /slow")
			f.forever(func(i uint32) error {
				f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block, EndStream: true, EndHeaders: true})
				return f.WriteWindowUpdate(2*i+1, 0) // a stream error
			})
		},
	},
	{
		name: "CONTINUATION flood", code: http2.ErrCodeEnhanceYourCalm, reason: "more CONTINUATION frames in a header block than any head needs",
		attack: func(f *framed) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.encode(":method: GET")})
			f.forever(func(uint32) error { return f.WriteContinuation(1, false, nil) })
		},
	},
	{
		name: "SETTINGS flood", code: http2.ErrCodeEnhanceYourCalm, reason: "of late SETTINGS",
		attack: func(f *framed) {
			f.forever(func(i uint32) error {
				return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: i})
			})
		},
	},
	{
		name: "PING flood", code: http2.ErrCodeEnhanceYourCalm, reason: "of late PINGs",
		attack: func(f *framed) { f.forever(func(uint32) error { return f.WritePing(false, [8]byte{}) }) },
	},
	{
		name: "RST_STREAM flood", code: http2.ErrCodeEnhanceYourCalm, reason: "of late RST_STREAMs", streams: true,
		attack: func(f *framed) {
			f.ask(true, "GET", "/row")
			f.forever(func(uint32) error { return f.WriteRSTStream(1, http2.ErrCodeCancel) })
		},
	},
	{
		name: "PRIORITY flood", code: http2.ErrCodeEnhanceYourCalm, reason: "of late PRIORITY",
		attack: func(f *framed) {
			f.forever(func(i uint32) error { return f.WritePriority(2*i+1, http2.PriorityParam{Weight: byte(i)}) })
		},
	},
	{
		name: "WINDOW_UPDATE flood", code: http2.ErrCodeEnhanceYourCalm, reason: "of late WINDOW_UPDATEs",
		attack: func(f *framed) { f.forever(func(uint32) error { return f.WriteWindowUpdate(0, 1) }) },
	},
	{
		name: "empty DATA flood", code: http2.ErrCodeEnhanceYourCalm, reason: "DATA", streams: true,
		attack: func(f *framed) {
			stream := f.ask(false, "POST", "/row")
			f.forever(func(uint32) error { return f.WriteData(stream, false, nil) })
		},
	},
	{
		name: "flood of unknown frames", code: http2.ErrCodeEnhanceYourCalm, reason: "of late frames of unknown types",
		attack: func(f *framed) { f.forever(func(uint32) error { return f.WriteRawFrame(0xfa, 0, 0, nil) }) },
	},
	{
		name: "streams beyond the limit", code: http2.ErrCodeEnhanceYourCalm, reason: "", streams: true,
		attack: func(f *framed) {
			block := f.encode(":method: POST", ":scheme: http", ":authority: web.test", ":path: /slow")
			f.forever(func(i uint32) error {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block, EndHeaders: true})
			})
		},
	},
	{
		name: "HPACK bomb", code: http2.ErrCodeEnhanceYourCalm, reason: "a header list many times larger than the limit",
		attack: func(f *framed) {
			f.headers(1, true, bomb(f, ":method: GET", ":scheme: http", ":authority: web.test", ":path: /"))
		},
	},
	{
		name: "header list that does not end", code: http2.ErrCodeEnhanceYourCalm, reason: "",
		attack: func(f *framed) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.encode(":method: GET", ":scheme: http", ":authority: web.test", ":path: /")})
			piece := f.encode(strings.Split(strings.Repeat("x-a: "+strings.Repeat("~", 200)+"\n", 50), "\n")[:50]...)
			f.forever(func(uint32) error { return f.WriteContinuation(1, false, piece) })
		},
	},
	{
		name: "a larger table than was allowed", code: http2.ErrCodeCompression, reason: "a header block that can't be decoded",
		attack: func(f *framed) { f.headers(1, true, []byte{0x3f, 0xe1, 0xff, 0x03, 0x82}) },
	},
	{
		name: "overflow of a window", code: http2.ErrCodeFlowControl, reason: "widened the connection's window beyond 2147483647",
		attack: func(f *framed) { f.forever(func(uint32) error { return f.WriteWindowUpdate(0, 1<<31-1) }) },
	},
	{
		name: "overflow of the streams' windows", code: http2.ErrCodeFlowControl, reason: "widened the window of a stream beyond 2147483647", streams: true,
		attack: func(f *framed) {
			f.check(f.WriteWindowUpdate(f.ask(false, "POST", "/slow"), 1<<30))
			f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
		},
	},
	{
		// That is the stream's end; the connection's is that it goes on.
		name: "content beyond its window", code: http2.ErrCodeEnhanceYourCalm, reason: "of late frames for streams that have ended", streams: true,
		attack: func(f *framed) {
			stream := f.ask(false, "POST", "/slow")
			f.forever(func(uint32) error { return f.WriteData(stream, false, make([]byte, 16<<10)) })
		},
	},
	{
		name: "a frame larger than was allowed", code: http2.ErrCodeFrameSize, reason: "16384 are the most",
		attack: func(f *framed) { f.WriteRawFrame(http2.FramePing, 0, 0, make([]byte, 17<<10)) },
	},
}

// bomb is a header block with one large entry for the dynamic table, and then a
// byte for each time that it is to be written out.
func bomb(f *framed, lines ...string) []byte {
	block := f.encode(append(lines, "x-bomb: "+strings.Repeat("b", 4000))...)
	return append(block, bytes.Repeat([]byte{0xbe}, 16<<10)...)
}

// TestHTTP2Hostile: whoever attacks loses the connection, and is seen in every
// view; nobody else notices.
func TestHTTP2Hostile(t *testing.T) {
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			a.run(t)
		})
	}
}

func (a *hostile) run(t *testing.T) {
	var slow sync.WaitGroup
	release := make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	l := startLab(t, goServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			slow.Add(1)
			defer slow.Done()
			select {
			case <-release:
			case <-r.Context().Done():
			}
			return
		}
		fmt.Fprint(w, "ok")
	}))
	defer free()

	// The others: one over the same protocol, one over HTTP/1.1, both on
	// connections that were there before and last until after.
	var stop atomic.Bool
	var served atomic.Int64
	var others sync.WaitGroup
	friend, plainFriend := dialFramed(t, l.ingress()), l.dial()
	friend.fail, plainFriend.fail = quits(t), quits(t)
	others.Go(func() {
		for !stop.Load() && !t.Failed() {
			same(t, "another client's status", friend.get("/other").StatusCode, 200)
			served.Add(1)
		}
	})
	others.Go(func() {
		for !stop.Load() && !t.Failed() {
			plainFriend.send(other)
			plainFriend.ok()
			served.Add(1)
		}
	})

	f := dialFramed(t, l.ingress())
	f.rude = true
	var reader sync.WaitGroup
	var code http2.ErrCode
	var told bool
	reader.Go(func() { code, told = f.tryEnded() })
	a.attack(f)
	reader.Wait()
	f.close()
	before := served.Load()
	eventually(t, "others being served", func() bool { return served.Load() > before+10 || t.Failed() })
	same(t, "there is a GOAWAY", told, true)
	same(t, "code of GOAWAY", code, a.code)
	stop.Store(true)
	others.Wait()
	friend.close()
	plainFriend.Close()
	a.check(t, l, served.Load())
}

// tryEnded is ended for another goroutine.
func (f *framed) tryEnded() (code http2.ErrCode, ok bool) {
	for {
		f.nc.SetReadDeadline(timeLimit())
		frame, err := f.ReadFrame()
		if goAway, is := frame.(*http2.GoAwayFrame); is {
			code, ok = goAway.ErrCode, true
		}
		if _, isStream := err.(http2.StreamError); err != nil && !isStream {
			return code, ok
		}
	}
}

// check looks at the views: the connection is one hop; those of its requests that
// were served are failures of the client's at most.
func (a *hostile) check(t *testing.T, l *rig, served int64) {
	eventually(t, "the connection's hop", func() bool { return l.scrape().sum("hopscope_connection_failures_total") > 0 })
	eventually(t, "every request ending", func() bool { return l.scrape().sum("hopscope_downstream_requests_active") == 0 })
	m := l.scrape()
	same(t, "metrics: connections that failed", m.sum("hopscope_connection_failures_total", "listener", "ingress"), 1)
	same(t, "metrics: connections and requests without a route", m.sum("hopscope_requests_total", "route", "", "flag", "DPE", "code", "0"), 1)
	same(t, "metrics: requests that were answered", m.sum("hopscope_requests_total", "code", "200", "flag", "") >= float64(served), true)
	same(t, "metrics: failures that are not the client's", m.sum("hopscope_failures_total")-m.sum("hopscope_failures_total", "origin", "downstream"), 0)
	same(t, "metrics: telemetry dropped", m.sum("hopscope_telemetry_dropped_total"), 0)
	v := l.end(int(m.sum("hopscope_requests_total")))
	connections := 0
	for _, line := range v.lines {
		switch {
		case line.text("path") == "":
			connections++
			same(t, "log: flags", line.text("flags"), "DPE")
			same(t, "log: failed_hop", line.text("failed_hop"), "client")
			// A test that is slow to read has its answers pile up first.
			why := line.text("failure_reason")
			because := strings.Contains(why, a.reason) || strings.Contains(why, "frames without reading the answers to them")
			if !because || !strings.Contains(why, a.code.String()) {
				t.Errorf("log: failure_reason %q, want one with %q and %s", why, a.reason, a.code)
			}
		case line.text("path") == "/other":
			same(t, "log: another client's status", line.number("status"), 200)
		case !a.streams:
			t.Errorf("log: a request was served: %v", line)
		}
	}
	same(t, "log: connections", connections, 1)
}

// A head that is too large, and can be told so, costs its client no more than
// the request.
func TestHTTP2HeadTooLargeIsAnswered(t *testing.T) {
	l := startLab(t, goServer(t, echo))
	f := dialFramed(t, l.ingress())
	defer f.close()
	large := "x-large: " + strings.Repeat("~", 70_000)
	resp, _ := f.response(f.ask(true, "GET", "/row", large))
	same(t, "status", resp.StatusCode, 431)
	same(t, "status of the next one", f.get("/row").StatusCode, 200)
	resp, _ = f.response(f.ask(true, "GET", "/row", large))
	same(t, "status", resp.StatusCode, 431)
	f.close()
	l.end(3)
}

// A client that opens no window for its responses stalls itself alone: other
// streams of its connection go on, the endpoint is not read beyond what is kept,
// and the stream ends when it was idle for long enough.
func TestHTTP2WindowNeverOpened(t *testing.T) {
	l := startLab(t, goServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/row" {
			w.Write([]byte(strings.Repeat("x", 8<<20)))
		}
	}), func(s *settings) { s.Listener.StreamIdleTimeout = 2 * soon })
	f := dialFramed(t, l.ingress())
	defer f.close()
	stalled := f.ask(true, "GET", "/row") // the window is the default, 65535 bytes, and stays it
	for range 20 {
		same(t, "another stream's status", f.get("/other").StatusCode, 200)
	}
	if code := f.reset(stalled); code == http2.ErrCodeNo {
		t.Errorf("code of RST_STREAM: %v", code)
	}
	same(t, "status afterwards", f.get("/other").StatusCode, 200)
	f.close()
	v := l.end(22)
	for _, line := range v.lines {
		if line.text("path") == "/row" {
			same(t, "log: failed_hop", line.text("failed_hop"), "client")
			if sent := line.number("bytes_out"); sent > 1<<20 {
				t.Errorf("log: bytes_out %v", sent)
			}
		}
	}
}

// A client that asks for answers and does not read them is cut off.
func TestHTTP2AnswersNotRead(t *testing.T) {
	l := startLab(t, goServer(t, echo), func(s *settings) {
		s.Listener.HTTP2.MaxControlFrames = 10_000_000 // not for how many there are
	})
	f := dialFramed(t, l.ingress())
	defer f.close()
	f.forever(func(i uint32) error {
		var data [8]byte
		binary.BigEndian.PutUint32(data[:], i)
		return f.WritePing(false, data)
	})
	line := l.end(1).lines[0]
	same(t, "log: flags", line.text("flags"), "DPE")
	reason(t, "log: failure_reason", line.text("failure_reason"), "without reading the answers to them")
}

// A connection that was idle for long enough ends with a GOAWAY, and is no
// failure.
func TestHTTP2Idle(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	cert := ca.issue("web.test")
	l := startLab(t, goServer(t, echo), func(s *settings) {
		listenTLS(&s.Listener, cert)
		s.Listener.IdleTimeout = soon
	})
	f := dialFramedTLS(t, l.ingress(), ca.trusting("web.test"))
	defer f.close()
	same(t, "status", f.get("/row").StatusCode, 200)
	code, told := f.ended()
	same(t, "there is a GOAWAY", told, true)
	same(t, "code of GOAWAY", code, http2.ErrCodeNo)
	v := l.end(1)
	same(t, "metrics: connections that failed", v.metrics.sum("hopscope_connection_failures_total"), 0)
}
