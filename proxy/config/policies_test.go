package config

import (
	"strings"
	"testing"
)

// route is a configuration with one route, which has these keys.
func routeWith(keys string) string {
	return "listeners: [{name: in, address: \":0\", routes: [{cluster: a, " + keys + "}]}]\nclusters: {a: {endpoints: [\"a:1\"]}}\n"
}

// TestPolicyErrors: what is wrong with a route's policies is told with its place and a
// remedy.
func TestPolicyErrors(t *testing.T) {
	for _, tt := range []struct{ keys, want string }{
		{"body: {}", "routes[0].body.max: required key is missing"},
		{"body: {max: 10MB}", `routes[0].body.max: expected a number of bytes such as 65536, 64KiB, 10MiB or 1GiB, found "10MB": "10MB" is not a number; did you mean "10MiB"?`},
		{"body: {max: -1}", `it is below zero`},
		{"body: {max: 2000GiB}", `it is above 1024GiB`},
		{"body: {max: 1.5}", "routes[0].body.max: expected a number of bytes"},
		{"compress: {algorithms: []}", `routes[0].compress.algorithms: must not be empty; expected some of "zstd", "br" and "gzip"`},
		{"compress: {algorithms: [deflate]}", `routes[0].compress.algorithms[0]: expected one of "zstd", "br", "gzip", found "deflate"`},
		{"compress: {types: []}", "routes[0].compress.types: must not be empty; remove the key for the default"},
		{"compress: {types: [json]}", `routes[0].compress.types[0]: expected a media type such as application/json or "text/*", found "json": it has no "/"`},
		{"compress: {types: [text/html;charset=utf-8]}", `did you mean "text/html"?`},
		{"compress: {types: [\"*/*\"]}", `it is no media type, nor one with "*" behind the "/"`},
		{"compress: {min_bytes: -1}", "routes[0].compress.min_bytes: expected an integer of at least 0, found -1"},
		{"cors: {}", "routes[0].cors.allow_origins: required key is missing"},
		{"cors: {allow_origins: [https://a.test/]}", `found "https://a.test/": an origin ends with the host or the port; did you mean "https://a.test"?`},
		{"cors: {allow_origins: [a.test]}", `found "a.test": an origin is a scheme, a host and`},
		{"cors: {allow_origins: [https://A.test]}", `browsers send origins in lower case; did you mean "https://a.test"?`},
		{"cors: {allow_origins: [https://a.test:443]}", `browsers leave out the port that is the scheme's own; did you mean "https://a.test"?`},
		{"cors: {allow_origins: [\"regex:https://(\"]}", "routes[0].cors.allow_origins[0]: expected an origin such as"},
		{"cors: {allow_origins: [\"*\"], allow_credentials: true}", `routes[0].cors.allow_credentials: with "*" among allow_origins every page on the web could act as the user`},
		{"cors: {allow_origins: [\"*\"], allow_headers: [a b]}", "routes[0].cors.allow_headers[0]: expected the name of a header field"},
		{"bandwidth: {}", "routes[0].bandwidth: it bounds nothing; expected request or response"},
		{"bandwidth: {request: 1023}", "routes[0].bandwidth.request: expected at least 1KiB, found 1023"},
		{"bandwidth: {request: 1MiB, response: 1}", "routes[0].bandwidth.response: expected at least 1KiB, found 1"},
		{"bandwidth: {request: fast}", "routes[0].bandwidth.request: expected a number of bytes"},
		{"decompress: {algorithms: []}", "routes[0].decompress.algorithms: must not be empty"},
		{"decompress: {algorithms: [lz4]}", "routes[0].decompress.algorithms[0]: expected"},
		{"decompress: {max: -1}", "routes[0].decompress.max: expected a number of bytes"},
		{"upgrades: []", "routes[0].upgrades: must not be empty; expected protocols, such as \"websocket\", or \"none\"; remove the key to allow all"},
		{"upgrades: [none, websocket]", "routes[0].upgrades: \"none\" does not go with other protocols"},
		{"upgrades: [\"a b\"]", "routes[0].upgrades[0]: expected a protocol such as websocket, or \"none\""},
		{"mirror: [{cluster: a}, {cluster: a}]", "routes[0].mirror[1].cluster: \"a\" has a copy of each request already, by mirror[0]"},
		{"mirror: [{cluster: a, max_behind: x}]", "routes[0].mirror[0].max_behind: expected a number of bytes"},
		{"fault: {}", "routes[0].fault: it does nothing; expected delay, abort or headers: true"},
		{"fault: {headers: false}", "routes[0].fault: it does nothing; expected delay, abort or headers: true"},
		{"fault: {delay: {}}", "routes[0].fault.delay.fixed: required key is missing; expected a duration such as 250ms"},
		{"fault: {delay: {fixed: 1s, percent: 101}}", "routes[0].fault.delay.percent: expected a number from 0 to 100, found 101"},
		{"fault: {delay: {fixed: 0}}", "routes[0].fault.delay.fixed: expected a duration of at least 1ms, found 0s"},
		{"fault: {abort: {status: 100}}", "routes[0].fault.abort.status: expected an integer from 200 to 599, found 100"},
		{"fault: {abort: {grpc_status: 17}}", "routes[0].fault.abort.grpc_status: expected an integer from 0 to 16, found 17"},
		{"fault: {abort: {code: 1}}", "routes[0].fault.abort.code: unknown key"},
		{"max_requests: -1", "routes[0].max_requests: expected an integer of at least 0, found -1"},
		{"max_requests: 1, shed: {status: 500}", "routes[0].shed.status: expected 503 or 429, found 500"},
		{"max_requests: 1, shed: {status: 504}", "routes[0].shed.status: expected an integer from 429 to 503, found 504"},
		{"max_requests: 1, shed: {retry_after: -1s}", "routes[0].shed.retry_after: expected a duration of at least"},
		{"adaptive_concurrency: {min_concurrency: 0}", "routes[0].adaptive_concurrency.min_concurrency: expected an integer of at least 1, found 0"},
		{"adaptive_concurrency: {max_concurrency: 2}", "routes[0].adaptive_concurrency.min_concurrency: it is above max_concurrency, which is 2"},
		{"adaptive_concurrency: {min_rtt: {interval: 10ms}}", "routes[0].adaptive_concurrency.min_rtt.interval: expected a duration of at least 1s"},
		{"admission_control: {aggression: 0.5}", "routes[0].admission_control.aggression: expected a number of at least 1, found 0.5"},
		{"admission_control: {success_rate_threshold: 0}", "routes[0].admission_control.success_rate_threshold: expected a number from 1 to 100, found 0"},
		{"admission_control: {sampling_window: 10ms}", "routes[0].admission_control.sampling_window: expected a duration of at least 1s"},
		{"admission_control: {success_statuses: [2xx]}", `did you mean "200-299"?`},
		{"admission_control: {success_grpc_statuses: [17]}", "routes[0].admission_control.success_grpc_statuses[0]: expected an integer from 0 to 16, found 17"},
		{"queue: {}", "routes[0].queue: has no effect, as the route does not bound its requests; set max_requests or adaptive_concurrency, or remove the key"},
		{"max_requests: 1, queue: {max: 0}", "routes[0].queue.max: expected an integer of at least 1, found 0"},
		{"max_requests: 1, queue: {max_wait: 0}", "routes[0].queue.max_wait: expected a duration of at least 1ms, found 0s"},
		{"max_requests: 1, queue: {priority_header: a b}", "routes[0].queue.priority_header: expected the name of a header field"},
		{"priority: urgent", `routes[0].priority: expected one of "default", "high", found "urgent"`},
		{"stateful_session: {}", "routes[0].stateful_session: expected one of the keys cookie, header"},
		{"stateful_session: {cookie: {path: /}}", "routes[0].stateful_session.cookie.name: required key is missing"},
		{"stateful_session: {header: {}}", "routes[0].stateful_session.header.name: required key is missing"},
		{"stateful_session: {cookie: {name: a}, header: {name: x-a}}", "routes[0].stateful_session.header: does not go with cookie: expected only one of the keys cookie, header"},
		{"stateful_session: {header: {name: a b}}", "routes[0].stateful_session.header.name: expected the name of a header field"},
		{"stateful_session: {header: {name: Content-Length}}", `routes[0].stateful_session.header.name: "Content-Length" can't have the token of a session`},
		{"stateful_session: {header: {name: cookie}}", `routes[0].stateful_session.header.name: "cookie" can't have the token of a session: it has a meaning of its own; for a cookie, write cookie: {name: ...}`},
		{"stateful_session: {cookie: {name: a b}}", "routes[0].stateful_session.cookie.name: expected the name of a header field"},
		{"early_data: {allow: all}", `routes[0].early_data.allow: expected one of "safe", "none", found "all"`},
		{"basic_auth: {}", "routes[0].basic_auth.file: required key is missing; expected the path of a file"},
		{"basic_auth: {file: users, realm: 'a\"b'}", `routes[0].basic_auth.realm: expected a text of printable ASCII without " and \\, found "a\"b": it is sent in quotes`},
		{"basic_auth: {file: users, realm: Zürich}", "routes[0].basic_auth.realm: expected a text of printable ASCII"},
		{"basic_auth: {file: users, username_header: a b}", "routes[0].basic_auth.username_header: expected the name of a header field"},
		{"basic_auth: {file: users, username_header: Content-Length}", `routes[0].basic_auth.username_header: "Content-Length" can't be the field for a name:`},
		{"basic_auth: {file: users, username_header: Authorization}", `routes[0].basic_auth.username_header: "Authorization" can't be the field for a name: it has the password`},
		{"shed: {}", "routes[0].shed: has no effect, as the route has no limit; set max_requests, adaptive_concurrency or admission_control, or remove the key"},
		{"transcode: {descriptors: a.pb}", `routes[0].transcode: gRPC needs HTTP/2, and cluster "a" speaks HTTP/1.1; set clusters.a.protocol to http2`},
	} {
		_, err := Parse("test.yaml", []byte(routeWith(tt.keys)))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("%s: %v, want %q", tt.keys, err, tt.want)
		}
	}
}

