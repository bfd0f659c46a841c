package http2

import (
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/message"
)

// asked1 is a request in neither protocol's form: what each makes of it stands in
// wire1 and list2.
type asked1 struct {
	method, target, host string // host is Host or :authority
	absolute             bool   // the target is in absolute form, its authority host
	fields               []string
}

// wire1 is the request in HTTP/1.1.
func (a asked1) wire1() string {
	target := a.target
	if a.absolute {
		target = "http://" + a.host + target
	}
	if a.method == "CONNECT" {
		target = a.host
	}
	lines := append([]string{a.method + " " + target + " HTTP/1.1", "Host: " + a.host}, a.fields...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// list2 is the header list of the request in HTTP/2.
func (a asked1) list2() []hpack.HeaderField {
	list := []hpack.HeaderField{{Name: ":method", Value: a.method}}
	if a.method != "CONNECT" {
		list = append(list, hpack.HeaderField{Name: ":scheme", Value: "http"})
	}
	list = append(list, hpack.HeaderField{Name: ":authority", Value: a.host})
	if a.method != "CONNECT" {
		list = append(list, hpack.HeaderField{Name: ":path", Value: a.target})
	}
	return append(list, fields2(a.fields)...)
}

// fields2 are lines of HTTP/1 as the fields of a list.
func fields2(lines []string) (list []hpack.HeaderField) {
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		list = append(list, hpack.HeaderField{Name: strings.ToLower(name), Value: strings.TrimPrefix(value, " ")})
	}
	return list
}

// decode1 decodes a head of HTTP/1: a request's, or the answer to a GET. status
// is what it is answered with, 0 where it is taken.
func decode1(t *testing.T, wire string, response bool) (h *message.Head, status int) {
	t.Helper()
	h = new(message.Head)
	var d http1.HeadDecoder
	var n int
	var err error
	if response {
		n, err = d.Response([]byte(wire), message.GET, h)
	} else {
		n, err = d.Request([]byte(wire), h)
	}
	if err != nil {
		return h, fault.Of(err).Kind.Status()
	}
	if n != len(wire) {
		t.Errorf("HTTP/1 takes %d bytes of %d", n, len(wire))
	}
	return h, 0
}

// decode2 is the same for a header list of HTTP/2.
func decode2(list2 []hpack.HeaderField, response, ended bool) (h *message.Head, status int) {
	l := headerList{limits: Limits{HeadBytes: defaultHeadBytes, Fields: defaultFields}, response: response}
	l.begin(new(block), false)
	for _, f := range list2 {
		l.add(f)
	}
	if response {
		l.endResponse(&asked{method: message.GET}, ended)
	} else {
		l.endRequest(ended)
	}
	if l.why != nil {
		return &l.dest.head, l.why.Kind.Status()
	}
	return &l.dest.head, 0
}

// many are n different fields.
func many(n int) (lines []string) {
	for i := range n {
		lines = append(lines, "X-"+strconv.Itoa(i)+": 1")
	}
	return lines
}

// TestVerdictsOnRequests: what one codec refuses the other refuses, with the
// same status. What differs is what only one protocol can say, or what a
// standard tells one of them alone (RFC 9113 sections 8.2.1 and 8.2.2: capitals
// in names, space around values, Connection and its like, TE).
func TestVerdictsOnRequests(t *testing.T) {
	get := func(target, host string, fields ...string) asked1 {
		return asked1{method: "GET", target: target, host: host, fields: fields}
	}
	for _, tt := range []struct {
		name   string
		asked  asked1
		status int // 0 where it is taken
	}{
		{"as usual", get("/a?b", "shop.test"), 0},
		{"another method", asked1{method: "BREW", target: "/", host: "a"}, 0},
		{"method in lower case", asked1{method: "get", target: "/", host: "a"}, 0},
		{"method with a slash", asked1{method: "GE/T", target: "/", host: "a"}, 400},
		{"method with a byte of UTF-8", asked1{method: "G\xc3", target: "/", host: "a"}, 400},
		{"no method", asked1{method: "", target: "/", host: "a"}, 400},

		{"target of 17 KB", get("/"+strings.Repeat("a", 17_000), "a"), 0},
		{"target larger than any head", get("/"+strings.Repeat("a", 61_440), "a"), 414},
		{"fields larger than any head", get("/", "a", "X: "+strings.Repeat("a", 61_440)), 431},
		{"as many fields as may be", get("/", "a", many(99)...), 0},
		{"a field too many", get("/", "a", many(100)...), 431},

		{"empty target", get("", "a"), 400},
		{"target with a fragment", get("/a#b", "a"), 400},
		{"target with a space", get("/a b", "a"), 400},
		{"target with a tab", get("/a\tb", "a"), 400},
		{"target with NUL", get("/a\x00b", "a"), 400},
		{"target with DEL", get("/a\x7fb", "a"), 400},
		{"target with a byte of UTF-8", get("/\xc3\xa9", "a"), 400},
		{"target with odd characters", get("/\"<>\\^`{|}[]%zz", "a"), 0},
		{"target of two slashes", get("//a", "a"), 0},
		{"relative target", get("a", "a"), 400},
		{"asterisk", asked1{method: "OPTIONS", target: "*", host: "a"}, 0},
		{"asterisk with another method", get("*", "a"), 400},
		{"asterisk with a query", asked1{method: "OPTIONS", target: "*?a", host: "a"}, 400},

		{"host with a port", get("/", "a:8080"), 0},
		{"host with an empty port", get("/", "a:"), 0},
		{"host with a long port", get("/", "a:123456"), 400},
		{"host with a port of letters", get("/", "a:http"), 400},
		{"host with two ports", get("/", "a:1:2"), 400},
		{"empty host", get("/", ""), 400},
		{"empty host with a port", get("/", ":80"), 400},
		{"host with user information", get("/", "u@a"), 400},
		{"host with user and password", get("/", "u:p@a"), 400},
		{"host with a slash", get("/", "a/b"), 400},
		{"host with a space", get("/", "a b"), 400},
		{"host with a byte of UTF-8", get("/", "\xc3\xa9"), 400},
		{"host with a dot", get("/", "a."), 0},
		{"host that is a dot", get("/", "."), 0}, // and finds no route
		{"host in IPv6", get("/", "[::1]:80"), 0},
		{"host in IPv6 without brackets", get("/", "::1"), 400},
		{"host in IPv6 of other letters", get("/", "[::g]"), 400},
		{"host in open brackets", get("/", "[::1"), 400},
		{"Host twice", get("/", "a", "Host: a", "Host: a"), 400},
		{"absolute form with user information", asked1{method: "GET", target: "/", host: "u@a", absolute: true}, 400},

		{"CONNECT", asked1{method: "CONNECT", host: "a:443"}, 0},
		{"CONNECT without a port", asked1{method: "CONNECT", host: "a"}, 400},
		{"CONNECT with an empty port", asked1{method: "CONNECT", host: "a:"}, 400},
		{"CONNECT to port 0", asked1{method: "CONNECT", host: "a:0"}, 400},
		{"CONNECT to port 65536", asked1{method: "CONNECT", host: "a:65536"}, 400},
		{"CONNECT with content", asked1{method: "CONNECT", host: "a:443", fields: []string{"Content-Length: 1"}}, 400},
		{"CONNECT with empty content", asked1{method: "CONNECT", host: "a:443", fields: []string{"Content-Length: 0"}}, 0},

		{"length", get("/", "a", "Content-Length: 5"), 0},
		{"length with zeros in front", get("/", "a", "Content-Length: 005"), 0},
		{"length of 19 digits", get("/", "a", "Content-Length: 9223372036854775807"), 0},
		{"length of 2^63", get("/", "a", "Content-Length: 9223372036854775808"), 400},
		{"length of 20 digits", get("/", "a", "Content-Length: 00000000000000000001"), 400},
		{"length twice", get("/", "a", "Content-Length: 5", "Content-Length: 5"), 400},
		{"length in a list", get("/", "a", "Content-Length: 5, 5"), 400},
		{"length with a sign", get("/", "a", "Content-Length: +5"), 400},
		{"length that is empty", get("/", "a", "Content-Length:"), 400},
		{"length in hex", get("/", "a", "Content-Length: 0x5"), 400},
		{"an expectation among others", get("/", "a", "Content-Length: 5", "Expect: 100-Continue, x"), 0},
		{"an expectation that is unknown", get("/", "a", "Content-Length: 5", "Expect: 200-ok"), 0},
		{"an expectation without content", get("/", "a", "Content-Length: 0", "Expect: 100-continue"), 0},

		{"empty name", get("/", "a", ": x"), 400},
		{"space in a name", get("/", "a", "X Y: x"), 400},
		{"slash in a name", get("/", "a", "X/Y: x"), 400},
		{"UTF-8 in a name", get("/", "a", "X\xc3: x"), 400},
		{"underscore in a name", get("/", "a", "Content_Length: x"), 0},
		{"empty value", get("/", "a", "X:"), 0},
		{"UTF-8 in a value", get("/", "a", "X: \xc3\xa9"), 0},
		{"tab in a value", get("/", "a", "X: a\tb"), 0},
		{"NUL in a value", get("/", "a", "X: a\x00b"), 400},
		{"CR in a value", get("/", "a", "X: a\rb"), 400},
		{"LF in a value", get("/", "a", "X: a\nb"), 400},
		{"DEL in a value", get("/", "a", "X: a\x7fb"), 400},
		{"ESC in a value", get("/", "a", "X: a\x1bb"), 400},
		{"te", get("/", "a", "TE: trailers"), 0},
		{"cookies", get("/", "a", "Cookie: a=1", "Cookie: b=2"), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h1, status1 := decode1(t, tt.asked.wire1(), false)
			ended := !strings.Contains(strings.Join(tt.asked.fields, "\n"), "Content-Length: ")
			h2, status2 := decode2(tt.asked.list2(), false, ended)
			if status1 != tt.status || status2 != tt.status {
				t.Fatalf("HTTP/1 says %d, HTTP/2 %d, want %d", status1, status2, tt.status)
			}
			if tt.status == 0 && (string(h1.Host()) != string(h2.Host()) || string(h1.Path()) != string(h2.Path()) ||
				h1.Form != h2.Form || h1.Expect != h2.Expect || h1.Framing == message.ByLength && h1.Length != h2.Length) {
				t.Errorf("HTTP/1 understands %+v, HTTP/2 %+v", tell(h1), tell(h2))
			}
		})
	}
}

