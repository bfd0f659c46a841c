package accesslog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Format says what a line looks like. At most one of its fields is set; with none, a line
// is the default one: see [AppendLine].
type Format struct {
	// Fields are keys of the default line, in the order in which a line has them.
	Fields []string
	// Text is a format string with Envoy's command operators, such as
	// "%REQ(:METHOD)% %RESPONSE_CODE%". Each line ends with a newline.
	Text string
	// JSON is a JSON object whose strings are format strings, as Envoy's json_format. A
	// string that is one operator alone becomes a number or null where that is the value.
	JSON string
}

// Recorded lists the fields of requests and responses that lines show beyond those that
// every Hop has. [hop.Hop.Recorded] has their values, in this order.
type Recorded []hop.RecordedField

// index returns the place of a field, which it adds if need be.
func (r *Recorded) index(f hop.RecordedField) int {
	if i := slices.Index(*r, f); i >= 0 {
		return i
	}
	*r = append(*r, f)
	return len(*r) - 1
}

// mostRecorded is how many fields may be recorded of each request.
const mostRecorded = 32

// Layout is a Format that is ready to be used: it never changes. A nil Layout is the default
// line.
type Layout struct{ parts []part }

// part is literal text of a line and the value that follows it.
type part struct {
	literal string
	value   value // nil for none
	mode    mode
}

// mode is how a value is written.
type mode uint8

const (
	asText   mode = iota // in a line of text: "-" for nothing
	inside               // inside of a JSON string: "-" for nothing
	asJSON               // a JSON value
	verbatim             // a JSON value, which the value already is
)

// value appends a value of a hop. What it appends is text, unless the kind says otherwise.
type value func(f *formatter, dst []byte, h *hop.Hop) ([]byte, kind)

// kind is what a value is.
type kind uint8

const (
	none   kind = iota // there is no value; nothing was appended
	text               // text, to be escaped
	number             // a number, or true or false
	raw                // JSON
)

// Compile returns the layout of a format; nil for the default line. Fields that have to be
// recorded are added to recorded. The error names what is wrong, and what there is.
func (f Format) Compile(recorded *Recorded) (*Layout, error) {
	c := compiler{recorded: recorded}
	var err error
	switch {
	case len(f.Fields) > 0:
		err = c.fields(f.Fields)
	case f.Text != "":
		err = c.template(strings.TrimSuffix(f.Text, "\n"), asText)
		c.literal("\n")
	case f.JSON != "":
		err = c.json(f.JSON)
		c.literal("\n")
	default:
		return nil, nil
	}
	if err == nil && len(*recorded) > mostRecorded {
		err = fmt.Errorf("more than %d fields of requests and responses would have to be recorded", mostRecorded)
	}
	if err != nil {
		return nil, err
	}
	return &Layout{c.parts}, nil
}

// appendLine appends the line of h.
func (l *Layout) appendLine(f *formatter, dst []byte, h *hop.Hop) []byte {
	if h.Labels != f.labels {
		f.turnTo(h.Labels)
	}
	for i := range l.parts {
		p := &l.parts[i]
		dst = append(dst, p.literal...)
		if p.value != nil {
			dst = p.append(f, dst, h)
		}
	}
	return dst
}

// append appends the value of a part.
func (p *part) append(f *formatter, dst []byte, h *hop.Hop) []byte {
	if p.mode == verbatim {
		dst, _ = p.value(f, dst, h)
		return dst
	}
	b, k := p.value(f, f.value[:0], h)
	f.value = b[:0]
	if k == raw {
		b, k = unquoted(b)
		if k == text { // it is escaped
			if p.mode == asJSON {
				return append(append(append(dst, '"'), b...), '"')
			}
			return append(dst, b...)
		}
		if p.mode == asJSON && k == raw {
			return append(dst, b...)
		}
	}
	switch {
	case p.mode == asJSON && k == none:
		return append(dst, "null"...)
	case p.mode == asJSON && k == text:
		return append(appendEscaped(append(dst, '"'), b), '"')
	case k == none:
		return append(dst, '-')
	case k == number:
		return append(dst, b...)
	}
	return appendEscaped(dst, b)
}

// unquoted tells what JSON is: a string without its quotes, nothing, or other JSON.
func unquoted(b []byte) ([]byte, kind) {
	switch {
	case len(b) >= 2 && b[0] == '"':
		return b[1 : len(b)-1], text
	case string(b) == "null":
		return nil, none
	case len(b) > 0 && (b[0] == '{' || b[0] == '['):
		return b, raw
	}
	return b, number
}

// compiler puts a layout together.
type compiler struct {
	recorded *Recorded
	parts    []part
}

// literal adds text to the line.
func (c *compiler) literal(s string) {
	if n := len(c.parts); n > 0 && c.parts[n-1].value == nil {
		c.parts[n-1].literal += s
	} else if s != "" {
		c.parts = append(c.parts, part{literal: s})
	}
}

// add adds a value to the line.
func (c *compiler) add(v value, m mode) {
	if n := len(c.parts); n > 0 && c.parts[n-1].value == nil {
		c.parts[n-1].value, c.parts[n-1].mode = v, m
		return
	}
	c.parts = append(c.parts, part{value: v, mode: m})
}

// fields makes a line of keys of the default one.
func (c *compiler) fields(names []string) error {
	for i, name := range names {
		v := fieldNamed(name)
		switch {
		case v == nil:
			return fmt.Errorf("there is no field %q; there are %s", clip(name), strings.Join(FieldNames(), ", "))
		case slices.Contains(names[:i], name):
			return fmt.Errorf("the field %s is there twice", name)
		}
		separator := ","
		if i == 0 {
			separator = "{"
		}
		c.literal(separator + `"` + name + `":`)
		c.add(v, verbatim)
	}
	c.literal("}\n")
	return nil
}

// clip bounds what an error quotes.
func clip(s string) string { return s[:min(len(s), 80)] }
