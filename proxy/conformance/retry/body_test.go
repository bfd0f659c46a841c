package retry_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// slowly is content whose end comes only when the endpoint has the beginning: it is
// an upload to the proxy, not content that is here with its head.
type slowly struct {
	io.Reader
	first string
	goOn  <-chan struct{}
}

func (s *slowly) Read(b []byte) (int, error) {
	if s.first != "" {
		n := copy(b, s.first)
		s.first = s.first[n:]
		return n, nil
	}
	<-s.goOn
	return s.Reader.Read(b)
}

// later is content of which the last part comes after a while.
func later(content string) io.Reader {
	begin := make(chan struct{})
	time.AfterFunc(20*time.Millisecond, func() { close(begin) })
	return &slowly{strings.NewReader(content[len(content)/2:]), content[:len(content)/2], begin}
}

// TestRetryBody: content is sent again byte for byte where it is kept, and not sent
// again where it is too much.
func TestRetryBody(t *testing.T) {
	for _, tt := range []struct {
		name    string
		content func() io.Reader
		size    int // of the content, which is a pattern
		maxBody int
		retried bool
	}{
		{name: "none", content: func() io.Reader { return nil }, retried: true},
		{name: "whole", content: func() io.Reader { return strings.NewReader(proxytest.Pattern(5000)) }, size: 5000, retried: true},
		{name: "uploaded", content: func() io.Reader { return later(proxytest.Pattern(50_000)) }, size: 50_000, maxBody: 60_000, retried: true},
		{name: "uploaded, all that is kept", content: func() io.Reader { return later(proxytest.Pattern(60_000)) }, size: 60_000, maxBody: 60_000, retried: true},
		{name: "uploaded, one byte too much", content: func() io.Reader { return later(proxytest.Pattern(60_001)) }, size: 60_001, maxBody: 60_000},
		{name: "uploaded, a megabyte", content: func() io.Reader { return later(proxytest.Pattern(1 << 20)) }, size: 1 << 20, maxBody: 1 << 20, retried: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
				p := proxytest.StartScript(t, up, 2, proxytest.Respond(503), proxytest.Respond(200))
				x := p.Start(down, up, func(s *proxytest.Settings) {
					s.Cluster.Retry = proxytest.Retrying(2, "5xx")
					s.Cluster.Retry.MaxBody = tt.maxBody
				})
				o := x.Ask("POST", tt.content())
				want := "503"
				if tt.retried {
					want = "503 200"
				}
				if got := proxytest.Attempts(o.Hop); got != want {
					t.Errorf("attempts %q, want %q", got, want)
				}
				for i, r := range p.Requests() {
					if r.Body != proxytest.Pattern(tt.size) || !r.Whole {
						t.Errorf("request %d has %d bytes of content, whole %t, want the same %d", i, len(r.Body), r.Whole, tt.size)
					}
					if n := o.Hop.Attempts[i].BytesSent; n != int64(tt.size) {
						t.Errorf("attempt %d sent %d bytes, want %d", i, n, tt.size)
					}
				}
				if o.Hop.BytesIn != int64(tt.size) {
					t.Errorf("%d bytes came in", o.Hop.BytesIn)
				}
			})
		})
	}
}

// TestRetryUploadUnsent: content that has not come yet does not matter where no
// connection could be made.
func TestRetryUploadUnsent(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		p := proxytest.StartScript(t, up, 1, proxytest.Respond(200))
		x := p.Start(down, up, func(s *proxytest.Settings) {
			s.Cluster.Endpoints = []string{proxytest.RefusingAddress(t), p.Addresses[0]}
		})
		seen := ""
		for range 2 {
			o := x.Ask("POST", later(proxytest.Pattern(1<<20)))
			seen += proxytest.Attempts(o.Hop) + ", "
			if o.StatusCode != 200 {
				t.Errorf("status %d", o.StatusCode)
			}
		}
		if !strings.Contains(seen, "UF 200, ") {
			t.Errorf("attempts %q", seen)
		}
		for _, r := range p.Requests() {
			if r.Body != proxytest.Pattern(1<<20) {
				t.Errorf("%d bytes of content arrived", len(r.Body))
			}
		}
	})
}

