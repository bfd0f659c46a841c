package header

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Spec says which fields are changed: first those of Remove are removed, then those of Set
// replaced or added, then those of Add added beside what is there. Values are format
// strings with Envoy's command operators.
type Spec struct {
	Set, Add map[string]string
	Remove   []string
}

// Side is what is changed.
type Side uint8

// Requests go out, responses come back.
const (
	Request Side = iota
	Response
)

// Changes is a compiled [Spec]. It never changes, and nil changes nothing.
type Changes struct {
	remove []name
	fields []field // in order
	late   []field // what depends on the endpoint of an attempt
}

// name is the name of a field, in lower case, and its number.
type name struct {
	id   message.FieldID
	text []byte
}

func newName(text string) name {
	n := name{text: []byte(strings.ToLower(text))}
	n.id = message.FieldByName(n.text)
	return n
}

// field is a field with the value that it gets.
type field struct {
	name
	title   string // the name
	beside  bool   // those that are there stay
	literal string // the value, if there are no pieces
	pieces  []piece
}

// Compile returns the changes that a spec asks for; nil for none. The error names the field.
func Compile(side Side, s Spec) (*Changes, error) {
	c := &Changes{}
	for _, name := range s.Remove {
		c.remove = append(c.remove, newName(name))
	}
	for _, part := range []struct {
		values map[string]string
		beside bool
	}{{s.Set, false}, {s.Add, true}} {
		for _, name := range slices.Sorted(maps.Keys(part.values)) {
			f := field{name: newName(name), title: strings.ToLower(name), beside: part.beside}
			late, err := f.parse(side, part.values[name])
			switch {
			case err != nil:
				return nil, fmt.Errorf("%s: %w", name, err)
			case late && part.beside:
				return nil, fmt.Errorf("%s: each attempt has an endpoint of its own, so its value can be set, not added", name)
			case late:
				c.late = append(c.late, f)
			default:
				c.fields = append(c.fields, f)
			}
		}
	}
	if len(c.remove)+len(c.fields)+len(c.late) == 0 {
		return nil, nil
	}
	return c, nil
}

// Check says what is wrong with a value, nil for a good one.
func Check(side Side, value string, added bool) error {
	s := Spec{Set: map[string]string{"": value}}
	if added {
		s = Spec{Add: s.Set}
	}
	_, err := Compile(side, s)
	if err != nil {
		return fmt.Errorf("%s", strings.TrimPrefix(err.Error(), ": "))
	}
	return nil
}

// Apply changes the fields of a head, which is the request's or the response's. What the
// values are made of is the hop, the request and, for a response, that. It allocates nothing
// for values without operators.
func (c *Changes) Apply(to *message.Head, h *hop.Hop, request, response *message.Head) {
	if c == nil {
		return
	}
	for i := range c.remove {
		n := &c.remove[i]
		to.RemoveField(n.id, n.text)
	}
	for i := range c.fields {
		c.fields[i].apply(to, h, request, response)
	}
}

// ApplyLate changes what depends on the endpoint of an attempt, whose record is the hop's
// last. It may be called for each attempt.
func (c *Changes) ApplyLate(request *message.Head, h *hop.Hop) {
	if c == nil {
		return
	}
	for i := range c.late {
		c.late[i].apply(request, h, request, nil)
	}
}

func (f *field) apply(to *message.Head, h *hop.Hop, request, response *message.Head) {
	line := to.BeginField(f.title)
	before := len(line)
	if f.pieces == nil {
		line = append(line, f.literal...)
	} else {
		line = f.append(line, h, request, response)
	}
	if !f.beside {
		to.RemoveField(f.id, f.text)
	}
	if len(line) > before {
		to.EndField(f.id, line)
	}
}
