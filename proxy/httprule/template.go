package httprule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// template is a path template of google.api.http:
//
//	Template = "/" Segments [ Verb ] ;
//	Segments = Segment { "/" Segment } ;
//	Segment  = "*" | "**" | LITERAL | Variable ;
//	Variable = "{" FieldPath [ "=" Segments ] "}" ;
//	Verb     = ":" LITERAL ;
type template struct {
	segments  []string // a text, "*" or "**"; that is the last
	variables []variable
	verb      string // "" is none
}

// variable is the field that some segments of the path are the value of.
type variable struct {
	field    string // its path, such as "shelf.id"
	from, to int    // the first segment, and that behind the last
}

const (
	anySegment  = "*"
	anySegments = "**"
)

// parseTemplate parses a template.
func parseTemplate(text string) (*template, error) {
	rest, ok := strings.CutPrefix(text, "/")
	if !ok {
		return nil, errors.New(`it must begin with "/"`)
	}
	t := &template{}
	if rest == "" {
		t.segments = []string{""} // the root, which the grammar leaves out, but users don't
		return t, nil
	}
	rest, err := t.parse(rest, true)
	if err != nil {
		return nil, err
	}
	if verb, ok := strings.CutPrefix(rest, ":"); ok {
		if !isLiteral(verb) || strings.Contains(verb, ":") {
			return nil, fmt.Errorf("%q is no verb", verb)
		}
		t.verb, rest = verb, ""
	}
	if rest != "" {
		return nil, fmt.Errorf(`expected "/" or ":" in place of %q`, rest)
	}
	return t, nil
}

// parse parses segments and returns what follows them.
func (t *template) parse(s string, variables bool) (rest string, err error) {
	for {
		if slices.Contains(t.segments, anySegments) {
			return "", errors.New(`"**" must be the last segment`)
		}
		switch {
		case strings.HasPrefix(s, "{"):
			if !variables {
				return "", errors.New("a variable must not hold another")
			}
			if s, err = t.variable(s[1:]); err != nil {
				return "", err
			}
		case strings.HasPrefix(s, anySegments):
			t.segments, s = append(t.segments, anySegments), s[2:]
		case strings.HasPrefix(s, anySegment):
			t.segments, s = append(t.segments, anySegment), s[1:]
		default:
			end := strings.IndexAny(s, "/:{}*=")
			if end < 0 {
				end = len(s)
			}
			if !isLiteral(s[:end]) {
				return "", fmt.Errorf(`expected a segment, "*", "**" or a variable in place of %q`, s)
			}
			t.segments, s = append(t.segments, unescape(s[:end], false)), s[end:]
		}
		next, more := strings.CutPrefix(s, "/")
		if !more {
			return s, nil
		}
		s = next
	}
}

// variable parses what follows "{", and returns what follows "}".
func (t *template) variable(s string) (rest string, err error) {
	end := strings.IndexAny(s, "=}")
	if end < 0 {
		return "", errors.New(`"{" is not closed`)
	}
	v := variable{field: s[:end], from: len(t.segments)}
	for name := range strings.SplitSeq(v.field, ".") {
		if !isName(name) {
			return "", fmt.Errorf("%q is no path of a field", v.field)
		}
	}
	if slices.ContainsFunc(t.variables, func(other variable) bool { return other.field == v.field }) {
		return "", fmt.Errorf("there are two variables %q", v.field)
	}
	rest = s[end:]
	if what, ok := strings.CutPrefix(rest, "="); ok {
		if rest, err = t.parse(what, false); err != nil {
			return "", err
		}
	} else {
		t.segments = append(t.segments, anySegment)
	}
	rest, ok := strings.CutPrefix(rest, "}")
	if !ok {
		return "", errors.New(`"{" is not closed`)
	}
	v.to = len(t.segments)
	t.variables = append(t.variables, v)
	return rest, nil
}

// isLiteral tells the characters of a path's segment (RFC 3986 section 3.3) without those
// of the syntax.
func isLiteral(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && !strings.ContainsRune("-._~%!$&'()+,;@", rune(c)) {
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
	return s != "" && (s[0] < '0' || s[0] > '9')
}

func isAlphanumeric(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
}

// unescape decodes percent encoding. What is no encoding stays as it is; so does %2F if
// keepSlash is set, since a value of several segments has slashes of its own.
func unescape(s string, keepSlash bool) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if c := hi<<4 | lo&15; hi < 16 && lo < 16 && !(keepSlash && c == '/') {
				b = append(b, c)
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// unhex is the value of a hex digit, 255 if it is none.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
