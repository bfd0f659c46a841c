package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hopscope/hopscope/discovery/strictyaml"
)

// Error is one mistake in a configuration.
type Error struct {
	// File is the name passed to Load or Parse; empty for a Config built in code.
	File string
	// Line and Column count from 1, the column in characters; 0 for a Config
	// that was built in code.
	Line, Column int
	// Path is the key, such as listeners[0].routes[1].cluster; empty if the mistake
	// concerns the whole file.
	Path string
	// Message says what was expected and what was found.
	Message string
}

// Error is one line: hopscope.yaml:12:7: listeners[0].name: ...
func (e Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ":")
		if e.Line > 0 {
			fmt.Fprintf(&b, "%d:%d:", e.Line, e.Column)
		}
		b.WriteByte(' ')
	}
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	b.WriteString(e.Message)
	return b.String()
}

// Errors are all the mistakes in a configuration, in the order of the file.
type Errors []Error

// Error is one line for each mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// maxErrors bounds the work on a file that is wrong everywhere.
const maxErrors = 100

// collector gathers the mistakes of one configuration.
type collector struct {
	file    string
	list    Errors
	dropped int
	// watched are the patterns of the files whose change is one of the configuration.
	watched []string
}

// add reports a mistake at a place, unless that place or one around it is already
// reported: one mistake, one line.
func (c *collector) add(p *place, format string, args ...any) {
	if p.broken() {
		return
	}
	if p.variable != "" {
		if !c.full() { // else counted by addAt
			c.list = append(c.list, Error{Path: p.variable, Message: fmt.Sprintf(format, args...)})
			return
		}
	}
	c.addIn(p.in(c.file), p.line, p.column, p.path(), format, args...)
}

func (c *collector) addAt(line, column int, path, format string, args ...any) {
	c.addIn(c.file, line, column, path, format, args...)
}

func (c *collector) addIn(file string, line, column int, path, format string, args ...any) {
	if c.full() {
		c.dropped++
		return
	}
	c.list = append(c.list, Error{File: file, Line: line, Column: column, Path: path,
		Message: fmt.Sprintf(format, args...)})
}

// take takes the mistakes of another file.
func (c *collector) take(other *collector) {
	room := min(len(other.list), maxErrors-len(c.list))
	c.list = append(c.list, other.list[:room]...)
	c.dropped += other.dropped + len(other.list) - room
}

func (c *collector) full() bool { return len(c.list) >= maxErrors }

// didYouMean returns the end of a message about an invalid name: the nearest valid one,
// or nothing.
func (c *collector) didYouMean(name string, valid []string) string {
	if c.full() {
		return ""
	}
	if near := cmp.Or(strictyaml.Nearest(name, valid), wordAlias(name, valid)); near != "" {
		return "; did you mean " + strconv.Quote(near) + "?"
	}
	return ""
}

// err returns the gathered mistakes, or nil.
func (c *collector) err() error {
	if len(c.list) == 0 {
		return nil
	}
	slices.SortStableFunc(c.list, func(a, b Error) int {
		return cmp.Or(c.order(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if c.dropped > 0 {
		c.list = append(c.list, Error{File: c.file, Message: fmt.Sprintf("and %d more mistakes", c.dropped)})
	}
	return c.list
}

// order has the configuration's own file before others, and those by name.
func (c *collector) order(a, b string) int {
	rank := func(file string) string {
		if file == c.file {
			return ""
		}
		return file
	}
	return cmp.Compare(rank(a), rank(b))
}

// place is the key path of a value and its position in the file. The places of a
// configuration form a tree in the shape of the Config. In a Config built in code, they
// have no positions.
type place struct {
	parent       *place
	step         string // ".routes", "[1]"
	file         string // of a tree of its own, in another file; "" for the configuration's
	line, column int
	written      bool   // in the file, not a default
	failed       bool   // could not be decoded: the value is a default
	variable     string // the environment variable that the value comes from; "" for none
	children     map[string]*place
}

func (p *place) child(step string) *place {
	if c := p.children[step]; c != nil {
		return c
	}
	if p.children == nil {
		p.children = make(map[string]*place)
	}
	c := &place{parent: p, step: step, line: p.line, column: p.column}
	p.children[step] = c
	return c
}

// key is the place of a key of a mapping.
func (p *place) key(name string) *place {
	if isPlainName(name) {
		return p.child("." + name)
	}
	return p.child("[" + strconv.Quote(name) + "]")
}

// item is the place of an item of a list.
func (p *place) item(i int) *place { return p.child("[" + strconv.Itoa(i) + "]") }

func (p *place) path() string {
	var steps []string
	for ; p != nil; p = p.parent {
		steps = append(steps, clip(p.step))
	}
	slices.Reverse(steps)
	return strings.TrimPrefix(strings.Join(steps, ""), ".")
}

// in is the file that the place is in; own is the configuration's.
func (p *place) in(own string) string {
	for ; p != nil; p = p.parent {
		if p.file != "" {
			return p.file
		}
	}
	return own
}

func (p *place) broken() bool {
	for ; p != nil; p = p.parent {
		if p.failed {
			return true
		}
	}
	return false
}

// maxShown is how much of a key or value is shown in a message.
const maxShown = 80

func clip(s string) string {
	if utf8.RuneCountInString(s) <= maxShown {
		return s
	}
	return string([]rune(s)[:maxShown]) + "..."
}

func isPlainName(s string) bool {
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
		default:
			return false
		}
	}
	return s != "" && len(s) <= 64
}
