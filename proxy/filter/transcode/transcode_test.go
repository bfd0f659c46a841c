package transcode_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/transcode"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/overload"
)

// TestRequests: which message a request becomes.
func TestRequests(t *testing.T) {
	for _, tt := range []struct {
		name, method, target, content string
		change                        func(*transcode.Options)
		path, want                    string
		refused                       string // the reason, with 400
	}{
		{name: "path", method: "GET", target: "/items/a%2Fb", path: "/shop.Shop/Get", want: `{"id":"a/b"}`},
		{name: "additional binding, nested field", method: "GET", target: "/parents/p/items/7", path: "/shop.Shop/Get", want: `{"id":"7","parent":{"id":"p"}}`},
		{
			name: "query", method: "GET", path: "/shop.Shop/Get",
			target: "/items/7?unitPrice=-5&tags=a+b&tags=%63&color=RED&parent.unit_price=3&at=2026-01-02T03:04:05Z&lasts=1.5s&size=4&mask=id,unitPrice&data=_-8&good=true&weight=1e3&numbers=1&numbers=2&ratio=NaN&serial=18446744073709551615&sizes=1&sizes=2",
			want:   `{"id":"7","unitPrice":"-5","tags":["a b","c"],"color":"RED","parent":{"unitPrice":"3"},"at":"2026-01-02T03:04:05Z","lasts":"1.500s","size":4,"mask":"id,unitPrice","data":"/+8=","good":true,"weight":1000,"numbers":[1,2],"ratio":"NaN","serial":"18446744073709551615","sizes":[1,2]}`,
		},
		{name: "enum by number, bytes with padding", method: "GET", target: "/items/7?color=1&data=%2F%2B8%3D", path: "/shop.Shop/Get", want: `{"id":"7","color":"RED","data":"/+8="}`},
		{name: "empty parts of a query", method: "GET", target: "/items/7?&&=x&id=8", path: "/shop.Shop/Get", want: `{"id":"7"}`},
		{name: "unknown parameter", method: "GET", target: "/items/7?nothing=1", refused: `the query parameter "nothing": shop.Item has no field "nothing"`},
		{name: "ignored parameter", method: "GET", target: "/items/7?api_key=1", path: "/shop.Shop/Get", want: `{"id":"7"}`, change: func(o *transcode.Options) { o.IgnoredQueryParameters = []string{"api_key"} }},
		{name: "unknown parameters ignored", method: "GET", target: "/items/7?a=1&b.c=2&unit_price=3", path: "/shop.Shop/Get", want: `{"id":"7","unitPrice":"3"}`, change: func(o *transcode.Options) { o.IgnoreUnknownQueryParameters = true }},
		{name: "no number", method: "GET", target: "/items/7?unitPrice=x", refused: `the query parameter "unitPrice": "x" is no int64`},
		{name: "no bool", method: "GET", target: "/items/7?good=yes", refused: `"yes" is no bool`},
		{name: "no enum", method: "GET", target: "/items/7?color=BLUE", refused: `"BLUE" is no value of shop.Color`},
		{name: "no time", method: "GET", target: "/items/7?at=now", refused: `"now" is no google.protobuf.Timestamp`},
		{name: "no base64", method: "GET", target: "/items/7?data=%21", refused: `"!" is no base64`},
		{name: "no UTF-8", method: "GET", target: "/items/%FF", refused: "the path: it is no valid UTF-8"},
		{name: "badly encoded", method: "GET", target: "/items/7?tags=%zz", refused: `the query: "tags=%zz" is not encoded as it must be`},
		{name: "message in the query", method: "GET", target: "/items/7?parent=x", refused: "it is a message or a map"},
		{name: "map in the query", method: "GET", target: "/items/7?stock=x", refused: "it is a message or a map"},
		{name: "field in a list", method: "GET", target: "/items/7?parts.id=x", refused: `"parts" has no field "id": it is no message, or a list of them`},
		{name: "too deep", method: "GET", target: "/items/7?" + strings.Repeat("parent.", 200) + "id=x", refused: "it is nested too deep"},
		{name: "content", method: "POST", target: "/items", content: `{"id":"7","unit_price":5,"nothing":{"a":1},"extra":{"a":[1,null]}}`, path: "/shop.Shop/Make", want: `{"id":"7","unitPrice":"5","extra":{"a":[1,null]}}`},
		{name: "content and query", method: "POST", target: "/items?unit_price=6", content: `{"id":"7","unit_price":5}`, path: "/shop.Shop/Make", want: `{"id":"7","unitPrice":"6"}`},
		{name: "no content", method: "POST", target: "/items", path: "/shop.Shop/Make", want: `{}`},
		{name: "no JSON", method: "POST", target: "/items", content: `{"id":`, refused: "the content: "},
		{name: "two values", method: "POST", target: "/items", content: `{} {}`, refused: "the content: "},
		{name: "no object", method: "POST", target: "/items", content: `[]`, refused: "the content: "},
		{name: "a type that is not known", method: "POST", target: "/items", content: `{"more":{"@type":"t/a.B"}}`, refused: "the content: "},
		{name: "a type that is", method: "POST", target: "/items", content: `{"more":{"@type":"t/shop.Item","id":"8"}}`, path: "/shop.Shop/Make", want: `{"more":{"@type":"t/shop.Item","id":"8"}}`},
		{name: "too deep a content", method: "POST", target: "/items", content: strings.Repeat(`{"parent":`, 200) + "{}" + strings.Repeat("}", 200), refused: "the content: "},
		{name: "no value of an enum, in the content", method: "POST", target: "/items", content: `{"color":"BLUE"}`, refused: `the content: "BLUE" is no value of shop.Color`},
		{name: "no value of an enum, deep in the content", method: "POST", target: "/items", content: `{"nothing":[{"a":[1]}],"parent":{"parts":[{"color":"RED"},{"color":"BLUE"}]}}`, refused: `the content: "BLUE" is no value of shop.Color`},
		{name: "no value of an enum, as the content", method: "POST", target: "/items/7/color", content: `"BLUE"`, refused: `the content: "BLUE" is no value of shop.Color`},
		{
			name: "what is no enum", method: "POST", target: "/items", path: "/shop.Shop/Make",
			content: `{"nothing":{"color":"BLUE"},"extra":{"fields":{"color":{"nullValue":"BLUE"}}},"stock":{"color":1},"color":null,"unit_price":"1"}`,
			want:    `{"unitPrice":"1","extra":{"fields":{"color":{"nullValue":"BLUE"}}},"stock":{"color":1}}`,
		},
		{name: "a field of the content", method: "PUT", target: "/items/7?color=RED", content: `{"id":"8"}`, path: "/shop.Shop/Put", want: `{"id":"7","color":"RED","parent":{"id":"8"}}`},
		{name: "a list", method: "POST", target: "/items/7/tags", content: `["a","b"]`, path: "/shop.Shop/Tag", want: `{"id":"7","tags":["a","b"]}`},
		{name: "a scalar", method: "POST", target: "/items/7/price", content: `"9"`, path: "/shop.Shop/Tag", want: `{"id":"7","unitPrice":"9"}`},
		{name: "a map", method: "POST", target: "/items/7/stock", content: `{"a":1}`, path: "/shop.Shop/Tag", want: `{"id":"7","stock":{"a":1}}`},
		{name: "a list of messages", method: "POST", target: "/items/7/parts", content: `[{"id":"8"},{}]`, path: "/shop.Shop/Tag", want: `{"id":"7","parts":[{"id":"8"},{}]}`},
		{name: "content that breaks out of its field", method: "POST", target: "/items/7/price", content: `1,"good":true`, refused: "the content: it is no JSON"},
		{name: "content that nothing is bound to", method: "GET", target: "/items/7", content: `no JSON`, path: "/shop.Shop/Get", want: `{"id":"7"}`},
		{name: "stream by an array", method: "POST", target: "/load/RED", content: ` [{"id":"1"}, {"id":"2"}]`, path: "/shop.Shop/Load", want: `{"id":"1","color":"RED"}` + "\n" + `{"id":"2"}`},
		{name: "stream by lines", method: "POST", target: "/load/RED", content: `{"id":"1"}` + "\n" + `{"id":"2"}` + "\n", path: "/shop.Shop/Load", want: `{"id":"1","color":"RED"}` + "\n" + `{"id":"2"}`},
		{name: "stream by an empty array", method: "POST", target: "/load/RED", content: ` [ ] `, path: "/shop.Shop/Load", want: ""},
		{name: "stream of nothing", method: "POST", target: "/load/RED", path: "/shop.Shop/Load", want: `{"color":"RED"}`},
		{name: "stream by a broken array", method: "POST", target: "/load/RED", content: `[{}`, refused: "the content: it is no JSON array"},
		{name: "stream by something else", method: "POST", target: "/load/RED", content: `{} x`, refused: "the content: it is neither"},
		{name: "raw content", method: "POST", target: "/file", content: "a\x00b", path: "/shop.Shop/File", want: `{"contentType":"image/x","data":"YQBi"}`},
		{name: "a method without an option", method: "POST", target: "/shop.Shop/Bare", content: `{"id":"7"}`, path: "/shop.Shop/Bare", want: `{"id":"7"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var change []func(*transcode.Options)
			if tt.change != nil {
				change = append(change, tt.change)
			}
			o, c, got := options(t, change...), &client{}, asked{}
			x := request(c, tt.method, tt.target, tt.content, "content-type: image/x", "te: gzip", "expect: 100-continue", "x-envoy-original-path: /mine", "x-a: 1")
			err := run(t, o, x, func(x *filter.Exchange, a asked) error {
				got = a
				r := &x.Request
				if tt.refused == "" {
					for name, want := range map[string]string{
						"content-type": "application/grpc", "te": "trailers", "grpc-accept-encoding": "identity", "x-a": "1", "expect": "",
						"x-envoy-original-path": tt.target, "x-envoy-original-method": tt.method,
					} {
						if value, _ := r.Lookup(name); string(value) != want {
							t.Errorf("%s is %q, want %q", name, value, want)
						}
					}
					if r.Method != message.POST || string(r.MethodText()) != "POST" || len(r.Query()) > 0 || !x.Hop.GRPC {
						t.Errorf("%s of %s, query %q, call: %t", r.MethodText(), r.Path(), r.Query(), x.Hop.GRPC)
					}
				}
				return respond(encode(t, o, "shop.Item", "{}"), "grpc-status: 0")(x, a)
			})
			if tt.refused != "" {
				if c.status != 400 || !strings.Contains(c.got, strings.ReplaceAll(tt.refused, `"`, `\"`)) || !strings.HasPrefix(c.got, `{"code":3,"message":"`) || c.field("content-type") != "application/json" {
					t.Errorf("%d %q: %s, want %q", c.status, c.head, c.got, tt.refused)
				}
				if got != (asked{}) || fault.Of(err).Kind != fault.BadRequest {
					t.Errorf("asked %v, %v", got, err)
				}
				return
			}
			if got.path != tt.path || got.messages != tt.want {
				t.Errorf("%s is asked for\n%s\nwant %s\n%s", got.path, got.messages, tt.path, tt.want)
			}
		})
	}
}

// TestPasses: what is no request for a method passes as it is, or is refused if it is to.
func TestPasses(t *testing.T) {
	pass := func(x *filter.Exchange, a asked) error {
		h := &x.Response
		h.Begin(nil)
		h.Status, h.Framing = 200, message.Chunked
		h.Add(message.ContentType, "content-type", "text/plain")
		if err := x.Writer.Head(h); err != nil {
			return err
		}
		if err := x.Writer.Content([]byte(a.path)); err != nil {
			return err
		}
		return x.Writer.End(nil)
	}
	c := &client{}
	if err := run(t, options(t), request(c, "GET", "/elsewhere?a=b", ""), pass); err != nil || c.got != "/elsewhere?a=b" {
		t.Errorf("%v, %q", err, c.got)
	}
	c = &client{}
	x := request(c, "POST", "/items", string(frame(nil)), "content-type: application/grpc")
	if err := run(t, options(t), x, func(x *filter.Exchange, a asked) error {
		if string(x.Request.Path()) != "/items" || x.Writer != filter.Writer(c) {
			t.Error("a call was translated")
		}
		return x.Writer.End(nil)
	}); err != nil {
		t.Error(err)
	}
	c = &client{}
	err := run(t, options(t, func(o *transcode.Options) { o.RejectUnknownMethods = true }), request(c, "GET", "/elsewhere", ""), pass)
	if err == nil || c.status != 404 || !strings.HasPrefix(c.got, `{"code":5,"message":"no method`) {
		t.Errorf("%v, %d %s", err, c.status, c.got)
	}
	c = &client{}
	if err := run(t, options(t), request(c, "POST", "/items", "xx", "content-encoding: gzip"), pass); err == nil || c.status != 415 {
		t.Errorf("compressed content: %v, %d", err, c.status)
	}
	// A response that is no gRPC's is not touched.
	c = &client{}
	x = request(c, "GET", "/items/7", "")
	if err := run(t, options(t), x, func(x *filter.Exchange, _ asked) error {
		h := head("content-type: text/html", "content-length: 4")
		h.Status, h.Framing, h.Length = 503, message.ByLength, 4
		_ = x.Writer.Head(h)
		_ = x.Writer.Content([]byte("<p>!"))
		_ = x.Writer.Flush()
		return x.Writer.End(nil)
	}); err != nil || c.status != 503 || c.got != "<p>!" || !slices.Contains(c.head, "content-length: 4") {
		t.Errorf("%v, %+v", err, c)
	}
}

// TestResponses: what the client gets of a call that goes well.
func TestResponses(t *testing.T) {
	const item = `{"id":"7","unitPrice":"5","color":"RED","tags":["<a>"]}`
	for _, tt := range []struct {
		name, method, target, accept string
		of                           string // the messages' type, shop.Item if empty
		messages                     []string
		print                        transcode.Print
		kind, want                   string
		streamed                     bool
	}{
		{name: "message", method: "GET", target: "/items/7", messages: []string{item}, kind: "application/json", want: `{"id":"7","unitPrice":"5","tags":["<a>"],"color":"RED"}`},
		{name: "Envoy's names", method: "GET", target: "/items/7", messages: []string{item}, kind: "application/json", want: `{"id":"7","unit_price":"5","tags":["<a>"],"color":1}`, print: transcode.Print{PreserveProtoFieldNames: true, AlwaysPrintEnumsAsInts: true}},
		{name: "whitespace", method: "GET", target: "/items/7", messages: []string{`{"id":"7"}`}, kind: "application/json", want: "{\n \"id\": \"7\"\n}\n", print: transcode.Print{AddWhitespace: true}},
		{
			name: "primitive fields", method: "GET", target: "/items/7", messages: []string{`{}`}, kind: "application/json", print: transcode.Print{AlwaysPrintPrimitiveFields: true},
			want: `{"id":"","unitPrice":"0","tags":[],"color":"NONE","parts":[],"data":"","good":false,"weight":0,"numbers":[],"ratio":0,"serial":"0","stock":{},"sizes":[]}`,
		},
		{name: "HEAD", method: "HEAD", target: "/items/7", messages: []string{item}, kind: "application/json"},
		{name: "message field", method: "PUT", target: "/items/7", messages: []string{`{"id":"7","parent":{"id":"8"}}`}, kind: "application/json", want: `{"id":"8"}`},
		{name: "message field that is absent", method: "PUT", target: "/items/7", messages: []string{`{}`}, kind: "application/json", want: `{}`},
		{name: "list", method: "POST", target: "/items/7/tags", messages: []string{item}, kind: "application/json", want: `["<a>"]`},
		{name: "empty list", method: "POST", target: "/items/7/tags", messages: []string{`{}`}, kind: "application/json", want: `[]`},
		{name: "scalar", method: "POST", target: "/items/7/price", messages: []string{item}, kind: "application/json", want: `"5"`, print: transcode.Print{PreserveProtoFieldNames: true}},
		{name: "default scalar", method: "POST", target: "/items/7/color", messages: []string{`{}`}, kind: "application/json", want: `"NONE"`},
		{name: "map", method: "POST", target: "/items/7/stock", messages: []string{`{"stock":{"a":1}}`}, kind: "application/json", want: `{"a":1}`},
		{name: "list of messages", method: "POST", target: "/items/7/parts", messages: []string{`{"parts":[{"id":"8"}]}`}, kind: "application/json", want: `[{"id":"8"}]`},
		{name: "stream", method: "GET", target: "/watch/7", messages: []string{`{"id":"1"}`, `{}`}, kind: "application/x-ndjson", want: "{\"id\":\"1\"}\n{}\n", streamed: true, print: transcode.Print{AddWhitespace: true}},
		{name: "events", method: "GET", target: "/watch/7", accept: "text/html, Text/Event-Stream;q=0.5", messages: []string{`{"id":"1"}`, `{}`}, kind: "text/event-stream", want: "data: {\"id\":\"1\"}\n\ndata: {}\n\n", streamed: true},
		{name: "empty stream", method: "GET", target: "/watch/7", kind: "application/x-ndjson"},
		{name: "raw", method: "POST", target: "/file", of: "google.api.HttpBody", messages: []string{`{"contentType":"image/png","data":"YQBi"}`}, kind: "image/png", want: "a\x00b"},
		{name: "raw without a type", method: "POST", target: "/file", of: "google.api.HttpBody", messages: []string{`{"contentType":"a\r\nb: c"}`}, kind: "application/octet-stream"},
		{name: "raw stream", method: "GET", target: "/files", of: "google.api.HttpBody", messages: []string{`{"contentType":"image/png","data":"YQ=="}`, `{"data":"Yg=="}`}, kind: "image/png", want: "ab", streamed: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, c := options(t, func(o *transcode.Options) { o.Print = tt.print }), &client{}
			memory := overload.NewBudget()
			account := new(overload.Account)
			account.Open(memory)
			c.info.Account = account
			of := tt.of
			if of == "" {
				of = "shop.Item"
			}
			x := request(c, tt.method, tt.target, "", "accept: "+tt.accept)
			if err := run(t, o, x, respond(encode(t, o, of, tt.messages...), "grpc-status: 0", "x-trailing: 1")); err != nil {
				t.Fatal(err)
			}
			if c.status != 200 || c.got != tt.want || c.field("content-type") != tt.kind || !c.ended {
				t.Errorf("%d %q %q, ended: %t", c.status, c.head, c.got, c.ended)
			}
			if c.field("x-metadata") != "1" || c.field("grpc-encoding") != "" || c.field("grpc-status") != "" {
				t.Errorf("fields: %q", c.head)
			}
			if (c.framing == message.Chunked) != tt.streamed || !tt.streamed && tt.method != "HEAD" && c.length != int64(len(tt.want)) {
				t.Errorf("framing %d of %d bytes", c.framing, c.length)
			}
			if x.Hop.Status != 200 {
				t.Errorf("the hop's status is %d", x.Hop.Status)
			}
			if memory.Used() == 0 && len(tt.messages) > 0 {
				t.Error("no memory is counted")
			}
			if x.Finish(); memory.Used() != 0 {
				t.Errorf("%d bytes are still counted", memory.Used())
			}
		})
	}
}

// TestFailures: a status that is not OK is an HTTP status and google.rpc.Status.
func TestFailures(t *testing.T) {
	detail := func(of proto.Message) string {
		known, err := anypb.New(of)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := proto.Marshal(&spb.Status{Code: 5, Message: "no such item", Details: []*anypb.Any{{TypeUrl: "t/not.Known"}, known}})
		return "grpc-status-details-bin: " + base64.RawStdEncoding.EncodeToString(b)
	}(&errdetails.ErrorInfo{Reason: "GONE", Domain: "shop"})
	for _, tt := range []struct {
		name, target, accept string
		messages             []string
		trailers             []string
		plain                bool // convert_grpc_status is false
		status               int
		kind, want           string
	}{
		{name: "trailers", target: "/items/7", trailers: []string{"grpc-status: 5", "grpc-message: no such%20item"}, status: 404, kind: "application/json", want: `{"code":5,"message":"no such item"}`},
		{
			name: "details", target: "/items/7", trailers: []string{"grpc-status: 5", "grpc-message: no such item", detail}, status: 404, kind: "application/json",
			want: `{"code":5,"message":"no such item","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"GONE","domain":"shop"}]}`,
		},
		{name: "bad details", target: "/items/7", trailers: []string{"grpc-status: 5", "grpc-status-details-bin: !!"}, status: 404, kind: "application/json", want: `{"code":5}`},
		{name: "a message before", target: "/items/7", messages: []string{`{"id":"7"}`}, trailers: []string{"grpc-status: 7"}, status: 403, kind: "application/json", want: `{"code":7}`},
		{name: "an unknown status", target: "/items/7", trailers: []string{"grpc-status: 99"}, status: 500, kind: "application/json", want: `{"code":2}`},
		{name: "no status", target: "/items/7", messages: []string{`{}`}, status: 500, kind: "application/json", want: `{"code":2,"message":"the endpoint ended the call without a status"}`},
		{name: "no conversion", target: "/items/7", trailers: []string{"grpc-status: 5", "grpc-message: n%C3%B6"}, plain: true, status: 404},
		{name: "stream, at once", target: "/watch/7", trailers: []string{"grpc-status: 16"}, status: 401, kind: "application/json", want: `{"code":16}`},
		{name: "stream, late", target: "/watch/7", messages: []string{`{}`}, trailers: []string{"grpc-status: 8", "grpc-message: enough"}, status: 200, kind: "application/x-ndjson", want: "{}\n{\"error\":{\"code\":8,\"message\":\"enough\"}}\n"},
		{name: "events, late", target: "/watch/7", accept: "text/event-stream", messages: []string{`{}`}, trailers: []string{"grpc-status: 8"}, status: 200, kind: "text/event-stream", want: "data: {}\n\nevent: error\ndata: {\"code\":8}\n\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, c := options(t, func(o *transcode.Options) { o.ConvertGRPCStatus = !tt.plain }), &client{}
			x := request(c, "GET", tt.target, "", "accept: "+tt.accept)
			if err := run(t, o, x, respond(encode(t, o, "shop.Item", tt.messages...), tt.trailers...)); err != nil {
				t.Fatal(err)
			}
			if c.status != tt.status || c.got != tt.want || c.field("content-type") != tt.kind || !c.ended || x.Hop.Status != tt.status {
				t.Errorf("%d %q %q, ended: %t; the hop's status: %d", c.status, c.head, c.got, c.ended, x.Hop.Status)
			}
			if tt.plain && (c.field("grpc-status") != "5" || c.field("grpc-message") != "n%C3%B6") {
				t.Errorf("fields: %q", c.head)
			}
		})
	}

	// A response that is no more than a head.
	c := &client{}
	x := request(c, "GET", "/items/7", "")
	if err := run(t, options(t), x, func(x *filter.Exchange, _ asked) error {
		h := head("content-type: application/grpc", "grpc-status: 14", "grpc-message: busy", "retry-after: 1")
		h.Status, h.Framing, h.Length = 200, message.NoBody, -1
		_ = x.Writer.Head(h)
		_ = x.Writer.Flush()
		return x.Writer.End(nil)
	}); err != nil || c.status != 503 || c.got != `{"code":14,"message":"busy"}` || c.field("retry-after") != "1" || c.length != int64(len(c.got)) {
		t.Errorf("%v, %d %q %s", err, c.status, c.head, c.got)
	}
	// A stream that is cut in the middle of raw content.
	c = &client{}
	o := options(t)
	if err := run(t, o, request(c, "GET", "/files", ""), respond(encode(t, o, "google.api.HttpBody", `{"data":"YQ=="}`), "grpc-status: 8")); err != nil || !c.cut {
		t.Errorf("%v, cut: %t", err, c.cut)
	}
}

