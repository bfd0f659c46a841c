package http1

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
)

func TestRequestAccepted(t *testing.T) {
	tests := []struct {
		name, wire string
		want       described
	}{
		{"origin-form", "GET /a/b?c=d?e HTTP/1.1\r\nHost: x:80\r\n\r\n", described{
			Method: "GET", Target: "/a/b?c=d?e", Path: "/a/b", Query: "c=d?e", Host: "x:80",
			Fields: []string{"Host: x:80"}}},
		{"empty query", "GET /a? HTTP/1.1\r\nHost: x\r\n\r\n", described{
			Method: "GET", Target: "/a?", Path: "/a", Host: "x", Fields: []string{"Host: x"}}},
		{"a method of its own", "M-SEARCH /x HTTP/1.1\r\nHost: x\r\n\r\n", described{
			Method: "M-SEARCH", Target: "/x", Path: "/x", Host: "x", Fields: []string{"Host: x"}}},
		{"case, order and repeats of fields", "GET / HTTP/1.1\r\nX-b: 2\r\nhOST: x\r\nX-B: 1\r\nx-a:\r\n\r\n", described{
			Method: "GET", Target: "/", Path: "/", Host: "x",
			Fields: []string{"X-b: 2", "hOST: x", "X-B: 1", "x-a: "}}},
		{"space around values", "GET / HTTP/1.1\r\nHost:x\r\nA: \t b c \t \r\nB:   \r\n\r\n", described{
			Method: "GET", Target: "/", Path: "/", Host: "x", Fields: []string{"Host: x", "A: b c", "B: "}}},
		{"tabs and obs-text in values", "GET / HTTP/1.1\r\nHost: x\r\nA: long enough\tfor words \xff\x80\xfe and\ttabs\r\n\r\n", described{
			Method: "GET", Target: "/", Path: "/", Host: "x",
			Fields: []string{"Host: x", "A: long enough\tfor words \xff\x80\xfe and\ttabs"}}},
		{"one empty line before", "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", described{
			Method: "GET", Target: "/", Path: "/", Host: "x", Fields: []string{"Host: x"}}},
		{"IPv6 host", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", described{
			Method: "GET", Target: "/", Path: "/", Host: "[::1]:8080", Fields: []string{"Host: [::1]:8080"}}},
		{"host with an empty port", "GET / HTTP/1.1\r\nHost: x:\r\n\r\n", described{
			Method: "GET", Target: "/", Path: "/", Host: "x:", Fields: []string{"Host: x:"}}},

		{"absolute-form", "GET http://h:1/p?q HTTP/1.1\r\nHost: h:1\r\n\r\n", described{
			Form: "1", Method: "GET", Target: "http://h:1/p?q", Scheme: "http", Authority: "h:1",
			Path: "/p", Query: "q", Host: "h:1", Fields: []string{"Host: h:1"}}},
		{"absolute-form replaces Host", "GET HTTPS://h HTTP/1.1\r\nA: 1\r\nHost: other\r\nB: 2\r\n\r\n", described{
			Form: "1", Method: "GET", Target: "HTTPS://h", Scheme: "HTTPS", Authority: "h",
			Path: "/", Host: "h", Fields: []string{"A: 1", "Host: h", "B: 2"}}},
		{"absolute-form without a path", "GET http://h?q HTTP/1.1\r\nHost: h\r\n\r\n", described{
			Form: "1", Method: "GET", Target: "http://h?q", Scheme: "http", Authority: "h",
			Path: "/", Query: "q", Host: "h", Fields: []string{"Host: h"}}},
		{"absolute-form of HTTP/1.0 makes Host", "GET http://h/ HTTP/1.0\r\n\r\n", described{
			Version: "HTTP/1.0", Form: "1", Method: "GET", Target: "http://h/", Scheme: "http", Authority: "h",
			Path: "/", Host: "h", Close: true, Fields: []string{"Host: h"}}},
		{"absolute-form of OPTIONS", "OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n", described{
			Form: "1", Method: "OPTIONS", Target: "http://h", Scheme: "http", Authority: "h",
			Path: "*", Host: "h", Fields: []string{"Host: h"}}},
		{"asterisk-form", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", described{
			Form: "3", Method: "OPTIONS", Target: "*", Path: "*", Host: "h", Fields: []string{"Host: h"}}},
		{"authority-form", "CONNECT h:443 HTTP/1.1\r\nHost: other\r\n\r\n", described{
			Form: "2", Method: "CONNECT", Target: "h:443", Authority: "h:443", Host: "h:443",
			Fields: []string{"Host: h:443"}}},
		{"authority-form with IPv6 and a length of 0", "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\nContent-Length: 0\r\n\r\n", described{
			Form: "2", Method: "CONNECT", Target: "[::1]:443", Authority: "[::1]:443", Host: "[::1]:443",
			Fields: []string{"Host: [::1]:443", "Content-Length: 0"}}},

		{"length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9223372036854775807\r\n\r\n", described{
			Framing: "length", Length: "9223372036854775807", Method: "POST", Target: "/", Path: "/", Host: "x",
			Fields: []string{"Host: x", "Content-Length: 9223372036854775807"}}},
		{"length of 0", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", described{
			Framing: "length", Method: "POST", Target: "/", Path: "/", Host: "x",
			Fields: []string{"Host: x", "Content-Length: 0"}}},
		{"chunked", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: CHUNKED\r\n\r\n", described{
			Framing: "chunked", Length: "-1", Method: "POST", Target: "/", Path: "/", Host: "x",
			Fields: []string{"Host: x", "Transfer-Encoding: CHUNKED"}}},

		{"HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", described{
			Version: "HTTP/1.0", Method: "GET", Target: "/", Path: "/", Close: true}},
		{"HTTP/1.0 kept alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", described{
			Version: "HTTP/1.0", Method: "GET", Target: "/", Path: "/", Fields: []string{"Connection: Keep-Alive"}}},
		{"close wins over keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", described{
			Version: "HTTP/1.0", Method: "GET", Target: "/", Path: "/", Close: true,
			Fields: []string{"Connection: keep-alive, close"}}},
		{"close among other options", "GET / HTTP/1.1\r\nHost: x\r\nConnection: x-y\r\nConnection: ,\tCLOSE ,\r\n\r\n", described{
			Method: "GET", Target: "/", Path: "/", Host: "x", Close: true,
			Fields: []string{"Host: x", "Connection: x-y", "Connection: ,\tCLOSE ,"}}},
		{"upgrade", "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n", described{
			Method: "GET", Target: "/ws", Path: "/ws", Host: "x", Upgrade: true,
			Fields: []string{"Host: x", "Connection: keep-alive, Upgrade", "Upgrade: websocket"}}},
		{"expectation", "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n", described{
			Framing: "length", Length: "3", Method: "PUT", Target: "/", Path: "/", Host: "x", Expect: true,
			Fields: []string{"Host: x", "Content-Length: 3", "Expect: 100-Continue"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			next := "GET /next" // the beginning of another request does not matter
			h, n, err := feed(t, asRequest, Limits{}, test.wire+next)
			if err != nil {
				t.Fatal(err)
			}
			if n != len(test.wire) {
				t.Errorf("the head has %d bytes, got %d", len(test.wire), n)
			}
			want := test.want
			want.Version = defaultTo(want.Version, "HTTP/1.1")
			want.Framing = defaultTo(want.Framing, "none")
			want.Form, want.Status, want.Length = defaultTo(want.Form, "0"), "0", defaultTo(want.Length, "0")
			if diff := cmp.Diff(want, describe(h)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func defaultTo(s, value string) string {
	if s == "" {
		return value
	}
	return s
}

// TestRequestWithoutEffect has fields that look as if they meant something.
func TestRequestWithoutEffect(t *testing.T) {
	upgrade := func(protocol string) string { return get("Connection: upgrade", "Upgrade: "+protocol) }
	for name, wire := range map[string]string{
		"upgrade to h2c":            upgrade("h2c"),
		"upgrade to h2c, in a list": upgrade("websocket, H2C"),
		"upgrade to HTTP/2.0":       upgrade("HTTP/2.0"),
		"upgrade to nothing":        upgrade(""),
		"h2c in another line":       get("Connection: upgrade", "Upgrade: websocket", "Upgrade: h2c"),
		"Upgrade not in Connection": get("Upgrade: websocket"),
		"Connection alone":          get("Connection: upgrade"),
		"upgrade in HTTP/1.0":       crlf("GET / HTTP/1.0", "Connection: upgrade", "Upgrade: websocket", ""),
		"upgrade of CONNECT":        crlf("CONNECT a:1 HTTP/1.1", "Host: a:1", "Connection: upgrade", "Upgrade: websocket", ""),
		"expectation without body":  get("Expect: 100-continue"),
		"expectation in HTTP/1.0":   crlf("PUT / HTTP/1.0", "Content-Length: 1", "Expect: 100-continue", ""),
		"another expectation":       post("Content-Length: 1", "Expect: 200-ok"),
	} {
		t.Run(name, func(t *testing.T) {
			h, _, err := feed(t, asRequest, Limits{}, wire)
			if err != nil {
				t.Fatal(err)
			}
			if h.Upgrade || h.Expect {
				t.Errorf("upgrade %v, expect %v", h.Upgrade, h.Expect)
			}
		})
	}
}

func TestRequestRefused(t *testing.T) {
	for _, test := range []struct {
		name, wire string
		kind       fault.Kind
		reason     string
	}{
		// The request line.
		{"two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\n", fault.BadRequest, "an empty line"},
		{"bare LF before", "\nGET / HTTP/1.1\r\n", fault.BadRequest, "bare LF"},
		{"bare LF after", "GET / HTTP/1.1\nHost: a\r\n\r\n", fault.BadRequest, "bare LF"},
		{"bare CR before", "\rGET / HTTP/1.1\r\n", fault.BadRequest, "bare CR"},
		{"bare CR in the target", "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", fault.BadRequest, "bare CR"},
		{"bare CR after the version", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", fault.BadRequest, "bare CR"},
		{"space before the method", " GET / HTTP/1.1\r\n", fault.BadRequest, "begins with whitespace"},
		{"no method", "/ HTTP/1.1\r\n", fault.BadRequest, "byte 0x2f in the method"},
		{"method that is no token", "G(T / HTTP/1.1\r\n", fault.BadRequest, "byte 0x28 in the method"},
		{"NUL in the method", "G\x00T / HTTP/1.1\r\n", fault.BadRequest, "NUL"},
		{"method alone", "GET\r\n", fault.BadRequest, "no target"},
		{"method and a space", "GET \r\n", fault.BadRequest, "no target"},
		{"two spaces after the method", "GET  / HTTP/1.1\r\n", fault.BadRequest, "more than one space"},
		{"tab after the method", "GET\t/ HTTP/1.1\r\n", fault.BadRequest, "byte 0x09 in the method"},
		{"HTTP/0.9", "GET /\r\n", fault.BadRequest, "no version"},
		{"space and no version", "GET / \r\n", fault.BadRequest, "no version"},
		{"two spaces after the target", "GET /  HTTP/1.1\r\n", fault.BadRequest, "a space too many"},
		{"space after the version", "GET / HTTP/1.1 \r\n", fault.BadRequest, "a space too many"},
		{"space in the target", "GET /a b HTTP/1.1\r\n", fault.BadRequest, "a space too many"},
		{"fragment", "GET /a#b HTTP/1.1\r\n", fault.BadRequest, "fragment"},
		{"eighth bit in the target", "GET /\xc3\xa4 HTTP/1.1\r\n", fault.BadRequest, "byte 0xc3 in the target"},
		{"NUL in the target", "GET /\x00 HTTP/1.1\r\n", fault.BadRequest, "NUL"},
		{"DEL in the target", "GET /\x7f HTTP/1.1\r\n", fault.BadRequest, "control character 0x7f"},
		{"tab in the target", "GET /\t HTTP/1.1\r\n", fault.BadRequest, "byte 0x09 in the target"},
		{"version in lower case", "GET / http/1.1\r\n", fault.BadRequest, "version is malformed"},
		{"version of two digits", "GET / HTTP/1.10\r\n", fault.BadRequest, "version is malformed"},
		{"version without minor", "GET / HTTP/1\r\n", fault.BadRequest, "version is malformed"},
		{"version and NUL", "GET / HTTP/1.1\x00\r\n", fault.BadRequest, "NUL"},
		{"HTTP/2.0", "GET / HTTP/2.0\r\n", fault.VersionUnsupported, "other than HTTP/1.0 and HTTP/1.1"},
		{"HTTP/1.2", "GET / HTTP/1.2\r\n", fault.VersionUnsupported, "other than"},
		{"HTTP/0.9 by name", "GET / HTTP/0.9\r\n", fault.VersionUnsupported, "other than"},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", fault.VersionUnsupported, "preface of HTTP/2"},
		{"HTTP/2 preface with a bare LF", "PRI * HTTP/2\n", fault.VersionUnsupported, "preface of HTTP/2"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", fault.BadRequest, "TLS"},

		// The forms of the target.
		{"no form", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", fault.BadRequest, "neither a path nor a URI"},
		{"authority-form without CONNECT", "GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", fault.BadRequest, "neither a path nor a URI"},
		{"asterisk without OPTIONS", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", fault.BadRequest, "OPTIONS alone"},
		{"asterisk and more", "OPTIONS *a HTTP/1.1\r\nHost: a\r\n\r\n", fault.BadRequest, "neither a path nor a URI"},
		{"another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", fault.BadRequest, "neither http nor https"},
		{"no scheme", "GET ://a/ HTTP/1.1\r\nHost: a\r\n\r\n", fault.BadRequest, "neither http nor https"},
		{"no authority", "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", fault.BadRequest, "is empty"},
		{"user information", "GET http://u:secret@a/ HTTP/1.1\r\nHost: a\r\n\r\n", fault.BadRequest, "user information"},
		{"authority with a bad port", "GET http://a:b/ HTTP/1.1\r\nHost: a\r\n\r\n", fault.BadRequest, "malformed port"},
		{"CONNECT to a path", "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", fault.BadRequest, "0x2f"},
		{"CONNECT to a URI", "CONNECT http://a:1/ HTTP/1.1\r\nHost: a\r\n\r\n", fault.BadRequest, "malformed port"},
		{"CONNECT without a port", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", fault.BadRequest, "has no port"},
		{"CONNECT with an empty port", "CONNECT a: HTTP/1.1\r\nHost: a\r\n\r\n", fault.BadRequest, "has no port"},
		{"CONNECT to IPv6 without a port", "CONNECT [::1] HTTP/1.1\r\nHost: a\r\n\r\n", fault.BadRequest, "has no port"},
		{"CONNECT to port 0", "CONNECT a:0 HTTP/1.1\r\nHost: a\r\n\r\n", fault.BadRequest, "between 1 and 65535"},
		{"CONNECT to port 65536", "CONNECT a:65536 HTTP/1.1\r\nHost: a\r\n\r\n", fault.BadRequest, "between 1 and 65535"},
		{"CONNECT with a body", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", fault.BadFraming, "CONNECT request with a body"},
		{"CONNECT in chunks", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", fault.BadFraming, "CONNECT request with a body"},

		// Host.
		{"no Host", "GET / HTTP/1.1\r\n\r\n", fault.BadRequest, "no Host"},
		{"no Host in absolute-form", "GET http://a/ HTTP/1.1\r\n\r\n", fault.BadRequest, "no Host"},
		{"two Hosts", get("HOST: b"), fault.BadHeader, "field 2: Host is there twice"},
		{"two equal Hosts", get("Host: a"), fault.BadHeader, "Host is there twice"},
		{"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", fault.BadHeader, "field 1: Host is empty"},
		{"Host with a slash", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", fault.BadHeader, "0x2f"},
		{"Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", fault.BadHeader, "0x20"},
		{"Host with a user", "GET / HTTP/1.1\r\nHost: secret@b\r\n\r\n", fault.BadHeader, "user information"},
		{"Host with a bad port", "GET / HTTP/1.1\r\nHost: a:8o\r\n\r\n", fault.BadHeader, "malformed port"},
		{"Host with a long port", "GET / HTTP/1.1\r\nHost: a:000080\r\n\r\n", fault.BadHeader, "malformed port"},
		{"Host with an open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", fault.BadHeader, "IPv6"},
		{"Host with no address in brackets", "GET / HTTP/1.1\r\nHost: [abc]\r\n\r\n", fault.BadHeader, "IPv6"},
		{"Host with a zone", "GET / HTTP/1.1\r\nHost: [fe80::1%25e]\r\n\r\n", fault.BadHeader, "IPv6"},
		{"Host with more after the bracket", "GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", fault.BadHeader, "0x78"},
		{"Host with eighth bit", "GET / HTTP/1.1\r\nHost: \xe4\r\n\r\n", fault.BadHeader, "0xe4"},

		// Field lines.
		{"space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", fault.BadHeader, "field 1: the line begins with whitespace"},
		{"obs-fold", get("X: a", " b"), fault.BadHeader, "field 3: folded"},
		{"obs-fold with a tab", get("X: a", "\tb"), fault.BadHeader, "field 3: folded"},
		{"obs-fold of nothing", get("X: a", " "), fault.BadHeader, "field 3: folded"},
		{"space before the colon", get("X : a"), fault.BadHeader, "field 2: space before the colon"},
		{"tab before the colon", get("X\t: a"), fault.BadHeader, "field 2: space before the colon"},
		{"no colon", get("X"), fault.BadHeader, "field 2: no colon"},
		{"empty name", get(": secret"), fault.BadHeader, "field 2: empty name"},
		{"name that is no token", get("X@Y: a"), fault.BadHeader, "field 2: byte 0x40 in the name"},
		{"eighth bit in a name", get("X\xe4: a"), fault.BadHeader, "field 2: byte 0xe4 in the name"},
		{"NUL in a name", get("X\x00: a"), fault.BadHeader, "field 2: NUL"},
		{"NUL in a value", get("X: secret\x00"), fault.BadHeader, "field 2: NUL"},
		{"NUL alone in a value", get("X: \x00"), fault.BadHeader, "field 2: NUL"},
		{"control in a long value", get("X: 0123456789\t012345\x0b6789"), fault.BadHeader, "control character 0x0b"},
		{"DEL in a value", get("X: a\x7fb"), fault.BadHeader, "control character 0x7f"},
		{"bare CR in a value", get("X: a\rb"), fault.BadHeader, "field 2: a bare CR"},
		{"bare CR at the end of a value", get("X: a\r"), fault.BadHeader, "field 2: a bare CR"},
		{"bare CR for a line end", get("X: a\rY: b"), fault.BadHeader, "field 2: a bare CR"},
		{"bare CR for a line", get("\rX: a"), fault.BadHeader, "field 2: a bare CR"},
		{"bare LF for a line end", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", fault.BadHeader, "field 1: the line ends in a bare LF"},
		{"bare LF for the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\n", fault.BadHeader, "bare LF"},
		{"bare LF in a value", get("X: a\nb"), fault.BadHeader, "field 2: the line ends in a bare LF"},

		// Framing.
		{"both framings", post("Content-Length: 1", "Transfer-Encoding: chunked"), fault.BadFraming, "both"},
		{"both, the other way round", post("Transfer-Encoding: chunked", "Content-Length: 1"), fault.BadFraming, "both"},
		{"two lengths", post("Content-Length: 1", "content-length: 2"), fault.BadFraming, "field 3: Content-Length is there twice"},
		{"two equal lengths", post("Content-Length: 1", "Content-Length: 1"), fault.BadFraming, "twice"},
		{"list of lengths", post("Content-Length: 1, 1"), fault.BadFraming, "field 2: Content-Length is a list"},
		{"empty length", post("Content-Length:"), fault.BadFraming, "empty"},
		{"plus", post("Content-Length: +1"), fault.BadFraming, "sign"},
		{"minus", post("Content-Length: -1"), fault.BadFraming, "sign"},
		{"hexadecimal length", post("Content-Length: 0x1"), fault.BadFraming, "not a number"},
		{"length with a space", post("Content-Length: 1 1"), fault.BadFraming, "not a number"},
		{"length with a point", post("Content-Length: 1.0"), fault.BadFraming, "not a number"},
		{"length of 2^63", post("Content-Length: 9223372036854775808"), fault.BadFraming, "more than"},
		{"length of 20 digits", post("Content-Length: 00000000000000000001"), fault.BadFraming, "19 digits"},
		{"two codings", post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), fault.BadFraming, "field 3: Transfer-Encoding is there twice"},
		{"chunked twice", post("Transfer-Encoding: chunked, chunked"), fault.BadFraming, "twice"},
		{"chunked not last", post("Transfer-Encoding: chunked, gzip"), fault.BadFraming, "does not end in chunked"},
		{"not chunked", post("Transfer-Encoding: gzip"), fault.BadFraming, "does not end in chunked"},
		{"identity", post("Transfer-Encoding: identity"), fault.BadFraming, "does not end in chunked"},
		{"xchunked", post("Transfer-Encoding: xchunked"), fault.BadFraming, "does not end in chunked"},
		{"parameters", post("Transfer-Encoding: chunked;a=b"), fault.BadFraming, "parameters"},
		{"empty parameters", post("Transfer-Encoding: chunked;"), fault.BadFraming, "parameters"},
		{"trailing comma", post("Transfer-Encoding: chunked,"), fault.BadFraming, "empty member"},
		{"leading comma", post("Transfer-Encoding: ,chunked"), fault.BadFraming, "empty member"},
		{"empty coding", post("Transfer-Encoding:"), fault.BadFraming, "empty member"},
		{"quoted coding", post(`Transfer-Encoding: "chunked"`), fault.BadFraming, "empty member"},
		{"two words", post("Transfer-Encoding: chunked secret"), fault.BadFraming, "malformed"},
		{"coding with a control", post("Transfer-Encoding: \x0bchunked"), fault.BadHeader, "control character"},
		{"gzip, chunked", post("Transfer-Encoding: gzip, chunked"), fault.NotImplemented, "not supported"},
		{"coding with a parameter, chunked", post("Transfer-Encoding: x;q=1, chunked"), fault.NotImplemented, "not supported"},
		{"chunked in HTTP/1.0", crlf("POST / HTTP/1.0", "Transfer-Encoding: chunked", ""), fault.BadFraming, "HTTP/1.0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := feed(t, asRequest, Limits{}, test.wire)
			if err == nil {
				t.Fatal("accepted")
			}
			if err.Kind != test.kind || !strings.Contains(err.Reason, test.reason) {
				t.Errorf("got %v %q, want %v %q", err.Kind, err.Reason, test.kind, test.reason)
			}
			if strings.Contains(err.Reason, "secret") {
				t.Errorf("the reason tells what a field holds: %q", err.Reason)
			}
		})
	}
}

// TestRefusedEarly feeds what can't become a head, though no line of it ends.
func TestRefusedEarly(t *testing.T) {
	for name, test := range map[string]struct {
		decode decodeHead
		wire   string
	}{
		"TLS, one byte":          {asRequest, "\x16"},
		"HTTP/2":                 {asRequest, "PRI * HTTP/2"},
		"no method":              {asRequest, "GET\x01"},
		"NUL in the target":      {asRequest, "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x00"},
		"bare CR":                {asRequest, "GET / HTTP/1.1\r "},
		"NUL in a field":         {asRequest, "GET / HTTP/1.1\r\nHost: a\x00"},
		"fold":                   {asRequest, "GET / HTTP/1.1\r\nHost: a\r\n "},
		"TLS alert":              {asResponseTo(message.GET), "\x15"},
		"HTTP/2 settings":        {asResponseTo(message.GET), "\x00\x00\x12"},
		"another protocol":       {asResponseTo(message.GET), "SSH-"},
		"NUL in the reason":      {asResponseTo(message.GET), "HTTP/1.1 200 O\x00"},
		"NUL in a field, answer": {asResponseTo(message.GET), "HTTP/1.1 200 OK\r\nA\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := feed(t, test.decode, Limits{}, test.wire); err == nil {
				t.Error("more bytes were asked for")
			}
		})
	}
}

func TestLimits(t *testing.T) {
	limits := Limits{HeadBytes: 100, Fields: 3}
	line := func(n int) string {
		return "GET /" + strings.Repeat("a", n-len("GET / HTTP/1.1\r\n")) + " HTTP/1.1\r\n"
	}
	head := func(n int) string {
		rest := "Host: a\r\nX: "
		return line(20) + rest + strings.Repeat("x", n-20-len(rest)-4) + "\r\n\r\n"
	}
	for _, test := range []struct {
		name, wire string
		decode     decodeHead
		kind       fault.Kind
	}{
		{"the longest line", line(89) + "Host: a\r\n\r\n", asRequest, fault.None},
		{"a line that leaves no room", line(100) + "Host: a\r\n\r\n", asRequest, fault.HeaderTooLarge},
		{"a line too long", line(101) + "Host: a\r\n\r\n", asRequest, fault.URITooLong},
		{"the longest line after an empty one", "\r\n" + line(87) + "Host: a\r\n\r\n", asRequest, fault.None},
		{"a line without an end", "GET /" + strings.Repeat("a", 200), asRequest, fault.URITooLong},
		{"the longest head", head(100), asRequest, fault.None},
		{"a head too long by one", head(101), asRequest, fault.HeaderTooLarge},
		{"a head too long by two", head(102), asRequest, fault.HeaderTooLarge},
		{"a head too long by three", head(103), asRequest, fault.HeaderTooLarge},
		{"a name without an end", line(20) + strings.Repeat("a", 200), asRequest, fault.HeaderTooLarge},
		{"as many fields as may be", crlf("GET / HTTP/1.1", "Host: a", "A:", "B:", ""), asRequest, fault.None},
		{"a field too many", crlf("GET / HTTP/1.1", "Host: a", "A:", "B:", "C:", ""), asRequest, fault.HeaderTooLarge},
		{"options too many", get("Connection: a,b", "Connection: c,d"), asRequest, fault.HeaderTooLarge},
		{"an answer with a field too many", ok("A:", "B:", "C:", "D:"), asResponseTo(message.GET), fault.UpstreamHeader},
		{"an answer too long", ok("A: " + strings.Repeat("a", 100)), asResponseTo(message.GET), fault.UpstreamHeader},
		{"a status line too long", "HTTP/1.1 200 " + strings.Repeat("a", 100), asResponseTo(message.GET), fault.UpstreamHeader},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, n, err := feed(t, test.decode, limits, test.wire)
			if test.kind == fault.None && n != len(test.wire) {
				t.Fatalf("want all %d bytes, got %d, %v", len(test.wire), n, err)
			}
			if test.kind != fault.None && (err == nil || err.Kind != test.kind) {
				t.Fatalf("want %v, got %v", test.kind, err)
			}
		})
	}
}

// TestLimitsWithTinyHead has a head limit within the request line.
func TestLimitsWithTinyHead(t *testing.T) {
	for limit := 1; limit < 30; limit++ {
		_, _, err := feed(t, asRequest, Limits{HeadBytes: limit}, "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if (err == nil) != (limit >= 29) {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}

func TestDefaultLimits(t *testing.T) {
	fields := func(n int) string { return get(strings.Split(strings.Repeat("A: 1\n", n-1), "\n")[:n-1]...) }
	var d HeadDecoder
	var h message.Head
	if n, err := d.Request([]byte(fields(100)), &h); n == 0 || err != nil {
		t.Errorf("100 fields: %d, %v", n, err)
	}
	if _, err := d.Request([]byte(fields(101)), &h); kindOf(t, err) != fault.HeaderTooLarge {
		t.Errorf("101 fields: %v", err)
	}
	big := "GET / HTTP/1.1\r\nHost: a\r\nX: "
	big += strings.Repeat("x", 61440-len(big)-4)
	if n, err := d.Request([]byte(big+"\r\n\r\n"), &h); n != 61440 || err != nil {
		t.Errorf("60 KiB: %d, %v", n, err)
	}
	if _, err := d.Request([]byte(big+"x\r\n\r\n"), &h); kindOf(t, err) != fault.HeaderTooLarge {
		t.Errorf("60 KiB and a byte: %v", err)
	}
}

// TestPipelined decodes heads one after the other with one decoder, also after
// one that was refused.
func TestPipelined(t *testing.T) {
	var d HeadDecoder
	var h message.Head
	wire := []byte(post("Content-Length: 0") + get("Connection: close") + get())
	var closes []bool
	for len(wire) > 0 {
		n, err := d.Request(wire, &h)
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
		closes = append(closes, h.Close)
		wire = wire[n:]
	}
	if diff := cmp.Diff([]bool{false, true, false}, closes); diff != "" {
		t.Error(diff)
	}
	if _, err := d.Request([]byte(post("Content-Length: x")), &h); err == nil {
		t.Fatal("accepted")
	}
	if n, err := d.Request([]byte(get()), &h); n == 0 || err != nil || h.HasBody() {
		t.Errorf("after an error: %d, %v", n, err)
	}
	if n, err := d.Request([]byte("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"), &h); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	d.Reset()
	if n, err := d.Request([]byte(get()), &h); n == 0 || err != nil || h.Close {
		t.Errorf("after Reset: %d, %v", n, err)
	}
}
