package convert

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/goccy/go-yaml/ast"

	"github.com/hopscope/hopscope/discovery/strictyaml"
)

// node is a value of a YAML or JSON file, which knows its line, and whether it was read.
// A nil node is an absent value.
type node struct {
	line   int
	path   string // its key, and those around it
	text   string // of a scalar
	scalar bool
	fields []field // of a mapping
	items  []*node // of a list
	read   bool
}

type field struct {
	name string
	node *node
}

// maxNodes bounds what aliases may expand a file to.
const maxNodes = 1_000_000

// parseTree reads a file of one YAML document, or of JSON.
func parseTree(file string, data []byte) (*node, error) {
	body, mistake := strictyaml.Parse(data, strictyaml.Options{What: "a configuration", Nesting: 128, Keys: 500_000})
	switch {
	case mistake != nil:
		return nil, fmt.Errorf("%s:%d:%d: %s", file, mistake.Line, mistake.Column, mistake.Message)
	case body == nil:
		return nil, fmt.Errorf("%s: the file is empty", file)
	}
	b := treeBuilder{anchors: map[string]ast.Node{}}
	root := b.build(body, "")
	if b.err != nil {
		return nil, fmt.Errorf("%s: %w", file, b.err)
	}
	return root, nil
}

type treeBuilder struct {
	anchors map[string]ast.Node
	open    []string // the aliases that are being followed
	nodes   int
	err     error
}

func (b *treeBuilder) build(n ast.Node, path string) *node {
	line, _ := strictyaml.Position(n)
	out := &node{line: line, path: path}
	if b.nodes++; b.nodes > maxNodes && b.err == nil {
		b.err = errors.New("it expands to too many values")
	}
	if b.err != nil {
		return out
	}
	switch n := n.(type) {
	case *ast.AnchorNode:
		b.anchors[n.Name.GetToken().Value] = n.Value
		return b.build(n.Value, path)
	case *ast.AliasNode:
		if len(b.open) > 32 {
			b.err = errors.New("its aliases never end")
			return out
		}
		name := n.Value.GetToken().Value
		target, ok := b.anchors[name]
		if !ok {
			b.err = fmt.Errorf("line %d: the alias has no anchor before it", line)
			return out
		}
		b.open = append(b.open, name)
		target2 := b.build(target, path)
		b.open = b.open[:len(b.open)-1]
		return target2
	case *ast.TagNode:
		return b.build(n.Value, path)
	case *ast.MappingNode:
		for _, v := range n.Values {
			b.pair(out, v)
		}
	case *ast.SequenceNode:
		for i, v := range n.Values {
			out.items = append(out.items, b.build(v, path+"["+strconv.Itoa(i)+"]"))
		}
	case *ast.NullNode:
	case *ast.StringNode:
		out.scalar, out.text = true, n.Value
	case *ast.LiteralNode:
		out.scalar, out.text = true, n.Value.Value
	default:
		out.scalar, out.text = true, n.GetToken().Value
	}
	return out
}

func (b *treeBuilder) pair(out *node, v *ast.MappingValueNode) {
	if _, merge := v.Key.(*ast.MergeKeyNode); merge {
		from := b.build(v.Value, out.path)
		for _, source := range append([]*node{from}, from.items...) {
			for _, f := range source.fields {
				if out.find(f.name) == nil {
					out.fields = append(out.fields, f)
				}
			}
		}
		return
	}
	name := v.Key.GetToken().Value
	path := shorter(out.path, name)
	if name == "typed_config" && isManager(v.Value) {
		path, _, _ = strings.Cut(out.path, ".filter_chains[0].filters[")
	}
	value := b.build(v.Value, path)
	if keyLine, _ := strictyaml.Position(v.Key); value.fields != nil || value.items != nil {
		value.line = keyLine
	}
	out.fields = append(out.fields, field{name, value})
}

// shorter is the path of a key, without the layers that every file of Envoy's has.
func shorter(path, name string) string {
	path = strings.TrimPrefix(path, "static_resources")
	if i := strings.LastIndexByte(path, '.'); name == "typed_config" && strings.HasPrefix(path[i+1:], "http_filters[") {
		return path
	}
	return strings.TrimPrefix(path+"."+name, ".")
}

// isManager reports whether a value is an HTTP connection manager, which a listener that
// can be said has one of.
func isManager(n ast.Node) bool {
	fields, _ := n.(*ast.MappingNode)
	if fields == nil {
		return false
	}
	for _, v := range fields.Values {
		if kind, ok := v.Value.(*ast.StringNode); ok && v.Key.GetToken().Value == "@type" {
			return strings.HasSuffix(kind.Value, ".HttpConnectionManager")
		}
	}
	return false
}

// find returns the value of a key, in snake case or in camel case.
func (n *node) find(name string) *node {
	if n == nil {
		return nil
	}
	for _, f := range n.fields {
		if f.name == name || snake(f.name) == name {
			return f.node
		}
	}
	return nil
}

// snake is routeConfig as route_config.
func snake(name string) string {
	if strings.ContainsAny(name, ".@") {
		return name
	}
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// get reads a key; several names are keys within each other.
func (n *node) get(names ...string) *node {
	for _, name := range names {
		if n = n.find(name); n == nil {
			return nil
		}
		n.read = true
	}
	return n
}

// has reports whether a key is there, which does not read it.
func (n *node) has(name string) bool { return n.find(name) != nil }

// str reads a text.
func (n *node) str(names ...string) string {
	if n = n.get(names...); n == nil {
		return ""
	}
	return n.text
}

// list reads a list.
func (n *node) list(names ...string) []*node {
	if n = n.get(names...); n == nil {
		return nil
	}
	for _, item := range n.items {
		item.read = true
	}
	return n.items
}

// strs reads a list of texts.
func (n *node) strs(names ...string) (all []string) {
	for _, item := range n.list(names...) {
		all = append(all, item.text)
	}
	return all
}

// truth reads true or false; absent is false.
func (n *node) truth(names ...string) bool { return n.str(names...) == "true" }

// number reads a number.
func (n *node) number(names ...string) (value float64, ok bool) {
	if n = n.get(names...); n == nil {
		return 0, false
	}
	value, err := strconv.ParseFloat(n.text, 64)
	return value, err == nil
}

// integer reads a whole number, or else returns the default.
func (n *node) integer(def int, names ...string) int {
	if value, ok := n.number(names...); ok {
		return int(value)
	}
	return def
}

// duration reads seconds, "1.5s".
func (n *node) duration(def time.Duration, names ...string) time.Duration {
	if n = n.get(names...); n == nil {
		return def
	}
	d, err := time.ParseDuration(n.text)
	if err != nil {
		n.read = false // which lists it
		return def
	}
	return d
}

// skip reads keys that need no word, with all that is in them.
func (n *node) skip(names ...string) {
	for _, name := range names {
		if found := n.find(name); found != nil {
			found.readAll()
		}
	}
}

func (n *node) readAll() {
	if n == nil {
		return
	}
	n.read = true
	for _, f := range n.fields {
		f.node.readAll()
	}
	for _, item := range n.items {
		item.readAll()
	}
}

// key is the last of the keys around a value.
func (n *node) key() string {
	return n.path[strings.LastIndexByte(n.path, '.')+1:]
}

// unread calls f for each value that was not read. Of those within each other it is the
// outermost.
func (n *node) unread(f func(*node)) {
	for _, x := range n.fields {
		if !x.node.read {
			f(x.node)
		} else {
			x.node.unread(f)
		}
	}
	for _, item := range n.items {
		if !item.read {
			f(item)
		} else {
			item.unread(f)
		}
	}
}
