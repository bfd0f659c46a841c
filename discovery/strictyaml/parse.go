package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
)

// Options say what a file is, and what it may hold.
type Options struct {
	// What stands for the file in messages, with its article: "a configuration".
	What string
	// Nesting is how deep lists and mappings may stand in each other in one line. By
	// indentation it is four times as deep.
	Nesting int
	// Keys is how many keys all mappings may have together, MappingKeys how many each
	// may have: the YAML parser's time is quadratic in a mapping's keys. 0 is no limit.
	Keys, MappingKeys int
}

// Error is why a file is not one YAML document.
type Error struct {
	// Line and Column count from 1, the column in characters.
	Line, Column int
	// Message says what is wrong, and the remedy where there is one.
	Message string
}

// Error leaves the place out: callers have their own way to show it.
func (e *Error) Error() string { return e.Message }

// Parse returns the body of the only document of a file, nil if it has none. Keys may be
// there twice: that is for the caller to find, who can say which.
func Parse(data []byte, o Options) (ast.Node, *Error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if mistake := checkText(data); mistake != nil {
		return nil, mistake
	}
	file, err := parseTokens(string(data), o)
	if err != nil {
		return nil, syntaxError(err, data)
	}
	docs := file.Docs
	if len(docs) > 0 && docs[0].Body != nil && docs[0].Body.Type() == ast.DirectiveType {
		return nil, &Error{1, 1, "YAML directives (%) are not supported: remove the line"}
	}
	if len(docs) > 1 {
		at := docs[1].Start
		if at == nil {
			at = docs[1].GetToken()
		}
		line, column := positionOf(at)
		return nil, &Error{line, column, "a second YAML document begins here; " + o.What + " is one document"}
	}
	if len(docs) == 0 {
		return nil, nil
	}
	return docs[0].Body, nil
}

// checkText finds what no YAML file may hold.
func checkText(data []byte) *Error {
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		return &Error{1, 1, "the file is UTF-16; save it as UTF-8"}
	}
	line, column := 1, 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return &Error{line, column, fmt.Sprintf("the byte 0x%02x is not UTF-8; save the file as UTF-8", data[i])}
		case r < ' ' && r != '\n' && r != '\r' && r != '\t', r == 0x7f:
			return &Error{line, column, fmt.Sprintf("the control character %U is not allowed", r)}
		case r == '\n':
			line, column = line+1, 0
		}
		i += size
		column++
	}
	return nil
}

// parseTokens runs the YAML parser within the limits. A panic of the parser
// over malformed text is a syntax error like any other.
func parseTokens(text string, o Options) (file *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			file, err = nil, errors.New("the YAML can not be parsed")
		}
	}()
	tokens := lexer.Tokenize(text)
	if err := checkTokens(tokens, o); err != nil {
		return nil, err
	}
	return parser.Parse(joinFlowScalars(tokens), 0, parser.AllowDuplicateMapKey())
}

// syntaxError is what the parser said, with the remedy where the text shows a well-known
// trap.
func syntaxError(err error, data []byte) *Error {
	line, column, message := 1, 1, err.Error()
	if syntax, ok := errors.AsType[*yaml.SyntaxError](err); ok {
		message = syntax.Message // its Error prints the source as well
		line, column = positionOf(syntax.Token)
	}
	text := lineOf(data, line)
	switch {
	case strings.Contains(message, "'\t'"):
		message = "a tab can not indent YAML; use spaces"
	case strings.Contains(text, "[") && strings.Contains(text, "]:"):
		message += `; an address in brackets needs quotes: "[::1]:8080"`
	}
	return &Error{line, column, "YAML syntax: " + message}
}

func lineOf(data []byte, n int) string {
	for range n - 1 {
		_, rest, ok := bytes.Cut(data, []byte("\n"))
		if !ok {
			return ""
		}
		data = rest
	}
	text, _, _ := bytes.Cut(data, []byte("\n"))
	return string(text)
}
