package paths

import (
	"bytes"
	"strings"

	"github.com/hopscope/hopscope/telemetry/hop"
)

const (
	// maxDepth is how many segments are told apart; the rest is "*".
	maxDepth = 8
	// maxValues is how many values a segment may have before they count as values of a
	// parameter, such as the names of users.
	maxValues = 20
	// maxSegment is the longest segment that becomes a part of a name as it is, in bytes.
	maxSegment = 40
)

// The segments of a name that stand for many.
const (
	parameter = "{id}"
	rest      = "*"
)

// node is a segment of the paths that were learned.
type node struct {
	children map[string]*node // literal segments
	any      *node            // what follows a parameter, nil if none was seen
	many     bool             // there are too many values: each counts as a parameter's
	name     string           // of the route that ends here; "" if none does
}

// name finds the route of a path. If it is new, it is learned, if that is wanted and
// there are fewer than max. Until a segment is generalized, a path keeps its name.
func (s *service) name(path []byte, max int, learn bool) string {
	n := &s.paths
	left := path[1:]
	for depth := 0; ; depth++ {
		segment, more, further := bytes.Cut(left, []byte("/"))
		tail := depth == maxDepth-1 && further
		if tail {
			segment, further = []byte(rest), false
		}
		next := n.children[string(segment)]
		switch {
		case next != nil:
		case !tail && (n.many || variable(segment)):
			if n.any == nil {
				if !learn || s.full(max) {
					return hop.OtherRoute
				}
				n.any = &node{}
			}
			next = n.any
		case !learn || s.full(max):
			return hop.OtherRoute
		case !tail && len(n.children) >= maxValues:
			n.generalize(s)
			next = n.any
		default:
			if n.children == nil {
				n.children = map[string]*node{}
			}
			next = &node{}
			n.children[strings.Clone(string(segment))] = next
		}
		n = next
		if !further {
			break
		}
		left = more
	}
	if n.name == "" {
		if !learn || s.full(max) {
			return hop.OtherRoute
		}
		s.routes, s.ever = s.routes+1, s.ever+1
		n.name = s.spell(path)
	}
	return n.name
}

// spell is the name of the path's route, whose nodes are there.
func (s *service) spell(path []byte) string {
	var b strings.Builder
	n, left := &s.paths, path[1:]
	for depth := 0; ; depth++ {
		segment, more, further := bytes.Cut(left, []byte("/"))
		text := string(segment)
		if depth == maxDepth-1 && further {
			text, further = rest, false
		}
		if n.children[text] == nil {
			text = parameter
			n = n.any
		} else {
			n = n.children[text]
		}
		b.WriteByte('/')
		b.WriteString(text)
		if !further {
			return b.String()
		}
		left = more
	}
}

// generalize makes one parameter of all values of a segment. The routes below them are
// found anew as their requests come.
func (n *node) generalize(s *service) {
	for _, c := range n.children {
		s.routes -= c.count()
	}
	n.children, n.many = nil, true
	if n.any == nil {
		n.any = &node{}
	}
	clear(s.cache[:])
}

// count is how many routes there are at and below n.
func (n *node) count() (routes int) {
	if n.name != "" {
		routes = 1
	}
	for _, c := range n.children {
		routes += c.count()
	}
	if n.any != nil {
		routes += n.any.count()
	}
	return routes
}

// variable reports whether a segment by itself looks like a value: a number, a UUID, a
// hash, or an id of letters and digits. Versions such as v2 do not.
func variable(segment []byte) bool {
	if len(segment) > maxSegment {
		return true
	}
	digits, letters, upper, hex, others := 0, 0, 0, 0, 0
	for _, c := range segment {
		switch {
		case '0' <= c && c <= '9':
			digits++
			hex++
		case 'a' <= c && c <= 'z':
			letters++
			if c <= 'f' {
				hex++
			}
		case 'A' <= c && c <= 'Z':
			letters++
			upper++
			if c <= 'F' {
				hex++
			}
		case c == '-', c == '_', c == '.', c == '~':
			others++
		default: // such as %41, @ or =
			return true
		}
	}
	n := len(segment)
	switch {
	case digits == 0:
		// Words in capitals are names; ids in which no digit happens to be are not told.
		return false
	case letters == 0: // numbers, and dates such as 2026-03-04
		return true
	case hex == n && n >= 8, hex+others == n && n >= 16: // hashes and UUIDs
		return true
	case n >= 8 && digits >= 2 && others == 0: // such as cus4f9z2kq
		return true
	case n >= 8 && upper > 0 && upper+digits+others == n: // such as OLJCESPC7Z
		return true
	}
	return false
}
