package http2

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2/hpack"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
)

// decode decodes fields, which are "name: value" a line.
func decode(l *headerList, trailers bool, lines ...string) {
	l.limits = Limits{HeadBytes: 1000, Fields: 10}
	l.name = "web:1"
	l.begin(new(block), trailers)
	for _, line := range lines {
		i := 1 + strings.Index(line[1:], ":")
		l.add(hpack.HeaderField{Name: line[:i], Value: strings.TrimPrefix(line[i+1:], " ")})
	}
}

// fieldsOf are the fields of a head that are sent on, a line each.
func fieldsOf(h *message.Head) (lines []string) {
	for i := range h.Fields {
		if f := &h.Fields[i]; !f.Removed {
			lines = append(lines, string(h.Bytes(f.Name))+": "+string(h.Bytes(f.Value)))
		}
	}
	return lines
}

// told is what a head says, apart from its fields.
type told struct {
	Method, Target, Path, Query, Authority, Host string
	Form                                         message.Form
	Status                                       int
	Framing                                      message.Framing
	Length                                       int64
	Upgrade, Expect                              bool
}

func tell(h *message.Head) told {
	return told{
		string(h.MethodText()), string(h.Target()), string(h.Path()), string(h.Query()), string(h.Authority()), string(h.Host()),
		h.Form, h.Status, h.Framing, h.Length, h.Upgrade, h.Expect,
	}
}

var simple = []string{":method: GET", ":scheme: http", ":authority: web", ":path: /a?b=c"}

func with(lines []string, more ...string) []string {
	return append(append([]string(nil), lines...), more...)
}

