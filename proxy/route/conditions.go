package route

import (
	"bytes"
	"crypto/x509"
	"net/netip"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/grpc"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/pathtemplate"
)

// condition is a compiled condition on a request. It is small, since tables have tens of
// thousands of them.
type condition struct {
	on       subject
	inverted bool
	share    Share     // of onShare
	text     string    // of onPath, onPrefix, onSegments
	value    *value    // of onHeader, onQuery, onCookie
	regex    *Regex    // of onRegex
	other    *subjects // of the rest
}

// subjects is what conditions are on that are rare, or slow in any case.
type subjects struct {
	template *pathtemplate.Template
	list     []string // hosts or methods
	networks []netip.Prefix
	identity func(*x509.Certificate) bool
	call     *Call
}

// subject is what a condition is on.
type subject uint8

const (
	onPath subject = iota
	onPrefix
	onSegments
	onRegex
	onTemplate
	onHost
	onMethod
	onHeader
	onQuery
	onCookie
	onClient
	onIdentity
	onCall
	onShare
)

// asConditions are the conditions of a match, but for Not: what is cheap first.
func (m *Match) asConditions() (all []condition) {
	add := func(given bool, c condition) {
		if given {
			all = append(all, c)
		}
	}
	add(m.Share != nil, condition{on: onShare})
	if m.Share != nil {
		all[0].share = *m.Share
	}
	add(m.Path != "", condition{on: onPath, text: m.Path})
	add(m.PathPrefix != "", condition{on: onPrefix, text: m.PathPrefix})
	add(m.PathSegments != "", condition{on: onSegments, text: m.PathSegments})
	add(len(m.Methods) > 0, condition{on: onMethod, other: &subjects{list: slices.Clone(m.Methods)}})
	add(len(m.Hosts) > 0, condition{on: onHost, other: &subjects{list: slices.Clone(m.Hosts)}})
	add(m.GRPC != nil, condition{on: onCall, other: &subjects{call: m.GRPC}})
	add(len(m.Clients) > 0, condition{on: onClient, other: &subjects{networks: slices.Clone(m.Clients)}})
	for _, part := range []struct {
		on     subject
		values []Value
	}{{onHeader, m.Headers}, {onQuery, m.Query}, {onCookie, m.Cookies}} {
		for _, v := range part.values {
			add(true, condition{on: part.on, value: newValue(part.on, v)})
		}
	}
	add(m.PathTemplate != nil, condition{on: onTemplate, other: &subjects{template: m.PathTemplate}})
	add(m.PathRegex != nil, condition{on: onRegex, regex: m.PathRegex})
	add(m.Identities != nil, condition{on: onIdentity, other: &subjects{identity: m.Identities}})
	return all
}

func (c *condition) asks() Asks {
	switch c.on {
	case onClient:
		return AsksClient
	case onIdentity:
		return AsksCertificate
	case onShare:
		return AsksRandom
	}
	return 0
}

// holds reports whether a request meets the condition.
func (c *condition) holds(q *Request) bool { return c.met(q) != c.inverted }

func (c *condition) met(q *Request) bool {
	h := q.Head
	switch c.on {
	case onHeader, onQuery, onCookie:
		return c.value.met(h)
	case onPath:
		return string(h.Path()) == c.text
	case onPrefix:
		return hasPrefix(h.Path(), c.text)
	case onSegments:
		path := h.Path()
		return hasPrefix(path, c.text) && (len(path) == len(c.text) || path[len(c.text)] == '/')
	case onRegex:
		return c.regex.Match(h.Path())
	case onTemplate:
		return c.other.template.Match(h.Path(), nil)
	case onHost:
		host := message.Hostname(h.Host())
		return slices.ContainsFunc(c.other.list, func(pattern string) bool { return isHost(host, pattern) })
	case onMethod:
		method := h.MethodText()
		return slices.ContainsFunc(c.other.list, func(m string) bool { return string(method) == m })
	case onClient:
		client := q.Client.Unmap()
		return slices.ContainsFunc(c.other.networks, func(n netip.Prefix) bool { return n.Contains(client) })
	case onIdentity:
		return q.Certificate != nil && c.other.identity(q.Certificate)
	case onCall:
		return c.other.call.is(h)
	}
	return q.Random%shares < uint64(c.share)
}

// is reports whether a request is such a call. Its path is /service/method.
func (c *Call) is(h *message.Head) bool {
	if !grpc.IsCall(h) {
		return false
	}
	path := h.Path()
	i := bytes.LastIndexByte(path, '/')
	return (c.Service == "" || i > 0 && string(path[1:i]) == c.Service) && (c.Method == "" || i > 0 && string(path[i+1:]) == c.Method)
}

// isHost compares a host with a pattern as the tree of hosts does.
func isHost(host []byte, pattern string) bool {
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		suffix = message.BareHost(suffix)
		n := len(host) - len(suffix)
		return n > 0 && message.EqualFold(host[n:], suffix)
	}
	return message.EqualFold(host, message.Hostname(pattern))
}

func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}
