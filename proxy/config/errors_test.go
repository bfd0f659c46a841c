package config

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/telemetry/accesslog"
)

type mistake struct {
	name string
	text string
	want string // without "hopscope.yaml:"
}

const (
	listenerKeys = "name, address, tls, http2, request_head_timeout, idle_timeout, stream_idle_timeout, abort_on_close, max_connection_age, max_connection_age_grace, max_connections, max_header_bytes, max_header_fields, " +
		"direction, path, routes, catalog, trusted_callers, forward_proxy, grpc_web, forwarded, forward_client_cert, via, proxy_status, server_timing, error_pages, trace_link"
	routeKeys  = "name, match, cluster, split, sticky, guard, cluster_header, allow_clusters, redirect, answer, rewrite, internal_redirects, request_headers, response_headers, mirror, timeout, idle_timeout, priority, retry, hedge, subset, stateful_session, host, slow_threshold, traces, " + policyKeys
	policyKeys = "basic_auth, bandwidth, body, compress, cors, error_bodies, decompress, fault, upgrades, early_data, max_requests, adaptive_concurrency, admission_control, queue, shed, transcode"
	rootKeys   = "service, admin, mesh, listeners, routes_from, clusters, consul, catalog, discovery, register, locality, telemetry, deadlines, overload, drain, log, upgrade_socket, huge_pages"
)

// oneCluster makes a valid file but for its cluster, which is in line 3.
func oneCluster(cluster string) string {
	return "listeners: [{name: in, address: ':80', routes: [{cluster: web}]}]\nclusters:\n  web: " + cluster + "\n"
}

func oneRoute(route string) string {
	return "clusters: {web: {endpoints: [web:80]}}\nlisteners:\n- name: in\n  address: :80\n  routes:\n  - " + route + "\n"
}

// oneTLS makes a valid file but for its listener's TLS, whose keys begin in
// line 5.
func oneTLS(keys string) string {
	return "listeners:\n- name: in\n  address: :443\n  tls:\n    " + strings.ReplaceAll(keys, "\n", "\n    ") + "\n  forward_proxy: {}\n"
}

const oneCertificate = "certificates: [{cert: a, key: b}]\n"

func oneDestination(destination string) string {
	return "listeners:\n- name: in\n  address: :80\n  forward_proxy:\n    allow:\n    - clients: [10.0.0.0/8]\n" +
		"      destinations: [" + destination + "]\n"
}