// TestOwnAnswers: the proxy's own failures are google.rpc.Status too, and keep their HTTP
// status.
func TestOwnAnswers(t *testing.T) {
	for kind, want := range map[fault.Kind]struct {
		status int
		code   string
	}{
		fault.NoHealthy: {503, "14"}, fault.UpstreamTimeout: {504, "4"}, fault.ContentTooLarge: {413, "8"}, fault.UpstreamProtocol: {502, "14"},
	} {
		c := &client{}
		x := request(c, "GET", "/items/7", "")
		_ = run(t, options(t), x, func(*filter.Exchange, asked) error { return fault.New(kind, "why") })
		if c.status != want.status || c.got != `{"code":`+want.code+`,"message":"why"}` || x.Hop.Status != want.status || !c.ended {
			t.Errorf("%s: %d %s, the hop's status %d", kind, c.status, c.got, x.Hop.Status)
		}
	}
}

// TestBrokenEndpoints: an endpoint that breaks the rules of gRPC is a bad gateway.
func TestBrokenEndpoints(t *testing.T) {
	o := options(t)
	one := encode(t, o, "shop.Item", `{}`)
	for name, tt := range map[string]struct {
		target   string
		frames   []byte
		trailers []string
		want     string
	}{
		"no message":        {"/items/7", nil, []string{"grpc-status: 0"}, "with OK and without a message"},
		"two messages":      {"/items/7", append(one[:5:5], one...), []string{"grpc-status: 0"}, "two messages"},
		"half a message":    {"/items/7", []byte{0, 0, 0, 0, 9, 1}, []string{"grpc-status: 0"}, "within a message"},
		"compressed":        {"/items/7", []byte{1, 0, 0, 0, 0}, nil, "is compressed, which was not asked for"},
		"too large":         {"/items/7", []byte{0, 255, 255, 255, 255}, nil, "has 4294967295 bytes, and transcode.max_message is 1048576"},
		"no protobuf":       {"/items/7", frame([]byte{0xff}), nil, "can not be written as JSON"},
		"no UTF-8":          {"/items/7", frame([]byte{10, 1, 0xff}), nil, "can not be written as JSON"},
		"unknown any":       {"/items/7", frame([]byte{98, 5, 10, 3, 'a', '/', 'b'}), nil, "can not be written as JSON"},
		"stream, compresed": {"/watch/7", []byte{1, 0, 0, 0, 0}, nil, "is compressed"},
	} {
		c := &client{}
		x := request(c, "GET", tt.target, "")
		err := run(t, o, x, respond(tt.frames, tt.trailers...))
		if fault.Of(err).Kind != fault.UpstreamProtocol || c.status != 502 || !strings.Contains(c.got, tt.want) {
			t.Errorf("%s: %v; %d %s", name, err, c.status, c.got)
		}
	}
	// After a part of a stream it breaks off.
	c := &client{}
	err := run(t, o, request(c, "GET", "/watch/7", ""), respond(append(one[:5:5], 1, 0, 0, 0, 0), "grpc-status: 0"))
	if fault.Of(err).Kind != fault.UpstreamProtocol || c.got != "{}\n{\"error\":{\"code\":13,\"message\":\"it broke off\"}}\n" || !c.ended {
		t.Errorf("%v, %q", err, c.got)
	}
}

