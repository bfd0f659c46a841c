package http2_test

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// hostile is a client that means no good: attack goes on until the connection is
// ended, which it does not check.
type hostile struct {
	name   string
	attack func(f *proxytest.HTTP2Peer)
	// code is what GOAWAY says; reason is a part of why.
	code   http2.ErrCode
	reason string
	// streams is true where requests come to be served by it, and are hops of
	// their own.
	streams bool
}

var attacks = []hostile{
	{
		name: "rapid reset", code: http2.ErrCodeEnhanceYourCalm, reason: "the client sent more ", streams: true,
		attack: func(f *proxytest.HTTP2Peer) {
			block := f.Encode(":method: GET", ":scheme: http", ":authority: web.test", ":path: /slow")
			f.Forever(func(i uint32) error {
				f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block, EndStream: true, EndHeaders: true})
				return f.WriteRSTStream(2*i+1, http2.ErrCodeCancel)
			})
		},
	},
	{
		name: "resets that the server is made to send", code: http2.ErrCodeEnhanceYourCalm, reason: "the client sent more ", streams: true,
		attack: func(f *proxytest.HTTP2Peer) {
			block := f.Encode(":method: GET", ":scheme: http", ":authority: web.test", ":path: /slow")
			f.Forever(func(i uint32) error {
				f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block, EndStream: true, EndHeaders: true})
				return f.WriteWindowUpdate(2*i+1, 0) // a stream error
			})
		},
	},
	{
		name: "CONTINUATION flood", code: http2.ErrCodeEnhanceYourCalm, reason: "more CONTINUATION frames in a header block than any head needs",
		attack: func(f *proxytest.HTTP2Peer) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.Encode(":method: GET")})
			f.Forever(func(uint32) error { return f.WriteContinuation(1, false, nil) })
		},
	},
	{
		name: "SETTINGS flood", code: http2.ErrCodeEnhanceYourCalm, reason: "of late SETTINGS",
		attack: func(f *proxytest.HTTP2Peer) {
			f.Forever(func(i uint32) error {
				return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: i})
			})
		},
	},
	{
		name: "PING flood", code: http2.ErrCodeEnhanceYourCalm, reason: "of late PINGs",
		attack: func(f *proxytest.HTTP2Peer) { f.Forever(func(uint32) error { return f.WritePing(false, [8]byte{}) }) },
	},
	{
		name: "RST_STREAM flood", code: http2.ErrCodeEnhanceYourCalm, reason: "of late RST_STREAMs", streams: true,
		attack: func(f *proxytest.HTTP2Peer) {
			f.Ask(true, "GET", "/row")
			f.Forever(func(uint32) error { return f.WriteRSTStream(1, http2.ErrCodeCancel) })
		},
	},
	{
		name: "PRIORITY flood", code: http2.ErrCodeEnhanceYourCalm, reason: "of late PRIORITY",
		attack: func(f *proxytest.HTTP2Peer) {
			f.Forever(func(i uint32) error { return f.WritePriority(2*i+1, http2.PriorityParam{Weight: byte(i)}) })
		},
	},
	{
		name: "WINDOW_UPDATE flood", code: http2.ErrCodeEnhanceYourCalm, reason: "of late WINDOW_UPDATEs",
		attack: func(f *proxytest.HTTP2Peer) { f.Forever(func(uint32) error { return f.WriteWindowUpdate(0, 1) }) },
	},
	{
		name: "empty DATA flood", code: http2.ErrCodeEnhanceYourCalm, reason: "DATA", streams: true,
		attack: func(f *proxytest.HTTP2Peer) {
			stream := f.Ask(false, "POST", "/row")
			f.Forever(func(uint32) error { return f.WriteData(stream, false, nil) })
		},
	},
	{
		name: "flood of unknown frames", code: http2.ErrCodeEnhanceYourCalm, reason: "of late frames of unknown types",
		attack: func(f *proxytest.HTTP2Peer) {
			f.Forever(func(uint32) error { return f.WriteRawFrame(0xfa, 0, 0, nil) })
		},
	},
	{
		name: "streams beyond the limit", code: http2.ErrCodeEnhanceYourCalm, reason: "", streams: true,
		attack: func(f *proxytest.HTTP2Peer) {
			block := f.Encode(":method: POST", ":scheme: http", ":authority: web.test", ":path: /slow")
			f.Forever(func(i uint32) error {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block, EndHeaders: true})
			})
		},
	},
	{
		name: "HPACK bomb", code: http2.ErrCodeEnhanceYourCalm, reason: "a header list many times larger than the limit",
		attack: func(f *proxytest.HTTP2Peer) {
			f.SendHeaders(1, true, proxytest.HPACKBomb(f, ":method: GET", ":scheme: http", ":authority: web.test", ":path: /"))
		},
	},
	{
		name: "header list that does not end", code: http2.ErrCodeEnhanceYourCalm, reason: "",
		attack: func(f *proxytest.HTTP2Peer) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.Encode(":method: GET", ":scheme: http", ":authority: web.test", ":path: /")})
			piece := f.Encode(strings.Split(strings.Repeat("x-a: "+strings.Repeat("~", 200)+"\n", 50), "\n")[:50]...)
			f.Forever(func(uint32) error { return f.WriteContinuation(1, false, piece) })
		},
	},
	{
		name: "a larger table than was allowed", code: http2.ErrCodeCompression, reason: "a header block that can't be decoded",
		attack: func(f *proxytest.HTTP2Peer) { f.SendHeaders(1, true, []byte{0x3f, 0xe1, 0xff, 0x03, 0x82}) },
	},
	{
		name: "overflow of a window", code: http2.ErrCodeFlowControl, reason: "widened the connection's window beyond 2147483647",
		attack: func(f *proxytest.HTTP2Peer) { f.Forever(func(uint32) error { return f.WriteWindowUpdate(0, 1<<31-1) }) },
	},
	{
		name: "overflow of the streams' windows", code: http2.ErrCodeFlowControl, reason: "widened the window of a stream beyond 2147483647", streams: true,
		attack: func(f *proxytest.HTTP2Peer) {
			f.Check(f.WriteWindowUpdate(f.Ask(false, "POST", "/slow"), 1<<30))
			f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
		},
	},
	{
		// That is the stream's end; the connection's is that it goes on.
		name: "content beyond its window", code: http2.ErrCodeEnhanceYourCalm, reason: "of late frames for streams that have ended", streams: true,
		attack: func(f *proxytest.HTTP2Peer) {
			stream := f.Ask(false, "POST", "/slow")
			f.Forever(func(uint32) error { return f.WriteData(stream, false, make([]byte, 16<<10)) })
		},
	},
	{
		name: "a frame larger than was allowed", code: http2.ErrCodeFrameSize, reason: "16384 are the most",
		attack: func(f *proxytest.HTTP2Peer) { f.WriteRawFrame(http2.FramePing, 0, 0, make([]byte, 17<<10)) },
	},
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
	l := proxytest.StartWithViews(t, proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
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
	friend, plainFriend := proxytest.DialHTTP2(t, l.Ingress()), l.Dial()
	friend.Fail, plainFriend.Fail = proxytest.FailAndExit(t), proxytest.FailAndExit(t)
	others.Go(func() {
		for !stop.Load() && !t.Failed() {
			proxytest.Same(t, "another client's status", friend.Get("/other").StatusCode, 200)
			served.Add(1)
		}
	})
	others.Go(func() {
		for !stop.Load() && !t.Failed() {
			plainFriend.Send(proxytest.OtherRequest)
			plainFriend.ReadOK()
			served.Add(1)
		}
	})

	f := proxytest.DialHTTP2(t, l.Ingress())
	f.Rude = true
	var reader sync.WaitGroup
	var code http2.ErrCode
	var told bool
	reader.Go(func() { code, told = tryEnded(f) })
	a.attack(f)
	reader.Wait()
	f.Close()
	before := served.Load()
	proxytest.Eventually(t, "others being served", func() bool { return served.Load() > before+10 || t.Failed() })
	proxytest.Same(t, "there is a GOAWAY", told, true)
	proxytest.Same(t, "code of GOAWAY", code, a.code)
	stop.Store(true)
	others.Wait()
	friend.Close()
	plainFriend.Close()
	a.check(t, l, served.Load())
}

