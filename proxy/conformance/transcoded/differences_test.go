package transcoded_test

import "strings"

// difference is one that stays, with the requests that show it.
type difference struct {
	name, reason string
	under        string // the variant, by its name
	theirs, ours int    // the statuses
	alike        bool   // the values are the same for all that
	requests     []request
}

// differences are those that stay, each with its reason: docs/from-envoy.md has them, too.
var differences = []difference{
	{
		"an empty segment", "It is a segment to hopscope. Envoy leaves a last one out, and takes others for a value.",
		plain, 200, 415, false, []request{get("/items/7/"), get("/any//7")},
	},
	{
		"a field that is in several places", "In hopscope the path wins over the query, and that over the content: rules go by the path. In Envoy the last wins.",
		plain, 200, 200, false, []request{
			get("/items/7?id=8"), partly("PUT", "/items/7?parent.id=9", `{"id":"8"}`, "parent"), post("/items?unit_price=6", `{"id":"7","unit_price":5}`),
			post("/items/7:undo?tags=a", `{"id":"8","tags":["b"]}`),
		},
	},
	{
		"texts for true", "hopscope knows true, false, t, f, 1 and 0. Envoy knows yes and no, too.",
		plain, 200, 400, false, []request{get("/fields/RED/yes/1/1"), get("/items/7?good=yes")},
	},
	{
		"an unknown number of an enum", "proto3 keeps it, and both take it in the content. Envoy refuses it in the path and the query.",
		plain, 400, 200, false, []request{get("/fields/7/true/1/1"), get("/items/7?color=9")},
	},
	{
		"a parameter without =", "It is empty to hopscope, as in forms. Envoy ignores it.",
		plain, 200, 200, false, []request{get("/items/7?tags")},
	},
	{
		"a bad escape", "hopscope refuses it in the query. Envoy takes it as it is.",
		plain, 200, 400, false, []request{get("/items/7?tags=%zz")},
	},
	{
		"no UTF-8", "hopscope refuses it. Envoy sends it to the server, which can't read the message.",
		plain, 500, 400, false, []request{get("/items/%FF"), get("/items/7?tags=%FF")},
	},
	{
		"a field in a list", "google.api.http has no such parameters. Envoy makes a message of each.",
		plain, 200, 400, false, []request{get("/items/7?parts.id=x")},
	},
	{
		"a parameter that is nested too deep", "It is the client's mistake. Envoy says 502.",
		plain, 502, 400, false, []request{get("/items/7?" + strings.Repeat("parent.", 200) + "id=x")},
	},
	{
		"JSON that is none", "hopscope takes JSON (RFC 8259), and of that what protobuf's mapping has. Envoy takes much else: other quotes, none, a comma at the end, a field twice, a text for a boolean, null in a list.",
		plain, 200, 400, false, []request{
			post("/items", `{id:"7"}`), post("/items", `{"id":"7",}`), post("/items", `{'id':'7'}`), post("/items", `{"id":"a","id":"b"}`),
			post("/items", `{"good":"true"}`), post("/items", `{"tags":["a",null]}`),
		},
	},
	{
		"a whole number with an exponent, as a text", "It is one in protobuf's mapping. Envoy takes it as a number alone.",
		plain, 400, 200, false, []request{post("/items", `{"unit_price":"1e2"}`)},
	},
	{
		"compressed content", "hopscope says that it is. Envoy takes it for JSON.",
		plain, 400, 415, false, []request{{method: "POST", target: "/items", content: "xx", fields: []string{"Content-Encoding", "gzip"}}},
	},
	{
		"one value for a list", "hopscope takes lists. Envoy makes a list of one of it.",
		plain, 200, 400, false, []request{partly("POST", "/items/7/tags", `"a"`, "tags"), partly("POST", "/items/7/parts", `{}`, "parts")},
	},
	{
		"no content for a list or a scalar", "The field is not set. Envoy wants an object, which is none of the two.",
		plain, 400, 200, false, []request{partly("POST", "/items/7/tags", "", "tags"), partly("POST", "/items/7/price", "", "unitPrice")},
	},
	{
		"a number as content", "Envoy sends no message.",
		plain, 500, 200, false, []request{partly("POST", "/items/7/price", `9`, "unitPrice"), partly("POST", "/items/7/color", `1`, "color")},
	},
	{
		"messages to a stream", "hopscope takes an array, one message, one after the other, and no content for a message without fields of it. Envoy takes an array.",
		plain, 400, 200, false, []request{post("/load/RED", ""), post("/load/RED", `{"id":"1"}`), post("/load/RED", "{\"id\":\"1\"}\n{\"id\":\"2\"}\n")},
	},
	{
		"content that is bound to nothing, no JSON", "A binding without body takes no content. Envoy reads it.",
		plain, 400, 200, false, []request{{method: "GET", target: "/items/7", content: "no JSON"}},
	},
	{
		"content that is bound to nothing", "A binding without body takes no content. Envoy reads it.",
		plain, 200, 200, false, []request{{method: "GET", target: "/items/7", content: `{"id":"8"}`}},
	},
	{
		"an unknown code", "It is UNKNOWN to all of gRPC. Envoy's JSON has it as it came.",
		plain, 500, 500, false, []request{get("/items/fail-17"), get("/items/fail-99")},
	},
	{
		"details of unknown types", "hopscope knows those of google/rpc/error_details.proto, and leaves out others. Envoy leaves out the content.",
		plain, 404, 404, false, []request{get("/items/details-5")},
	},
	{
		"a stream", "hopscope sends lines of JSON, and calls them application/x-ndjson. Envoy sends an array, or lines with stream_newline_delimited, as application/json.",
		plain, 200, 200, true, []request{stream("/watch/n3"), stream("/watch/n1"), stream("/watch/n0")},
	},
	{
		"a stream of lines", "Envoy's lines are application/json, too.",
		"options", 200, 200, true, []request{stream("/watch/n2"), stream("/watch/n0")},
	},
	{
		"a failure in the middle of a stream", "hopscope's last line says it. Envoy says it in HTTP/2's trailers alone.",
		plain, 200, 200, false, []request{stream("/watch/late-8")},
	},
	{
		"a failure in the middle of events", "hopscope's last event says it. Envoy says it in HTTP/2's trailers alone.",
		"events", 200, 200, false, []request{events("/watch/late-8")},
	},
	{
		"a failure in the middle of google.api.HttpBody", "hopscope cuts the content. Envoy ends it as if it were whole, but for HTTP/2's trailers.",
		plain, 200, 200, true, []request{get("/files?id=late-8")},
	},
	{
		"a stream of google.api.HttpBody without messages", "It has no type. Envoy says application/json.",
		plain, 200, 200, true, []request{get("/files?id=n0")},
	},
	{
		"a failure without content", "It has no type, either. Envoy says application/json.",
		"status", 404, 404, true, []request{get("/items/fail-5"), get("/items/details-5")},
	},
	{
		"a failure of a stream without content", "It has no type, either. Envoy says application/json.",
		"status", 401, 401, true, []request{stream("/watch/fail-16")},
	},
}
