package accesslog

import (
	"fmt"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Piece is a part of a format string: text, and the command operator behind it.
type Piece struct {
	Text string
	// Name and Argument are the operator's; Name is "" if there is none.
	Name, Argument string
	// Most is how many bytes the value has at most; -1 is any number.
	Most int

	command command
}

// Pieces takes a format string apart, for other uses than a line of a log.
func Pieces(format string) (all []Piece, err error) {
	for {
		before, c, rest, ok, err := next(format)
		if err != nil {
			return nil, err
		}
		if !ok {
			return append(all, Piece{Text: before, Most: -1}), nil
		}
		all = append(all, Piece{before, c.name, c.argument, c.length, c})
		format = rest
	}
}

// Value returns a func that appends what a Hop has for the operator, which is nothing where
// it has none.
func (p *Piece) Value() (func(dst []byte, h *hop.Hop) []byte, error) {
	var recorded Recorded
	c := compiler{recorded: &recorded}
	v, err := c.value(p.command)
	if err != nil {
		return nil, err
	}
	if len(recorded) > 0 {
		return nil, fmt.Errorf("%%%s(%s)%% is known to lines of a log alone", p.Name, clip(p.Argument))
	}
	return func(dst []byte, h *hop.Hop) []byte {
		dst, _ = v(&formatter{}, dst, h)
		return dst
	}, nil
}

// Named returns the piece with an operator of another name.
func Named(p Piece, name string) Piece {
	p.Name, p.command.name = name, name
	return p
}