// tryEnded is ended for another goroutine.
func tryEnded(f *proxytest.HTTP2Peer) (code http2.ErrCode, ok bool) {
	for {
		f.Conn.SetReadDeadline(proxytest.Deadline())
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
func (a *hostile) check(t *testing.T, l *proxytest.Proxy, served int64) {
	proxytest.Eventually(t, "the connection's hop", func() bool { return l.Scrape().Sum("hopscope_connection_failures_total") > 0 })
	proxytest.Eventually(t, "every request ending", func() bool { return l.Scrape().Sum("hopscope_downstream_requests_active") == 0 })
	m := l.Scrape()
	proxytest.Same(t, "metrics: connections that failed", m.Sum("hopscope_connection_failures_total", "listener", "ingress"), 1)
	proxytest.Same(t, "metrics: connections and requests without a route", m.Sum("hopscope_requests_total", "route", "", "flag", "DPE", "code", "0"), 1)
	proxytest.Same(t, "metrics: requests that were answered", m.Sum("hopscope_requests_total", "code", "200", "flag", "") >= float64(served), true)
	proxytest.Same(t, "metrics: failures that are not the client's", m.Sum("hopscope_failures_total")-m.Sum("hopscope_failures_total", "origin", "downstream"), 0)
	proxytest.Same(t, "metrics: telemetry dropped", m.Sum("hopscope_telemetry_dropped_total"), 0)
	v := l.End(int(m.Sum("hopscope_requests_total")))
	connections := 0
	for _, line := range v.Lines {
		switch {
		case line.Text("path") == "":
			connections++
			proxytest.Same(t, "log: flags", line.Text("flags"), "DPE")
			proxytest.Same(t, "log: failed_hop", line.Text("failed_hop"), "client")
			// A test that is slow to read has its answers pile up first.
			why := line.Text("failure_reason")
			because := strings.Contains(why, a.reason) || strings.Contains(why, "frames without reading the answers to them")
			if !because || !strings.Contains(why, a.code.String()) {
				t.Errorf("log: failure_reason %q, want one with %q and %s", why, a.reason, a.code)
			}
		case line.Text("path") == "/other":
			proxytest.Same(t, "log: another client's status", line.Number("status"), 200)
		case !a.streams:
			t.Errorf("log: a request was served: %v", line)
		}
	}
	proxytest.Same(t, "log: connections", connections, 1)
}

// A head that is too large, and can be told so, costs its client no more than
// the request.
func TestHTTP2HeadTooLargeIsAnswered(t *testing.T) {
	l := proxytest.StartWithViews(t, proxytest.Serve(t, proxytest.Echo))
	f := proxytest.DialHTTP2(t, l.Ingress())
	defer f.Close()
	large := "x-large: " + strings.Repeat("~", 70_000)
	resp, _ := f.ReadResponse(f.Ask(true, "GET", "/row", large))
	proxytest.Same(t, "status", resp.StatusCode, 431)
	proxytest.Same(t, "status of the next one", f.Get("/row").StatusCode, 200)
	resp, _ = f.ReadResponse(f.Ask(true, "GET", "/row", large))
	proxytest.Same(t, "status", resp.StatusCode, 431)
	f.Close()
	l.End(3)
}

// A client that opens no window for its responses stalls itself alone: other
// streams of its connection go on, the endpoint is not read beyond what is kept,
// and the stream ends when it was idle for long enough.
func TestHTTP2WindowNeverOpened(t *testing.T) {
	l := proxytest.StartWithViews(t, proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/row" {
			w.Write([]byte(strings.Repeat("x", 8<<20)))
		}
	}), func(s *proxytest.Settings) { s.Listener.StreamIdleTimeout = 2 * proxytest.Soon })
	f := proxytest.DialHTTP2(t, l.Ingress())
	defer f.Close()
	stalled := f.Ask(true, "GET", "/row") // the window is the default, 65535 bytes, and stays it
	for range 20 {
		proxytest.Same(t, "another stream's status", f.Get("/other").StatusCode, 200)
	}
	if code := f.ReadReset(stalled); code == http2.ErrCodeNo {
		t.Errorf("code of RST_STREAM: %v", code)
	}
	proxytest.Same(t, "status afterwards", f.Get("/other").StatusCode, 200)
	f.Close()
	v := l.End(22)
	for _, line := range v.Lines {
		if line.Text("path") == "/row" {
			proxytest.Same(t, "log: failed_hop", line.Text("failed_hop"), "client")
			if sent := line.Number("bytes_out"); sent > 1<<20 {
				t.Errorf("log: bytes_out %v", sent)
			}
		}
	}
}

