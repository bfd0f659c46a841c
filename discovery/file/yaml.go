package file

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
	"github.com/goccy/go-yaml/token"
)

// What a file may hold, beside its size. They bound the time that a broken or
// hostile one can take.
const (
	maxNesting = 16
	maxKeys    = 1000 // of one mapping: the YAML parser's time is quadratic in them
)

// body returns the body of the only document of a file.
func body(data []byte) (ast.Node, *Error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) {
		return nil, &Error{Line: 1, Column: 1, Message: "the file is not UTF-8: save it as such"}
	}
	file, err := parseTokens(string(data))
	if err != nil {
		e := &Error{Line: 1, Column: 1, Message: "YAML syntax: " + err.Error()}
		if syntax, ok := errors.AsType[*yaml.SyntaxError](err); ok {
			e.Message = "YAML syntax: " + syntax.Message // its Error prints the source as well
			if syntax.Token != nil {
				e.Line, e.Column = positionOf(syntax.Token)
			}
			if text := lineOf(data, e.Line); strings.Contains(text, "[") && strings.Contains(text, "]:") {
				e.Message += `; an IPv6 address needs quotes: "[::1]:8080"`
			}
		}
		return nil, e
	}
	if len(file.Docs) > 1 {
		e := &Error{Line: 1, Column: 1, Message: "there is more than one YAML document; expected one"}
		if start := file.Docs[1].Start; start != nil {
			e.Line, e.Column = positionOf(start)
		}
		return nil, e
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil, &Error{Line: 1, Column: 1, Message: `the file is empty; no endpoint is written as "endpoints: []"`}
	}
	return file.Docs[0].Body, nil
}

func lineOf(data []byte, n int) string {
	number := 0
	for line := range strings.Lines(string(data)) {
		if number++; number == n {
			return line
		}
	}
	return ""
}

// parseTokens runs the YAML parser within the limits. A panic of the parser
// over malformed text is a syntax error like any other.
func parseTokens(text string) (file *ast.File, err error) {
	defer func() {
		if recover() != nil {
			file, err = nil, errors.New("it can not be parsed")
		}
	}()
	tokens := lexer.Tokenize(text)
	if err := checkTokens(tokens); err != nil {
		return nil, err
	}
	return parser.Parse(joinFlowScalars(tokens), 0, parser.AllowDuplicateMapKey())
}

// checkTokens bounds the parser's recursion and the keys of each mapping.
func checkTokens(tokens token.Tokens) error {
	flow := []int{} // the keys of each open flow mapping or list
	block := map[int]int{}
	line, opened := 0, 0
	var before *token.Token
	for _, t := range tokens {
		if t.Position.Line != line {
			line, opened = t.Position.Line, 0
		}
		keys := 0
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow = append(flow, 0)
		case token.MappingEndType, token.SequenceEndType:
			flow = flow[:max(0, len(flow)-1)]
		case token.SequenceEntryType:
			opened++
			for column := range block { // what is deeper begins anew
				if column > t.Position.Column {
					delete(block, column)
				}
			}
		case token.TagType, token.AnchorType, token.MappingKeyType:
			opened++
		case token.MappingValueType:
			opened++
			if len(flow) > 0 {
				flow[len(flow)-1]++
				keys = flow[len(flow)-1]
			} else if before != nil {
				block[before.Position.Column]++
				keys = block[before.Position.Column]
			}
		}
		if len(flow) > maxNesting || len(flow) == 0 && opened > maxNesting || len(block) > 4*maxNesting {
			return &yaml.SyntaxError{Token: t, Message: fmt.Sprintf("it is nested deeper than %d levels", maxNesting)}
		}
		if keys > maxKeys {
			return &yaml.SyntaxError{Token: t, Message: fmt.Sprintf("a mapping has more than %d keys", maxKeys)}
		}
		before = t
	}
	return nil
}

// joinFlowScalars puts together again what the YAML parser's lexer takes apart
// inside a flow mapping: there it reads {address: 10.0.0.1:80} as if it had a
// key 10.0.0.1. In YAML 1.2 (section 7.3.3) a colon within a plain scalar ends a
// key only when a space or a flow indicator follows.
func joinFlowScalars(tokens token.Tokens) token.Tokens {
	joined := make(token.Tokens, 0, len(tokens))
	mappings := 0
	for _, t := range tokens {
		switch t.Type {
		case token.MappingStartType:
			mappings++
		case token.MappingEndType:
			mappings--
		}
		n := len(joined)
		if mappings > 0 && n >= 2 && isPlain(t) && isPlain(joined[n-2]) && joined[n-1].Type == token.MappingValueType &&
			touch(joined[n-2], joined[n-1]) && touch(joined[n-1], t) {
			host := joined[n-2]
			t = token.New(host.Value+":"+t.Value, host.Origin+":"+t.Origin, host.Position)
			joined = joined[:n-2]
		}
		joined = append(joined, t)
	}
	linked := make(token.Tokens, 0, len(joined))
	linked.Add(joined...)
	return linked
}

// touch tells whether b begins where a, in the same line, ends.
func touch(a, b *token.Token) bool {
	return a.Position.Line == b.Position.Line &&
		a.Position.Column+utf8.RuneCountInString(a.Value) == b.Position.Column
}

// isPlain tells a scalar without quotes.
func isPlain(t *token.Token) bool {
	switch t.Type {
	case token.StringType, token.BoolType, token.NullType, token.InfinityType, token.NanType, token.IntegerType,
		token.FloatType, token.BinaryIntegerType, token.OctetIntegerType, token.HexIntegerType:
		return true
	}
	return false
}

// position is where a value begins.
func position(n ast.Node) (line, column int) {
	switch v := n.(type) {
	case *ast.MappingNode:
		if !v.IsFlowStyle && len(v.Values) > 0 {
			return position(v.Values[0].Key)
		}
	case *ast.MappingKeyNode:
		return position(v.Value)
	}
	if t := n.GetToken(); t != nil {
		return positionOf(t)
	}
	return 1, 1
}

func positionOf(t *token.Token) (line, column int) {
	if t.Position == nil {
		return 1, 1
	}
	return max(1, t.Position.Line), max(1, t.Position.Column)
}
