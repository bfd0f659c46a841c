package pathtemplate

import (
	"fmt"
	"strings"
)

// Rewrite makes a path of what the variables of a template stand for in another. It is
// immutable.
type Rewrite struct {
	template *Template
	pieces   []put
}

// put is text, or the place of a variable among the captures if there is none.
type put struct {
	text     string
	variable int
}

// Rewrite compiles a template of a path to make, such as /items/{id}, whose variables are
// those of t.
func (t *Template) Rewrite(text string) (*Rewrite, error) {
	if !strings.HasPrefix(text, "/") {
		return nil, fmt.Errorf(`it must begin with "/"`)
	}
	r := &Rewrite{template: t}
	for text != "" {
		literal, rest, ok := strings.Cut(text, "{")
		if strings.ContainsAny(literal, "*}? #") {
			return nil, fmt.Errorf("%q has more than text: only variables such as {id} are replaced", literal)
		}
		if literal != "" {
			r.pieces = append(r.pieces, put{text: literal})
		}
		if !ok {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		i := t.Index(name)
		switch {
		case !closed:
			return nil, fmt.Errorf(`"{" is not closed`)
		case i < 0:
			return nil, fmt.Errorf("the template of the match has no variable %q", name)
		}
		r.pieces = append(r.pieces, put{variable: i})
		text = after
	}
	return r, nil
}

// Apply returns the path that is made of one that matches the template, or that path
// itself if it does not.
func (r *Rewrite) Apply(path []byte) []byte {
	var captures Captures
	if !r.template.Match(path, &captures) {
		return path
	}
	var to []byte
	for _, p := range r.pieces {
		if p.text != "" {
			to = append(to, p.text...)
		} else {
			to = append(to, captures[p.variable]...)
		}
	}
	return to
}