// TestHostBesideAuthority: the two are compared by scheme (RFC 9113 section
// 8.3.1), and :authority is what counts, as it came.
func TestHostBesideAuthority(t *testing.T) {
	for _, tt := range []struct {
		scheme, authority, host string
		status                  int
	}{
		{"http", "shop.test", "shop.test", 0},
		{"http", "shop.test:80", "shop.test", 0},
		{"http", "shop.test", "shop.test:80", 0},
		{"http", "shop.test:80", "shop.test:", 0},
		{"HTTPS", "shop.test:443", "Shop.Test", 0},
		{"https", "[::1]", "[::1]:443", 0},
		{"http", "shop.test.", "shop.test", 0},
		{"http", "shop.test:443", "shop.test", 400},
		{"https", "shop.test:80", "shop.test", 400},
		{"http", "shop.test:8080", "shop.test", 400},
		{"http", "shop.test", "shop.test.evil.test", 400},
		{"http", "shop.test", "", 400},
		{"http", "shop.test", "u@shop.test", 400},
		{"", "shop.test:80", "shop.test:80", 0}, // CONNECT, where no scheme has a say
		{"", "shop.test:80", "shop.test", 400},
	} {
		list2 := []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/"}, {Name: ":scheme", Value: tt.scheme}, {Name: ":authority", Value: tt.authority}, {Name: "host", Value: tt.host}}
		if tt.scheme == "" {
			list2 = append([]hpack.HeaderField{{Name: ":method", Value: "CONNECT"}}, list2[3:]...)
		}
		h, status := decode2(list2, false, true)
		if status != tt.status {
			t.Errorf("%s: %q beside %q: %d, want %d", tt.scheme, tt.host, tt.authority, status, tt.status)
		}
		if host, _ := h.Get(message.Host); status == 0 && (string(host) != tt.authority || h.Count(message.Host) != 1) {
			t.Errorf("%s: %q beside %q: the host is %q", tt.scheme, tt.host, tt.authority, host)
		}
	}
}

