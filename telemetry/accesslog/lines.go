package accesslog

import "github.com/hopscope/hopscope/telemetry/hop"

// Lines makes lines for something else than a file. One goroutine uses it.
type Lines struct {
	layout *Layout
	format formatter
}

// NewLines returns what makes the lines of a layout that is not nil.
func NewLines(l *Layout) *Lines { return &Lines{layout: l} }

// Append appends the line of h, with its newline.
func (l *Lines) Append(dst []byte, h *hop.Hop) []byte { return l.layout.appendLine(&l.format, dst, h) }
