package pathtemplate

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Limits of a template, which are Envoy's.
const (
	maxVariables    = 5
	maxVariableName = 16
)

// Template is a compiled template. It is immutable.
type Template struct {
	pieces    []piece
	variables []variable
}

// piece is a part of a template: text, or what stands for any text.
type piece struct {
	glob glob
	text string // of glob none
}

type glob uint8

const (
	none     glob = iota
	segment       // "*": one segment, which is not empty
	anything      // "**": any number of segments
)

// variable is a name for what some of the pieces match.
type variable struct {
	name     string
	from, to int // the index of the first piece, and that behind the last
}

// Captures are what the variables of a template stand for in a path, in their order.
type Captures [maxVariables][]byte

// Parse compiles a template: segments with "/" in front of each. A segment is text, "*"
// for any one segment, "**" for any number of them, which is the last of these, or a
// variable: {name} and {name=*} stand for one segment, {name=**} for any number,
// {name=videos/*} for what it says. The last segment may have text behind such a sign,
// as in /videos/*.mp4.
func Parse(text string) (*Template, error) {
	rest, ok := strings.CutPrefix(text, "/")
	if !ok {
		return nil, errors.New(`it must begin with "/"`)
	}
	p := parser{text: "/"}
	for rest != "" {
		var err error
		if rest, err = p.segment(rest); err != nil {
			return nil, err
		}
		next, more := strings.CutPrefix(rest, "/")
		switch {
		case rest == "":
		case more:
			p.text += "/"
			rest = next
		case strings.ContainsAny(rest, "*{}/"):
			return nil, errors.New(`behind "*" or a variable only text may follow, and only at the end, as in /videos/*.mp4`)
		default:
			if p.text += rest; !isLiteral(rest) {
				return nil, fmt.Errorf("%q has characters that a path does not have", rest)
			}
			rest = ""
		}
	}
	p.flush()
	return &p.t, nil
}

type parser struct {
	t    Template
	text string // that is not a piece yet
	last bool   // "**" was there
}

// flush makes a piece of the text so far.
func (p *parser) flush() {
	if p.text != "" {
		p.t.pieces = append(p.t.pieces, piece{text: p.text})
		p.text = ""
	}
}

// segment parses one segment and returns what follows it.
func (p *parser) segment(s string) (rest string, err error) {
	if s[0] == '{' {
		inner, rest, ok := strings.Cut(s[1:], "}")
		if !ok {
			return "", errors.New(`"{" is not closed`)
		}
		return rest, p.variable(inner)
	}
	return p.simple(s)
}

// simple parses a segment that is no variable.
func (p *parser) simple(s string) (rest string, err error) {
	if s[0] != '*' {
		end := strings.IndexByte(s+"/", '/')
		if !isLiteral(s[:end]) {
			return "", fmt.Errorf(`%q is neither text nor "*", "**" or a variable such as {id}`, s[:end])
		}
		p.text += s[:end]
		return s[end:], nil
	}
	if p.last {
		return "", errors.New(`"**" must be the last: no "*" and no variable may follow it`)
	}
	p.flush()
	if strings.HasPrefix(s, "**") {
		p.last = true
		p.t.pieces = append(p.t.pieces, piece{glob: anything})
		return s[2:], nil
	}
	p.t.pieces = append(p.t.pieces, piece{glob: segment})
	return s[1:], nil
}

// variable parses what stands between the braces.
func (p *parser) variable(s string) error {
	name, what, given := strings.Cut(s, "=")
	switch {
	case !isName(name):
		return fmt.Errorf(`%q is no name of a variable: it has a letter, then letters, digits and "_"`, name)
	case len(name) > maxVariableName:
		return fmt.Errorf("the name %q has more than %d characters", name, maxVariableName)
	case slices.ContainsFunc(p.t.variables, func(v variable) bool { return v.name == name }):
		return fmt.Errorf("there are two variables %q", name)
	case len(p.t.variables) == maxVariables:
		return fmt.Errorf("it has more than %d variables", maxVariables)
	}
	if !given {
		what = "*"
	}
	p.flush() // the variable is made of whole pieces
	from := len(p.t.pieces)
	for ok := true; ok; {
		if what == "" {
			return fmt.Errorf("variable %q ends without a segment", name)
		}
		rest, err := p.simple(what)
		if err != nil {
			return err
		}
		if what, ok = strings.CutPrefix(rest, "/"); ok {
			p.text += "/"
		} else if rest != "" {
			return fmt.Errorf(`in variable %q, "*" stands for a whole segment`, name)
		}
	}
	p.flush()
	p.t.variables = append(p.t.variables, variable{name, from, len(p.t.pieces)})
	return nil
}

// Prefix is the text that every path begins with that matches.
func (t *Template) Prefix() string {
	prefix := ""
	for i := range t.pieces {
		if t.pieces[i].glob != none {
			break
		}
		prefix += t.pieces[i].text
	}
	return prefix
}

// Index returns the place of a variable among the [Captures], -1 if there is none of that
// name.
func (t *Template) Index(name string) int {
	return slices.IndexFunc(t.variables, func(v variable) bool { return v.name == name })
}

// Match reports whether a path, without its query, matches, and what the variables stand
// for in it, if captures is not nil. It allocates nothing.
func (t *Template) Match(path []byte, captures *Captures) bool {
	var starts, ends [maxVariables]int
	at := 0
	for i := range t.pieces {
		for k := range t.variables {
			if t.variables[k].from == i {
				starts[k] = at
			}
		}
		n := t.take(i, path[at:])
		if n < 0 {
			return false
		}
		at += n
		for k := range t.variables {
			if t.variables[k].to == i+1 {
				ends[k] = at
			}
		}
	}
	if at != len(path) {
		return false
	}
	if captures != nil {
		for k := range t.variables {
			captures[k] = path[starts[k]:ends[k]]
		}
	}
	return true
}

// take returns how many bytes of the rest of a path a piece matches, -1 if none can be.
func (t *Template) take(i int, rest []byte) int {
	p := &t.pieces[i]
	switch p.glob {
	case anything: // only text follows
		n := len(rest)
		for k := range t.pieces[i+1:] {
			n -= len(t.pieces[i+1+k].text)
		}
		return n
	case segment:
		n := bytes.IndexByte(rest, '/')
		if n < 0 {
			n = len(rest)
		}
		if i+1 < len(t.pieces) && t.pieces[i+1].text[0] != '/' { // text at the end of the segment
			n -= len(t.pieces[i+1].text)
		}
		if n < 1 {
			return -1
		}
		return n
	}
	if len(rest) < len(p.text) || string(rest[:len(p.text)]) != p.text {
		return -1
	}
	return len(p.text)
}

// isLiteral tells the characters of a segment (RFC 3986 section 3.3), but for "*" and "=".
func isLiteral(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && !strings.ContainsRune("-._~%!$&'()+,;:@", rune(c)) {
			return false
		}
	}
	return s != ""
}

func isName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && c != '_' {
			return false
		}
	}
	return s != "" && (s[0] < '0' || s[0] > '9') && s[0] != '_'
}

func isAlphanumeric(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
}
