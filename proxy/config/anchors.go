package config

import (
	"maps"
	"slices"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/hopscope/hopscope/discovery/strictyaml"
)

// resolveAliases finds the value of every alias below root: the last anchor of that name
// before the alias. An alias inside its own anchor has no value.
func resolveAliases(errs *collector, root ast.Node) map[*ast.AliasNode]ast.Node {
	r := aliasResolver{errs: errs, anchors: make(map[string]ast.Node), aliases: make(map[*ast.AliasNode]ast.Node)}
	r.walk(root)
	return r.aliases
}

type aliasResolver struct {
	errs    *collector
	anchors map[string]ast.Node
	aliases map[*ast.AliasNode]ast.Node
}

func (r *aliasResolver) walk(n ast.Node) {
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			r.walk(v.Value)
		}
	case *ast.SequenceNode:
		for _, v := range n.Values {
			r.walk(v)
		}
	case *ast.AnchorNode:
		r.walk(n.Value)
		r.anchors[n.Name.GetToken().Value] = n.Value
	case *ast.AliasNode:
		r.resolve(n)
	}
}

func (r *aliasResolver) resolve(n *ast.AliasNode) {
	name := n.Value.GetToken().Value
	if target, ok := r.anchors[name]; ok {
		r.aliases[n] = target
		return
	}
	line, column := strictyaml.Position(n)
	if near := r.errs.didYouMean(name, slices.Sorted(maps.Keys(r.anchors))); near != "" {
		r.errs.addAt(line, column, "", "the alias %q has no anchor before it%s", clip(name), near)
		return
	}
	// It is not quoted: it may be a password that begins with an asterisk.
	r.errs.addAt(line, column, "", "this alias has no anchor before it; a string that begins with * needs quotes")
}

// deref follows anchors and aliases to a value. It returns nil for an alias without a
// value; resolveAliases has reported that.
func (d *decoder) deref(n ast.Node) ast.Node {
	for {
		switch v := n.(type) {
		case *ast.AnchorNode:
			n = v.Value
		case *ast.AliasNode:
			n = d.aliases[v]
		default:
			return n
		}
	}
}

// entry is one key of a mapping.
type entry struct {
	name  string
	key   ast.Node
	value ast.Node
}

// place returns the position of the entry's value, or of the key if there is no value.
func (e entry) place(mapping *place) *place {
	p := mapping.key(e.name)
	if null, ok := e.value.(*ast.NullNode); ok && null.Token.Type == token.ImplicitNullType {
		p.line, p.column = strictyaml.Position(e.key)
		p.written = true
	}
	return p
}

// entries lists the keys of a mapping: its own in their order, then the ones merged with
// "<<". Its own keys win, then the first merged one.
func (d *decoder) entries(p *place, m *ast.MappingNode) []entry {
	var list []entry
	var merges []ast.Node
	if !d.spend(p, m, len(m.Values)) {
		return nil
	}
	first := make(map[string]int, len(m.Values)) // the key's line
	for _, v := range m.Values {
		if _, ok := v.Key.(*ast.MergeKeyNode); ok {
			merges = append(merges, v.Value)
			continue
		}
		line, column := strictyaml.Position(v.Key)
		name, ok := keyName(v.Key)
		if !ok {
			d.errs.addAt(line, column, p.path(), "expected a key that is a word, found %s", describe(v.Key, key{}))
			continue
		}
		if at, ok := first[name]; ok {
			d.errs.addAt(line, column, p.key(name).path(), "duplicate key; the first is in line %d", at)
			continue
		}
		first[name] = line
		list = append(list, entry{name, v.Key, v.Value})
	}
	for _, source := range merges {
		for _, e := range d.merged(p, source) {
			if _, ok := first[e.name]; !ok {
				first[e.name] = 0
				list = append(list, e)
			}
		}
	}
	return list
}

// merged lists the keys of the value of "<<": a mapping or a list of mappings.
func (d *decoder) merged(p *place, source ast.Node) []entry {
	var list []entry
	sources := []ast.Node{source}
	if seq, ok := d.deref(source).(*ast.SequenceNode); ok {
		sources = seq.Values
	}
	for _, s := range sources {
		switch m := d.deref(s).(type) {
		case *ast.MappingNode:
			list = append(list, d.entries(p, m)...)
		case nil:
		default:
			line, column := strictyaml.Position(s)
			d.errs.addAt(line, column, p.path(), "<< takes an alias of a mapping, or a list of such; found %s", describe(m, key{}))
		}
	}
	return list
}

// keyName is the text of a key; false when the key is not a plain scalar.
func keyName(n ast.Node) (string, bool) {
	if k, ok := n.(*ast.MappingKeyNode); ok {
		n = k.Value
	}
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}
