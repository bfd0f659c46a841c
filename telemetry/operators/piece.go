package operators

import (
	"fmt"
	"strconv"
	"strings"
)

// Piece is a part of a format string: text, and the command operator behind it,
// %NAME(ARGUMENT):LENGTH%.
type Piece struct {
	Text string
	// Name and Argument are the operator's; Name is "" if there is none.
	Name, Argument string
	// Most is how many bytes the value has at most; -1 is any number.
	Most int

	called bool // it has parentheses
}

// Parse takes a format string apart. The last piece has no operator. A doubled per cent sign
// is one of the text. Parse does not look at names and arguments: [Piece.Value] does.
func Parse(format string) ([]Piece, error) {
	var all []Piece
	var text strings.Builder
	for {
		before, rest, ok := strings.Cut(format, "%")
		text.WriteString(before)
		if !ok {
			return append(all, Piece{Text: text.String(), Most: -1}), nil
		}
		if strings.HasPrefix(rest, "%") {
			text.WriteByte('%')
			format = rest[1:]
			continue
		}
		p := Piece{Text: text.String(), Most: -1}
		text.Reset()
		var err error
		if format, err = p.parse(rest); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
}

// parse reads an operator behind its per cent sign.
func (p *Piece) parse(s string) (rest string, err error) {
	n := 0
	for n < len(s) && ('A' <= s[n] && s[n] <= 'Z' || '0' <= s[n] && s[n] <= '9' || s[n] == '_') {
		n++
	}
	p.Name, rest = s[:n], s[n:]
	if n == 0 {
		return "", fmt.Errorf("after %q comes no command operator; write %%%% for a per cent sign", "%"+clip(s))
	}
	if argument, ok := strings.CutPrefix(rest, "("); ok {
		p.Argument, rest, p.called = strings.Cut(argument, ")")
		if !p.called {
			return "", fmt.Errorf("the parenthesis of %%%s( is not closed", p.Name)
		}
	}
	if length, ok := strings.CutPrefix(rest, ":"); ok {
		length, rest, ok = strings.Cut(length, "%")
		p.Most, err = strconv.Atoi(length)
		if !ok || err != nil || p.Most < 0 || p.Most > 1<<20 {
			return "", fmt.Errorf("%%%s:%s has no length, a number of bytes before the closing %%", p.Name, clip(length))
		}
		return rest, nil
	}
	rest, ok := strings.CutPrefix(rest, "%")
	if !ok {
		return "", fmt.Errorf("%%%s is not closed by %%; write %%%% for a per cent sign", p.Name)
	}
	return rest, nil
}

// clip bounds what an error quotes.
func clip(s string) string { return s[:min(len(s), 80)] }