// TestRetryTrailers: trailers are sent again with the content.
func TestRetryTrailers(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		p := proxytest.StartScript(t, up, 2, proxytest.Respond(503), proxytest.Respond(200))
		x := p.Start(down, up, func(s *proxytest.Settings) { s.Cluster.Retry = proxytest.Retrying(2, "5xx") })
		r, trace := x.NewRequest(t.Context(), "POST", io.NopCloser(strings.NewReader("hello")))
		r.Trailer = http.Header{"X-Sum": {"7"}}
		resp, err := x.HTTP.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		proxytest.Finish(resp)
		if h := x.Hop(trace); proxytest.Attempts(h) != "503 200" || resp.StatusCode != 200 {
			t.Errorf("status %d, attempts %q", resp.StatusCode, proxytest.Attempts(h))
		}
		for i, got := range p.Requests() {
			if got.Trailer.Get("X-Sum") != "7" || got.Body != "hello" {
				t.Errorf("request %d: trailers %v, body %q", i, got.Trailer, got.Body)
			}
		}
	})
}

// TestRetryExpect: content that the client held back until it was told to go on is
// sent again without asking a second time.
func TestRetryExpect(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		p := proxytest.StartScript(t, up, 2, proxytest.Respond(503), proxytest.Respond(200))
		x := p.Start(down, up, func(s *proxytest.Settings) { s.Cluster.Retry = proxytest.Retrying(2, "5xx") })
		x.Ask("POST", io.NopCloser(strings.NewReader("hello")), "Expect: 100-continue").Want(t, 200, "", "503 200")
		for i, r := range p.Requests() {
			if r.Body != "hello" || i == 1 && r.Header.Get("Expect") != "" {
				t.Errorf("request %d: body %q, expect %q", i, r.Body, r.Header.Get("Expect"))
			}
		}
	})
}

// TestRetryInterim: interim responses are the client's, whatever comes of the
// attempt that they came with.
func TestRetryInterim(t *testing.T) {
	proxytest.NoLeaks(t)
	n := 0
	address := proxytest.Answering(t, func(string, []string) string {
		if n++; n == 1 {
			return "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
		}
		return "HTTP/1.1 103 Early Hints\r\nLink: <b>\r\n\r\n" + proxytest.EmptyResponse
	})
	x := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200)).Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) {
		s.Cluster.Endpoints, s.Cluster.Retry = []string{address}, proxytest.Retrying(2, "5xx")
	})
	client := x.Dial()
	client.Send(proxytest.RootRequest)
	for _, want := range []string{"HTTP/1.1 103 Early Hints <a>", "HTTP/1.1 103 Early Hints <b>", "HTTP/1.1 200 OK "} {
		first, fields := client.ReadHead()
		if got := first + " " + proxytest.Field(fields, "link"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestRetryNeverAfterTheHead: a response that breaks off is not begun anew.
func TestRetryNeverAfterTheHead(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		p := proxytest.StartScript(t, up, 2, func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "half of it")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		})
		x := p.Start(down, up, func(s *proxytest.Settings) { s.Cluster.Retry = proxytest.Retrying(5, "5xx", "reset", "gateway-error") })
		r, trace := x.NewRequest(t.Context(), "GET", nil)
		if resp, err := x.HTTP.Do(r); err == nil {
			// Where the client had nothing of it yet, it gets the proxy's own answer.
			if b, err := io.ReadAll(resp.Body); err == nil && resp.StatusCode != 503 {
				t.Errorf("the response seems whole: %q", b)
			}
			resp.Body.Close()
		}
		if h := x.Hop(trace); len(h.Attempts) != 1 || len(p.Requests()) != 1 || !h.Failed() {
			t.Errorf("attempts %q, flags %q", proxytest.Attempts(h), h.Flags)
		}
	})
}

// TestRetryStaleConnection: a pooled connection that was closed is replaced by
// another to the same endpoint, so that a hash leads to where it led.
func TestRetryStaleConnection(t *testing.T) {
	proxytest.NoLeaks(t)
	serve := func(_ int, p *proxytest.Peer) {
		for n := 0; ; n++ {
			if _, err := p.TryReadHead(); err != nil || n == 1 {
				return // it takes the second request and closes
			}
			p.Send(proxytest.EmptyResponse)
		}
	}
	x := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200)).Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) {
		s.Cluster.Endpoints = []string{proxytest.Endpoint(t, serve), proxytest.Endpoint(t, serve)}
		s.Cluster.Balance.Policy, s.Cluster.Balance.Hash = "ring_hash", []config.HashOn{onHeader("x-user", false)}
	})
	for i := range 3 {
		o := x.Ask("GET", nil, "X-User: me")
		switch {
		case i != 1:
		case len(o.Hop.Attempts) != 2 || o.Hop.Attempts[0].Endpoint != o.Hop.Attempts[1].Endpoint:
			t.Errorf("attempts %q at %+v", proxytest.Attempts(o.Hop), o.Hop.Attempts)
		}
		if o.StatusCode != 200 {
			t.Errorf("status %d", o.StatusCode)
		}
	}
}
