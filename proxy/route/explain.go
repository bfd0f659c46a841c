package route

import (
	"crypto/x509"
	"slices"
	"strconv"
	"strings"

	"github.com/hopscope/hopscope/proxy/message"
)

// Unmet is the first condition of a match that a request does not meet.
type Unmet struct {
	// Keys lead to the condition, by the names that the configuration has for them: "hosts",
	// "headers" and the field's name, or "not" and one of these.
	Keys []string
	// Has is what the request has there. There is false for what it does not have at all.
	Has   string
	There bool
}

// Explain reports whether a request matches, and if not, the first condition that it does
// not meet: hosts, path and method first, chance last. Each condition is asked by a [Table]
// of its own, so that there is no second opinion of what a condition means.
func (m *Match) Explain(q *Request) (why Unmet, matches bool) {
	alone := func(m Match) bool { return Compile([]Match{m}).Match(q) >= 0 }
	if alone(*m) {
		return Unmet{}, true
	}
	for _, p := range m.parts() {
		if !alone(p.match) {
			why.Keys = p.keys
			why.Has, why.There = p.has(q)
			return why, false
		}
	}
	return why, false // not reached: all conditions together are met if each is
}

// Shares are all requests, of which a [Share] is a part.
const Shares = shares

// SharesOf are the shares of requests that the matches ask for, each once, in ascending order.
func SharesOf(matches []Match) (all []Share) {
	for i := range matches {
		if s := matches[i].Share; s != nil {
			all = append(all, *s)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// part is one condition of a match, as a match of its own.
type part struct {
	keys  []string
	match Match
	has   func(*Request) (text string, there bool)
}

// parts are the conditions of a match, in the order in which people look at them.
func (m *Match) parts() (all []part) {
	add := func(given bool, one Match, has func(*Request) (string, bool), keys ...string) {
		if given {
			all = append(all, part{keys, one, has})
		}
	}
	add(len(m.Hosts) > 0, Match{Hosts: m.Hosts}, hasHost, "hosts")
	add(m.Path != "", Match{Path: m.Path}, hasPath, "path")
	add(m.PathPrefix != "", Match{PathPrefix: m.PathPrefix}, hasPath, "path_prefix")
	add(m.PathSegments != "", Match{PathSegments: m.PathSegments}, hasPath, "path_segments")
	add(m.PathRegex != nil, Match{PathRegex: m.PathRegex}, hasPath, "path_regex")
	add(m.PathTemplate != nil, Match{PathTemplate: m.PathTemplate}, hasPath, "path_template")
	add(len(m.Methods) > 0, Match{Methods: m.Methods, Preflights: m.Preflights}, hasMethod, "methods")
	add(m.GRPC != nil, Match{GRPC: m.GRPC}, hasCall, "grpc")
	for _, v := range m.Headers {
		add(true, Match{Headers: []Value{v}}, hasValue(onHeader, v), "headers", v.Name)
	}
	for _, v := range m.Query {
		add(true, Match{Query: []Value{v}}, hasValue(onQuery, v), "query", v.Name)
	}
	for _, v := range m.Cookies {
		add(true, Match{Cookies: []Value{v}}, hasValue(onCookie, v), "cookies", v.Name)
	}
	add(len(m.Clients) > 0, Match{Clients: m.Clients}, hasClient, "clients")
	add(m.Identities != nil, Match{Identities: m.Identities}, hasIdentity, "identities")
	if m.Not != nil {
		for _, p := range m.Not.parts() {
			add(true, Match{Not: &p.match}, p.has, append([]string{"not"}, p.keys...)...)
		}
	}
	add(m.Share != nil, Match{Share: m.Share}, hasChance, "percent")
	return all
}

func hasHost(q *Request) (string, bool) {
	host := message.Hostname(q.Head.Host())
	return string(host), len(host) > 0
}

func hasPath(q *Request) (string, bool) { return string(q.Head.Path()), true }

func hasMethod(q *Request) (string, bool) {
	text := string(q.Head.MethodText())
	if asked := q.Head.Preflight(); len(asked) > 0 {
		text += ", a preflight for " + string(asked)
	}
	return text, true
}

// hasCall says what tells gRPC calls from other requests.
func hasCall(q *Request) (string, bool) {
	text := string(q.Head.MethodText()) + " " + string(q.Head.Path())
	if kind, ok := q.Head.Get(message.ContentType); ok {
		return text + " with content-type " + string(kind), true
	}
	return text + " without content-type", true
}

func hasValue(on subject, v Value) func(*Request) (string, bool) {
	return func(q *Request) (string, bool) {
		text, there := newValue(on, v).get(q.Head)
		return string(text), there
	}
}

func hasClient(q *Request) (string, bool) {
	return q.Client.Unmap().String(), q.Client.IsValid()
}

func hasIdentity(q *Request) (string, bool) {
	if q.Certificate == nil {
		return "", false
	}
	return strings.Join(namesOf(q.Certificate), ", "), true
}

func namesOf(c *x509.Certificate) (names []string) {
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	return append(names, c.DNSNames...)
}

func hasChance(q *Request) (string, bool) {
	return strconv.FormatFloat(float64(q.Random%shares)*100/shares, 'g', -1, 64), true
}
