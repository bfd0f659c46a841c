package accesslog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/operators"
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

// ownOperator is the operator that only lines have: %HOP(name)% is a key of the default one.
const ownOperator = "HOP"

// Operators returns the names of all command operators that a format may have, sorted.
func Operators() []string {
	names := append(operators.Names(), ownOperator)
	slices.Sort(names)
	return names
}

// mostRecorded is how many fields may be recorded of each request.
const mostRecorded = 32

// Layout is a Format that is ready to be used: it never changes. A nil Layout is the default
// line.
type Layout struct{ parts []part }

// part is literal text of a line and the value that follows it, if one does: that of an
// operator, or a key of the default line.
type part struct {
	literal string
	value   operators.Value
	field   *field
	mode    mode
}

// mode is how a value is written.
type mode uint8

const (
	asText mode = iota // in a line of text: "-" for nothing
	inside             // inside of a JSON string: "-" for nothing
	asJSON             // a JSON value
)

// Compile returns the layout of a format; nil for the default line. Fields that have to be
// recorded are added to recorded. The error names what is wrong, and what there is.
func (f Format) Compile(recorded *operators.Recorded) (*Layout, error) {
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
		switch {
		case p.value != nil:
			dst = p.appendValue(f, dst, h)
		case p.field != nil:
			dst = p.appendField(f, dst, h)
		}
	}
	return dst
}

// appendValue appends the value of an operator.
func (p *part) appendValue(f *formatter, dst []byte, h *hop.Hop) []byte {
	b, kind := p.value(f.value[:0], h)
	f.value = b[:0]
	switch {
	case p.mode == asJSON && kind == operators.None:
		return append(dst, "null"...)
	case p.mode == asJSON && kind == operators.Text:
		return append(appendEscaped(append(dst, '"'), b), '"')
	case kind == operators.None:
		return append(dst, '-')
	case kind == operators.Number:
		return append(dst, b...)
	}
	return appendEscaped(dst, b)
}

// appendField appends a key of the default line. Its value is JSON.
func (p *part) appendField(f *formatter, dst []byte, h *hop.Hop) []byte {
	if p.mode == asJSON {
		return p.field.append(f, dst, h)
	}
	b := p.field.append(f, f.value[:0], h)
	f.value = b[:0]
	switch {
	case b[0] == '"':
		return append(dst, b[1:len(b)-1]...) // it is escaped
	case string(b) == "null":
		return append(dst, '-')
	case b[0] == '{' || b[0] == '[':
		return appendEscaped(dst, b)
	}
	return append(dst, b...)
}

// compiler puts a layout together.
type compiler struct {
	recorded *operators.Recorded
	parts    []part
}

// literal adds text to the line.
func (c *compiler) literal(s string) {
	if last := c.open(); last != nil {
		last.literal += s
	} else if s != "" {
		c.parts = append(c.parts, part{literal: s})
	}
}

// add adds a value to the line, or a field.
func (c *compiler) add(v operators.Value, f *field, m mode) {
	last := c.open()
	if last == nil {
		c.parts = append(c.parts, part{})
		last = &c.parts[len(c.parts)-1]
	}
	last.value, last.field, last.mode = v, f, m
}

// open returns the last part if no value follows its text yet, or else nil.
func (c *compiler) open() *part {
	if n := len(c.parts); n > 0 && c.parts[n-1].value == nil && c.parts[n-1].field == nil {
		return &c.parts[n-1]
	}
	return nil
}

// operator adds what an operator says.
func (c *compiler) operator(p *operators.Piece, m mode) error {
	if p.Name == ownOperator {
		f := fieldNamed(p.Argument)
		if f == nil {
			return fmt.Errorf("%%%s(%s)%%: there is no such field; there are %s", p.Name, clip(p.Argument), strings.Join(FieldNames(), ", "))
		}
		c.add(nil, f, m)
		return nil
	}
	if all := Operators(); !slices.Contains(all, p.Name) {
		return fmt.Errorf("there is no command operator %%%s%%; there are %s", clip(p.Name), strings.Join(all, ", "))
	}
	v, err := p.Value(c.recorded)
	if err != nil {
		return err
	}
	c.add(v, nil, m)
	return nil
}

// fields makes a line of keys of the default one.
func (c *compiler) fields(names []string) error {
	for i, name := range names {
		f := fieldNamed(name)
		switch {
		case f == nil:
			return fmt.Errorf("there is no field %q; there are %s", clip(name), strings.Join(FieldNames(), ", "))
		case slices.Contains(names[:i], name):
			return fmt.Errorf("the field %s is there twice", name)
		}
		separator := ","
		if i == 0 {
			separator = "{"
		}
		c.literal(separator + `"` + name + `":`)
		c.add(nil, f, asJSON)
	}
	c.literal("}\n")
	return nil
}

// clip bounds what an error quotes.
func clip(s string) string { return s[:min(len(s), 80)] }