// A client that asks for answers and does not read them is cut off.
func TestHTTP2AnswersNotRead(t *testing.T) {
	l := proxytest.StartWithViews(t, proxytest.Serve(t, proxytest.Echo), func(s *proxytest.Settings) {
		s.Listener.HTTP2.MaxControlFrames = 10_000_000 // not for how many there are
	})
	f := proxytest.DialHTTP2(t, l.Ingress())
	defer f.Close()
	f.Forever(func(i uint32) error {
		var data [8]byte
		binary.BigEndian.PutUint32(data[:], i)
		return f.WritePing(false, data)
	})
	line := l.End(1).Lines[0]
	proxytest.Same(t, "log: flags", line.Text("flags"), "DPE")
	proxytest.Reason(t, "log: failure_reason", line.Text("failure_reason"), "without reading the answers to them")
}

// A connection that was idle for long enough ends with a GOAWAY, and is no
// failure.
func TestHTTP2Idle(t *testing.T) {
	proxytest.NoLeaks(t)
	ca := proxytest.NewAuthority(t)
	cert := ca.Issue("web.test")
	l := proxytest.StartWithViews(t, proxytest.Serve(t, proxytest.Echo), func(s *proxytest.Settings) {
		proxytest.ListenTLS(&s.Listener, cert)
		s.Listener.IdleTimeout = proxytest.Soon
	})
	f := proxytest.DialHTTP2TLS(t, l.Ingress(), ca.ClientConfig("web.test"))
	defer f.Close()
	proxytest.Same(t, "status", f.Get("/row").StatusCode, 200)
	code, told := f.ReadEnd()
	proxytest.Same(t, "there is a GOAWAY", told, true)
	proxytest.Same(t, "code of GOAWAY", code, http2.ErrCodeNo)
	v := l.End(1)
	proxytest.Same(t, "metrics: connections that failed", v.Metrics.Sum("hopscope_connection_failures_total"), 0)
}
