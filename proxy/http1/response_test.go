package http1

import (
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
)

// TestResponseFraming is RFC 9112 section 6.3, and who closes.
func TestResponseFraming(t *testing.T) {
	const length, chunked = "Content-Length: 5", "Transfer-Encoding: chunked"
	for _, test := range []struct {
		name    string
		method  message.Method
		wire    string
		framing message.Framing
		length  int64
		closes  bool
	}{
		{"length", message.GET, ok(length), message.ByLength, 5, false},
		{"length of 0", message.GET, ok("Content-Length: 0"), message.ByLength, 0, false},
		{"chunked", message.GET, ok(chunked), message.Chunked, -1, false},
		{"neither", message.GET, ok(), message.UntilClose, -1, true},
		{"neither, but keep-alive", message.GET, ok("Connection: keep-alive"), message.UntilClose, -1, true},
		{"Host, which means nothing", message.GET, ok(length, "Host: a b", "Host:"), message.ByLength, 5, false},
		{"close", message.GET, ok(length, "Connection: close"), message.ByLength, 5, true},
		{"HTTP/1.0", message.GET, crlf("HTTP/1.0 200 OK", length, ""), message.ByLength, 5, true},
		{"HTTP/1.0 kept alive", message.GET, crlf("HTTP/1.0 200 OK", length, "Connection: keep-alive", ""), message.ByLength, 5, false},
		{"HEAD", message.HEAD, ok(length), message.NoBody, 5, false},
		{"HEAD, chunked", message.HEAD, ok(chunked), message.NoBody, -1, false},
		{"HEAD, neither", message.HEAD, ok(), message.NoBody, -1, false},
		{"100", message.POST, crlf("HTTP/1.1 100 Continue", ""), message.NoBody, 0, false},
		{"103 with a length", message.GET, crlf("HTTP/1.1 103 Early Hints", length, ""), message.NoBody, 0, false},
		{"204 with a length", message.GET, crlf("HTTP/1.1 204 No Content", length, ""), message.NoBody, 0, false},
		{"204 in chunks", message.GET, crlf("HTTP/1.1 204 No Content", chunked, ""), message.NoBody, 0, false},
		{"304", message.GET, crlf("HTTP/1.1 304 Not Modified", ""), message.NoBody, -1, false},
		{"304 with a length", message.GET, crlf("HTTP/1.1 304 Not Modified", length, ""), message.NoBody, 5, false},
		{"304 in chunks", message.GET, crlf("HTTP/1.1 304 Not Modified", chunked, ""), message.NoBody, -1, false},
		{"CONNECT", message.CONNECT, ok(length), message.Tunnel, -1, false},
		{"CONNECT in chunks", message.CONNECT, ok(chunked), message.Tunnel, -1, false},
		{"CONNECT refused", message.CONNECT, crlf("HTTP/1.1 403 Forbidden", length, ""), message.ByLength, 5, false},
		{"101", message.GET, crlf("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", length, ""), message.Tunnel, -1, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, n, err := feed(t, asResponseTo(test.method), Limits{}, test.wire+"x")
			if err != nil {
				t.Fatal(err)
			}
			if n != len(test.wire) {
				t.Errorf("the head has %d bytes, got %d", len(test.wire), n)
			}
			if h.Framing != test.framing || h.Length != test.length || h.Close != test.closes {
				t.Errorf("got %s, length %d, close %v", framingName(h.Framing), h.Length, h.Close)
			}
			if h.Upgrade != (h.Status == 101) {
				t.Errorf("upgrade %v", h.Upgrade)
			}
		})
	}
}

func TestStatusLine(t *testing.T) {
	for _, test := range []struct {
		line   string
		status int
		reason string
	}{
		{"HTTP/1.1 200 OK", 200, "OK"},
		{"HTTP/1.1 404 Not Found", 404, "Not Found"},
		{"HTTP/1.1 600 Odd", 600, "Odd"},
		{"HTTP/1.1 999 Request Denied", 999, "Request Denied"},
		{"HTTP/1.1 599 \ttab and \xe4", 599, "\ttab and \xe4"},
		{"HTTP/1.0 100 ", 100, ""},
		{"HTTP/1.1 204", 204, ""},
	} {
		h, _, err := feed(t, asResponseTo(message.HEAD), Limits{}, crlf(test.line, ""))
		if err != nil {
			t.Errorf("%q: %v", test.line, err)
			continue
		}
		if h.Status != test.status || string(h.Reason()) != test.reason {
			t.Errorf("%q: %d %q", test.line, h.Status, h.Reason())
		}
	}
}

