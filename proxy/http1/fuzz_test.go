package http1

import (
	"bytes"
	"io"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/message"
)

// maxFuzzed bounds the inputs, each of which is also fed byte by byte.
const maxFuzzed = 2048

// FuzzRequest checks that what is sent on is what was understood: see
// agreeOnRequest.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		browserRequest,
		"\r\nGET http://h:1?q HTTP/1.0\r\nPragma: no-cache\r\n\r\n",
		"CONNECT [::1]:443 HTTP/1.1\r\nHost: x\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: x-a, close\r\nX-A:\t1 \r\nx-b:2\r\n\r\n",
		post("Content-Length: 5", "Expect: 100-continue") + "hello, world",
		post("Transfer-Encoding: chunked", "TE: trailers", "Trailer: X-Sum") + "5;a=\"b\"\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
		get("Connection: upgrade", "Upgrade: websocket, h2c"),
		post("Content-Length: 6", "Transfer-Encoding: chunked") + "0\r\n\r\nG",
		post("Transfer-Encoding: gzip, chunked", "Content-Length: 1, 1"),
		"GET / HTTP/1.1\r\nHost: a\r\nX: y\r z\x00\r\n folded\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		if len(wire) <= maxFuzzed {
			agreeOnRequest(t, wire)
		}
	})
}

// FuzzResponse is the same for responses; method is that of the request.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		typicalResponse + "body",
		ok("Content-Length: 5") + "hello, world",
		ok("Transfer-Encoding: chunked") + "5;a\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
		ok("Connection: close, x-a", "X-A: 1") + "until close",
		"HTTP/1.0 404\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nframes",
		"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + typicalResponse,
		ok("Content-Length: 5", "Transfer-Encoding: chunked"),
		ok("Transfer-Encoding : chunked", "X\t:y") + "1\r\nx\r\n0\r\nX-Sum : 1\r\n\r\n",
		"HTTP/1.1 999 Denied\r\nContent-Length : 2\r\n\r\nno",
	} {
		f.Add(uint8(message.GET), []byte(seed))
		f.Add(uint8(message.HEAD), []byte(seed))
		f.Add(uint8(message.CONNECT), []byte(seed))
	}
	f.Fuzz(func(t *testing.T, method uint8, wire []byte) {
		if m := message.Method(method); m <= message.PATCH && len(wire) <= maxFuzzed {
			agreeOnResponse(t, m, wire)
		}
	})
}

// FuzzChunked checks that net/http reads the same content from the same chunks,
// and that encoded again they are still the same.
func FuzzChunked(f *testing.F) {
	for _, seed := range []string{
		"0\r\n\r\n",
		"5\r\nhello\r\n0\r\n\r\nrest",
		"a;b=c\r\n0123456789\r\n1 ;x=\"y\"\r\n\n\r\n000\r\n\r\n",
		"1\r\nx\r\n0\r\nX-Sum: 1\r\nContent-Length: 5\r\n\r\n",
		"7fffffffffffffff\r\nx",
		"8000000000000000\r\nx",
		"2\nxx\r\n0\r\n\r\n",
		"0\r\nA : b\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		if len(wire) > maxFuzzed {
			return
		}
		content, used, done, trailers, err := feedBody(t, false, message.Chunked, -1, Limits{}, string(wire))
		if err != nil || !done {
			return
		}
		theirs, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(wire[:used])))
		if err == nil && string(theirs) != content { // net/http may refuse it: it knows no space before an extension
			t.Errorf("net/http reads %q, the codec %q", theirs, content)
		}

		again := string(AppendLastChunk(appendChunk(nil, []byte(content)), trailers))
		theirs, err = io.ReadAll(httputil.NewChunkedReader(strings.NewReader(again)))
		if err != nil || string(theirs) != content {
			t.Errorf("encoded again as %q: net/http reads %q, %v", again, theirs, err)
		}
		content2, used2, done, trailers2, err := feedBody(t, false, message.Chunked, -1, Limits{}, again)
		if content2 != content || used2 != len(again) || !done || err != nil {
			t.Errorf("encoded again as %q: %q, %d, %v, %v", again, content2, used2, done, err)
		}
		if diff := cmp.Diff(trailerMap(trailers), trailerMap(trailers2)); diff != "" {
			t.Errorf("trailers:\n%s", diff)
		}
	})
}