func TestRequests(t *testing.T) {
	posted := []string{":method: POST", ":scheme: https", ":authority: web:80", ":path: /"}
	for _, tt := range []struct {
		name   string
		lines  []string
		ended  bool
		want   told
		fields []string
	}{
		{"get", with(simple, "x-a: 1", "te: trailers"), true,
			told{Method: "GET", Target: "/a?b=c", Path: "/a", Query: "b=c", Host: "web"},
			[]string{"host: web", "x-a: 1", "te: trailers"}},
		{"pseudo-fields in another order", []string{":path: /?", ":authority: web", ":scheme: HTTPS", ":method: get"}, true,
			told{Method: "get", Target: "/?", Path: "/", Host: "web"}, []string{"host: web"}},
		{"Host beside :authority", with(simple, "x-a: 1", "host: WEB"), true,
			told{Method: "GET", Target: "/a?b=c", Path: "/a", Query: "b=c", Host: "web"}, []string{"host: web", "x-a: 1"}},
		{"Host alone", []string{":method: GET", ":scheme: http", ":path: /", "x-a: 1", "host: [::1]:80"}, true,
			told{Method: "GET", Target: "/", Path: "/", Host: "[::1]:80"}, []string{"x-a: 1", "host: [::1]:80"}},
		{"cookie", with(simple, "cookie: a=1", "x-a: 1", "cookie: b=2", "cookie: c=3"), true,
			told{Method: "GET", Target: "/a?b=c", Path: "/a", Query: "b=c", Host: "web"},
			[]string{"host: web", "cookie: a=1; b=2; c=3", "x-a: 1"}},
		{"content of a length", with(posted, "content-length: 5", "expect: 100-Continue"), false,
			told{Method: "POST", Target: "/", Path: "/", Host: "web:80", Framing: message.ByLength, Length: 5, Expect: true},
			[]string{"host: web:80", "content-length: 5", "expect: 100-Continue"}},
		{"content of any length", posted, false,
			told{Method: "POST", Target: "/", Path: "/", Host: "web:80", Framing: message.Chunked, Length: -1}, []string{"host: web:80"}},
		{"content announced to be empty", with(posted, "content-length: 0", "expect: 100-continue"), true,
			told{Method: "POST", Target: "/", Path: "/", Host: "web:80"},
			[]string{"host: web:80", "content-length: 0", "expect: 100-continue"}},
		{"asterisk", []string{":method: OPTIONS", ":scheme: http", ":authority: web", ":path: *"}, true,
			told{Method: "OPTIONS", Target: "*", Path: "*", Host: "web", Form: message.Asterisk}, []string{"host: web"}},
		{"connect", []string{":method: CONNECT", ":authority: db:5432"}, false,
			told{Method: "CONNECT", Target: "db:5432", Authority: "db:5432", Host: "db:5432", Form: message.Authority},
			[]string{"host: db:5432"}},
		{"extended connect", []string{":method: CONNECT", ":protocol: websocket", ":scheme: https", ":authority: web", ":path: /chat?room=1", "sec-websocket-version: 13"}, false,
			told{Method: "GET", Target: "/chat?room=1", Path: "/chat", Query: "room=1", Host: "web", Upgrade: true},
			[]string{"host: web", "sec-websocket-version: 13", "upgrade: websocket"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var l headerList
			decode(&l, false, tt.lines...)
			l.endRequest(tt.ended)
			if l.why != nil {
				t.Fatal(l.why)
			}
			if diff := cmp.Diff(tt.want, tell(&l.dest.head)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.fields, fieldsOf(&l.dest.head)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMalformedRequests(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for _, tt := range []struct {
		name  string
		lines []string
		ended bool
		kind  fault.Kind
	}{
		{"nothing", nil, true, fault.BadRequest},
		{"no method", simple[1:], true, fault.BadRequest},
		{"no scheme", with(simple[:1], simple[2:]...), true, fault.BadRequest},
		{"no path", simple[:3], true, fault.BadRequest},
		{"neither :authority nor Host", []string{simple[0], simple[1], simple[3]}, true, fault.BadRequest},
		{"a method with a space", with(simple[1:], ":method: GET "), true, fault.BadRequest},
		{"another scheme", []string{":scheme: ftp"}, true, fault.BadRequest},
		{"an empty path", []string{":path:"}, true, fault.BadRequest},
		{"a relative path", []string{":path: a"}, true, fault.BadRequest},
		{"a path with a space", []string{":path: /a b"}, true, fault.BadRequest},
		{"a path with a line end", []string{":path: /a\r\nx: y"}, true, fault.BadRequest},
		{"a path with a fragment", []string{":path: /a#b"}, true, fault.BadRequest},
		{"asterisk for GET", []string{":method: GET", ":scheme: http", ":authority: web", ":path: *"}, true, fault.BadRequest},
		{"user information", []string{":authority: me@web"}, true, fault.BadRequest},
		{"an empty authority", []string{":authority:"}, true, fault.BadRequest},
		{"an authority with a space", []string{":authority: a b"}, true, fault.BadRequest},
		{"a bad port", []string{":authority: web:http"}, true, fault.BadRequest},
		{"a bad IPv6 address", []string{":authority: [1]"}, true, fault.BadRequest},
		{"Host that says otherwise", with(simple, "host: other"), true, fault.BadHeader},
		{"Host twice", []string{":method: GET", ":scheme: http", ":path: /", "host: web", "host: web"}, true, fault.BadHeader},
		{"a pseudo-field twice", with(simple, ":path: /"), true, fault.BadHeader},
		{"a pseudo-field after a field", with(simple[:3], "x-a: 1", ":path: /"), true, fault.BadHeader},
		{"a response's pseudo-field", with(simple, ":status: 200"), true, fault.BadHeader},
		{"an unknown pseudo-field", with(simple, ":color: red"), true, fault.BadHeader},
		{"upper case", with(simple, "X-a: 1"), true, fault.BadHeader},
		{"a name with a space", with(simple, "x a: 1"), true, fault.BadHeader},
		{"a value with NUL", with(simple, "x-a: 1\x00"), true, fault.BadHeader},
		{"a value with LF", with(simple, "x-a: 1\n2"), true, fault.BadHeader},
		{"a value with a space before", with(simple, "x-a:  1"), true, fault.BadHeader},
		{"a value with a tab behind", with(simple, "x-a: 1\t"), true, fault.BadHeader},
		{"connection", with(simple, "connection: close"), true, fault.BadHeader},
		{"keep-alive", with(simple, "keep-alive: 1"), true, fault.BadHeader},
		{"proxy-connection", with(simple, "proxy-connection: close"), true, fault.BadHeader},
		{"transfer-encoding", with(simple, "transfer-encoding: chunked"), true, fault.BadHeader},
		{"upgrade", with(simple, "upgrade: websocket"), true, fault.BadHeader},
		{"te", with(simple, "te: gzip"), true, fault.BadHeader},
		{"a length that is none", with(simple, "content-length: +1"), false, fault.BadHeader},
		{"two lengths", with(simple, "content-length: 1", "content-length: 1"), false, fault.BadHeader},
		{"a length and no content", with(simple, "content-length: 1"), true, fault.BadFraming},
		{"connect with a path", []string{":method: CONNECT", ":authority: db:1", ":path: /"}, false, fault.BadRequest},
		{"connect without a port", []string{":method: CONNECT", ":authority: db"}, false, fault.BadRequest},
		{"connect with a length", []string{":method: CONNECT", ":authority: db:1", "content-length: 2"}, false, fault.BadFraming},
		{"a protocol with GET", with(simple, ":protocol: websocket"), false, fault.BadRequest},
		{"a protocol of two words", []string{":method: CONNECT", ":protocol: a b"}, false, fault.BadRequest},
		{"too large", with(simple, "x-a: "+long), true, fault.HeaderTooLarge},
		{"too many fields", with(simple, strings.Split(strings.Repeat("x: 1\n", 10)+"x: 1", "\n")...), true, fault.HeaderTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var l headerList
			decode(&l, false, tt.lines...)
			l.endRequest(tt.ended)
			if l.why == nil || l.why.Kind != tt.kind {
				t.Errorf("got %v, want the kind %s", l.why, tt.kind)
			}
			tell(&l.dest.head) // can be looked at all the same
			fieldsOf(&l.dest.head)
		})
	}
}

func TestResponses(t *testing.T) {
	get, head, connect := asked{method: message.GET}, asked{method: message.HEAD}, asked{method: message.CONNECT}
	webSocket := asked{method: message.GET, protocol: []byte("websocket")}
	for _, tt := range []struct {
		name  string
		to    asked
		ended bool
		lines []string
		want  told
		kind  fault.Kind
	}{
		{"no content", get, true, []string{":status: 200"}, told{Status: 200}, 0},
		{"content", get, false, []string{":status: 200"}, told{Status: 200, Framing: message.Chunked, Length: -1}, 0},
		{"content of a length", get, false, []string{":status: 404", "content-length: 3"}, told{Status: 404, Framing: message.ByLength, Length: 3}, 0},
		{"interim", get, false, []string{":status: 103", "link: </a>"}, told{Status: 103}, 0},
		{"head", head, true, []string{":status: 200", "content-length: 3"}, told{Status: 200, Length: 3}, 0},
		{"head that ends later", head, false, []string{":status: 200"}, told{Status: 200, Length: -1}, 0},
		{"not modified", get, true, []string{":status: 304", "content-length: 3"}, told{Status: 304, Length: 3}, 0},
		{"204", get, false, []string{":status: 204"}, told{Status: 204}, 0},
		{"a tunnel", connect, false, []string{":status: 200"}, told{Status: 200, Framing: message.Tunnel, Length: -1}, 0},
		{"no tunnel", connect, true, []string{":status: 403"}, told{Status: 403}, 0},
		{"another protocol", webSocket, false, []string{":status: 200"}, told{Status: 101, Framing: message.Tunnel, Length: -1, Upgrade: true}, 0},
		{"no status", get, true, nil, told{}, fault.UpstreamProtocol},
		{"a status of words", get, true, []string{":status: okay"}, told{}, fault.UpstreamProtocol},
		{"a status of four digits", get, true, []string{":status: 2000"}, told{}, fault.UpstreamProtocol},
		{"a request's pseudo-field", get, true, []string{":status: 200", ":path: /"}, told{}, fault.UpstreamProtocol},
		{"101", get, false, []string{":status: 101"}, told{}, fault.UpstreamProtocol},
		{"an interim response that ends", get, true, []string{":status: 100"}, told{}, fault.UpstreamProtocol},
		{"a length and no content", get, true, []string{":status: 200", "content-length: 3"}, told{}, fault.UpstreamProtocol},
		{"connection", get, true, []string{":status: 200", "connection: close"}, told{}, fault.UpstreamProtocol},
		{"too large", get, true, []string{":status: 200", "x: " + strings.Repeat("x", 1000)}, told{}, fault.UpstreamHeader},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := headerList{response: true}
			decode(&l, false, tt.lines...)
			l.endResponse(&tt.to, tt.ended)
			if tt.kind != 0 {
				if l.why == nil || l.why.Kind != tt.kind || !strings.HasPrefix(l.why.Reason, "web:1 sent") {
					t.Errorf("got %v, want the kind %s", l.why, tt.kind)
				}
				return
			}
			if l.why != nil {
				t.Fatal(l.why)
			}
			if diff := cmp.Diff(tt.want, tell(&l.dest.head)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTrailers(t *testing.T) {
	var l headerList
	decode(&l, true, "grpc-status: 0", "x-checksum: 1", "authorization: x", "content-length: 7", "host: web", "content-digest: y", "x-forwarded-for: z")
	l.endTrailers()
	if l.why != nil {
		t.Fatal(l.why)
	}
	if diff := cmp.Diff([]string{"grpc-status: 0", "x-checksum: 1", "content-digest: y"}, fieldsOf(&l.dest.head)); diff != "" {
		t.Error(diff)
	}
	for _, line := range []string{":path: /", "X-a: 1", "connection: close"} {
		if decode(&l, true, line); l.why == nil {
			t.Errorf("%s is taken as a trailer", line)
		}
	}
}

// head1 is a head as HTTP/1 has it: a request line, or a status alone, and fields.
func head1(method message.Method, text, target string, fields ...string) *message.Head {
	h := new(message.Head)
	h.Method = method
	none := message.Span{}
	h.SetRequestLine(h.Own(text), h.Own(target), none, none, h.Own(target), none)
	for i := 0; i < len(fields); i += 2 {
		h.Add(message.FieldByName([]byte(fields[i])), fields[i], fields[i+1])
	}
	return h
}

// lists decodes a header block with the library's decoder.
func lists(t *testing.T, block []byte) (lines []string) {
	t.Helper()
	d := hpack.NewDecoder(0, nil)
	fields, err := d.DecodeFull(block)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		line := f.Name + ": " + f.Value
		if f.Sensitive {
			line += " (sensitive)"
		}
		lines = append(lines, line)
	}
	return lines
}

func TestEncodeRequests(t *testing.T) {
	get := func(fields ...string) *message.Head { return head1(message.GET, "GET", "/", fields...) }
	change := func(h *message.Head, f func(h *message.Head)) *message.Head { f(h); return h }
	for _, tt := range []struct {
		name   string
		h      *message.Head
		scheme string
		want   []string
	}{
		{"get", get("Host", "web", "User-Agent", "curl", "X-Thing", "Value"), "http",
			[]string{":method: GET", ":scheme: http", ":authority: web", ":path: /", "user-agent: curl", "x-thing: Value"}},
		{"connection fields", get("Host", "web", "Connection", "close, x", "Keep-Alive", "1", "Proxy-Connection", "close",
			"Transfer-Encoding", "chunked", "Upgrade", "h2c", "HTTP2-Settings", "AA", "TE", "gzip, Trailers", "Accept", "*/*"), "https",
			[]string{":method: GET", ":scheme: https", ":authority: web", ":path: /", "accept: */*", "te: trailers"}},
		{"te without trailers", get("Host", "web", "TE", "gzip"), "http",
			[]string{":method: GET", ":scheme: http", ":authority: web", ":path: /"}},
		{"secrets", get("Host", "web", "Cookie", "a=1", "Authorization", "Basic x"), "http",
			[]string{":method: GET", ":scheme: http", ":authority: web", ":path: /", "cookie: a=1 (sensitive)", "authorization: Basic x (sensitive)"}},
		{"post", change(head1(message.POST, "POST", "/a?b", "Host", "web", "Content-Length", "7"), func(h *message.Head) { h.Framing, h.Length = message.ByLength, 7 }), "http",
			[]string{":method: POST", ":scheme: http", ":authority: web", ":path: /a?b", "content-length: 7"}},
		{"chunked", change(head1(message.PUT, "PUT", "/", "Host", "web"), func(h *message.Head) { h.Framing, h.Length = message.Chunked, -1 }), "http",
			[]string{":method: PUT", ":scheme: http", ":authority: web", ":path: /"}},
		{"removed", change(get("Host", "web", "X-A", "1", "Via", "2"), func(h *message.Head) { h.Remove(message.Via); h.RemoveName([]byte("x-a")) }), "http",
			[]string{":method: GET", ":scheme: http", ":authority: web", ":path: /"}},
		{"connect", change(head1(message.CONNECT, "CONNECT", "db:1", "Host", "db:1"), func(h *message.Head) {
			h.Form = message.Authority
			a := h.Own("db:1")
			h.SetRequestLine(h.Own("CONNECT"), a, message.Span{}, a, message.Span{}, message.Span{})
		}), "http", []string{":method: CONNECT", ":authority: db:1"}},
		{"websocket", change(get("Host", "web", "Upgrade", "websocket, other", "Connection", "upgrade", "Sec-WebSocket-Key", "x", "Sec-WebSocket-Version", "13"),
			func(h *message.Head) { h.Upgrade = true }), "https",
			[]string{":method: CONNECT", ":protocol: websocket", ":scheme: https", ":authority: web", ":path: /", "sec-websocket-version: 13"}},
		{"a long name", get("Host", "web", strings.Repeat("Ab", 100), strings.Repeat("v", 1000)), "http",
			[]string{":method: GET", ":scheme: http", ":authority: web", ":path: /", strings.Repeat("ab", 100) + ": " + strings.Repeat("v", 1000)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, lists(t, appendRequest(nil, tt.h, tt.scheme))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestEncodeAbsoluteTargets has the path of each.
func TestEncodeAbsoluteTargets(t *testing.T) {
	for target, want := range map[string]string{"http://web": "/", "http://web?a": "/?a", "http://web/a?b": "/a?b"} {
		h := head1(message.GET, "GET", target, "Host", "web")
		h.Form = message.Absolute
		h.SetRequestLine(h.Own("GET"), h.Own(target), h.Own("http"), h.Own("web"), h.Own("/"), message.Span{})
		got := lists(t, appendRequest(nil, h, "http"))
		if diff := cmp.Diff([]string{":method: GET", ":scheme: http", ":authority: web", ":path: " + want}, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestEncodeResponses(t *testing.T) {
	for _, tt := range []struct {
		name    string
		status  int
		framing message.Framing
		length  int64
		fields  []string
		want    []string
	}{
		{"ok", 200, message.ByLength, 5, []string{"Content-Length", "9", "Content-Type", "text/plain", "Set-Cookie", "a=1"},
			[]string{":status: 200", "content-type: text/plain", "set-cookie: a=1 (sensitive)", "content-length: 5"}},
		{"chunked", 201, message.Chunked, -1, []string{"Transfer-Encoding", "chunked"}, []string{":status: 201"}},
		{"until close", 404, message.UntilClose, -1, []string{"Connection", "close"}, []string{":status: 404"}},
		{"empty", 500, message.NoBody, 0, nil, []string{":status: 500", "content-length: 0"}},
		{"head", 200, message.NoBody, 7, nil, []string{":status: 200", "content-length: 7"}},
		{"head of unknown length", 200, message.NoBody, -1, nil, []string{":status: 200"}},
		{"204", 204, message.NoBody, 0, nil, []string{":status: 204"}},
		{"304", 304, message.NoBody, -1, nil, []string{":status: 304"}},
		{"interim", 103, message.NoBody, 0, []string{"Link", "</a>"}, []string{":status: 103", "link: </a>"}},
		{"another protocol", 101, message.Tunnel, -1, []string{"Upgrade", "websocket", "Connection", "upgrade", "Sec-WebSocket-Accept", "x"}, []string{":status: 200"}},
		{"a tunnel", 200, message.Tunnel, -1, nil, []string{":status: 200"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := head1(0, "", "", tt.fields...)
			h.Status, h.Framing, h.Length, h.Upgrade = tt.status, tt.framing, tt.length, tt.status == 101
			if diff := cmp.Diff(tt.want, lists(t, appendResponse(nil, h))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestStaticTable finds each name of the static table where the decoder has it.
func TestStaticTable(t *testing.T) {
	for name, index := range indices {
		got := lists(t, appendLiteral(nil, index, []byte("v"), literal))
		if diff := cmp.Diff([]string{name + ": v"}, got); diff != "" {
			t.Error(diff)
		}
	}
	for _, status := range []int{200, 204, 206, 304, 400, 404, 500, 999} {
		block := appendStatus(nil, status)
		if got := lists(t, block)[0]; got != ":status: "+string(itoa(status)) {
			t.Errorf("%d became %s", status, got)
		}
	}
}

func itoa(n int) string {
	return string([]byte{byte('0' + n/100), byte('0' + n/10%10), byte('0' + n%10)})
}

// FuzzRequestHead makes sure that what is taken as a request could be sent as
// HTTP/1 and means the same there.
func FuzzRequestHead(f *testing.F) {
	f.Add("GET", "http", "web", "/", "x-a", "b", true)
	f.Add("CONNECT", "", "web:1", "", "cookie", "a=b", false)
	f.Add("OPTIONS", "https", "[::1]", "*", "content-length", "3", false)
	f.Fuzz(func(t *testing.T, method, scheme, authority, path, name, value string, ended bool) {
		var l headerList
		l.limits = Limits{HeadBytes: 1000, Fields: 10}
		l.begin(new(block), false)
		for _, field := range []hpack.HeaderField{{Name: ":method", Value: method}, {Name: ":scheme", Value: scheme}, {Name: ":authority", Value: authority}, {Name: ":path", Value: path}, {Name: name, Value: value}} {
			if field.Value != "" || field.Name == name {
				l.add(field)
			}
		}
		l.endRequest(ended)
		h := &l.dest.head
		for _, b := range [][]byte{h.MethodText(), h.Target(), h.Path(), h.Query(), h.Host(), h.Authority()} {
			if strings.ContainsAny(string(b), " \r\n\t\x00") {
				t.Errorf("%q would break a request line", b)
			}
		}
		for _, line := range fieldsOf(h) {
			if strings.ContainsAny(line, "\r\n\x00") {
				t.Errorf("%q would break a field line", line)
			}
		}
		if l.why != nil {
			return
		}
		if len(h.MethodText()) == 0 || len(h.Host()) == 0 || len(h.Target()) == 0 || h.Form == message.Origin && h.Target()[0] != '/' {
			t.Errorf("%+v is no request", tell(h))
		}
	})
}