func TestResponseRefused(t *testing.T) {
	for _, test := range []struct{ name, wire, reason string }{
		{"empty line before", "\r\nHTTP/1.1 200 OK\r\n\r\n", "not"},
		{"bare LF", "HTTP/1.1 200 OK\n\r\n", "bare LF"},
		{"bare CR", "HTTP/1.1 200 OK\rX: y\r\n\r\n", "bare CR"},
		{"NUL", "HTTP/1.1 200 O\x00K\r\n\r\n", "NUL"},
		{"HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/2"},
		{"HTTP/2, short", "HTTP/2 200\r\n\r\n", "HTTP/2"},
		{"HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", "not HTTP/1.0 or HTTP/1.1"},
		{"ICY", "ICY 200 OK\r\n\r\n", "not HTTP/1"},
		{"lower case", "http/1.1 200 OK\r\n\r\n", "not HTTP/1"},
		{"no status", "HTTP/1.1\r\n\r\n", "not HTTP/1"},
		{"empty status", "HTTP/1.1 \r\n\r\n", "three digits"},
		{"two digits", "HTTP/1.1 20 OK\r\n\r\n", "three digits"},
		{"four digits", "HTTP/1.1 2000 OK\r\n\r\n", "three digits"},
		{"letters", "HTTP/1.1 2x0 OK\r\n\r\n", "three digits"},
		{"sign", "HTTP/1.1 +20 OK\r\n\r\n", "three digits"},
		{"two spaces", "HTTP/1.1  200 OK\r\n\r\n", "three digits"},
		{"099", "HTTP/1.1 099 OK\r\n\r\n", "between 100 and 999"},
		{"a body only", "<html>", "not HTTP/1"},
		{"TLS", "\x15\x03\x01\x00\x02\x02\x0a", "TLS"},
		{"HTTP/2 frames", "\x00\x00\x06\x04\x00\x00\x00\x00\x00", "HTTP/2"},
		{"101 without Upgrade", crlf("HTTP/1.1 101 Switching Protocols", "Connection: upgrade", ""), "without Upgrade"},
		{"101 without Connection", crlf("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", ""), "without Upgrade"},

		{"both framings", ok("Content-Length: 1", "Transfer-Encoding: chunked"), "both"},
		{"both framings, HEAD or not", crlf("HTTP/1.1 204 No Content", "Transfer-Encoding: chunked", "Content-Length: 1", ""), "both"},
		{"two lengths", ok("Content-Length: 1", "Content-Length: 1"), "twice"},
		{"list of lengths", ok("Content-Length: 1, 1"), "list"},
		{"length with a sign", ok("Content-Length: -1"), "sign"},
		{"chunked in HTTP/1.0", crlf("HTTP/1.0 200 OK", "Transfer-Encoding: chunked", ""), "HTTP/1.0"},
		{"another coding", ok("Transfer-Encoding: gzip, chunked"), "not supported"},
		{"not chunked", ok("Transfer-Encoding: gzip"), "does not end in chunked"},
		{"obs-fold", ok("X: a", " b"), "field 2: folded"},
		{"obs-fold after a space", ok("X : a", " b"), "field 2: folded"},
		{"space in the name", ok("X y: a"), "field 1: space before the colon"},
		{"space before no colon", ok("X "), "field 1: space before the colon"},
		{"space and no name", ok(" : a"), "field 1: the line begins with whitespace"},
		{"another space before the colon", ok("X\x0b: a"), "field 1: control character"},
		{"NUL behind a space before the colon", ok("X : \x00"), "field 1: NUL"},
		{"both framings behind spaces", ok("Content-Length : 1", "Transfer-Encoding : chunked"), "both"},
		{"two lengths, one behind a space", ok("Content-Length: 1", "Content-Length : 2"), "twice"},
		{"space before the first field", ok(" X: a"), "field 1: the line begins with whitespace"},
		{"NUL in a value", ok("X: secret\x00"), "field 1: NUL"},
		{"bare LF in the fields", "HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n", "bare LF"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := feed(t, asResponseTo(message.GET), Limits{}, test.wire)
			if err == nil {
				t.Fatal("accepted")
			}
			if err.Kind != fault.UpstreamProtocol || !strings.Contains(err.Reason, test.reason) {
				t.Errorf("got %v %q, want %v %q", err.Kind, err.Reason, fault.UpstreamProtocol, test.reason)
			}
			if strings.Contains(err.Reason, "secret") {
				t.Errorf("the reason tells what a field holds: %q", err.Reason)
			}
		})
	}
}

// TestSpaceBeforeAResponsesColon is removed, and what the field says counts (RFC
// 9112 section 5.1): a message whose Transfer-Encoding were passed over would
// end elsewhere for the client.
func TestSpaceBeforeAResponsesColon(t *testing.T) {
	const fields = "X-A : 1\r\nX-B:2\r\nX-C \t :3\r\nX-D\t: 4 \r\nX-E : \r\nX-F: 6\r\n"
	for _, test := range []struct {
		framing string
		want    message.Framing
		line    string // as it is sent on
	}{
		{"Content-Length : 5", message.ByLength, "Content-Length: 5\r\n"},
		{"transfer-encoding\t: chunked", message.Chunked, "transfer-encoding: chunked\r\n"},
		{"Connection : close", message.UntilClose, "Connection: close\r\n"},
	} {
		h, _, err := feed(t, asResponseTo(message.GET), Limits{}, "HTTP/1.1 200 OK\r\n"+fields+test.framing+"\r\n\r\n")
		if err != nil {
			t.Fatal(err)
		}
		if h.Framing != test.want {
			t.Errorf("%q: framed as %s, want %s", test.framing, framingName(h.Framing), framingName(test.want))
		}
		got := string(AppendResponse(nil, h, Persist))
		want := "HTTP/1.1 200 OK\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\nX-D: 4\r\nX-E: \r\nX-F: 6\r\n" + test.line + "\r\n"
		if got != want {
			t.Errorf("sent on as %q, want %q", got, want)
		}
	}
	content, _, done, trailers, err := feedBody(t, true, message.Chunked, -1, Limits{}, "2\r\nhi\r\n0\r\nX-Sum : 1\r\n\r\n")
	if content != "hi" || !done || err != nil || trailers == nil {
		t.Fatalf("%q, %v, %v", content, done, err)
	}
	if got := string(AppendLastChunk(nil, trailers)); got != "0\r\nX-Sum: 1\r\n\r\n" {
		t.Errorf("trailers are sent on as %q", got)
	}
	if _, _, _, _, err := feedBody(t, false, message.Chunked, -1, Limits{}, "0\r\nX-Sum : 1\r\n\r\n"); err == nil {
		t.Error("a request's trailer with a space before its colon is taken")
	}
}
