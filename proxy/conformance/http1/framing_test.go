package http1_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestHTTP1ResponseFraming sends each response as an endpoint would, and looks
// at the bytes that the client gets.
func TestHTTP1ResponseFraming(t *testing.T) {
	proxytest.NoLeaks(t)
	big := proxytest.Pattern(40_000)
	tests := []struct {
		name     string
		method   string // GET if empty
		version  string // HTTP/1.1 if empty
		ask      string // more of the request's fields
		response string // what the endpoint sends
		closes   bool   // then it closes the connection
		framing  string // the field that frames what the client gets
		none     string // a field that the client must not get
		content  string
		wire     string // the content as the client gets it, if that is given
		ends     bool   // the client's connection ends with it
	}{
		{name: "length", response: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", framing: "Content-Length: 5", content: "hello"},
		{name: "length zero", response: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", framing: "Content-Length: 0"},
		{name: "length with zeros", response: "HTTP/1.1 200 OK\r\nContent-Length: 0005\r\n\r\nhello", framing: "Content-Length: 5", content: "hello"},
		{name: "length, large", response: "HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n" + big, framing: "Content-Length: 40000", content: big},
		{name: "chunked", response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", framing: "Transfer-Encoding: chunked", content: "hello!"},
		{name: "chunked, empty", response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", framing: "Transfer-Encoding: chunked", wire: "0\r\n\r\n"},
		{
			name:     "chunked, extensions are dropped",
			response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b;c=\"d\"\r\nhello\r\n0;last\r\n\r\n",
			framing:  "Transfer-Encoding: chunked", wire: "5\r\nhello\r\n0\r\n\r\n",
		},
		{
			name:     "chunked, trailers are kept",
			response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n",
			framing:  "Trailer: X-Sum", wire: "5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n",
		},
		{
			name:     "chunked, trailers that frame are dropped",
			response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 3\r\nX-Sum: 1\r\nTransfer-Encoding: x\r\n\r\n",
			framing:  "Transfer-Encoding: chunked", wire: "0\r\nX-Sum: 1\r\n\r\n",
		},
		{name: "chunked to HTTP/1.0", version: "HTTP/1.0", response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", framing: "Connection: close", none: "Transfer-Encoding", content: "hello", ends: true},
		{name: "chunked to HTTP/1.0 that would stay", version: "HTTP/1.0", ask: "Connection: keep-alive\r\n", response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", framing: "Connection: close", none: "Transfer-Encoding", content: "hello", ends: true},
		{name: "until close", response: "HTTP/1.1 200 OK\r\n\r\nhello", closes: true, framing: "Transfer-Encoding: chunked", none: "Connection", content: "hello"},
		{name: "until close, empty", response: "HTTP/1.1 200 OK\r\n\r\n", closes: true, framing: "Transfer-Encoding: chunked", wire: "0\r\n\r\n"},
		{name: "until close of HTTP/1.0", response: "HTTP/1.0 200 OK\r\n\r\nhello", closes: true, framing: "Transfer-Encoding: chunked", content: "hello"},
		{name: "until close, large", response: "HTTP/1.0 200 OK\r\n\r\n" + big, closes: true, framing: "Transfer-Encoding: chunked", content: big},
		{name: "until close to HTTP/1.0", version: "HTTP/1.0", response: "HTTP/1.1 200 OK\r\n\r\nhello", closes: true, framing: "Connection: close", content: "hello", ends: true},
		{name: "until close to HTTP/1.0 that would stay", version: "HTTP/1.0", ask: "Connection: Keep-Alive\r\n", response: "HTTP/1.1 200 OK\r\n\r\nhello", closes: true, framing: "Connection: close", content: "hello", ends: true},
		{name: "length to HTTP/1.0", version: "HTTP/1.0", response: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", framing: "Connection: close", content: "hello", ends: true},
		{name: "length to HTTP/1.0 that stays", version: "HTTP/1.0", ask: "Connection: keep-alive\r\n", response: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", framing: "Connection: keep-alive", content: "hello"},
		{name: "close by the client", ask: "Connection: close\r\n", response: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", framing: "Connection: close", content: "hello", ends: true},
		{name: "close by the endpoint is its own", response: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", closes: true, framing: "Content-Length: 5", none: "Connection", content: "hello"},
		{name: "HEAD with length", method: "HEAD", response: "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n", framing: "Content-Length: 12345"},
		{name: "HEAD chunked", method: "HEAD", response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", framing: "HTTP/1.1 200 OK", none: "Content-Length"},
		{name: "HEAD without either", method: "HEAD", response: "HTTP/1.1 200 OK\r\n\r\n", framing: "HTTP/1.1 200 OK", none: "Content-Length"},
		{name: "HEAD by HTTP/1.0 that stays", method: "HEAD", version: "HTTP/1.0", ask: "Connection: keep-alive\r\n", response: "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", framing: "Content-Length: 7"},
		{name: "204", response: "HTTP/1.1 204 No Content\r\n\r\n", framing: "HTTP/1.1 204 No Content", none: "Content-Length"},
		{name: "204 with a length", response: "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", framing: "HTTP/1.1 204 No Content", none: "Content-Length"},
		{name: "304", response: "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n", framing: "ETag: \"1\"", none: "Content-Length"},
		{name: "304 with a length", response: "HTTP/1.1 304 Not Modified\r\nContent-Length: 12345\r\n\r\n", framing: "Content-Length: 12345"},
		{name: "reason", response: "HTTP/1.1 200 Fine by me\r\nContent-Length: 0\r\n\r\n", framing: "HTTP/1.1 200 Fine by me"},
		{name: "no reason", response: "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n", framing: "Content-Length: 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr := proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
				for {
					if _, err := p.TryReadHead(); err != nil {
						return
					}
					p.Send(tt.response)
					if tt.closes {
						return
					}
				}
			})
			rig := proxytest.Start(t, addr)
			method, version := orElse(tt.method, "GET"), orElse(tt.version, "HTTP/1.1")
			client := rig.Dial()
			// Twice, so that it shows where a body that was not understood ends.
			for range 2 {
				client.Send(method, " / ", version, "\r\nHost: a\r\n", tt.ask, "\r\n")
				first, fields := client.ReadHead()
				all := append([]string{first}, fields...)
				if !slices.Contains(all, tt.framing) {
					t.Errorf("no %q in %q", tt.framing, all)
				}
				if tt.none != "" && proxytest.Field(all, tt.none) != "" {
					t.Errorf("there is %s in %q", tt.none, all)
				}
				switch {
				case tt.wire != "":
					client.Expect(tt.wire)
				case slices.Contains(all, "Transfer-Encoding: chunked"):
					if got := chunks(client); got != tt.content {
						t.Errorf("content %.100q, want %.100q", got, tt.content)
					}
				default:
					client.Expect(tt.content)
				}
				if tt.ends {
					client.ExpectEnd()
					client = rig.Dial()
				}
			}
		})
	}
}

// chunks reads a chunked body without trailers.
func chunks(p *proxytest.Peer) string {
	p.T.Helper()
	var all strings.Builder
	for {
		line, err := p.Reader.ReadString('\n')
		if err != nil {
			p.Fail("reading a chunk's size: %v", err)
		}
		var n int
		if _, err := fmt.Sscanf(line, "%x\r\n", &n); err != nil {
			p.Fail("chunk size %q", line)
		}
		all.WriteString(p.ReadN(n))
		p.Expect("\r\n")
		if n == 0 {
			return all.String()
		}
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// TestHTTP1RequestFraming sends each request in pieces, cut everywhere, and
// looks at the bytes that the endpoint gets.
func TestHTTP1RequestFraming(t *testing.T) {
	proxytest.NoLeaks(t)
	tests := []struct {
		name, head, body string
		wantLine         string // one of the lines of the head
		wantBody         string
	}{
		{"none", "GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n", "", "GET /a?b HTTP/1.1", ""},
		{"length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", "hello", "Content-Length: 5", "hello"},
		{"length zero", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "", "Content-Length: 0", ""},
		{"POST without", "POST / HTTP/1.1\r\nHost: a\r\n\r\n", "", "POST / HTTP/1.1", ""},
		{"GET with content", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", "hello", "Content-Length: 5", "hello"},
		{"chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"},
		{"chunked, empty", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\n\r\n", "Transfer-Encoding: chunked", "0\r\n\r\n"},
		{"chunked, extensions", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "5;x=\"y\"\r\nhello\r\n0;z\r\n\r\n", "Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"},
		{"chunked, trailers", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n", "5\r\nhello\r\n0\r\nX-Sum: 1\r\nhost: evil\r\n\r\n", "Trailer: X-Sum", "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"},
		{"HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n", "hello", "POST / HTTP/1.1", "hello"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr := proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
				for {
					lines, err := p.TryReadHead()
					if err != nil {
						return
					}
					if !slices.Contains(lines, tt.wantLine) {
						t.Errorf("no %q in %q", tt.wantLine, lines)
					}
					// However the chunks were cut on the way, they say the same.
					if strings.Contains(tt.wantBody, "\r\n") {
						if got := dechunked(p); got != tt.wantBody {
							t.Errorf("content %q, want %q", got, tt.wantBody)
						}
					} else {
						p.Expect(tt.wantBody)
					}
					p.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			})
			rig := proxytest.Start(t, addr)
			client := rig.Dial()
			client.SetNoDelay(true)
			whole := tt.head + tt.body
			for _, cut := range []int{len(whole), len(tt.head), len(tt.head) - 1, len(whole) - 1, len(whole) - 2, 3, (len(tt.head) + len(whole)) / 2} {
				client.Send(whole[:cut])
				if cut < len(whole) {
					client.AwaitRead()
					client.Send(whole[cut:])
				}
				if body := client.ReadOK(); body != "ok" {
					t.Errorf("cut at %d: %q", cut, body)
				}
			}
		})
	}
}

// dechunked reads a chunked body with its trailers and returns it as one
// chunk.
func dechunked(p *proxytest.Peer) string {
	p.T.Helper()
	var all strings.Builder
	for {
		line, err := p.Reader.ReadString('\n')
		if err != nil {
			p.Fail("reading a chunk's size: %v", err)
		}
		var n int
		if _, err := fmt.Sscanf(line, "%x\r\n", &n); err != nil || line != fmt.Sprintf("%x\r\n", n) {
			p.Fail("chunk size %q", line)
		}
		if n == 0 {
			break
		}
		all.WriteString(p.ReadN(n))
		p.Expect("\r\n")
	}
	trailers, err := p.TryReadHead()
	if err != nil {
		p.Fail("reading trailers: %v", err)
	}
	body := ""
	if all.Len() > 0 {
		body = fmt.Sprintf("%x\r\n%s\r\n", all.Len(), all.String())
	}
	return body + strings.Join(append(append([]string{"0"}, trailers...), "", ""), "\r\n")
}

// TestHTTP1TrailersBothWays has Go's own server and client exchange trailers.
func TestHTTP1TrailersBothWays(t *testing.T) {
	proxytest.NoLeaks(t)
	addr := proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Down")
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading: %v", err)
		}
		fmt.Fprintf(w, "%s, %s", body, r.Trailer.Get("X-Up"))
		w.Header().Set("X-Down", "down")
	})
	rig := proxytest.Start(t, addr)
	pr, pw := io.Pipe()
	req, _ := http.NewRequest("POST", "http://"+rig.Ingress()+"/", pr)
	req.Trailer = http.Header{"X-Up": nil}
	go func() {
		io.WriteString(pw, "content")
		req.Trailer.Set("X-Up", "up")
		pw.Close()
	}()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "content, up" {
		t.Errorf("content %q, %v", body, err)
	}
	if got := resp.Trailer.Get("X-Down"); got != "down" {
		t.Errorf("trailer %q, want down", got)
	}
}

// TestHTTP1CloseDelimitedReset checks that a response that has no length, and
// ends in a reset, does not look whole to the client.
func TestHTTP1CloseDelimitedReset(t *testing.T) {
	proxytest.NoLeaks(t)
	for _, version := range []string{"HTTP/1.0", "HTTP/1.1"} {
		t.Run(version, func(t *testing.T) {
			cut := make(chan struct{})
			rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
				p.ReadHead()
				p.Send("HTTP/1.1 200 OK\r\n\r\nthe first half")
				<-cut
				p.Reset()
			}))
			client := rig.Dial()
			trace, field := proxytest.NewTrace()
			client.Send("GET / ", version, "\r\nHost: a\r\n", field, "\r\n")
			client.ReadHead()
			if version == "HTTP/1.1" {
				client.Expect("e\r\nthe first half\r\n")
			} else {
				client.Expect("the first half")
			}
			close(cut)
			rest, err := client.ReadRest()
			if strings.HasSuffix(rest, "0\r\n\r\n") || version == "HTTP/1.0" && err == nil {
				t.Errorf("the response looks whole: %q, %v", rest, err)
			}
			if h := rig.Hop(trace); h.Flags.String() != "UR" || h.Status != 200 {
				t.Errorf("flags %s, status %d; want UR, 200", h.Flags, h.Status)
			}
		})
	}
}
