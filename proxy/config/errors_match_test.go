package config

func oneMatch(match string) string { return oneRoute("match: {" + match + "}\n    cluster: web") }

// matchMistakes has the rows of [mistakes] about matches.
func matchMistakes() []mistake {
	const conditions = "exact, prefix, suffix, contains, regex, range, present, absent, not"
	return []mistake{
		{"no condition on a field", oneMatch("headers: {x-a: {}}"), "6:28: listeners[0].routes[0].match.headers.x-a: expected one of the keys " + conditions},
		{"two conditions on a field", oneMatch("headers: {x-a: {exact: b, present: true}}"),
			"6:48: listeners[0].routes[0].match.headers.x-a.present: does not go with exact: expected only one of the keys " + conditions},
		{"two inverted conditions", oneMatch("query: {v: {not: {exact: b, regex: c}}}"),
			"6:48: listeners[0].routes[0].match.query.v.not.regex: does not go with exact: expected only one of the keys exact, prefix, suffix, contains, regex, range"},
		{"a value in the place of a condition", oneMatch("headers: {x-a: beta}"),
			`6:28: listeners[0].routes[0].match.headers.x-a: expected a mapping, found "beta"; did you mean {exact: beta}?`},
		{"a regular expression", oneMatch("path_regex: '/(a'"),
			"6:25: listeners[0].routes[0].match.path_regex: expected a regular expression (RE2) such as /v[0-9]+/.*, found \"/(a\": missing closing ): `/(a`"},
		{"a template", oneMatch("path_template: '/{id}x{b}'"),
			`6:28: listeners[0].routes[0].match.path_template: expected a template of a path such as /cart/{id}/items, found "/{id}x{b}": behind "*" or a variable only text may follow, and only at the end, as in /videos/*.mp4`},
		{"a template without a slash", oneMatch("path_template: 'cart/{id}'"),
			`6:28: listeners[0].routes[0].match.path_template: expected a template of a path such as /cart/{id}/items, found "cart/{id}": it must begin with "/"; did you mean "/cart/{id}"?`},
		{"a range of one", oneMatch("headers: {x-a: {range: [1]}}"), "6:36: listeners[0].routes[0].match.headers.x-a.range: expected two integers such as [100, 200], found 1"},
		{"an empty range", oneMatch("headers: {x-a: {range: [2, 2]}}"),
			"6:36: listeners[0].routes[0].match.headers.x-a.range: expected two integers such as [100, 200]: the first below the second, which is not in the range; found [2, 2]"},
		{"a case of no text", oneMatch("headers: {x-a: {regex: a, ignore_case: true}}"),
			"6:52: listeners[0].routes[0].match.headers.x-a.ignore_case: has no effect without exact, prefix, suffix or contains; in a regular expression write (?i) in front"},
		{"a part of the request line", oneMatch("headers: {':path': {exact: /a}}"),
			`6:32: listeners[0].routes[0].match.headers[":path"]: ":path" can't be matched: it is no header field here; use the key path of the match`},
		{"a bad name of a field", oneMatch("not: {headers: {'a b': {present: true}}}"),
			`6:36: listeners[0].routes[0].match.not.headers["a b"]: "a b" can't be matched: RFC 9110 section 5.1 makes a field's name a token`},
		{"a share above all", oneMatch("percent: 101"), "6:22: listeners[0].routes[0].match.percent: expected a number from 0 to 100, found 101"},
		{"identities without certificates", oneMatch("identities: [spiffe://mesh/web]"),
			`6:25: listeners[0].routes[0].match.identities: no client is asked for a certificate; set tls.client_auth of the listener to "request" or "require", or remove the key`},
		{"a service with a slash", oneMatch("grpc: {service: shop/Cart}"),
			`6:29: listeners[0].routes[0].match.grpc.service: expected a name of letters, digits, "_" and "." such as shop.Cart, found "shop/Cart": '/' is not among them`},
		{"a network without its length", oneMatch("clients: [10.0.0.1]"),
			`6:23: listeners[0].routes[0].match.clients[0]: expected a network such as 10.0.0.0/8, found "10.0.0.1"; did you mean "10.0.0.1/32"?`},
	}
}
