package config

import (
	"encoding/json"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/hopscope/hopscope/discovery/strictyaml"
)

// JSON is a mapping of whatever keys and values, as a JSON object whose members are in the
// order of the file. It is empty if there is none.
type JSON string

// decodeJSON sets the text of a mapping.
func (d *decoder) decodeJSON(p *place, n ast.Node) (text string, ok bool) {
	if _, ok := n.(*ast.MappingNode); !ok {
		return "", false
	}
	return string(jsonText(d.treeOf(p, n))), true
}

// treeOf returns the tree of a YAML value. What JSON does not have is reported.
func (d *decoder) treeOf(p *place, n ast.Node) any {
	if n = d.deref(n); n == nil {
		p.failed = true
		return nil
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		o := object{}
		for _, e := range d.entries(p, n) {
			o = append(o, member{e.name, d.treeOf(e.place(p), e.value)})
		}
		return o
	case *ast.SequenceNode:
		list := []any{}
		if !d.spend(p, n, len(n.Values)) {
			return list
		}
		for i, item := range n.Values {
			list = append(list, d.treeOf(p.item(i), item))
		}
		return list
	case *ast.NullNode:
		return nil
	case *ast.BoolNode:
		return n.Value
	}
	if text, _, ok := stringOf(n); ok {
		return text
	}
	if text := n.GetToken().Value; isDecimal(text) || isFraction(text) && json.Valid([]byte(text)) {
		return json.Number(text)
	}
	line, column := strictyaml.Position(n)
	d.errs.addAt(line, column, p.path(), "expected a string, a number, true, false, a list or a mapping, found %s", describe(n, key{}))
	return nil
}

// tree is the tree of j.
func (j JSON) tree() any {
	d := json.NewDecoder(strings.NewReader(string(j)))
	d.UseNumber()
	v, err := readTree(d)
	if err != nil {
		return string(j) // a Config that was built in code, and is not valid
	}
	return v
}

// readTree reads one value.
func readTree(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		o := object{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := readTree(d)
			if err != nil {
				return nil, err
			}
			o = append(o, member{name.(string), v}) // JSON has no other keys
		}
		_, err := d.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := readTree(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	return token, nil
}
