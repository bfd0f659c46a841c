package http1_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestHTTP1Continue: a client that holds its content back until it is told to
// go on is told so by the endpoint and by nobody else.
func TestHTTP1Continue(t *testing.T) {
	proxytest.NoLeaks(t)
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	t.Run("invited", func(t *testing.T) {
		invite := make(chan struct{})
		rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
			if _, fields := p.ReadHead(); proxytest.Field(fields, "Expect") != "100-continue" {
				t.Errorf("no Expect in %q", fields)
			}
			<-invite
			p.Send("HTTP/1.1 100 Continue\r\nX-Why: not\r\n\r\n")
			p.Expect("hello")
			p.Send(answer)
			p.ReadHead() // the connection is used again
			p.Send(answer)
			p.ReadRest()
		}))
		client := rig.Dial()
		client.Send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
		client.AwaitRead()
		client.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if b, err := client.Reader.ReadByte(); err == nil {
			t.Fatalf("received %q before the endpoint said anything", b)
		}
		close(invite)
		if first, fields := client.ReadHead(); first != "HTTP/1.1 100 Continue" || proxytest.Field(fields, "X-Why") != "not" {
			t.Fatalf("received %q %q", first, fields)
		}
		client.Send("hello")
		if body := client.ReadOK(); body != "ok" {
			t.Errorf("body %q", body)
		}
		client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		client.ReadOK()
	})
	finals := []struct{ name, status string }{{"refused", "417 Expectation Failed"}, {"answered at once", "200 OK"}, {"sent elsewhere", "307 Temporary Redirect"}}
	for _, tt := range finals {
		t.Run(tt.name, func(t *testing.T) {
			rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
				p.ReadHead()
				p.Send("HTTP/1.1 ", tt.status, "\r\nContent-Length: 0\r\n\r\n")
				if rest, _ := p.ReadRest(); rest != "" {
					t.Errorf("the endpoint received %q behind the head", rest)
				}
			}))
			client := rig.Dial()
			trace, field := proxytest.NewTrace()
			client.Send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n", field, "Content-Length: 5\r\n\r\n")
			// Whether the client will send its content now nobody can tell: so
			// the connection must end, and the client be told.
			first, fields := client.ReadHead()
			if first != "HTTP/1.1 "+tt.status || proxytest.Field(fields, "Connection") != "close" {
				t.Errorf("received %q %q", first, fields)
			}
			client.ExpectEnd()
			if h := rig.Hop(trace); h.Flags != 0 || h.BytesIn != 0 {
				t.Errorf("flags %q, %d bytes in", h.Flags, h.BytesIn)
			}
		})
	}
	t.Run("not waited for", func(t *testing.T) {
		rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
			p.ReadHead()
			p.Expect("hello")
			p.Send(answer)
			p.ReadRest()
		}))
		client := rig.Dial()
		client.Send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
		client.ReadOK()
	})
	t.Run("of HTTP/1.0", func(t *testing.T) {
		rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
			p.ReadHead()
			p.Send("HTTP/1.1 100 Continue\r\n\r\n")
			p.Expect("hello")
			p.Send(answer)
			p.ReadRest()
		}))
		client := rig.Dial()
		client.Send("POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
		if body := client.ReadOK(); body != "ok" { // and no 100
			t.Errorf("body %q", body)
		}
	})
}

// TestHTTP1InterimResponses are forwarded as they come, without the fields that
// are about a connection.
func TestHTTP1InterimResponses(t *testing.T) {
	proxytest.NoLeaks(t)
	const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>; rel=preload\r\n\r\n"
	goOn := make(chan struct{})
	rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
		for {
			if _, err := p.TryReadHead(); err != nil {
				return
			}
			p.Send(hints)
			<-goOn
			p.Send(strings.Replace(hints, "Link:", "Connection: X-Secret\r\nX-Secret: 1\r\nLink:", 1))
			p.Send("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}))
	client := rig.Dial()
	trace, field := proxytest.NewTrace()
	client.Send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
	client.Expect(hints) // before there is anything else
	close(goOn)
	client.Expect(hints)
	client.Expect("HTTP/1.1 102 Processing\r\n\r\n")
	if body := client.ReadOK(); body != "ok" {
		t.Errorf("body %q", body)
	}
	if h := rig.Hop(trace); h.Status != 200 || h.Attempts[0].Status != 200 {
		t.Errorf("status %d, of the attempt %d", h.Status, h.Attempts[0].Status)
	}
	old := rig.Dial()
	old.Send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
	if first, _ := old.ReadHead(); first != "HTTP/1.1 200 OK" {
		t.Errorf("an HTTP/1.0 client received %q", first)
	}
}

// TestHTTP1SwitchingWithoutBeingAsked: 101 is for those who asked. Any other
// client's next request would be taken for a tunnel's bytes.
func TestHTTP1SwitchingWithoutBeingAsked(t *testing.T) {
	proxytest.NoLeaks(t)
	rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
		p.ReadHead()
		p.Send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
		p.ReadRest()
	}))
	requests := []string{"GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\nUpgrade: chat\r\nContent-Length: 5\r\n", "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n"}
	for _, request := range requests {
		client := rig.Dial()
		trace, field := proxytest.NewTrace()
		client.Send(request, "Host: a\r\n", field, "\r\nhello")
		if resp, body := client.ReadResponse("GET"); resp.StatusCode != 502 || strings.Contains(body, "evil") {
			t.Errorf("%q was answered with %d, %q", request, resp.StatusCode, body)
		}
		if h := rig.Hop(trace); h.Flags.String() != "UPE" {
			t.Errorf("flags %q, want UPE", h.Flags)
		}
	}
}

