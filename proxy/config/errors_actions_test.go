package config

// actionMistakes has the rows of [mistakes] about what routes do.
func actionMistakes() []mistake {
	return []mistake{
		{"a route that does nothing", oneRoute("name: a"), "6:5: listeners[0].routes[0]: expected one of the keys cluster, redirect, answer"},
		{"a route that does two things", oneRoute("{cluster: web, answer: {status: 200}}"),
			"6:28: listeners[0].routes[0].answer: does not go with cluster: expected only one of the keys cluster, redirect, answer"},
		{"a redirect with a timeout", oneRoute("{redirect: {path: /new}, timeout: 1s}"),
			"6:39: listeners[0].routes[0].timeout: has no effect, as the proxy itself answers the requests of this route; remove the key"},
		{"a redirect to nowhere else", oneRoute("redirect: {}"),
			"6:15: listeners[0].routes[0].redirect: it leads to where it comes from; expected one of the keys scheme, host, port, path, path_prefix, path_regex, strip_query"},
		{"a redirect to two paths", oneRoute("redirect: {path: /a, path_prefix: /b}"),
			"6:39: listeners[0].routes[0].redirect.path_prefix: does not go with another key for the path: expected at most one of path, path_prefix, path_regex"},
		{"a redirect that is none", oneRoute("redirect: {path: /a, code: 304}"),
			"6:32: listeners[0].routes[0].redirect.code: expected 301, 302, 303, 307 or 308, found 304"},
		{"a group that is not there", oneRoute(`redirect: {path_regex: "/(a)", substitution: '/\2'}`),
			`6:50: listeners[0].routes[0].redirect.substitution: expected what takes the place of path_regex, found "/\\2": \2 stands for a group that the expression does not have: it has 1`},
		{"a substitution for nothing", oneRoute("redirect: {path: /a, substitution: b}"),
			"6:40: listeners[0].routes[0].redirect.substitution: has no effect without path_regex; add that, or remove the key"},
		{"a scheme in upper case", oneRoute("redirect: {scheme: HTTPS}"),
			`6:24: listeners[0].routes[0].redirect.scheme: expected a scheme such as https, found "HTTPS": RFC 3986 section 3.1 makes it of letters, digits, "+", "-" and "."; write it in lower case; did you mean "https"?`},
		{"an answer of two contents", oneRoute("answer: {body: a, json: {b: c}}"),
			"6:29: listeners[0].routes[0].answer.json: does not go with other content: expected at most one of the keys body, file, json"},
		{"content where none may be", oneRoute("answer: {status: 204, body: a}"),
			"6:33: listeners[0].routes[0].answer.body: a response of status 204 has no content; remove the key"},
		{"a field of the framing", oneRoute("answer: {headers: {Content-Length: '5'}}"),
			`6:40: listeners[0].routes[0].answer.headers.Content-Length: "Content-Length" can't be set: it is about the connection or the framing, which the proxy itself sees to`},
		{"an interim answer", oneRoute("answer: {status: 103}"), "6:22: listeners[0].routes[0].answer.status: expected an integer from 200 to 599, found 103"},
	}
}
