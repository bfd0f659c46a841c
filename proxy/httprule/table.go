package httprule

import (
	"fmt"
	"strings"
)

// table finds the template that a path matches. At each segment text comes before "*",
// and that before "**", whatever the order in which they were added.
type table struct{ root node }

// node is a place between two segments.
type node struct {
	text map[string]*node
	any  *node // behind "*"
	rest *node // behind "**", which is the end
	// ends are the bindings of the templates that end here, by verb and then by the
	// HTTP method; "*" is any method.
	ends map[string]map[string]*Binding
}

// add adds a binding under its template. It fails if there is one for the same requests.
func (t *table) add(b *Binding) error {
	n := &t.root
	for _, s := range b.template.segments {
		next := &n.any
		switch s {
		case anySegment:
		case anySegments:
			next = &n.rest
		default:
			if n.text == nil {
				n.text = map[string]*node{}
			}
			if n.text[s] == nil {
				n.text[s] = &node{}
			}
			n = n.text[s]
			continue
		}
		if *next == nil {
			*next = &node{}
		}
		n = *next
	}
	verb := b.template.verb
	if n.ends == nil {
		n.ends = map[string]map[string]*Binding{}
	}
	if n.ends[verb] == nil {
		n.ends[verb] = map[string]*Binding{}
	}
	if other := n.ends[verb][b.HTTPMethod]; other != nil {
		return fmt.Errorf("%s %s takes the same requests as %s of %s", b.HTTPMethod, b.Template, other.Template, other.Method.FullName())
	}
	n.ends[verb][b.HTTPMethod] = b
	return nil
}

// match finds the binding of a request.
func (t *table) match(method string, segments []string) *Binding {
	last := segments[len(segments)-1]
	if i := strings.LastIndexByte(last, ':'); i >= 0 {
		segments[len(segments)-1] = last[:i]
		if b := t.root.match(method, last[i+1:], segments); b != nil {
			return b
		}
		segments[len(segments)-1] = last
	}
	return t.root.match(method, "", segments)
}

// match finds the binding of what is left of a path. It looks at each node of the tree
// at most once, since a way from the root leads to each.
func (n *node) match(method, verb string, segments []string) *Binding {
	if len(segments) == 0 {
		if b := n.end(method, verb); b != nil {
			return b
		}
	} else {
		if next := n.text[unescape(segments[0], false)]; next != nil {
			if b := next.match(method, verb, segments[1:]); b != nil {
				return b
			}
		}
		if n.any != nil && segments[0] != "" {
			if b := n.any.match(method, verb, segments[1:]); b != nil {
				return b
			}
		}
	}
	if n.rest != nil {
		return n.rest.end(method, verb)
	}
	return nil
}

func (n *node) end(method, verb string) *Binding {
	at := n.ends[verb]
	if b := at[method]; b != nil {
		return b
	}
	return at["*"]
}
