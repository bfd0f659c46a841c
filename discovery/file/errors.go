package file

import (
	"fmt"
	"strings"
)

// Error is one mistake in a file of endpoints.
type Error struct {
	// File is the name that was given to Check or Parse.
	File string
	// Line and Column count from 1, the column in characters.
	Line, Column int
	// Path is the key, such as endpoints[1].weight; empty when the mistake is
	// the file's.
	Path string
	// Message says what was expected and what was found.
	Message string
}

// Error is one line: endpoints.yaml:3:5: endpoints[1].weight: ...
func (e Error) Error() string {
	path := e.Path
	if path != "" {
		path += ": "
	}
	return fmt.Sprintf("%s:%d:%d: %s%s", e.File, e.Line, e.Column, path, e.Message)
}

// Errors are the mistakes in a file, in its order.
type Errors []Error

// Error is one line for each mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}