// TestFlush: a stream's head goes out when the endpoint's has come, and each message at
// once; anything else is kept until the status is known.
func TestFlush(t *testing.T) {
	o := options(t)
	one := encode(t, o, "shop.Item", `{}`)
	for target, want := range map[string][]string{"/watch/7": {"", "{}\n"}, "/items/7": nil} {
		c := &client{}
		if err := run(t, o, request(c, "GET", target, ""), func(x *filter.Exchange, _ asked) error {
			h := head("content-type: application/grpc")
			h.Status, h.Framing = 200, message.Chunked
			_ = x.Writer.Head(h)
			_ = x.Writer.Flush()
			if (c.status == 200) != (want != nil) {
				t.Errorf("%s: the head has been sent: %t", target, c.status == 200)
			}
			_ = x.Writer.Content(one)
			_ = x.Writer.Flush()
			return x.Writer.End(head("grpc-status: 0"))
		}); err != nil || !slices.Equal(c.flushed, want) || !c.ended {
			t.Errorf("%s: %v, %q", target, err, c.flushed)
		}
	}
}

// TestMemory: what is translated is counted, and refused where there is no memory.
func TestMemory(t *testing.T) {
	o := options(t)
	for name, tt := range map[string]struct {
		limit   int64
		content string
		frames  []byte
		want    int
	}{
		"request":  {100_000, `{"parts":[` + strings.Repeat("{},", 1000) + `{}]}`, nil, 503},
		"response": {100_000, `{}`, frame([]byte(strings.Repeat("2\x00", 1000))), 503},
		"enough":   {10_000_000, `{"parts":[` + strings.Repeat("{},", 1000) + `{}]}`, frame([]byte(strings.Repeat("2\x00", 1000))), 200},
	} {
		memory := overload.NewBudget()
		memory.SetLimit(tt.limit)
		account := new(overload.Account)
		account.Open(memory)
		c := &client{info: filter.ConnInfo{Account: account}}
		x := request(c, "POST", "/items", tt.content)
		_ = run(t, o, x, respond(tt.frames, "grpc-status: 0"))
		if c.status != tt.want {
			t.Errorf("%s: %d %.200s", name, c.status, c.got)
		}
		if x.Finish(); memory.Used() != 0 {
			t.Errorf("%s: %d bytes are still counted", name, memory.Used())
		}
	}
	c := &client{}
	if err := run(t, options(t, func(o *transcode.Options) { o.MaxMessage = 10 }), request(c, "POST", "/items", "           "), respond(nil)); fault.Of(err).Kind != fault.ContentTooLarge {
		t.Error(err)
	}
}
