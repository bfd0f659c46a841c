package route

import (
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/message"
)

// hosts is a tree of hosts, from their end on: what is known of a name stands
// behind.
type hosts struct{ node[hostPaths] }

// hostPaths are the paths that a host leads to, nil where there are none.
type hostPaths struct {
	below *paths // of names that have something in front
	exact *paths // of this name
}

// with adds a route for one host; t is nil for a tree that is yet to grow.
func (t *hosts) with(host string, k keys, c choice) *hosts {
	if t == nil {
		t = &hosts{node[hostPaths]{least: c.index}}
	}
	if suffix, ok := strings.CutPrefix(host, "*"); ok {
		at := t.insert(backwards(suffix), c.index)
		at.below = at.below.with(k, c)
	} else {
		at := t.insert(backwards(message.Hostname(host)), c.index)
		at.exact = at.exact.with(k, c)
	}
	return t
}

// first returns the least index of a route that the request matches, or before
// where that is less.
func (t *hosts) first(q *Request, before int) int {
	host := message.Hostname(q.Head.Host())
	for n := &t.node; n.least < before; {
		if len(host) == 0 {
			if n.here.exact != nil {
				before = n.here.exact.first(q, before)
			}
			return before
		}
		if n.here.below != nil {
			before = n.here.below.first(q, before)
		}
		if n = n.child(lower(host[len(host)-1])); n == nil || !endsWith(host, n.label) {
			return before
		}
		host = host[:len(host)-len(n.label)]
	}
	return before
}

// endsWith reports whether a host ends with a label, which is in lower case and
// backwards.
func endsWith(host []byte, label string) bool {
	if len(host) < len(label) {
		return false
	}
	last := len(host) - 1
	for i := range len(label) {
		if lower(host[last-i]) != label[i] {
			return false
		}
	}
	return true
}

// backwards is a host in the form in which hosts are compared, from its end and
// in lower case.
func backwards(host string) string {
	b := []byte(message.LowerHost(host))
	slices.Reverse(b)
	return string(b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
