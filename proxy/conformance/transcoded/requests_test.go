package transcoded_test

import (
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

// request is a request to a proxy.
type request struct {
	method, target string
	content        string
	fields         []string // names and values by turns
	streamed       bool     // the method that it calls answers with a stream
	part           string   // the field that response_body names, as it is in JSON
}

func (q *request) String() string { return q.method + " " + q.target + "\n" + q.content }

// variant is the same options for both proxies, with what is asked under them.
type variant struct {
	name     string
	ours     func(*config.Transcode)
	theirs   func(object)
	requests []request
}

// plain is the variant with what both do by default, as far as that is the same.
const plain = "plain"

var variants = []variant{
	{
		name: plain,
		ours: func(*config.Transcode) {},
		theirs: func(o object) {
			o["query_param_unescape_plus"] = true
			o["request_validation_options"] = object{"reject_unknown_query_parameters": true}
		},
		requests: append(append(append(append([]request{}, paths...), queries...), contents...), replies...),
	},
	{
		name: "options",
		ours: func(c *config.Transcode) {
			c.RejectUnknownMethods, c.IgnoreUnknownQueryParameters = true, true
			c.Print = config.TranscodePrint{AddWhitespace: true, AlwaysPrintPrimitiveFields: true, AlwaysPrintEnumsAsInts: true, PreserveProtoFieldNames: true}
		},
		theirs: func(o object) {
			o["ignore_unknown_query_parameters"] = true
			o["request_validation_options"] = object{"reject_unknown_method": true}
			o["print_options"] = object{
				"add_whitespace": true, "always_print_primitive_fields": true, "always_print_enums_as_ints": true,
				"preserve_proto_field_names": true, "stream_newline_delimited": true,
			}
		},
		requests: []request{
			get("/items/7?color=RED&unit_price=5&tags=a"), get("/items/7"), get("/items/7?nothing=1&parent.nothing=2"), get("/elsewhere"),
			partly("POST", "/items/7/tags", `[]`, "tags"), partly("POST", "/items/7/color", `"RED"`, "color"), partly("POST", "/items/7/stock", `{}`, "stock"),
			partly("POST", "/items/7/parts", `[{"id":"8"}]`, "parts"), {method: "DELETE", target: "/watch/7"}, get("/parents/p/items/7"),
		},
	},
	{
		name:   "status",
		ours:   func(c *config.Transcode) { c.ConvertGRPCStatus, c.IgnoredQueryParameters = false, []string{"api_key"} },
		theirs: func(o object) { o["convert_grpc_status"], o["ignored_query_parameters"] = false, []string{"api_key"} },
		requests: []request{
			get("/items/7?api_key=1"), get("/items/7"),
		},
	},
	{
		name: "events",
		ours: func(*config.Transcode) {},
		theirs: func(o object) {
			o["print_options"] = object{"stream_newline_delimited": true, "stream_sse_style_delimited": true}
		},
		requests: []request{events("/watch/n3"), events("/watch/n0"), events("/watch/fail-8")},
	},
}

func get(target string) request { return request{method: "GET", target: target} }
func post(target, content string) request {
	return request{method: "POST", target: target, content: content}
}

// partly is a request for a binding with response_body.
func partly(method, target, content, part string) request {
	return request{method: method, target: target, content: content, part: part}
}

func stream(target string) request { return request{method: "GET", target: target, streamed: true} }

func events(target string) request {
	return request{method: "GET", target: target, streamed: true, fields: []string{"Accept", "text/event-stream"}}
}

// paths are requests whose path says what is called with what.
var paths = []request{
	get("/items/7"), get("/items/a%20b"), get("/items/a%2Fb"), get("/items/%61"), get("/items/a+b"), get("/items/%C3%A9"), get("/items/a%zz"),
	get("/items/a:b"), get("/items/a%3Ab"), get("/items/"), get("/items"), get("/items//7"), get("/items/a,b;c=d"), get("/items/-._~!$&'()*,;=@"),
	get("/parents/p/items/7"), get("/parents/p%2Fq/items/7"),
	get("/names/shelves/1/books/2"), get("/names/shelves/a%2Fb/books/c%20d"), get("/names/shelves/1/books/"), get("/names/shelves/1/books/2/3"),
	get("/all/a/b/c"), get("/all/a%2Fb/c"), get("/all/"), get("/all"), get("/all/a//b"), get("/all/a:b"),
	get("/any/x/7"), get("/any/x/y/7"), get("/under/a/b"), get("/under/"), get("/under"),
	post("/items/7:undo", `{}`), post("/items/7%3Aundo", `{}`), post("/items/7:do", `{}`), get("/lists/p/7:list"), get("/lists/p/7"), get("/lists/q/7:list"),
	get("/fields/RED/true/-5/1.5"), get("/fields/1/false/9223372036854775807/1e3"), get("/fields/BLUE/true/1/1"), get("/fields/RED/1/1/1"),
	get("/fields/RED/true/9223372036854775808/1"), get("/fields/RED/true/1/NaN"), get("/fields/RED/true/x/1"), get("/fields/red/true/1/1"),
	get("/times/2026-01-02T03:04:05Z/4"), get("/times/2026-01-02T03:04:05.006%2B01:00/4"), get("/times/now/4"), get("/times/2026-01-02T03:04:05Z/x"),
	{method: "HEAD", target: "/items/7"}, {method: "DELETE", target: "/items/7"}, {method: "PATCH", target: "/items/7", content: `{"color":"RED"}`},
	{method: "PUT", target: "/items"}, {method: "OPTIONS", target: "/items/7"}, get("/elsewhere"), post("/elsewhere", `{}`),
	post("/shop.Shop/Bare", `{"id":"7"}`), get("/shop.Shop/Bare"), post("/shop.Shop/None", `{}`), post("/shop.Shop/Get", `{"id":"7"}`),
}

// queries are requests with parameters.
var queries = []request{
	get("/items/7?unitPrice=-5"), get("/items/7?unit_price=5"), get("/items/7?tags=a+b&tags=%63&tags="), get("/items/7?color=RED"), get("/items/7?color=1"),
	get("/items/7?color="), get("/items/7?parent.unit_price=3&parent.parent.id=8"), get("/items/7?parent.unitPrice=3&parent.tags=a&parent.tags=b"),
	get("/items/7?at=2026-01-02T03:04:05Z"), get("/items/7?lasts=1.5s"), get("/items/7?lasts=-0.000000001s"), get("/items/7?size=4"), get("/items/7?size=0"), get("/items/7?sizes=1&sizes=2"),
	get("/items/7?mask=id,unitPrice"), get("/items/7?mask=parent.unitPrice"), get("/items/7?data=_-8"), get("/items/7?data=%2F%2B8%3D"), get("/items/7?data=%21"), get("/items/7?data=YQ"),
	get("/items/7?good=true"), get("/items/7?good=1"), get("/items/7?good=T"), get("/items/7?good="), get("/items/7?weight=1e3"), get("/items/7?weight=-Infinity"), get("/items/7?weight=x"),
	get("/items/7?numbers=1&numbers=2"), get("/items/7?numbers=-1"), get("/items/7?numbers=4294967296"), get("/items/7?ratio=NaN"), get("/items/7?ratio=1e40"), get("/items/7?serial=18446744073709551615"),
	get("/items/7?serial=0x10"), get("/items/7?unit_price=1.0"), get("/items/7?unit_price=%205"), get("/items/7?unit_price=%2B5"), get("/items/7?unit_price=1&unit_price=2"), get("/items/7?unit_price=007"),
	get("/items/7?&&=x"), get("/items/7?tags=a&"), get("/items/7?tags=a=b"), get("/items/7?nothing=1"), get("/items/7?parent.nothing=1"),
	get("/items/7?parent=x"), get("/items/7?stock=x"), get("/items/7?extra=x"), get("/items/7?color=BLUE"), get("/items/7?at=now"), get("/items/7?more=x"), get("/items/7?tags.x=1"),
	get("/items/7?unitPrice=x"), get("/items/7?" + strings.Repeat("parent.", 20) + "id=x"),
	partly("PUT", "/items/7?color=RED&unit_price=3", `{"id":"8"}`, "parent"),
}

// contents are requests with JSON.
var contents = []request{
	post("/items", `{"id":"7","unit_price":5,"extra":{"a":[1,null,"x",{"b":true}]}}`), post("/items", `{"id":"7","unitPrice":"5"}`), post("/items", `{"nothing":{"a":1},"id":"7"}`),
	post("/items", `{"id":null,"tags":null,"parent":null,"color":null}`), post("/items", ``), post("/items", ` `), post("/items", `null`), post("/items", `{`), post("/items", `{"id":`),
	post("/items", `{} {}`), post("/items", `[]`), post("/items", `"a"`), post("/items", `7`), post("/items", `{"id":7}`), post("/items", `{"unit_price":"x"}`), post("/items", `{"unit_price":1.5}`), post("/items", `{"unit_price":1e2}`),
	post("/items", `{"color":"RED"}`), post("/items", `{"color":1}`), post("/items", `{"color":"BLUE"}`), post("/items", `{"color":9}`), post("/items", `{"good":1}`),
	post("/items", `{"weight":"NaN","ratio":"-Infinity","data":"YQBi"}`), post("/items", `{"data":"_-8"}`), post("/items", `{"data":"!"}`), post("/items", `{"at":"2026-01-02T03:04:05.123456789Z","lasts":"3.000001s","size":4,"sizes":[1,2],"mask":"id,unitPrice"}`),
	post("/items", `{"at":"x"}`), post("/items", `{"lasts":"3"}`), post("/items", `{"more":{"@type":"type.googleapis.com/shop.Item","id":"8"}}`), post("/items", `{"more":{"@type":"type.googleapis.com/a.B"}}`),
	post("/items", `{"more":{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}}`), post("/items", `{"stock":{"a":1,"b":2}}`), post("/items", `{"stock":{"a":"x"}}`), post("/items", `{"parts":[{"id":"1"},{"parts":[{"id":"2"}]}]}`),
	post("/items", `{"id":"\u00e9\n\"<>&"}`), post("/items", `{"id":"\ud800"}`), post("/items", "{\"id\":\"\xff\"}"), post("/items", `{"unit_price":01}`),
	post("/items", strings.Repeat(`{"parent":`, 20)+"{}"+strings.Repeat("}", 20)), post("/items", strings.Repeat(`{"parent":`, 200)+"{}"+strings.Repeat("}", 200)),
	{method: "POST", target: "/items", content: `{"id":"7"}`, fields: []string{"Content-Type", "text/plain"}},
	partly("PUT", "/items/7", `{"id":"8"}`, "parent"), partly("PUT", "/items/7", "", "parent"), partly("PUT", "/items/7", `[]`, "parent"), partly("PUT", "/items/7", `{"unit_price":"x"}`, "parent"),
	partly("POST", "/items/7/tags", `["a","b"]`, "tags"), partly("POST", "/items/7/tags", `[]`, "tags"), partly("POST", "/items/7/price", `"9"`, "unitPrice"), partly("POST", "/items/7/price", `x`, "unitPrice"), partly("POST", "/items/7/price", `1,"good":true`, "unitPrice"),
	partly("POST", "/items/7/stock", `{"a":1}`, "stock"), partly("POST", "/items/7/stock", `{}`, "stock"), partly("POST", "/items/7/parts", `[{"id":"8"},{}]`, "parts"), partly("POST", "/items/7/color", `"RED"`, "color"), partly("POST", "/items/7/color", `"BLUE"`, "color"),
	post("/load/RED", `[{"id":"1"}, {"id":"2"}]`), post("/load/RED", `[]`), post("/load/RED", `[{}`), post("/load/RED", `{} x`), post("/load/RED?tags=a", `[{"id":"1"},{"id":"2"}]`), post("/load/RED", `[{"id":"fail-3"}]`),
	{method: "POST", target: "/file", content: "a\x00b", fields: []string{"Content-Type", "image/x"}}, post("/file", ``), post("/file", `{"a":1}`),
}

// replies are requests that say how they are to be answered.
var replies = func() (all []request) {
	for _, code := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"} {
		all = append(all, get("/items/fail-"+code))
	}
	return append(all,
		request{method: "HEAD", target: "/items/fail-5"},
		stream("/watch/fail-5"),
		get("/files?id=n2"), get("/files?id=fail-5"),
	)
}()