// mistakes has a row for each thing that can be wrong, with its exact message.
func mistakes() []mistake {
	return append(slices.Concat(upstreamMistakes(), matchMistakes(), actionMistakes()), []mistake{
		{"megabytes for bytes", "listeners: [{name: in, address: ':80', forward_proxy: {}}]\noverload: {max_memory_bytes: 64}\n",
			"2:30: overload.max_memory_bytes: expected at least 16777216 bytes, or 0 for the limit of the cgroup or the machine, found 64"},
		// The file as a whole.
		{"empty", "", "1:1: the file is empty; expected a mapping with listeners and clusters"},
		{"comments only", "# nothing\n", "1:1: the file is empty; expected a mapping with listeners and clusters"},
		{"a list", "- a\n", "1:1: expected a mapping, found a list"},
		{"a string", "hello\n", `1:1: expected a mapping, found "hello"`},
		{"null", "~\n", "1:1: expected a mapping, found nothing; write {} for the defaults, or remove the key"},
		{"invalid UTF-8", "service: caf\xe9\n", "1:13: the byte 0xe9 is not UTF-8; save the file as UTF-8"},
		{"UTF-16", "\xff\xfes\x00", "1:1: the file is UTF-16; save it as UTF-8"},
		{"NUL", "service: a\nlog: \x00\n", "2:6: the control character U+0000 is not allowed"},
		{"two documents", "service: a\n---\nservice: b\n", "2:1: a second YAML document begins here; a configuration is one document"},
		{"directive", "%YAML 1.2\n---\nservice: a\n", "1:1: YAML directives (%) are not supported: remove the line"},

		// Syntax.
		{"tab", "admin:\n\taddress: x\n", "2:1: YAML syntax: a tab can not indent YAML; use spaces"},
		{"open list", "listeners: [\n", "1:12: YAML syntax: sequence end token ']' not found"},
		{"open quote", "service: \"a\n", "1:10: YAML syntax: could not find end character of double-quoted text"},
		{"bad indent", "listeners:\n - name: x\n   address: y\n  routes: z\n", "4:3: YAML syntax: value is not allowed in this context"},
		{"IPv6 without quotes", "admin: \n  address: [::1]:80\n",
			`2:17: YAML syntax: value is not allowed in this context; an address in brackets needs quotes: "[::1]:8080"`},
		{"tag", with("    direction: !!str inbound\n"),
			"5:16: listeners[0].direction: YAML tags such as !!str are not supported: remove it, and write a string in quotes"},
		{"unknown alias", "clusters: &clusters {web: {endpoints: [a:80]}}\nlisteners: *cluster\n",
			`2:12: the alias "cluster" has no anchor before it; did you mean "clusters"?`},
		{"alias of itself", oneCluster("&c {<<: *c, endpoints: [a:80]}"), `3:16: this alias has no anchor before it; a string that begins with * needs quotes`},
		{"merge of a number", oneCluster("{<<: 5, endpoints: [a:80]}"),
			"3:13: clusters.web: << takes an alias of a mapping, or a list of such; found 5"},
		{"complex key", "? {a: b}\n: c\n", "2:1: YAML syntax: found an invalid key for this map"},

		// Access logs.
		{"an unknown operator", with("") + "telemetry: {access_log: {format: '%REQ(:METHOD)% %FILTER_STATE(a)%'}}\n",
			`8:34: telemetry.access_log.format: expected a format string such as "%REQ(:METHOD)% %RESPONSE_CODE%", found "%REQ(:METHOD)% %FILTER_STATE(a)%": there is no command operator %FILTER_STATE%; there are ` + strings.Join(accesslog.Operators(), ", ")},
		{"an unknown operator in JSON", with("") + "telemetry: {access_log: {json_format: {a: {b: '%REQ(Cookie)%'}}}}\n",
			`8:39: telemetry.access_log.json_format: a: b: %REQ(Cookie)%: cookie may hold credentials, and is not logged`},
		{"JSON that is none", with("") + "telemetry: {access_log: {json_format: [a]}}\n", `8:39: telemetry.access_log.json_format: expected a mapping, found a list`},
		{"a number that JSON does not have", with("") + "telemetry: {access_log: {json_format: {a: [0x10]}}}\n",
			`8:44: telemetry.access_log.json_format.a[0]: expected a string, a number, true, false, a list or a mapping, found 0x10`},
		{"an unknown field", with("") + "telemetry: {access_log: {fields: [time, tiem]}}\n",
			`8:41: telemetry.access_log.fields[1]: expected one of "` + strings.Join(accesslog.FieldNames(), `", "`) + `", found "tiem"; did you mean "time"?`},
		{"two formats", with("") + "telemetry: {access_log: {also: [{path: a, fields: [time], format: a}]}}\n",
			`8:67: telemetry.access_log.also[0].format: a log has one of fields, format and json_format: fields is there already`},
		{"a further log that is off", with("") + "telemetry: {access_log: {also: [{path: 'off'}]}}\n",
			`8:40: telemetry.access_log.also[0].path: "off" makes this log do nothing: remove it from the list`},
		{"lines of entries", with("") + "telemetry: {access_log: {als: {address: 'a:1'}, fields: [time]}}\n",
			`8:57: telemetry.access_log.fields: has no effect: it makes lines, and this log has none; entries of als have a form of their own`},
		{"a format of two lines", with("") + "telemetry: {access_log: {format: \"a\\nb\"}}\n", "8:34: telemetry.access_log.format: the control character U+000A is not allowed"},

		// Error pages.
		{"an error page for what is no error", with("    error_pages: [{statuses: [\"301\"], file: a}]\n"),
			`5:31: listeners[0].error_pages[0].statuses[0]: "301" is no error: expected statuses from 400 on`},
		{"an error page for a class", with("    error_pages: [{statuses: [5xx], file: a}]\n"),
			`5:31: listeners[0].error_pages[0].statuses[0]: expected a status or a range of them such as 200 or 200-299, found "5xx": "5xx" is not a status; did you mean "500-599"?`},
		{"too many error pages", with("    error_pages: [" + strings.Repeat("{file: a}, ", 101) + "]\n"), `5:18: listeners[0].error_pages: expected at most 100 pages, found 101`},
		{"a link to traces for the public", with("    trace_link: http://a/%TRACE_ID%\n    proxy_status: pass\n"),
			`5:17: listeners[0].trace_link: has no effect while proxy_status is "pass", as errors tell nothing of the mesh then; set proxy_status to "append", or remove the key`},
		{"a link to no trace", with("    trace_link: http://a/\n"),
			`5:17: listeners[0].trace_link: expected the URL of a trace such as http://127.0.0.1:16686/trace/%TRACE_ID%, found "http://a/": it has no %TRACE_ID%, where the id of the trace goes`},

		// Keys.
		{"unknown key", with("    clustr: web\n"), "5:5: listeners[0].clustr: unknown key (valid keys: " + listenerKeys + ")"},
		{"unknown key near one", oneRoute("cluster: web\n    time_out: 1s"),
			`7:5: listeners[0].routes[0].time_out: unknown key; did you mean "timeout"? (valid keys: ` + routeKeys + ")"},
		{"misspelt required key is one mistake", oneRoute("clustr: web"),
			`6:5: listeners[0].routes[0].clustr: unknown key; did you mean "cluster"? (valid keys: ` + routeKeys + ")"},
		{"camel case", with("    proxyStatus: cut\n"),
			`5:5: listeners[0].proxyStatus: unknown key; did you mean "proxy_status"? (valid keys: ` + listenerKeys + ")"},
		{"unknown key at the top", with("") + "listners: []\n",
			`8:1: listners: unknown key; did you mean "listeners"? (valid keys: ` + rootKeys + ")"},
		{"unknown key that needs quotes", with("") + "\"a b\": 1\n", `8:1: ["a b"]: unknown key (valid keys: ` + rootKeys + ")"},
		{"duplicate key", with("    via: true\n    via: true\n"), "6:5: listeners[0].via: duplicate key; the first is in line 5"},
		{"duplicate cluster", oneCluster("{endpoints: [a:80]}\n  web: {endpoints: [b:80]}"),
			"4:3: clusters.web: duplicate key; the first is in line 3"},
		{"missing key", "clusters: {}\n", "1:1: listeners: required key is missing; expected a list of mappings"},
		{"missing key of an item", "listeners:\n  - address: :80\n    forward_proxy: {}\n",
			"2:5: listeners[0].name: required key is missing; expected a name of 1 to 255 printable ASCII characters"},
		{"null for a mapping", with("") + "telemetry:\n", "8:1: telemetry: expected a mapping, found nothing; write {} for the defaults, or remove the key"},
		{"null for a string", with("    direction:\n"),
			`5:5: listeners[0].direction: expected one of "inbound", "outbound", found nothing; write a value, or remove the key for the default`},
		{"number as a name", oneCluster("{endpoints: [a:80]}\n  5: {endpoints: [a:80]}"), "4:3: clusters: expected a name, found 5; write it in quotes"},

		// Types.
		{"string for a list", oneCluster("{endpoints: 127.0.0.1:80}"),
			`3:20: clusters.web.endpoints: expected a list, each item a host and port such as 127.0.0.1:3000, found "127.0.0.1:80"; did you mean ["127.0.0.1:80"]?`},
		{"mapping for a list", "listeners: {name: a}\n", "1:12: listeners: expected a list of mappings, found a mapping; put it in a list: [{...}]"},
		{"list for a mapping", "listeners:\n- [a]\n", "2:3: listeners[0]: expected a mapping, found a list"},
		{"mapping for a string", with("    direction: {a: b}\n"), `5:16: listeners[0].direction: expected one of "inbound", "outbound", found a mapping`},
		{"number for a string", with("") + "service: 5\n",
			`8:10: service: expected a name of 1 to 255 printable ASCII characters, found 5; write it in quotes: "5"`},
		{"port for an address", with("") + "admin: {address: 9901}\n",
			`8:18: admin.address: expected a listen address such as 0.0.0.0:8080, or "off", found 9901; did you mean ":9901"?`},
		{"yes for true", with("    via: yes\n"), `5:10: listeners[0].via: expected true or false, found "yes"; did you mean true?`},
		{"number for a duration", with("    idle_timeout: 30\n"),
			"5:19: listeners[0].idle_timeout: expected a duration such as 250ms, found 30; did you mean 30s?"},
		{"days", with("    idle_timeout: 2d\n"), `5:19: listeners[0].idle_timeout: expected a duration such as 250ms, found "2d"; did you mean 48h?`},
		{"space in a duration", with("    idle_timeout: 30 S\n"), `5:19: listeners[0].idle_timeout: expected a duration such as 250ms, found "30 S"; did you mean 30s?`},
		{"word for a duration", with("    idle_timeout: never\n"), `5:19: listeners[0].idle_timeout: expected a duration such as 250ms, found "never"`},
		{"string for an integer", with("    max_connections: \"5\"\n"),
			`5:22: listeners[0].max_connections: expected an integer of at least 0, found "5"; write it without quotes`},
		{"fraction for an integer", with("    max_connections: 1.5\n"), "5:22: listeners[0].max_connections: expected an integer of at least 0, found 1.5"},
		{"octal", with("    max_connections: 010\n"), "5:22: listeners[0].max_connections: expected an integer of at least 0, found 010"},
		{"unit", with("    max_header_bytes: 60KiB\n"), `5:23: listeners[0].max_header_bytes: expected an integer from 1024 to 1048576, found "60KiB"`},
		{"not a number", with("") + "telemetry: {traces: {sample: .nan}}\n", "8:30: telemetry.traces.sample: expected a number from 0 to 1, found .nan"},
		{"address for a network", "listeners:\n- name: in\n  address: :80\n  forward_proxy:\n    allow: [{clients: [10.0.0.1], destinations: ['*']}]\n",
			`5:24: listeners[0].forward_proxy.allow[0].clients[0]: expected a network such as 10.0.0.0/8, found "10.0.0.1"; did you mean "10.0.0.1/32"?`},

		// Ranges and words.
		{"below", with("    max_header_bytes: 5\n"), "5:23: listeners[0].max_header_bytes: expected an integer from 1024 to 1048576, found 5"},
		{"above", with("    max_header_fields: 10001\n"), "5:24: listeners[0].max_header_fields: expected an integer from 1 to 10000, found 10001"},
		{"overflow", with("    max_connections: 99999999999999999999\n"),
			"5:22: listeners[0].max_connections: expected an integer of at least 0, found 99999999999999999999"},
		{"sample", with("") + "telemetry: {traces: {sample: 1.5}}\n", "8:30: telemetry.traces.sample: expected a number from 0 to 1, found 1.5"},
		{"duration below", with("    idle_timeout: 0s\n"), "5:19: listeners[0].idle_timeout: expected a duration of at least 1ms, found 0s"},
		{"negative duration", oneRoute("cluster: web\n    timeout: -5s"),
			"7:14: listeners[0].routes[0].timeout: expected a duration of at least 0s, found -5s"},
		{"bad enum", with("    direction: inbond\n"),
			`5:16: listeners[0].direction: expected one of "inbound", "outbound", found "inbond"; did you mean "inbound"?`},
		{"bad enum far from all", with("    direction: sideways\n"), `5:16: listeners[0].direction: expected one of "inbound", "outbound", found "sideways"`},
		{"enum in a list", with("") + "telemetry: {traces: {inject: [w3c, b3-multi]}}\n",
			`8:36: telemetry.traces.inject[1]: expected one of "w3c", "b3", "b3multi", "jaeger", "xray", found "b3-multi"; did you mean "b3multi"?`},
		{"listed twice", with("") + "telemetry: {traces: {inject: [w3c, w3c]}}\n", `8:36: telemetry.traces.inject[1]: "w3c" is listed twice; it is item 0 as well`},
		{"empty string", with("    direction: \"\"\n"), `5:16: listeners[0].direction: must not be empty; expected one of "inbound", "outbound"`},
		{"empty optional string", oneRoute("cluster: web\n    host: ''"),
			"7:11: listeners[0].routes[0].host: must not be empty; expected a host, with or without a port, such as example.com"},
		{"empty required list", oneCluster("{endpoints: []}"),
			"3:20: clusters.web.endpoints: must not be empty; expected a list, each item a host and port such as 127.0.0.1:3000"},
		{"no listener", "listeners: []\n", "1:12: listeners: must not be empty; expected a list of mappings"},
		{"control character", with("") + "telemetry: {access_log: {path: \"a\\nb\"}}\n", "8:32: telemetry.access_log.path: the control character U+000A is not allowed"},
		{"name not ASCII", with("") + "service: caf\u00e9\n",
			`8:10: service: expected a name of 1 to 255 printable ASCII characters, found "café": 'é' is not among them`},
		{"empty cluster name", oneCluster("{endpoints: [a:80]}\n  '': {endpoints: [a:80]}"), `4:7: clusters[""]: the name must not be empty`},

		{"columns count characters", `{service: "\n\u00e9é", log: {level: inf}, listeners: [{name: a, address: ":0", forward_proxy: {}}]}`,
			"1:11: service: the control character U+000A is not allowed\n" +
				`1:37: log.level: expected one of "debug", "info", "warn", "error", found "inf"; did you mean "info"?`},

		// Formats.
		{"listen without port", with("") + "admin: {address: localhost}\n",
			`8:18: admin.address: expected a listen address such as 0.0.0.0:8080, or "off", found "localhost": the port is missing`},
		{"admin for everyone", with("") + "admin: {address: 0.0.0.0:9901}\n",
			`8:18: admin.address: "0.0.0.0:9901" is not on loopback, and there everyone could read traces and drain the proxy; ` +
				`set admin.token_file, mesh.token_file or admin.tls.client_ca, or admin.insecure to true if the network keeps strangers out`},
		{"admin on every interface", with("") + "admin: {address: \":9901\", tls: {cert: a, key: b}}\n",
			`8:18: admin.address: ":9901" is not on loopback, and there everyone could read traces and drain the proxy; ` +
				`set admin.token_file, mesh.token_file or admin.tls.client_ca, or admin.insecure to true if the network keeps strangers out`},
		{"insecure with a token", with("") + "admin: {address: \":9901\", token_file: a, insecure: true}\n",
			`8:52: admin.insecure: everyone can't be let in while a token or a client certificate is asked for; remove the key, or what asks for them`},
		{"names without authorities", with("") + "admin: {tls: {cert: a, key: b, control_san: [ops]}}\n",
			`8:45: admin.tls.control_san: has no effect without client_ca, as no client is asked for a certificate; set client_ca, or remove the key`},
		{"mesh without an admin API", with("") + "admin: {address: \"off\"}\nmesh: {}\n",
			`9:7: mesh: has no effect while admin.address is "off", as members ask each other by the admin API; set admin.address, or remove the key`},
		{"mesh in plain text", with("") + "admin: {tls: {cert: a, key: b}}\nmesh: {}\n",
			`8:14: admin.tls: the proxies of the mesh can't ask this one over TLS; set mesh.tls.ca in all of them`},
		{"mesh without a certificate", with("") + "mesh: {tls: {ca: a}, token_file: b}\n",
			`8:13: mesh.tls: the admin API has no certificate to serve TLS with; set cert and key, or admin.tls`},
		{"mesh with nothing to show", with("") + "admin: {tls: {cert: a, key: b}}\nmesh: {tls: {ca: a}}\n",
			`9:13: mesh.tls: this proxy has nothing to show to the others; set cert and key, or mesh.token_file`},
		{"misspelt off", with("") + "admin: {address: offf}\n",
			`8:18: admin.address: expected a listen address such as 0.0.0.0:8080, or "off", found "offf": the port is missing; did you mean "off"?`},
		{"listen with star", with("") + "admin: {address: '*:80'}\n",
			`8:18: admin.address: expected a listen address such as 0.0.0.0:8080, or "off", found "*:80": "*" is neither a host name nor an IP address; did you mean ":80"?`},
		{"IPv6 without brackets", oneCluster("{endpoints: ['::1:80']}"),
			`3:21: clusters.web.endpoints[0]: expected a host and port such as 127.0.0.1:3000, found "::1:80": an IPv6 address goes in brackets; did you mean "[::1]:80"?`},
		{"bad IPv6", oneCluster("{endpoints: ['[::g]:80']}"),
			`3:21: clusters.web.endpoints[0]: expected a host and port such as 127.0.0.1:3000, found "[::g]:80": [::g] is not an IPv6 address`},
		{"bad IPv4", oneCluster("{endpoints: ['10.0.0.256:80']}"),
			`3:21: clusters.web.endpoints[0]: expected a host and port such as 127.0.0.1:3000, found "10.0.0.256:80": "10.0.0.256" is neither a host name nor an IP address`},
		{"URL for an address", oneCluster("{endpoints: ['http://web:80/']}"),
			`3:21: clusters.web.endpoints[0]: expected a host and port such as 127.0.0.1:3000, found "http://web:80/": it is a URL, not an address; did you mean "web:80"?`},
		{"port 0", oneCluster("{endpoints: ['web:0']}"),
			`3:21: clusters.web.endpoints[0]: expected a host and port such as 127.0.0.1:3000, found "web:0": port 0 can not be connected to`},
		{"port too high", oneCluster("{endpoints: ['web:65536']}"),
			`3:21: clusters.web.endpoints[0]: expected a host and port such as 127.0.0.1:3000, found "web:65536": the port 65536 is above 65535`},
		{"port by name", oneCluster("{endpoints: ['web:http']}"),
			`3:21: clusters.web.endpoints[0]: expected a host and port such as 127.0.0.1:3000, found "web:http": the port "http" is not a number`},
		{"no host", oneCluster("{endpoints: [':80']}"),
			`3:21: clusters.web.endpoints[0]: expected a host and port such as 127.0.0.1:3000, found ":80": the host is missing`},
		{"path without slash", oneRoute("{cluster: web, match: {path_prefix: api}}"),
			`6:41: listeners[0].routes[0].match.path_prefix: expected a path such as /api/, found "api": it must begin with "/"; did you mean "/api"?`},
		{"path with query", oneRoute("{cluster: web, match: {path: '/a?b'}}"),
			`6:34: listeners[0].routes[0].match.path: expected a path such as /api/, found "/a?b": a path has no '?': query and fragment are not matched`},
		{"host with port", oneRoute("{cluster: web, match: {hosts: ['a.b:80']}}"),
			`6:36: listeners[0].routes[0].match.hosts[0]: expected a host without port such as example.com or "*.example.com", found "a.b:80": "a.b:80" is neither a host name nor an IP address; did you mean "a.b"?`},
		{"every host", oneRoute("{cluster: web, match: {hosts: ['*']}}"),
			`6:36: listeners[0].routes[0].match.hosts[0]: expected a host without port such as example.com or "*.example.com", found "*": to match every host, leave the key out`},
		{"method in lower case", oneRoute("{cluster: web, match: {methods: [get]}}"),
			`6:38: listeners[0].routes[0].match.methods[0]: expected a method such as GET, found "get": methods are case-sensitive; did you mean "GET"?`},
		{"network with host bits", "listeners:\n- name: in\n  address: :80\n  forward_proxy:\n    allow: [{clients: [10.0.0.1/8], destinations: ['*']}]\n",
			`5:24: listeners[0].forward_proxy.allow[0].clients[0]: expected a network such as 10.0.0.0/8, found "10.0.0.1/8": it has bits beyond its prefix: write 10.0.0.0/8`},
		{"destination", oneDestination("'::1'"),
			`7:22: listeners[0].forward_proxy.allow[0].destinations[0]: expected a destination such as example.com, *.example.com:443, 10.0.0.0/8 or *, found "::1": an IPv6 address goes in brackets`},
		{"URL without scheme", with("") + "telemetry: {traces: {zipkin: {url: 'zipkin:9411'}}}\n",
			`8:36: telemetry.traces.zipkin.url: expected a URL such as http://127.0.0.1:9411/api/v2/spans, found "zipkin:9411": it must begin with http:// or https://`},
		{"header name", with("") + "telemetry: {traces: {otlp: {endpoint: a:80, headers: {a b: c}}}}\n",
			`8:60: telemetry.traces.otlp.headers["a b"]: expected the name of a header field, found "a b"`},
		{"header name of one exporter of several", with("") + "telemetry: {traces: {exporters: [{otlp: {endpoint: a:80, headers: {a b: c}}}]}}\n",
			`8:73: telemetry.traces.exporters[0].otlp.headers["a b"]: expected the name of a header field, found "a b"`},
		{"exporter to nowhere", with("") + "telemetry: {traces: {exporters: [{}]}}\n", "8:34: telemetry.traces.exporters[0]: expected one of the keys otlp, zipkin"},
		{"exporter to two", with("") + "telemetry: {traces: {exporters: [{otlp: {endpoint: a:80}, zipkin: {url: http://a}}]}}\n",
			"8:67: telemetry.traces.exporters[0].zipkin: does not go with otlp: expected only one of the keys otlp, zipkin"},
		{"OTLP over HTTP by another name", with("") + "telemetry: {traces: {otlp: {endpoint: a:80, protocol: http}}}\n",
			`8:55: telemetry.traces.otlp.protocol: expected one of "grpc", "http/protobuf", found "http"; did you mean "http/protobuf"?`},
		{"word for TLS", with("") + "telemetry: {traces: {otlp: {endpoint: a:80, tls: yes}}}\n",
			`8:50: telemetry.traces.otlp.tls: expected a mapping, true or false, found "yes"`},
		{"certificate without a key", with("") + "telemetry: {traces: {otlp: {endpoint: a:80, tls: {cert: a.pem}}}}\n",
			"8:50: telemetry.traces.otlp.tls.key: required key is missing with cert; expected the path of a file with the certificate's private key"},
		{"TLS and plain text", with("") + "telemetry: {traces: {otlp: {endpoint: 'http://a:80', tls: {}}}}\n",
			"8:39: telemetry.traces.otlp.endpoint: http is plain text, but tls is set; write https, or remove tls"},
		{"path over gRPC", with("") + "telemetry: {traces: {otlp: {endpoint: 'http://a:80/v1/traces'}}}\n",
			`8:39: telemetry.traces.otlp.endpoint: gRPC has no path; remove it, or set protocol to "http/protobuf"`},
		{"password of a collector", with("") + "telemetry: {traces: {otlp: {endpoint: 'http://u:pw@a:80'}}}\n",
			`8:39: telemetry.traces.otlp.endpoint: expected a host and port such as 127.0.0.1:4317, or a URL such as https://collector:4318/v1/traces, found "http://REDACTED@a:80": a user or a password has no place in it: put it in headers`},
		{"query of a collector", with("") + "telemetry: {traces: {otlp: {endpoint: 'http://a:80?k=pw'}}}\n",
			`8:39: telemetry.traces.otlp.endpoint: expected a host and port such as 127.0.0.1:4317, or a URL such as https://collector:4318/v1/traces, found "http://a:80?k=REDACTED": OTLP has no query: put what is secret in headers`},

		// TLS.
		{"no certificate", oneTLS("min_version: '1.2'"), "5:5: listeners[0].tls.certificates: required key is missing; expected a list of mappings"},
		{"empty certificates", oneTLS("certificates: []"), "5:19: listeners[0].tls.certificates: must not be empty; expected a list of mappings"},
		{"certificate without key", oneTLS("certificates: [{cert: a}]"),
			"5:20: listeners[0].tls.certificates[0].key: required key is missing; expected the path of a file"},
		{"version as a number", oneTLS(oneCertificate + "min_version: 1.2"),
			`6:18: listeners[0].tls.min_version: expected one of "1.2", "1.3", found 1.2; write it in quotes: "1.2"`},
		{"old version", oneTLS(oneCertificate + "min_version: '1.1'"),
			`6:18: listeners[0].tls.min_version: expected one of "1.2", "1.3", found "1.1"; did you mean "1.2"?`},
		{"versions the wrong way round", oneTLS(oneCertificate + "min_version: '1.3'\nmax_version: '1.2'"),
			`7:18: listeners[0].tls.max_version: "1.2" is below min_version, which is "1.3"`},
		{"versions of a cluster the wrong way round", oneCluster("{endpoints: [a:80], tls: {min_version: '1.3', max_version: '1.2'}}"),
			`3:67: clusters.web.tls.max_version: "1.2" is below min_version, which is "1.3"`},
		{"no protocol", oneTLS(oneCertificate + "alpn: []"),
			`6:11: listeners[0].tls.alpn: must not be empty; expected "h2", "http/1.1" or both: remove the key for both`},
		{"unknown protocol", oneTLS(oneCertificate + "alpn: [h2, http/1.0]"),
			`6:16: listeners[0].tls.alpn[1]: expected one of "h2", "http/1.1", found "http/1.0"; did you mean "http/1.1"?`},
		{"clients without authorities", oneTLS(oneCertificate + "client_auth: require"),
			`5:5: listeners[0].tls.client_ca: required key is missing with client_auth "require"; expected the path of a file with the authorities that sign the clients' certificates`},
		{"empty authorities", oneTLS(oneCertificate + "client_auth: require\nclient_ca: ''"),
			"7:16: listeners[0].tls.client_ca: must not be empty; expected the path of a file"},
		{"misspelt authorities", oneTLS(oneCertificate + "client_auth: require\nclientca: x"),
			`7:5: listeners[0].tls.clientca: unknown key; did you mean "client_ca"? (valid keys: certificates, client_auth, client_ca, client_san, crl, ` +
				"min_version, max_version, alpn, session_tickets, handshake_timeout)"},
		{"misspelt client_auth", oneTLS(oneCertificate + "client_auth: required\nclient_ca: x"),
			`6:18: listeners[0].tls.client_auth: expected one of "none", "request", "require", found "required"; did you mean "require"?`},
		{"client_auth of a wrong type is one mistake", oneTLS(oneCertificate + "client_auth: true\nclient_ca: x"),
			`6:18: listeners[0].tls.client_auth: expected one of "none", "request", "require", found true`},
		{"clients' names for nobody", oneTLS(oneCertificate + "client_ca: ca.pem\nclient_san: [a]\ncrl: crl.pem"),
			`6:16: listeners[0].tls.client_ca: has no effect while client_auth is "none", as no client is asked for a certificate; set client_auth to "request" or "require", or remove the key
7:17: listeners[0].tls.client_san: has no effect while client_auth is "none", as no client is asked for a certificate; set client_auth to "request" or "require", or remove the key
8:10: listeners[0].tls.crl: has no effect while client_auth is "none", as no client is asked for a certificate; set client_auth to "request" or "require", or remove the key`},
		{"SPIFFE id with a star inside", oneTLS(oneCertificate + "client_auth: require\nclient_ca: x\nclient_san: ['spiffe://mesh/*/web']"),
			`8:18: listeners[0].tls.client_san[0]: expected a DNS name such as api.internal or "*.internal", or a SPIFFE id such as "spiffe://mesh/ns/default/*", ` +
				`found "spiffe://mesh/*/web": "*" stands for whole segments, at the end of the path alone`},
		{"SPIFFE id in capitals", oneCluster("{endpoints: [a:80], tls: {san: ['SPIFFE://Mesh/Web/']}}"),
			`3:40: clusters.web.tls.san[0]: expected a DNS name such as api.internal or "*.internal", or a SPIFFE id such as "spiffe://mesh/ns/default/*", ` +
				`found "SPIFFE://Mesh/Web/": of URIs, only SPIFFE ids are matched: they begin with spiffe://; did you mean "spiffe://mesh/Web"?`},
		{"pin as curl has it", oneCluster("{endpoints: [a:80], tls: {spki: ['sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=']}}"),
			`3:41: clusters.web.tls.spki[0]: expected the SHA-256 of a public key, 44 characters of base64, found "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=": ` +
				`it stands for 38 bytes, and a SHA-256 has 32; did you mean "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="?`},
		{"address as a name", oneCluster("{endpoints: [a:80], tls: {sni: 10.0.0.1}}"),
			`3:39: clusters.web.tls.sni: expected a host name such as api.internal, found "10.0.0.1": an IP address is not sent as a name (RFC 6066 section 3)`},
		{"certificate of a cluster without key", oneCluster("{endpoints: [a:80], tls: {cert: me.pem}}"),
			"3:33: clusters.web.tls.key: required key is missing with cert; expected the path of a file with the certificate's private key"},
		{"key of a cluster without certificate", oneCluster("{endpoints: [a:80], tls: {key: me.key}}"),
			"3:33: clusters.web.tls.cert: required key is missing with key; expected the path of a file with the key's certificate"},
		{"key of a cluster misspelt", oneCluster("{endpoints: [a:80], tls: {cert: a, kye: b}}"),
			`3:43: clusters.web.tls.kye: unknown key; did you mean "key"? (valid keys: ca, sni, cert, key, san, spki, crl, insecure_skip_verify, min_version, max_version)`},
		{"protocol of a cluster", oneCluster("{endpoints: [a:80], protocol: h2c}"),
			`3:38: clusters.web.protocol: expected one of "http1", "http2", "auto", found "h2c"`},
		{"TLS as in a collector", oneCluster("{endpoints: [a:80], tls: true}"), "3:33: clusters.web.tls: expected a mapping, found true; did you mean {}?"},
		{"window", oneCluster("{endpoints: [a:80], http2: {stream_window: 65534}}"),
			"3:51: clusters.web.http2.stream_window: expected an integer from 65535 to 16777216, found 65534"},

		// Secrets do not come back in messages.
		{"secret in a URL", with("") + "telemetry: {traces: {zipkin: {url: 'ftp://u:pw@h/?k=pw'}}}\n",
			`8:36: telemetry.traces.zipkin.url: expected a URL such as http://127.0.0.1:9411/api/v2/spans, found "ftp://REDACTED@h/?k=REDACTED": it must begin with http:// or https://`},
		{"secret in a URL that is none", with("") + "telemetry: {traces: {zipkin: {url: 'http://u:p/w@h/'}}}\n",
			`8:36: telemetry.traces.zipkin.url: expected a URL such as http://127.0.0.1:9411/api/v2/spans, found "http://REDACTED@h/": it can not be parsed`},
		{"secret of a wrong type", with("") + "telemetry: {traces: {otlp: {endpoint: a:80, headers: {k: 1234}}}}\n",
			"8:58: telemetry.traces.otlp.headers.k: expected a string, found a value that is not a string"},
		{"key for the path of a key", oneTLS("certificates: [{cert: a, key: '-----BEGIN PRIVATE KEY----- MC4CAQAw'}]"),
			"5:35: listeners[0].tls.certificates[0].key: expected the path of a file, found a string that is not shown: it is the content of a file, not its path"},

		// Across keys.
		{"unknown cluster", oneRoute("cluster: wbe"), `6:14: listeners[0].routes[0].cluster: there is no cluster "wbe"; did you mean "web"?`},
		{"no clusters", "listeners: [{name: a, address: ':80', routes: [{cluster: web}]}]\n",
			`1:58: listeners[0].routes[0].cluster: there is no cluster "web"; there are no clusters`},
		{"same name", "listeners:\n- {name: a, address: ':80', forward_proxy: {}}\n- {name: a, address: ':81', forward_proxy: {}}\n",
			`3:10: listeners[1].name: "a" is the name of listeners[0] already`},
		{"same address", "listeners:\n- {name: a, address: '0.0.0.0:80', forward_proxy: {}}\n- {name: b, address: '127.0.0.1:80', forward_proxy: {}}\n",
			`3:22: listeners[1].address: "127.0.0.1:80" can't be bound: listeners[0].address takes it already`},
		{"address of the admin API", "listeners: [{name: a, address: ':9901', forward_proxy: {}}]\n",
			`1:32: listeners[0].address: ":9901" can't be bound: admin.address takes it already`},
		{"listener that does nothing", "listeners:\n- name: a\n  address: :80\n", "2:3: listeners[0]: the listener does nothing; expected routes, catalog or forward_proxy"},
		{"routes of a wrong type are one mistake", "listeners:\n- name: a\n  address: :80\n  routes: web\n",
			`4:11: listeners[0].routes: expected a list of mappings, found "web"`},
		{"clusters of a wrong type are one mistake", "listeners: [{name: a, address: ':80', routes: [{cluster: web}]}]\nclusters: [web]\n",
			"2:11: clusters: expected a mapping, found a list"},
		{"all mistakes, in order", "log: {level: inf}\nlisteners:\n- name: a\n  routes: [{cluster: x, timout: 5}]\n  via: 5\nclusters: {y: {}}\n",
			`1:14: log.level: expected one of "debug", "info", "warn", "error", found "inf"; did you mean "info"?
3:3: listeners[0].address: required key is missing; expected a listen address such as 0.0.0.0:8080
4:22: listeners[0].routes[0].cluster: there is no cluster "x"
4:25: listeners[0].routes[0].timout: unknown key; did you mean "timeout"? (valid keys: ` + routeKeys + `)
5:8: listeners[0].via: expected true or false, found 5
6:15: clusters.y: expected one of the keys endpoints, static, consul, dns, file`},
	}...)
}

