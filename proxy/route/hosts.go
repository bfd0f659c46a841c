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

// firstOfHost returns the least index of a route that the request matches, or before
// where that is less. at is the root of a tree of hosts.
func (t *Table) firstOfHost(at uint32, q *Request, before uint32) uint32 {
	host, path := message.Hostname(q.Head.Host()), q.Head.Path()
	for n := &t.nodes[at]; n.least < before; {
		if len(host) == 0 {
			if n.here != 0 {
				before = t.firstOfPath(n.here-1, q, path, before)
			}
			return before
		}
		if n.below != 0 {
			before = t.firstOfPath(n.below-1, q, path, before)
		}
		if n = t.child(n, lower(host[len(host)-1])); n == nil || !endsWith(host, t.label(n)) {
			return before
		}
		host = host[:len(host)-int(n.size)]
	}
	return before
}

// endsWith reports whether a host ends with a label, which is in lower case and
// backwards.
func endsWith(host, label []byte) bool {
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
