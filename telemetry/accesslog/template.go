package accesslog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// command is a command operator of a format string: %NAME(ARGUMENT):LENGTH%.
type command struct {
	name     string
	argument string
	called   bool // it has parentheses
	length   int  // of the value at most, in bytes; -1 is any
}

// next cuts the first command off a format string. before is the text in front of it; ok is
// false if there is no command. A doubled per cent sign is one.
func next(format string) (before string, c command, rest string, ok bool, err error) {
	var literal strings.Builder
	for {
		i := strings.IndexByte(format, '%')
		if i < 0 {
			literal.WriteString(format)
			return literal.String(), command{}, "", false, nil
		}
		literal.WriteString(format[:i])
		format = format[i+1:]
		if strings.HasPrefix(format, "%") {
			literal.WriteByte('%')
			format = format[1:]
			continue
		}
		c, rest, err = cutCommand(format)
		return literal.String(), c, rest, err == nil, err
	}
}

// cutCommand reads a command behind its per cent sign.
func cutCommand(s string) (c command, rest string, err error) {
	n := 0
	for n < len(s) && ('A' <= s[n] && s[n] <= 'Z' || '0' <= s[n] && s[n] <= '9' || s[n] == '_') {
		n++
	}
	c.name, c.length, rest = s[:n], -1, s[n:]
	if n == 0 {
		return c, "", fmt.Errorf("after %q comes no command operator; write %%%% for a per cent sign", "%"+clip(s))
	}
	if argument, ok := strings.CutPrefix(rest, "("); ok {
		c.argument, rest, c.called = strings.Cut(argument, ")")
		if !c.called {
			return c, "", fmt.Errorf("the parenthesis of %%%s( is not closed", c.name)
		}
	}
	if length, ok := strings.CutPrefix(rest, ":"); ok {
		length, rest, ok = strings.Cut(length, "%")
		c.length, err = strconv.Atoi(length)
		if !ok || err != nil || c.length < 0 || c.length > 1<<20 {
			return c, "", fmt.Errorf("%%%s:%s has no length, a number of bytes before the closing %%", c.name, clip(length))
		}
		return c, rest, nil
	}
	rest, ok := strings.CutPrefix(rest, "%")
	if !ok {
		return c, "", fmt.Errorf("%%%s is not closed by %%; write %%%% for a per cent sign", c.name)
	}
	return c, rest, nil
}

// template adds a format string to the line.
func (c *compiler) template(format string, m mode) error {
	for {
		before, command, rest, ok, err := next(format)
		if err != nil {
			return err
		}
		if m == inside {
			before = string(appendEscaped(nil, before))
		}
		c.literal(before)
		if !ok {
			return nil
		}
		v, err := c.value(command)
		if err != nil {
			return err
		}
		c.add(v, m)
		format = rest
	}
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
	before, command, rest, ok, err := next(format)
	if err != nil {
		return err
	}
	if ok && before == "" && rest == "" {
		v, err := c.value(command)
		if err != nil {
			return err
		}
		c.add(v, asJSON)
		return nil
	}
	c.literal(`"`)
	err = c.template(format, inside)
	c.literal(`"`)
	return err
}
