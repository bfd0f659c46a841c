package file

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/strictyaml"
	"github.com/hopscope/hopscope/telemetry/redact"
)

// What the numbers of an endpoint may be, as in Envoy.
const (
	maxWeight   = 1_000_000
	maxPriority = 128
)

// What a file may hold, beside its size.
const (
	maxNesting = 16
	maxKeys    = 1000 // of one mapping
)

// maxMistakes bounds what is said about a file that is wrong everywhere.
const maxMistakes = 20

var (
	fileKeys     = []string{"endpoints"}
	endpointKeys = []string{"address", "weight", "priority", "region", "zone", "health", "metadata"}
)

// Parse reads a file of endpoints: one YAML document, strictly. name is the file's name in
// errors. The error is an [Errors]. Without an error the endpoints are not nil.
func Parse(name string, data []byte) ([]discovery.Endpoint, error) {
	r := &reader{file: name, lines: make(map[string]int)}
	endpoints := []discovery.Endpoint{}
	root, mistake := strictyaml.Parse(data, strictyaml.Options{What: "a list of endpoints", Nesting: maxNesting, MappingKeys: maxKeys})
	switch {
	case mistake != nil:
		r.mistakes = Errors{{File: name, Line: mistake.Line, Column: mistake.Column, Message: mistake.Message}}
	case root == nil:
		r.fail(nil, "", `the file is empty; no endpoint is written as "endpoints: []"`)
	default:
		endpoints = r.document(root)
	}
	if len(r.mistakes) > 0 {
		slices.SortStableFunc(r.mistakes, func(a, b Error) int {
			return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
		})
		return nil, r.mistakes
	}
	return endpoints, nil
}

// reader makes endpoints of a YAML tree and gathers the mistakes in it.
type reader struct {
	file     string
	mistakes Errors
	lines    map[string]int // of each address
}

func (r *reader) fail(at ast.Node, path, format string, args ...any) {
	if len(r.mistakes) < maxMistakes {
		line, column := strictyaml.Position(at)
		r.mistakes = append(r.mistakes, Error{File: r.file, Line: line, Column: column, Path: path, Message: fmt.Sprintf(format, args...)})
	}
}

func (r *reader) document(root ast.Node) []discovery.Endpoint {
	m, ok := root.(*ast.MappingNode)
	if !ok {
		r.fail(root, "", `expected a mapping with the key "endpoints", found %s`, describe(root))
		return nil
	}
	var list *ast.SequenceNode
	before := len(r.mistakes)
	r.keys("", m, fileKeys, func(_ string, key, value ast.Node) {
		if list, ok = value.(*ast.SequenceNode); !ok {
			r.fail(key, "endpoints", "expected a list, found %s; no endpoint is written as []", describe(value))
		}
	})
	switch {
	case list == nil && len(r.mistakes) == before:
		r.fail(root, "", `the key "endpoints" is missing; no endpoint is written as "endpoints: []"`)
		return nil
	case list == nil:
		return nil
	}
	endpoints := make([]discovery.Endpoint, len(list.Values))
	for i, item := range list.Values {
		endpoints[i] = r.endpoint("endpoints["+strconv.Itoa(i)+"]", item)
	}
	return endpoints
}

// endpoint reads one item of the list, in its short form or its long one.
func (r *reader) endpoint(path string, n ast.Node) discovery.Endpoint {
	e := discovery.Endpoint{Weight: 1}
	m, ok := n.(*ast.MappingNode)
	if !ok {
		if _, ok := textOf(n); !ok {
			r.fail(n, path, "expected an address such as 10.0.0.1:8080, or a mapping with one, found %s%s", describe(n), quoteAddress(n))
			return e
		}
		r.address(path, n, &e)
		return e
	}
	addressed := false
	before := len(r.mistakes)
	r.keys(path, m, endpointKeys, func(name string, _, value ast.Node) {
		path := path + "." + name
		switch name {
		case "address":
			addressed = true
			r.address(path, value, &e)
		case "weight":
			e.Weight = r.number(path, value, 1, maxWeight)
		case "priority":
			e.Priority = r.number(path, value, 0, maxPriority)
		case "region":
			e.Locality.Region = r.text(path, value)
		case "zone":
			e.Locality.Zone = r.text(path, value)
		case "health":
			e.Health = r.health(path, value)
		case "metadata":
			e.Metadata = r.metadata(path, value)
		}
	})
	if !addressed && len(r.mistakes) == before {
		r.fail(n, path, `the key "address" is missing`)
	}
	return e
}

