package accesslog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hopscope/hopscope/telemetry/operators"
)

// template adds a format string to the line.
func (c *compiler) template(format string, m mode) error {
	pieces, err := operators.Parse(format)
	if err != nil {
		return err
	}
	return c.pieces(pieces, m)
}

// pieces adds the pieces of a format string to the line.
func (c *compiler) pieces(pieces []operators.Piece, m mode) error {
	for i := range pieces {
		p := &pieces[i]
		if m == inside {
			c.literal(string(appendEscaped(nil, p.Text)))
		} else {
			c.literal(p.Text)
		}
		if p.Name == "" {
			continue
		}
		if err := c.operator(p, m); err != nil {
			return err
		}
	}
	return nil
}

// maxDepth is how deep a JSON format may be nested.
const maxDepth = 16

// json adds a JSON object to the line, whose strings are format strings.
func (c *compiler) json(object string) error {
	d := json.NewDecoder(strings.NewReader(object))
	d.UseNumber()
	first, err := d.Token()
	if err == nil && first != json.Delim('{') {
		err = errors.New("it is no mapping of names to format strings")
	}
	if err == nil {
		err = c.members(d, '}', 0)
	}
	if err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the mapping")
	}
	return nil
}

// members adds what is in an object or an array, up to its end.
func (c *compiler) members(d *json.Decoder, end json.Delim, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("it is nested deeper than %d levels", maxDepth)
	}
	c.literal(string(rune(end - 2))) // '}' - 2 is '{', ']' - 2 is '['
	for n := 0; ; n++ {
		token, err := d.Token()
		if err != nil {
			return err
		}
		if token == end {
			c.literal(string(rune(end)))
			return nil
		}
		if n > 0 {
			c.literal(",")
		}
		name := ""
		if end == '}' {
			name, _ = token.(string) // a key is a string
			c.literal(string(appendEscaped([]byte{'"'}, name)) + `":`)
			if token, err = d.Token(); err != nil {
				return err
			}
		}
		if err := c.member(d, token, depth); err != nil {
			if name != "" {
				err = fmt.Errorf("%s: %w", clip(name), err)
			}
			return err
		}
	}
}

// member adds a value.
func (c *compiler) member(d *json.Decoder, token json.Token, depth int) error {
	switch token := token.(type) {
	case json.Delim:
		return c.members(d, token+2, depth+1) // '{' + 2 is '}', '[' + 2 is ']'
	case string:
		return c.string(token)
	}
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(token); err != nil {
		return err
	}
	c.literal(strings.TrimSpace(b.String()))
	return nil
}

// string adds a format string as a JSON value: that of an operator if it is one alone.
func (c *compiler) string(format string) error {
	pieces, err := operators.Parse(format)
	if err != nil {
		return err
	}
	if len(pieces) == 2 && pieces[0].Text == "" && pieces[1].Text == "" {
		return c.operator(&pieces[0], asJSON)
	}
	c.literal(`"`)
	err = c.pieces(pieces, inside)
	c.literal(`"`)
	return err
}
