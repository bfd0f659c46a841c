package http1

import (
	"testing"

	"github.com/hopscope/hopscope/proxy/message"
)

const smuggled = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"

// TestSmuggling has what was used to make two parsers disagree about where a
// request ends. Each is either refused, head or body, or one request of which
// net/http thinks the same.
func TestSmuggling(t *testing.T) {
	for _, test := range []struct {
		name     string
		wire     string
		accepted bool
	}{
		{"CL.TE", post("Content-Length: 6", "Transfer-Encoding: chunked") + "0\r\n\r\nG", false},
		{"TE.CL", post("Transfer-Encoding: chunked", "Content-Length: 4") + "5c\r\n" + smuggled + "0\r\n\r\n", false},
		{"CL.0", post("Content-Length: 0") + smuggled, true},
		{"CL.CL", post("Content-Length: 5", "Content-Length: 6") + "hello", false},
		{"CL.CL in one line", post("Content-Length: 5,6") + "hello", false},
		{"CL with a tab in it", post("Content-Length: 5\t6") + "hello", false},
		{"CL after a vertical tab", post("Content-Length:\x0b5") + "hello", false},
		{"CL in another alphabet", post("Content-Length: \xd9\xa5") + "hello", false},
		{"CL with an underscore is another field", post("Content_Length: 5") + smuggled, true},
		{"TE.TE, two lines", post("Transfer-Encoding: chunked", "Transfer-encoding: cow") + "0\r\n\r\n", false},
		{"TE.TE, the other way round", post("Transfer-Encoding: x", "Transfer-Encoding: chunked") + "0\r\n\r\n", false},
		{"TE: xchunked", post("Content-Length: 4", "Transfer-Encoding: xchunked") + "0\r\n\r\n", false},
		{"TE : chunked", post("Content-Length: 4", "Transfer-Encoding : chunked") + "0\r\n\r\n", false},
		{"TE: tab chunked", post("Transfer-Encoding:\tchunked") + "0\r\n\r\n", true},
		{"TE: vertical tab chunked", post("Transfer-Encoding: \x0bchunked") + "0\r\n\r\n", false},
		{"TE: chunked CR", post("Transfer-Encoding: chunked\r") + "0\r\n\r\n", false},
		{"TE folded", post("Transfer-Encoding:", " chunked") + "0\r\n\r\n", false},
		{"TE after a space", post("X: y", " Transfer-Encoding: chunked") + "0\r\n\r\n", false},
		{"TE after a bare LF", post("X: y\nTransfer-Encoding: chunked") + "0\r\n\r\n", false},
		{"TE after a bare CR", post("X: y\rTransfer-Encoding: chunked") + "0\r\n\r\n", false},
		{"TE in quotes", post(`Transfer-Encoding: "chunked"`) + "0\r\n\r\n", false},
		{"TE: identity, chunked", post("Transfer-Encoding: identity, chunked") + "0\r\n\r\n", false},
		{"TE: chunked, identity", post("Transfer-Encoding: chunked, identity") + "0\r\n\r\n", false},
		{"TE with an underscore is another field", post("Transfer_Encoding: chunked", "Content-Length: 0") + smuggled, true},
		{"TE: [chunked]", post("Transfer-Encoding: [chunked]") + "0\r\n\r\n", false},
		{"TE in HTTP/1.0", crlf("POST / HTTP/1.0", "Host: a", "Content-Length: 5", "Transfer-Encoding: chunked", "") + "0\r\n\r\n", false},
		{"TE with NUL", post("Transfer-Encoding: chunked\x00") + "0\r\n\r\n", false},
		{"TE that Connection names", post("Connection: transfer-encoding", "Transfer-Encoding: chunked") + "0\r\n\r\n", true},
		{"CL that Connection names", post("Connection: content-length", "Content-Length: 5") + "hello", true},
		{"Host that Connection names", post("Connection: host", "Content-Length: 5") + "hello", true},

		{"extension hides a bare LF", post("Transfer-Encoding: chunked") + "2;\nxx\r\n4c\r\n0\r\n\r\n" + smuggled, false},
		{"extension hides a bare CR", post("Transfer-Encoding: chunked") + "2;\rxx\r\n4c\r\n0\r\n\r\n" + smuggled, false},
		{"extension with a quoted line end", post("Transfer-Encoding: chunked") + "2;a=\"\r\nxx\r\n\"\r\n0\r\n\r\n", false},
		{"extension with a quoted semicolon", post("Transfer-Encoding: chunked") + "2;a=\";\"\r\nxx\r\n0\r\n\r\n", true},
		{"size line ends in LF", post("Transfer-Encoding: chunked") + "2\nxx\r\n0\r\n\r\n", false},
		{"content ends in LF", post("Transfer-Encoding: chunked") + "2\r\nxx\n0\r\n\r\n", false},
		{"content ends in two other bytes", post("Transfer-Encoding: chunked") + "2\r\nxxXX0\r\n\r\n", false},
		{"size that overflows 32 bits", post("Transfer-Encoding: chunked") + "100000002\r\nxx\r\n0\r\n\r\n", false},
		{"size that overflows 64 bits", post("Transfer-Encoding: chunked") + "10000000000000002\r\nxx\r\n0\r\n\r\n", false},
		{"size with 0x", post("Transfer-Encoding: chunked") + "0x2\r\nxx\r\n0\r\n\r\n", false},
		{"size with an underscore", post("Transfer-Encoding: chunked") + "0_2\r\nxx\r\n0\r\n\r\n", false},
		{"last chunk that is negative", post("Transfer-Encoding: chunked") + "-0\r\n\r\n", false},
		{"trailer that frames", post("Transfer-Encoding: chunked") + "0\r\nContent-Length: 5\r\n\r\n" + smuggled, true},
		{"trailer section that is a request", post("Transfer-Encoding: chunked") + "0\r\n" + smuggled, false},
		{"announced trailer that frames", post("Transfer-Encoding: chunked", "Trailer: Content-Length") + "0\r\n\r\n", true},

		{"request line with a second one", crlf("GET / HTTP/1.1\x0bGET /admin HTTP/1.1", "Host: a", ""), false},
		{"second Host after an absolute target", crlf("GET http://a/ HTTP/1.1", "Host: b", ""), true},
		{"Host in a folded line", crlf("GET / HTTP/1.1", "X: y", " Host: b", "Host: a", ""), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := agreeOnRequest(t, []byte(test.wire)); got != test.accepted {
				t.Errorf("accepted: %v", got)
			}
		})
	}
}

