package route

import (
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
	When       []Predicate
}

// Predicate is a compiled condition on the rest of a request's head, such as a field or a
// parameter. It must not change the head.
type Predicate func(*message.Head) bool

// Table is a list of routes of which the first that matches is taken. To find
// it costs about the same in a table of ten thousand as in one of ten.
type Table struct {
	anyHost *paths // what no host is asked for, nil if there is none
	hosts   *hosts // the rest, nil if there is none
}

// Compile makes a table; the index of a match is what [Table.Match] returns.
func Compile(matches []Match) *Table {
	t := &Table{}
	for i, m := range matches {
		if m.Path != "" && !strings.HasPrefix(m.Path, m.PathPrefix) {
			continue // no path is both
		}
		c := choice{index: i, methods: slices.Clone(m.Methods), when: slices.Clone(m.When)}
		if len(m.Hosts) == 0 {
			t.anyHost = t.anyHost.with(m, c)
		}
		for _, host := range m.Hosts {
			t.hosts = t.hosts.with(host, m, c)
		}
	}
	return t
}

// Match returns the index of the first route that the request matches, -1 if
// none does. It allocates nothing, unless a [Predicate] does.
func (t *Table) Match(h *message.Head) int {
	first := none
	if t.anyHost != nil {
		first = t.anyHost.first(h, first)
	}
	if t.hosts != nil {
		first = t.hosts.first(h, first)
	}
	if first == none {
		return -1
	}
	return first
}