// TestTranscodeErrors: what does not go with a translation to gRPC.
func TestTranscodeErrors(t *testing.T) {
	for _, tt := range []struct{ keys, want string }{
		{"cluster: a, transcode: {}", "routes[0].transcode.descriptors: required key is missing"},
		{"cluster: a, transcode: {descriptors: a.pb, max_message: 1MB}", "routes[0].transcode.max_message: expected a number of bytes"},
		{"cluster: a, transcode: {descriptors: a.pb}, rewrite: {path_prefix: /}", "routes[0].transcode: does not go with a rewrite of the path"},
		{"cluster: a, transcode: {descriptors: a.pb}, rewrite: {host: b.test}", ""},
		{"cluster: a, transcode: {descriptors: a.pb}, internal_redirects: {}", "routes[0].transcode: does not go with internal_redirects"},
		{"transcode: {descriptors: a.pb}, answer: {status: 200}", "routes[0].transcode: has no effect, as the proxy itself answers the requests of this route"},
	} {
		_, err := Parse("test.yaml", []byte("listeners: [{name: in, address: \":0\", routes: [{"+tt.keys+"}]}]\nclusters: {a: {protocol: http2, endpoints: [\"a:1\"]}}\n"))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.keys, err, tt.want)
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "65536": 65536, "64KiB": 65536, "10MiB": 10 << 20, "1024GiB": 1 << 40} {
		if n, err := Size(text); n != want || err != nil {
			t.Errorf("%s is %d (%v), want %d", text, n, err, want)
		}
	}
	for _, text := range []string{"", "KiB", "1 KiB", "1kib", "1B", "-1", "01", "1025GiB", "99999999999999999999", "1e3", "+1"} {
		if n, err := Size(text); err == nil {
			t.Errorf("%q is taken for %d", text, n)
		}
	}
	for text, want := range map[string]string{"10MB": "10MiB", "5 k": "5KiB", "1gib": "1GiB", "7": "", "10TB": ""} {
		if got := suggestSize(text); got != want {
			t.Errorf("%q suggests %q, want %q", text, got, want)
		}
	}
	c, err := Parse("test.yaml", []byte(routeWith("body: {max: 5}")))
	if err != nil || c.Listeners[0].Routes[0].Body.Max != "5" {
		t.Errorf("an integer is taken for %v (%v)", c, err)
	}
}