// TestHTTP1Pipelining sends several requests in one segment; the answers come
// in their order.
func TestHTTP1Pipelining(t *testing.T) {
	proxytest.NoLeaks(t)
	get := func(i int) string { return fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i) }
	length := func(i int) string {
		return fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nbody%d", i, i%10)
	}
	chunked := func(i int) string {
		return fmt.Sprintf("PUT /%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbody%d\r\n0\r\nX-T: 1\r\n\r\n", i, i%10)
	}
	large := func(i int) string {
		return fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n%s", i, proxytest.Pattern(40_000))
	}
	tests := []struct {
		name  string
		kinds []func(int) string
		n     int
	}{
		{"GET", []func(int) string{get}, 8},
		{"POST in the middle", []func(int) string{get, length, get}, 3},
		{"chunked in the middle", []func(int) string{get, chunked, get}, 3},
		{"large in the middle", []func(int) string{get, large, get}, 3},
		{"all kinds", []func(int) string{get, length, chunked, large, chunked, get, length}, 40},
		{"more than a buffer", []func(int) string{get}, 2000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rig := proxytest.Start(t, proxytest.Serve(t, proxytest.Echo))
			client := rig.Dial()
			var all strings.Builder
			for i := range tt.n {
				all.WriteString(tt.kinds[i%len(tt.kinds)](i))
			}
			go func() {
				client.SetWriteDeadline(proxytest.Deadline())
				client.Write([]byte(all.String()))
			}()
			for i := range tt.n {
				want := tt.kinds[i%len(tt.kinds)](i)
				path, _, _ := strings.Cut(strings.SplitN(want, " ", 3)[1], " ")
				_, content, _ := strings.Cut(want, "\r\n\r\n")
				if strings.Contains(want, "chunked") {
					content = content[3:8]
				}
				if body := client.ReadOK(); body != path+" "+content {
					t.Fatalf("answer %d is %.60q", i, body)
				}
			}
		})
	}
}

// TestHTTP1PipeliningIsBounded: while the first request waits, the others that
// a client sends wait in the kernel, not in the proxy.
func TestHTTP1PipeliningIsBounded(t *testing.T) {
	proxytest.NoLeaks(t)
	answer := make(chan struct{})
	rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
		for {
			if _, err := p.TryReadHead(); err != nil {
				return
			}
			<-answer
			p.Send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	}))
	client := rig.Dial()
	const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	batch, sent := []byte(strings.Repeat(request, 2000)), 0
	for {
		client.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		n, err := client.Write(batch[sent%len(request):])
		sent += n
		if err != nil {
			break
		}
		if sent > 64<<20 {
			t.Fatal("the client was not stopped")
		}
	}
	close(answer)
	client.SetWriteDeadline(proxytest.Deadline())
	go client.Write([]byte(request[sent%len(request):]))
	for range (sent + len(request) - 1) / len(request) / 100 {
		client.ReadOK()
	}
	client.Reset()
}

// TestHTTP1CloseEndsPipelining: nothing behind a request that closes is served.
func TestHTTP1CloseEndsPipelining(t *testing.T) {
	proxytest.NoLeaks(t)
	var seen []string
	addr := proxytest.Answering(t, func(first string, _ []string) string {
		seen = append(seen, first)
		return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	})
	rig := proxytest.Start(t, addr)
	client := rig.Dial()
	client.Send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n")
	client.ReadOK()
	if resp, _ := client.ReadResponse("GET"); !resp.Close {
		t.Error("the last response does not say close")
	}
	client.ExpectEnd()
	rig.CloseWithin(0)
	if want := []string{"GET /1 HTTP/1.1", "GET /2 HTTP/1.1"}; !slices.Equal(seen, want) {
		t.Errorf("the endpoint saw %q, want %q", seen, want)
	}
}

// TestHTTP10 keeps a connection open only for those who ask for it.
func TestHTTP10(t *testing.T) {
	proxytest.NoLeaks(t)
	rig := proxytest.Start(t, proxytest.Serve(t, proxytest.Echo))
	tests := []struct {
		name, request string
		stays         bool
	}{
		{"plain", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", false},
		{"keep-alive", "GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n", true},
		{"keep-alive and close", "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n", false},
		{"without Host", "GET / HTTP/1.0\r\n\r\n", false},
		{"keep-alive with content", "POST / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\nContent-Length: 5\r\n\r\nhello", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := rig.Dial()
			for range 3 {
				trace, field := proxytest.NewTrace()
				client.Send(strings.Replace(tt.request, "\r\n\r\n", "\r\n"+field+"\r\n", 1))
				first, fields := client.ReadHead()
				if want := map[bool]string{true: "keep-alive", false: "close"}[tt.stays]; first != "HTTP/1.1 200 OK" || proxytest.Field(fields, "Connection") != want {
					t.Errorf("received %q %q, want Connection: %s", first, fields, want)
				}
				var n int
				fmt.Sscan(proxytest.Field(fields, "Content-Length"), &n)
				client.ReadN(n)
				if h := rig.Hop(trace); h.Version.String() != "HTTP/1.0" || h.Flags != 0 {
					t.Errorf("version %s, flags %q", h.Version, h.Flags)
				}
				if !tt.stays {
					client.ExpectEnd()
					return
				}
			}
		})
	}
}
