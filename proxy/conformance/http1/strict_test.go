package http1_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestHTTP1Refused: what breaks the rules, or could be read in two ways, is
// answered, ends the connection, is one Hop, and reaches nobody.
func TestHTTP1Refused(t *testing.T) {
	proxytest.NoLeaks(t)
	const h = "GET / HTTP/1.1\r\nHost: a\r\n"
	const post = "POST / HTTP/1.1\r\nHost: a\r\n"
	many := strings.Repeat("X-A: 1\r\n", 100)
	tests := []struct {
		name, request string
		status        int
		flag          string
	}{
		// The length.
		{"length and coding", post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "DPE"},
		{"coding and length", post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400, "DPE"},
		{"two lengths", post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400, "DPE"},
		{"the same length twice", post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400, "DPE"},
		{"a list of lengths", post + "Content-Length: 5, 5\r\n\r\nhello", 400, "DPE"},
		{"length +5", post + "Content-Length: +5\r\n\r\nhello", 400, "DPE"},
		{"length -5", post + "Content-Length: -5\r\n\r\nhello", 400, "DPE"},
		{"length 0x5", post + "Content-Length: 0x5\r\n\r\nhello", 400, "DPE"},
		{"length 5 5", post + "Content-Length: 5 5\r\n\r\nhello", 400, "DPE"},
		{"length empty", post + "Content-Length:\r\n\r\nhello", 400, "DPE"},
		{"length overlong", post + "Content-Length: 99999999999999999999\r\n\r\nhello", 400, "DPE"},
		{"length one too many", post + "Content-Length: 9223372036854775808\r\n\r\nhello", 400, "DPE"},
		{"length with a vertical tab", post + "Content-Length: \v5\r\n\r\nhello", 400, "IH"},
		{"coding twice", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "DPE"},
		{"coding chunked, chunked", post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400, "DPE"},
		{"coding gzip", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, "DPE"},
		{"coding not last", post + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400, "DPE"},
		{"coding identity", post + "Transfer-Encoding: identity\r\n\r\n", 400, "DPE"},
		{"coding xchunked", post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400, "DPE"},
		{"coding with a parameter", post + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", 400, "DPE"},
		{"coding quoted", post + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400, "DPE"},
		{"coding empty", post + "Transfer-Encoding:\r\n\r\n0\r\n\r\n", 400, "DPE"},
		{"coding with a vertical tab", post + "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n", 400, "IH"},
		{"coding in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "DPE"},
		{"coding with a space before the colon", post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400, "IH"},
		// Lines and fields.
		{"bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400, "DPE"},
		{"bare LF after a field", h + "X-A: 1\n\r\n", 400, "IH"},
		{"bare LF at the end", h + "\n", 400, "IH"},
		{"bare CR in a value", h + "X-A: 1\r2\r\n\r\n", 400, "IH"},
		{"bare CR in the request line", "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", 400, "DPE"},
		{"NUL in a value", h + "X-A: 1\x002\r\n\r\n", 400, "IH"},
		{"NUL in a name", h + "X\x00A: 1\r\n\r\n", 400, "IH"},
		{"NUL in the target", "GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "DPE"},
		{"obs-fold", h + "X-A: 1\r\n 2\r\n\r\n", 400, "IH"},
		{"obs-fold with a tab", h + "X-A: 1\r\n\t2\r\n\r\n", 400, "IH"},
		{"a space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "IH"},
		{"space before the colon", h + "X-A : 1\r\n\r\n", 400, "IH"},
		{"tab before the colon", h + "X-A\t: 1\r\n\r\n", 400, "IH"},
		{"no colon", h + "X-A\r\n\r\n", 400, "IH"},
		{"no name", h + ": 1\r\n\r\n", 400, "IH"},
		{"a byte above 0x7f in a name", h + "X-\xc3\xa4: 1\r\n\r\n", 400, "IH"},
		{"an underscore is fine, a slash is not", h + "X/A: 1\r\n\r\n", 400, "IH"},
		// The request line.
		{"no method", " / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "DPE"},
		{"a method with a slash", "G/T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "DPE"},
		{"no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n", 400, "DPE"},
		{"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "DPE"},
		{"a space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "DPE"},
		{"a fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "DPE"},
		{"HTTP/0.9", "GET /\r\n", 400, "DPE"},
		{"HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "DPE"},
		{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505, "DPE"},
		{"http/1.1", "GET / http/1.1\r\nHost: a\r\n\r\n", 400, "DPE"},
		{"HTTP/1.1 and more", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, "DPE"},
		{"a TLS handshake", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "DPE"},
		{"two empty lines", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "DPE"},
		// Forms of the target, and Host.
		{"no Host", "GET / HTTP/1.1\r\n\r\n", 400, "DPE"},
		{"two Hosts", h + "Host: b\r\n\r\n", 400, "IH"},
		{"the same Host twice", h + "Host: a\r\n\r\n", 400, "IH"},
		{"Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "IH"},
		{"Host with user information", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, "IH"},
		{"Host with two names", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, "IH"},
		{"Host empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, "IH"},
		{"neither path nor URI", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "DPE"},
		{"another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "DPE"},
		{"absolute form without a host", "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400, "DPE"},
		{"absolute form with user information", "GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "DPE"},
		{"authority form without CONNECT", "GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "DPE"},
		{"CONNECT without a port", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "DPE"},
		{"CONNECT with a path", "CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "DPE"},
		{"CONNECT to port 0", "CONNECT a:0 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "DPE"},
		{"CONNECT with content", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 400, "DPE"},
		{"* without OPTIONS", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "DPE"},
		// Limits.
		{"101 fields", h + many + "\r\n", 431, "IH"},
		{"a large field", h + "X-A: " + strings.Repeat("x", 61_440) + "\r\n\r\n", 431, "IH"},
		{"a large head", h + strings.Repeat("X-A: "+strings.Repeat("x", 1000)+"\r\n", 62) + "\r\n", 431, "IH"},
		{"a long target", "GET /" + strings.Repeat("x", 62_000) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414, "DPE"},
		{"a target without an end", "GET /" + strings.Repeat("x", 100_000), 414, "DPE"},
	}
	var reached atomic.Int64
	address := proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) { reached.Add(1) })
	rig := proxytest.Start(t, address)
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := proxytest.Dial(t, rig.Ingress())
			client.SetWriteDeadline(proxytest.Deadline())
			// A request behind it, in the same segment, must not be served.
			client.Write([]byte(tt.request + "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"))
			resp, body := client.ReadResponse("GET")
			if resp.StatusCode != tt.status || !resp.Close {
				t.Errorf("status %d, close %v; want %d: %s", resp.StatusCode, resp.Close, tt.status, body)
			}
			if status := resp.Header.Get("Proxy-Status"); !strings.HasPrefix(status, "web;error=http_request_error;") {
				t.Errorf("Proxy-Status: %s", status)
			}
			client.ExpectEnd()
			h := rig.LatestHop(i + 1)
			if h.Flags.String() != tt.flag || h.Status != tt.status || len(h.Attempts) != 0 || h.Failure.Reason == "" {
				t.Errorf("flags %q, status %d, %d attempts, %q; want %s", h.Flags, h.Status, len(h.Attempts), h.Failure.Reason, tt.flag)
			}
		})
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("%d requests reached the endpoint", n)
	}
}

// TestHTTP1RefusedContent: framing that turns out to be wrong within the
// content ends the exchange: the endpoint sees a request that is not whole.
func TestHTTP1RefusedContent(t *testing.T) {
	proxytest.NoLeaks(t)
	tests := []struct{ name, content string }{
		{"no size", "\r\nhello\r\n0\r\n\r\n"},
		{"size x", "x\r\nhello\r\n0\r\n\r\n"},
		{"size 0x5", "0x5\r\nhello\r\n0\r\n\r\n"},
		{"size -5", "-5\r\nhello\r\n0\r\n\r\n"},
		{"size +5", "+5\r\nhello\r\n0\r\n\r\n"},
		{"size with a space before", " 5\r\nhello\r\n0\r\n\r\n"},
		{"size with a space behind", "5 \r\nhello\r\n0\r\n\r\n"},
		{"size overlong", "00000000000000005\r\nhello\r\n0\r\n\r\n"},
		{"size too large", "ffffffffffffffff\r\nhello\r\n0\r\n\r\n"},
		{"bare LF after the size", "5\nhello\r\n0\r\n\r\n"},
		{"bare CR after the size", "5\rhello\r\n0\r\n\r\n"},
		{"bare LF in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"},
		{"NUL in an extension", "5;a\x00\r\nhello\r\n0\r\n\r\n"},
		{"content longer than its chunk", "4\r\nhello\r\n0\r\n\r\n"},
		{"content shorter than its chunk", "6\r\nhello\r\n0\r\n\r\n"},
		{"bare LF after the content", "5\r\nhello\n0\r\n\r\n"},
		{"no CRLF after the content", "5\r\nhello0\r\n\r\n"},
		{"obs-fold in a trailer", "5\r\nhello\r\n0\r\nX-A: 1\r\n 2\r\n\r\n"},
		{"bare LF in the trailers", "5\r\nhello\r\n0\r\nX-A: 1\n\r\n"},
		{"bare LF at the end", "5\r\nhello\r\n0\r\n\n"},
		{"no colon in a trailer", "5\r\nhello\r\n0\r\nX-A\r\n\r\n"},
		{"101 trailers", "5\r\nhello\r\n0\r\n" + strings.Repeat("X-A: 1\r\n", 101) + "\r\n"},
		{"too much of extensions", "5;" + strings.Repeat("x", 20_000) + "\r\nhello\r\n0\r\n\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var whole atomic.Int64
			rig := proxytest.Start(t, proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.ReadAll(r.Body); err == nil || r.URL.Path != "/" {
					whole.Add(1)
				}
			}))
			client := rig.Dial()
			trace, field := proxytest.NewTrace()
			client.Send("POST / HTTP/1.1\r\nHost: a\r\n", field, "Transfer-Encoding: chunked\r\n\r\n", tt.content, "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n")
			resp, body := client.ReadResponse("GET")
			if resp.StatusCode/100 != 4 || !resp.Close {
				t.Errorf("status %d, close %v: %s", resp.StatusCode, resp.Close, body)
			}
			client.ExpectEnd()
			h := rig.Hop(trace)
			if flags := h.Flags.String(); flags != "DPE" && flags != "IH" || h.Status != resp.StatusCode {
				t.Errorf("flags %q, status %d, %q", flags, h.Status, h.Failure.Reason)
			}
			if whole.Load() != 0 {
				t.Error("the endpoint took it for a request")
			}
		})
	}
}

// TestHTTP1RefusedResponses: a response that breaks the rules is answered with
// 502 in its place, and nothing of it is forwarded.
func TestHTTP1RefusedResponses(t *testing.T) {
	proxytest.NoLeaks(t)
	const ok = "HTTP/1.1 200 OK\r\nX-Evil: 1\r\n"
	tests := []struct{ name, response string }{
		{"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n"},
		{"no status line", "<html>hello</html>\r\n\r\n"},
		{"HTTP/2", "HTTP/2 200 OK\r\n\r\n"},
		{"a frame of HTTP/2", "\x00\x00\x12\x04\x00\x00\x00\x00\x00"},
		{"a TLS alert", "\x15\x03\x01\x00\x02\x02\x46"},
		{"status 99", "HTTP/1.1 099 X\r\n\r\n"},
		{"status 2000", "HTTP/1.1 2000 X\r\n\r\n"},
		{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 4\n\nevil"},
		{"NUL in a value", ok + "X-A: \x00\r\nContent-Length: 4\r\n\r\nevil"},
		{"bare CR in a value", ok + "X-A: 1\r2\r\nContent-Length: 4\r\n\r\nevil"},
		{"obs-fold", ok + "X-A: 1\r\n 2\r\nContent-Length: 4\r\n\r\nevil"},
		{"lengths, one with a space before the colon", ok + "Content-Length : 4\r\nContent-Length: 5\r\n\r\nevil"},
		{"length and coding with a space before the colon", ok + "Content-Length: 4\r\nTransfer-Encoding : chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n"},
		{"length and coding", ok + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n"},
		{"two lengths", ok + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nevil"},
		{"length -4", ok + "Content-Length: -4\r\n\r\nevil"},
		{"coding gzip", ok + "Transfer-Encoding: gzip\r\n\r\nevil"},
		{"coding in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n"},
		{"101 fields", ok + strings.Repeat("X-A: 1\r\n", 100) + "Content-Length: 4\r\n\r\nevil"},
		{"a large head", ok + "X-A: " + strings.Repeat("x", 70_000) + "\r\n\r\n"},
		{"status 101 without Upgrade", "HTTP/1.1 101 Switching Protocols\r\n\r\n"},
		{"an interim response that is malformed", "HTTP/1.1 103 Early Hints\r\nX-Evil\r\n\r\n" + ok + "Content-Length: 4\r\n\r\nevil"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
				p.ReadHead()
				p.SetWriteDeadline(proxytest.Deadline())
				p.Write([]byte(tt.response))
				p.ReadRest()
			}))
			client := rig.Dial()
			trace, field := proxytest.NewTrace()
			client.Send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
			resp, body := client.ReadResponse("GET")
			if resp.StatusCode != 502 || resp.Close || resp.Header.Get("X-Evil") != "" || strings.Contains(body, "evil") {
				t.Errorf("status %d, close %v, %q %q", resp.StatusCode, resp.Close, resp.Header, body)
			}
			h := rig.Hop(trace)
			if h.Flags.String() != "UPE" || h.Status != 502 || len(h.Attempts) != 1 || h.Attempts[0].Flags.String() != "UPE" {
				t.Errorf("flags %q, status %d, attempts %+v", h.Flags, h.Status, h.Attempts)
			}
		})
	}
	// Where the head has gone out the client can only be shown that it is not
	// whole.
	contents := []struct{ name, content string }{
		{"size x", "4\r\ngood\r\nx\r\nevil\r\n0\r\n\r\n"},
		{"no CRLF after the content", "4\r\ngoodevil"},
		{"bare LF in the trailers", "4\r\ngood\r\n0\r\nX-Evil: 1\n\r\n"},
	}
	for _, tt := range contents {
		t.Run("content, "+tt.name, func(t *testing.T) {
			rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
				p.ReadHead()
				p.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
				p.Send(tt.content)
				p.ReadRest()
			}))
			client := rig.Dial()
			trace, field := proxytest.NewTrace()
			client.Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n", field, "\r\n")
			got, _ := client.ReadRest()
			if strings.HasSuffix(got, "0\r\n\r\n") || strings.Contains(got, "evil") || strings.Contains(got, "Evil") {
				t.Errorf("the client got %q", got)
			}
			if h := rig.Hop(trace); h.Flags.String() != "UPE" {
				t.Errorf("flags %q, want UPE", h.Flags)
			}
		})
	}
}

// TestHTTP1Smuggling: whatever is sent, Go's own server sees just the requests
// that a strict reader sees in it, or none.
func TestHTTP1Smuggling(t *testing.T) {
	proxytest.NoLeaks(t)
	const evil = "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"
	tests := []struct {
		name, bytes string
		want        []string // method, target and content of each
	}{
		{"CL.0", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: " + fmt.Sprint(len(evil)) + "\r\n\r\n" + evil, []string{"POST /a " + evil}},
		{"GET with a length", "GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: " + fmt.Sprint(len(evil)) + "\r\n\r\n" + evil, []string{"GET /a " + evil}},
		{"CL.TE", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil, nil},
		{"TE.TE", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n\r\n0\r\n\r\n" + evil, nil},
		{"TE with a newline", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\n chunked\r\n\r\n0\r\n\r\n" + evil, nil},
		{"a field hidden in a value", "GET /a HTTP/1.1\r\nHost: a\r\nX-A: b\rContent-Length: 30\r\n\r\n" + evil, nil},
		{"chunks that hide a request", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x", len(evil)) + "\r\n" + evil + "\r\n0\r\n\r\n", []string{"POST /a " + evil}},
		{"an extension that hides a request", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;\nxx\r\nhi\r\n0\r\n\r\n" + evil, []string{"POST /a unexpected EOF"}},
		{"Connection: Content-Length", "POST /a HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: " + fmt.Sprint(len(evil)) + "\r\n\r\n" + evil, []string{"POST /a " + evil}},
		{"Connection: Transfer-Encoding", "POST /a HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n" + "GET /b HTTP/1.1\r\nHost: a\r\n\r\n", []string{"POST /a hi", "GET /b "}},
		{"HTTP/1.0 that would stay", "GET /a HTTP/1.0\r\nHost: a\r\n\r\n" + evil, []string{"GET /a "}},
		{"Upgrade: h2c", "GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", []string{"GET /a "}},
		{"a trailer that frames", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 30\r\nHost: b\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n", []string{"POST /a ", "GET /b "}},
		{"leading empty line", "\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n", []string{"GET /a "}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			seen := make(chan string, 10)
			rig := proxytest.Start(t, proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					body = []byte(err.Error())
				}
				if len(r.Trailer) > 0 || r.Host != "a" {
					t.Errorf("trailers %q, host %q", r.Trailer, r.Host)
				}
				seen <- r.Method + " " + r.URL.Path + " " + string(body)
			}))
			client := rig.Dial()
			client.Send(tt.bytes)
			client.CloseWrite()
			client.ReadRest()
			proxytest.Eventually(rig.T, "the endpoint seeing what it may", func() bool { return len(seen) >= len(tt.want) })
			rig.CloseWithin(0)
			for len(seen) > 0 {
				got = append(got, <-seen)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("the endpoint saw (-want +got):\n%s", diff)
			}
		})
	}
}

// TestHTTP1Limits: a listener's limits are the configuration's.
func TestHTTP1Limits(t *testing.T) {
	proxytest.NoLeaks(t)
	rig := proxytest.Start(t, proxytest.Serve(t, proxytest.Echo), func(s *proxytest.Settings) {
		s.Listener.MaxHeaderBytes, s.Listener.MaxHeaderFields = 1024, 4
	})
	tests := []struct {
		name, fields string
		status       int
	}{
		{"all is well", "X-A: 1\r\nX-B: 2\r\nX-C: 3\r\n", 200},
		{"a field too many", "X-A: 1\r\nX-B: 2\r\nX-C: 3\r\nX-D: 4\r\n", 431},
		{"nearly too large", "X-A: " + strings.Repeat("x", 1024-len("GET / HTTP/1.1\r\nHost: a\r\nX-A: \r\n\r\n")) + "\r\n", 200},
		{"a byte too large", "X-A: " + strings.Repeat("x", 1025-len("GET / HTTP/1.1\r\nHost: a\r\nX-A: \r\n\r\n")) + "\r\n", 431},
	}
	for _, tt := range tests {
		client := rig.Dial()
		client.Send("GET / HTTP/1.1\r\nHost: a\r\n", tt.fields, "\r\n")
		if resp, body := client.ReadResponse("GET"); resp.StatusCode != tt.status {
			t.Errorf("%s: status %d, want %d: %s", tt.name, resp.StatusCode, tt.status, body)
		}
	}
}

// TestHTTP1LargeHeads: heads that are within the limits pass whole, in both
// directions, though they are larger than a buffer.
func TestHTTP1LargeHeads(t *testing.T) {
	proxytest.NoLeaks(t)
	var large []string
	for i := range 50 {
		large = append(large, fmt.Sprintf("X-%d: %s", i, proxytest.Pattern(1000)))
	}
	lines := strings.Join(large, "\r\n") + "\r\n"
	rig := proxytest.Start(t, proxytest.Answering(t, func(_ string, fields []string) string {
		if !slices.Equal(fields[1:51], large) {
			t.Errorf("the endpoint got %.200q", fields)
		}
		return "HTTP/1.1 200 OK\r\n" + lines + "Content-Length: 0\r\n\r\n"
	}))
	client := rig.Dial()
	for range 3 {
		client.Send("GET / HTTP/1.1\r\nHost: a\r\n", lines, "\r\n")
		if _, fields := client.ReadHead(); !slices.Equal(fields[:50], large) {
			t.Errorf("the client got %.200q", fields)
		}
	}
}

// TestHTTP1SpaceBeforeAResponsesColon is removed on the way to the client, and
// the field counts: the content ends where it says (RFC 9112 section 5.1).
func TestHTTP1SpaceBeforeAResponsesColon(t *testing.T) {
	proxytest.NoLeaks(t)
	for _, tt := range []struct{ framing, content, want string }{
		{"Content-Length : 4\r\n", "good", "good"},
		{"Transfer-Encoding \t: chunked\r\n", "4\r\ngood\r\n0\r\n\r\n", "4\r\ngood\r\n0\r\n\r\n"},
	} {
		rig := proxytest.Start(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
			for range 2 { // and the connection goes on
				p.ReadHead()
				p.Send("HTTP/1.1 103 Early Hints\r\nLink : </a>\r\n\r\n", "HTTP/1.1 200 OK\r\nX-A : 1\r\n", tt.framing, "\r\n", tt.content)
			}
			p.ReadRest()
		}))
		client := rig.Dial()
		for range 2 {
			client.Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			_, early := client.ReadHead()
			_, fields := client.ReadHead()
			name, value, _ := strings.Cut(strings.TrimSuffix(tt.framing, "\r\n"), ":")
			want := []string{"X-A: 1", strings.TrimSpace(name) + ":" + value}
			if !slices.Equal(early, []string{"Link: </a>"}) || !slices.Equal(fields[:2], want) {
				t.Errorf("%q: the client got %q and %q", tt.framing, early, fields)
			}
			client.Expect(tt.want)
		}
	}
}