// TestResponseSplitting is the same for what an upstream sends.
func TestResponseSplitting(t *testing.T) {
	for _, test := range []struct {
		name     string
		method   message.Method
		wire     string
		accepted bool
	}{
		{"both framings", message.GET, ok("Content-Length: 3", "Transfer-Encoding: chunked") + "0\r\n\r\n", false},
		{"two lengths", message.GET, ok("Content-Length: 3", "Content-Length: 4") + "abcd", false},
		{"bare LF", message.GET, "HTTP/1.1 200 OK\r\nX: y\nContent-Length: 1\r\n\r\n", false},
		{"bare CR", message.GET, ok("X: y\rContent-Length: 1"), false},
		{"fold", message.GET, ok("X: y", " z", "Content-Length: 1"), false},
		{"TE : chunked", message.GET, ok("Transfer-Encoding : chunked") + "1\r\nx\r\n0\r\n\r\n", true},
		{"TE : chunked after a length", message.GET, ok("Content-Length: 3", "Transfer-Encoding : chunked") + "0\r\n\r\n", false},
		{"TE :: chunked", message.GET, ok("Content-Length: 3", "Transfer-Encoding :: chunked") + "abc", false},
		{"CL : 3", message.GET, ok("Content-Length : 3") + "abc", true},
		{"Connection : that names a field", message.GET, ok("Connection : x-a", "X-A : 1", "Content-Length : 0"), true},
		{"204 with a body", message.GET, crlf("HTTP/1.1 204 No Content", "Content-Length: 5", "") + "hello", true},
		{"304 in chunks", message.GET, crlf("HTTP/1.1 304 Not Modified", "Transfer-Encoding: chunked", "") + "5\r\n", true},
		{"HEAD with a body", message.HEAD, ok("Content-Length: 5") + "hello", true},
		{"until close", message.GET, ok() + "all of it", true},
		{"chunked with trailers", message.GET, ok("Transfer-Encoding: chunked", "Trailer: x-sum") + "1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n", true},
		{"length that Connection names", message.GET, ok("Connection: content-length", "Content-Length: 5") + "hello", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := agreeOnResponse(t, test.method, []byte(test.wire)); got != test.accepted {
				t.Errorf("accepted: %v", got)
			}
		})
	}
}
