package route

import (
	"bytes"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/message"
)

// Match is what a request must have for a route; what is empty is not asked.
type Match struct {
	Path       string   // the whole path
	PathPrefix string   // how the path begins
	Hosts      []string // hosts without port; "*.x" is every name below x
	Methods    []string // methods, in upper case
}

// Table is a list of routes, tried in order.
type Table struct{ entries []entry }

type entry struct {
	path, prefix string
	exact        []string // hosts
	suffixes     []string // ".x" of "*.x"
	methods      []string
	anyHost      bool
}

// Compile makes a table; the index of a match is what [Table.Match] returns.
func Compile(matches []Match) *Table {
	t := &Table{}
	for _, m := range matches {
		e := entry{path: m.Path, prefix: m.PathPrefix, methods: slices.Clone(m.Methods), anyHost: len(m.Hosts) == 0}
		for _, h := range m.Hosts {
			if below, ok := strings.CutPrefix(h, "*"); ok {
				e.suffixes = append(e.suffixes, below)
			} else {
				e.exact = append(e.exact, string(Hostname([]byte(h)))) // an IPv6 address without its brackets
			}
		}
		t.entries = append(t.entries, e)
	}
	return t
}

// Match returns the index of the first route that the request matches, -1 if
// none does. It allocates nothing.
func (t *Table) Match(h *message.Head) int {
	path := h.Path()
	for i := range t.entries {
		e := &t.entries[i]
		if e.path != "" && string(path) != e.path ||
			e.prefix != "" && (len(path) < len(e.prefix) || string(path[:len(e.prefix)]) != e.prefix) ||
			len(e.methods) > 0 && !slices.Contains(e.methods, string(h.MethodText())) ||
			!e.anyHost && !e.host(Hostname(h.Host())) {
			continue
		}
		return i
	}
	return -1
}

func (e *entry) host(host []byte) bool {
	for _, x := range e.exact {
		if message.EqualFold(host, x) {
			return true
		}
	}
	for _, s := range e.suffixes {
		if n := len(host) - len(s); n > 0 && message.EqualFold(host[n:], s) {
			return true
		}
	}
	return false
}

// Hostname is a host without its port; an IPv6 address loses its brackets.
func Hostname(host []byte) []byte {
	if len(host) > 0 && host[0] == '[' {
		if i := bytes.IndexByte(host, ']'); i > 0 {
			return host[1:i]
		}
		return host
	}
	if i := bytes.LastIndexByte(host, ':'); i >= 0 {
		return host[:i]
	}
	return host
}