func TestMistakes(t *testing.T) {
	for _, tt := range mistakes() {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse("hopscope.yaml", []byte(tt.text))
			if err == nil {
				t.Fatalf("accepted: %+v", c)
			}
			got := strings.ReplaceAll("\n"+err.Error(), "\nhopscope.yaml:", "\n")[1:]
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
			var list Errors
			if !errors.As(err, &list) || c != nil {
				t.Errorf("%T, and the config %v", err, c)
			}
		})
	}
}

func TestMistakesWithCRLF(t *testing.T) {
	for _, tt := range mistakes() {
		_, err := Parse("", []byte(strings.ReplaceAll(tt.text, "\n", "\r\n")))
		_, want := Parse("", []byte(tt.text))
		if err == nil || err.Error() != want.Error() {
			t.Errorf("%s:\ngot  %v\nwant %v", tt.name, err, want)
		}
	}
}

func TestValidateBuilt(t *testing.T) {
	c := New()
	c.Service = ""
	in := NewListener("in", "127.0.0.1")
	in.Routes = []Route{NewRoute("wbe"), NewRoute("")}
	in.IdleTimeout = 0
	in.ForwardProxy = NewForwardProxy()
	in.ForwardProxy.Allow = []ForwardAllow{{Destinations: []string{""}}}
	c.Listeners = []Listener{in, NewListener("out", ":0")}
	c.Clusters["web"] = NewCluster()
	names := NewCluster()
	names.DNS, names.Retry, names.Hedge = NewDNS("a", 0), NewRetry(), NewHedge(0)
	names.Balance.Policy, names.Balance.Hash = "maglev", []HashOn{{Header: "x-user"}, NewHashOn()}
	c.Clusters["names"] = names
	c.Telemetry.Traces.OTLP = NewOTLP("collector")
	c.Telemetry.Traces.Zipkin = NewZipkin("")
	want := `service: must not be empty; expected a name of 1 to 255 printable ASCII characters
listeners[0].address: expected a listen address such as 0.0.0.0:8080, found "127.0.0.1": the port is missing
listeners[0].idle_timeout: expected a duration of at least 1ms, found 0s
listeners[0].routes[0].cluster: there is no cluster "wbe"; did you mean "web"?
listeners[0].forward_proxy.allow[0].clients: must not be empty; expected a list, each item a network such as 10.0.0.0/8
listeners[0].forward_proxy.allow[0].destinations[0]: must not be empty; expected a destination such as example.com, *.example.com:443, 10.0.0.0/8 or *
clusters.names.balance.hash[0].cookie_path: must not be empty; expected a path such as /api/
clusters.names.hedge.after: expected a duration of at least 1ms, found 0s
telemetry.traces.otlp.endpoint: expected a host and port such as 127.0.0.1:4317, or a URL such as https://collector:4318/v1/traces, found "collector": the port is missing
telemetry.traces.zipkin.url: must not be empty; expected a URL such as http://127.0.0.1:9411/api/v2/spans
listeners[0].routes[1]: expected one of the keys cluster, split, cluster_header, redirect, answer
listeners[1]: the listener does nothing; expected routes, catalog or forward_proxy
clusters.names.dns.port: expected an integer from 1 to 65535, found 0: addresses have no port (records of type "srv" have)
clusters.names.balance.hash[1]: expected one of the keys header, cookie, query, source, path
clusters.names.retry.on: must not be empty; expected a list, each item one of ` + retryWords + `
clusters.web: expected one of the keys endpoints, static, consul, dns, file`
	err := c.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	if d := cmp.Diff(want, err.Error()); d != "" {
		t.Error(d)
	}

	c = New()
	out := NewListener("out", ":0")
	out.ForwardProxy = NewForwardProxy()
	c.Listeners = []Listener{out}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}