// keys calls use for each key of a mapping that is among the valid ones.
func (r *reader) keys(path string, m *ast.MappingNode, valid []string, use func(name string, key, value ast.Node)) {
	lines := make(map[string]int, len(m.Values))
	for _, v := range m.Values {
		name, ok := textOf(v.Key)
		at := strings.TrimPrefix(path+"."+clip(name), ".")
		line, _ := strictyaml.Position(v.Key)
		switch {
		case !ok:
			r.fail(v.Key, path, "expected a key that is a word, found %s", describe(v.Key))
		case lines[name] > 0:
			r.fail(v.Key, at, "duplicate key; the first is in line %d", lines[name])
		case valid != nil && !slices.Contains(valid, name):
			near := ""
			if n := strictyaml.Nearest(name, valid); n != "" {
				near = "; did you mean " + strconv.Quote(n) + "?"
			}
			r.fail(v.Key, at, "unknown key%s (valid keys: %s)", near, strings.Join(valid, ", "))
		default:
			use(name, v.Key, v.Value)
		}
		lines[name] = line
	}
}

func (r *reader) address(path string, n ast.Node, e *discovery.Endpoint) {
	text, ok := textOf(n)
	if !ok {
		r.fail(n, path, "expected an address such as 10.0.0.1:8080, found %s%s", describe(n), quoteAddress(n))
		return
	}
	address, err := discovery.ParseAddress(text)
	if err != nil {
		r.fail(n, path, "%v", err)
		return
	}
	if line := r.lines[address]; line > 0 {
		r.fail(n, path, "%s is there already, in line %d; to send it more requests, give that one a greater weight", address, line)
		return
	}
	e.Address = address
	r.lines[address], _ = strictyaml.Position(n)
}

func (r *reader) number(path string, n ast.Node, least, most int) int {
	if i, ok := n.(*ast.IntegerNode); ok {
		if v, err := strconv.Atoi(i.Token.Value); err == nil && v >= least && v <= most {
			return v
		}
	}
	r.fail(n, path, "expected a whole number from %d to %d, found %s", least, most, describe(n))
	return least
}

func (r *reader) text(path string, n ast.Node) string {
	text, ok := textOf(n)
	if !ok {
		quote := ""
		switch n.(type) {
		case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
			quote = "; write it in quotes: " + strconv.Quote(clip(n.GetToken().Value))
		}
		r.fail(n, path, "expected a string, found %s%s", describe(n), quote)
	}
	return text
}

func (r *reader) health(path string, n ast.Node) discovery.Health {
	text, _ := textOf(n)
	var words []string
	for h := discovery.Healthy; h <= discovery.Draining; h++ {
		if h.String() == text {
			return h
		}
		words = append(words, h.String())
	}
	near := ""
	if n := strictyaml.Nearest(text, words); n != "" {
		near = "; did you mean " + strconv.Quote(n) + "?"
	}
	r.fail(n, path, "expected one of %s, found %s%s", strings.Join(words, ", "), describe(n), near)
	return discovery.Healthy
}

func (r *reader) metadata(path string, n ast.Node) map[string]string {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		r.fail(n, path, "expected a mapping such as {version: v2}, found %s", describe(n))
		return nil
	}
	values := make(map[string]string, len(m.Values))
	r.keys(path, m, nil, func(name string, _, value ast.Node) {
		if _, ok := textOf(value); !ok && redact.Names(name) {
			r.fail(value, path+"."+clip(name), "expected a string in quotes; what stands there is not shown")
			return
		}
		values[name] = r.text(path+"."+clip(name), value)
	})
	return values
}

// textOf is the text of a string. A number is none.
func textOf(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.MappingKeyNode:
		return textOf(n.Value)
	}
	return "", false
}

// describe says what stands in the file.
func describe(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "nothing"
	case *ast.AnchorNode:
		return "a YAML anchor, which is not supported"
	case *ast.AliasNode, *ast.MergeKeyNode:
		return "a YAML alias, which is not supported"
	case *ast.TagNode:
		return "a YAML tag, which is not supported"
	case *ast.DirectiveNode:
		return "a YAML directive, which is not supported"
	}
	if text, ok := textOf(n); ok {
		return strconv.Quote(clip(text))
	}
	if t := n.GetToken(); t != nil {
		return clip(t.Value)
	}
	return "something else"
}

// quoteAddress is the remedy where brackets, which are a list in YAML, were
// meant for an IPv6 address.
func quoteAddress(n ast.Node) string {
	if _, ok := n.(*ast.SequenceNode); ok {
		return `; an IPv6 address needs quotes: "[::1]:8080"`
	}
	return ""
}

// clip bounds what of a value is shown in a message.
func clip(s string) string {
	if runes := []rune(s); len(runes) > 80 {
		return string(runes[:80]) + "..."
	}
	return s
}