// TestVerdictsOnResponses is the same for what an endpoint answers.
func TestVerdictsOnResponses(t *testing.T) {
	for _, tt := range []struct {
		name, code string
		fields     []string
		status     int // 0 where it is taken
	}{
		{"as usual", "200", []string{"Content-Length: 5"}, 0},
		{"status 100", "100", nil, 0},
		{"status 103 with a length", "103", []string{"Content-Length: 5"}, 0},
		{"status 599", "599", []string{"Content-Length: 0"}, 0},
		{"status 600", "600", []string{"Content-Length: 0"}, 0},
		{"status 999", "999", []string{"Content-Length: 5"}, 0},
		{"status 099", "099", nil, 502},
		{"status 000", "000", nil, 502},
		{"status of two digits", "20", nil, 502},
		{"status of four digits", "1000", nil, 502},
		{"status with a sign", "+20", nil, 502},
		{"status in hex", "0x1", nil, 502},
		{"status that is empty", "", nil, 502},
		{"status 101 that nobody asked for", "101", nil, 502},
		{"status 204 with a length", "204", []string{"Content-Length: 5"}, 0},
		{"status 304 with a length", "304", []string{"Content-Length: 5"}, 0},

		{"length twice", "200", []string{"Content-Length: 5", "Content-Length: 5"}, 502},
		{"length in a list", "200", []string{"Content-Length: 5, 5"}, 502},
		{"length with a sign", "200", []string{"Content-Length: -5"}, 502},
		{"length of 19 digits", "200", []string{"Content-Length: 9223372036854775807"}, 0},
		{"length of 2^63", "200", []string{"Content-Length: 9223372036854775808"}, 502},
		{"a host that means nothing", "200", []string{"Content-Length: 5", "Host: a b", "Host: c"}, 0},
		{"cookies that mean nothing", "200", []string{"Content-Length: 5", "Cookie: a", "Cookie: b"}, 0},
		{"as many fields as may be", "200", append(many(99), "Content-Length: 5"), 0},
		{"a field too many", "200", append(many(100), "Content-Length: 5"), 502},
		{"fields larger than any head", "200", []string{"X: " + strings.Repeat("a", 61_440)}, 502},
		{"empty name", "200", []string{": x"}, 502},
		{"slash in a name", "200", []string{"X/Y: x"}, 502},
		{"NUL in a value", "200", []string{"X: a\x00b"}, 502},
		{"CR in a value", "200", []string{"X: a\rb"}, 502},
		{"LF in a value", "200", []string{"X: a\nb"}, 502},
		{"UTF-8 in a value", "200", []string{"Content-Length: 5", "X: \xc3\xa9"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h1, status1 := decode1(t, "HTTP/1.1 "+tt.code+" Any Reason\r\n"+strings.Join(append(tt.fields, "", ""), "\r\n"), true)
			ended := tt.code == "204" || tt.code == "304"
			h2, status2 := decode2(append([]hpack.HeaderField{{Name: ":status", Value: tt.code}}, fields2(tt.fields)...), true, ended)
			if status1 != tt.status || status2 != tt.status {
				t.Fatalf("HTTP/1 says %d, HTTP/2 %d, want %d", status1, status2, tt.status)
			}
			if tt.status == 0 && (h1.Status != h2.Status || h1.Framing != h2.Framing || h1.Length != h2.Length || h1.Count(message.Cookie) != h2.Count(message.Cookie)) {
				t.Errorf("HTTP/1 understands %+v, HTTP/2 %+v", tell(h1), tell(h2))
			}
		})
	}
}
