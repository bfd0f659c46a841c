package config

import (
	"strings"

	"github.com/hopscope/hopscope/proxy/header"
)

// actionMistakes has the rows of [mistakes] about what routes do.
func actionMistakes() []mistake {
	return []mistake{
		{"changes of nothing", oneRoute("{cluster: web, request_headers: {}}"),
			"6:37: listeners[0].routes[0].request_headers: it changes nothing; expected one of the keys set, add, remove"},
		{"an operator that is not there", oneRoute("{cluster: web, request_headers: {set: {x-a: '%CLIENT%'}}}"),
			`6:49: listeners[0].routes[0].request_headers.set.x-a: expected a value with command operators such as %CLIENT_IP%, found "%CLIENT%": there is no command operator %CLIENT% for fields; there are CLIENT_IP, ` + strings.Join(header.Operators(header.Request)[1:], ", ")},
		{"an operator of a response", oneRoute("{cluster: web, request_headers: {set: {x-a: '%RESPONSE_CODE%'}}}"),
			`6:49: listeners[0].routes[0].request_headers.set.x-a: expected a value with command operators such as %CLIENT_IP%, found "%RESPONSE_CODE%": %RESPONSE_CODE% is not known before there is a response`},
		{"a host that is a field", oneRoute("{cluster: web, request_headers: {set: {Host: a}}}"),
			`6:50: listeners[0].routes[0].request_headers.set.Host: "Host" can't be changed: use rewrite.host of the route`},
		{"framing that is removed", oneRoute("{cluster: web, response_headers: {remove: [content-length]}}"),
			`6:48: listeners[0].routes[0].response_headers.remove[0]: "content-length" can't be changed: it is about the connection or the framing, which the proxy itself sees to`},
		{"requests of a redirect", oneRoute("{redirect: {path: /a}, request_headers: {remove: [x-a]}}"),
			`6:45: listeners[0].routes[0].request_headers: has no effect, as the proxy itself answers the requests of this route; remove the key`},
		{"a path that is normalized away", oneRoute("{match: {path: /x/../%61}, cluster: web}"),
			`6:20: listeners[0].routes[0].match.path: no request has the path "/x/../%61", as the listener normalizes paths; write "/a"`},
		{"a prefix that is normalized away", oneRoute("{match: {path_prefix: //a/.}, cluster: web}"),
			`6:27: listeners[0].routes[0].match.path_prefix: no request has the path "//a/.", as the listener normalizes paths; write "/a/."`},
		{"segments that are refused", oneRoute("{match: {not: {path_segments: /a%2fb}}, cluster: web}"),
			`6:35: listeners[0].routes[0].match.not.path_segments: no request has the path "/a%2fb": it has an escaped slash (%2F) or backslash (%5C), which servers read in different ways; set path.escaped_slashes of the listener to "keep"`},
		{"a route that does nothing", oneRoute("name: a"), "6:5: listeners[0].routes[0]: expected one of the keys cluster, redirect, answer"},
		{"a route that does two things", oneRoute("{cluster: web, answer: {status: 200}}"),
			"6:28: listeners[0].routes[0].answer: does not go with cluster: expected only one of the keys cluster, redirect, answer"},
		{"a redirect with a timeout", oneRoute("{redirect: {path: /new}, timeout: 1s}"),
			"6:39: listeners[0].routes[0].timeout: has no effect, as the proxy itself answers the requests of this route; remove the key"},
		{"a redirect to nowhere else", oneRoute("redirect: {}"),
			"6:15: listeners[0].routes[0].redirect: it leads to where it comes from; expected one of the keys scheme, host, port, path, path_prefix, path_regex, strip_query"},
		{"a redirect to two paths", oneRoute("redirect: {path: /a, path_prefix: /b}"),
			"6:39: listeners[0].routes[0].redirect.path_prefix: does not go with path: expected at most one of the keys path, path_prefix, path_regex"},
		{"a redirect that is none", oneRoute("redirect: {path: /a, code: 304}"),
			"6:32: listeners[0].routes[0].redirect.code: expected 301, 302, 303, 307 or 308, found 304"},
		{"a group that is not there", oneRoute(`redirect: {path_regex: "/(a)", substitution: '/\2'}`),
			`6:50: listeners[0].routes[0].redirect.substitution: expected what takes the place of path_regex, found "/\\2": \2 stands for a group that the expression does not have: it has 1`},
		{"a substitution for nothing", oneRoute("redirect: {path: /a, substitution: b}"),
			"6:40: listeners[0].routes[0].redirect.substitution: has no effect without path_regex; add that, or remove the key"},
		{"a scheme in upper case", oneRoute("redirect: {scheme: HTTPS}"),
			`6:24: listeners[0].routes[0].redirect.scheme: expected a scheme such as https, found "HTTPS": RFC 3986 section 3.1 makes it of letters, digits, "+", "-" and "."; write it in lower case; did you mean "https"?`},
		{"an answer of two contents", oneRoute("answer: {body: a, json: {b: c}}"),
			"6:29: listeners[0].routes[0].answer.json: does not go with body: expected at most one of the keys body, file, json"},
		{"content where none may be", oneRoute("answer: {status: 204, body: a}"),
			"6:33: listeners[0].routes[0].answer.body: a response of status 204 has no content; remove the key"},
		{"a field of the framing", oneRoute("answer: {headers: {Content-Length: '5'}}"),
			`6:40: listeners[0].routes[0].answer.headers.Content-Length: "Content-Length" can't be set: it is about the connection or the framing, which the proxy itself sees to`},
		{"a rewrite to two paths", oneRoute("{cluster: web, rewrite: {path_prefix: /a, path_regex: b}}"),
			"6:59: listeners[0].routes[0].rewrite.path_regex: does not go with path_prefix: expected at most one of the keys path_prefix, path_regex, path_template"},
		{"a rewrite to two hosts", oneRoute("{cluster: web, host: a, rewrite: {host: b}}"),
			"6:38: listeners[0].routes[0].rewrite: its host does not go with the host of the route; remove one of them"},
		{"a rewrite of no template", oneRoute("{cluster: web, rewrite: {path_template: '/{a}'}}"),
			"6:45: listeners[0].routes[0].rewrite.path_template: has no effect without path_template in the match, whose variables it has"},
		{"a rewrite with another variable", oneRoute("{match: {path_template: '/{a}'}, cluster: web, rewrite: {path_template: '/{b}'}}"),
			`6:77: listeners[0].routes[0].rewrite.path_template: expected a path with variables of the match such as /items/{id}, found "/{b}": the template of the match has no variable "b"`},
		{"a rewrite to a query", oneRoute("{cluster: web, rewrite: {path_regex: a, substitution: 'b?c'}}"),
			`6:59: listeners[0].routes[0].rewrite.substitution: expected what takes the place of path_regex, found "b?c": a path has no space, "?" and "#"`},
		{"an interim answer", oneRoute("answer: {status: 103}"), "6:22: listeners[0].routes[0].answer.status: expected an integer from 200 to 599, found 103"},
	}
}
