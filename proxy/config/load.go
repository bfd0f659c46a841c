package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// What a file may hold. A person's file is far from all of them; they bound
// the time and memory that a broken or hostile one can take.
const (
	maxBytes   = 1 << 20
	maxKeys    = 25_000 // the YAML parser's time is quadratic in a mapping's keys
	maxNesting = 64
)

// Load reads, decodes and validates a configuration file. Its error is an
// [Errors] when the file could be read.
func Load(path string) (*Config, error) {
	data, err := readFile(path, maxBytes+1)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return Parse(path, data)
}

// readFile reads the first bytes of a file.
func readFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// Parse decodes and validates a configuration: one YAML document, strictly.
// name stands for the file in messages. Its error is an [Errors] with every
// mistake that was found.
//
// Anchors, aliases and merge keys (<<) work as in YAML 1.1; tags and
// directives are refused. An absent key has its default; a written one has
// what is written, so that "timeout: 0s" is no timeout and "via: false" is
// false.
func Parse(name string, data []byte) (*Config, error) {
	return parse(&collector{file: name}, &place{line: 1, column: 1}, data)
}

// parse is Parse that leaves in root where each value stands.
func parse(errs *collector, root *place, data []byte) (*Config, error) {
	body := parseYAML(errs, root, data)
	if body == nil {
		return nil, errs.err()
	}
	c := New()
	d := decoder{errs: errs, aliases: resolveAliases(errs, body)}
	d.decode(root, body, key{typ: reflect.TypeFor[Config]()}, reflect.ValueOf(c).Elem())
	if !d.exhausted() {
		validate(errs, root, c)
	}
	if err := errs.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// parseYAML returns the body of the only document, or nil after reporting why
// there is none.
func parseYAML(errs *collector, root *place, data []byte) ast.Node {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if len(data) > maxBytes {
		errs.add(root, "the file is too large: a configuration has at most %d bytes", maxBytes)
		return nil
	}
	if line, column, message := checkText(data); message != "" {
		errs.addAt(line, column, "", "%s", message)
		return nil
	}
	file, err := parseTokens(string(data))
	if err != nil {
		reportSyntax(errs, root, err, data)
		return nil
	}
	docs := file.Docs
	if len(docs) > 0 && docs[0].Body != nil && docs[0].Body.Type() == ast.DirectiveType {
		errs.add(root, "YAML directives (%%) are not supported: remove the line")
		return nil
	}
	if len(docs) > 1 {
		at := docs[1].Start
		if at == nil {
			at = docs[1].GetToken()
		}
		line, column := root.line, root.column
		if at != nil {
			line, column = at.Position.Line, at.Position.Column
		}
		errs.addAt(line, column, "", "a second YAML document begins here; a configuration is one document")
		return nil
	}
	if len(docs) == 0 || docs[0].Body == nil {
		errs.add(root, "the file is empty; expected a mapping with listeners and clusters")
		return nil
	}
	return docs[0].Body
}

// checkText finds what no YAML file may hold.
func checkText(data []byte) (line, column int, message string) {
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		return 1, 1, "the file is UTF-16; save it as UTF-8"
	}
	line, column = 1, 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return line, column, fmt.Sprintf("the byte 0x%02x is not UTF-8; save the file as UTF-8", data[i])
		case r < ' ' && r != '\n' && r != '\r' && r != '\t', r == 0x7f:
			return line, column, fmt.Sprintf("the control character %U is not allowed", r)
		case r == '\n':
			line, column = line+1, 0
		}
		i += size
		column++
	}
	return 0, 0, ""
}

// parseTokens runs the YAML parser within the limits. A panic of the parser
// over malformed text is a syntax error like any other.
func parseTokens(text string) (file *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			file, err = nil, errors.New("the YAML can not be parsed")
		}
	}()
	tokens := lexer.Tokenize(text)
	if err := checkTokens(tokens); err != nil {
		return nil, err
	}
	return parser.Parse(joinFlowScalars(tokens), 0, parser.AllowDuplicateMapKey())
}

// checkTokens bounds what the parser recurses over.
func checkTokens(tokens token.Tokens) error {
	keys, flow, line, opened := 0, 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, opened = t.Position.Line, 0
		}
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.TagType, token.AnchorType:
			opened++
		case token.MappingKeyType:
			opened++
			keys++
		case token.MappingValueType:
			keys++
		}
		if flow > maxNesting || opened > maxNesting {
			return &yaml.SyntaxError{Token: t, Message: fmt.Sprintf("nested deeper than %d levels", maxNesting)}
		}
		if keys > maxKeys {
			return &yaml.SyntaxError{Token: t, Message: fmt.Sprintf("the file has more than %d keys", maxKeys)}
		}
	}
	return nil
}

// reportSyntax adds a syntax error, with the remedy where the text shows a
// well-known trap.
func reportSyntax(errs *collector, root *place, err error, data []byte) {
	line, column, message := root.line, root.column, ""
	var syntax *yaml.SyntaxError
	if !errors.As(err, &syntax) {
		message = err.Error()
	} else {
		message = syntax.Message // its Error prints the source as well
		if syntax.Token != nil {
			line, column = syntax.Token.Position.Line, max(1, syntax.Token.Position.Column)
		}
	}
	text := lineOf(data, line)
	switch {
	case strings.Contains(message, "'\t'"):
		message = "a tab can not indent YAML; use spaces"
	case strings.Contains(text, "[") && strings.Contains(text, "]:"):
		message += `; an address in brackets needs quotes: "[::1]:8080"`
	}
	errs.addAt(line, column, "", "YAML syntax: %s", message)
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
