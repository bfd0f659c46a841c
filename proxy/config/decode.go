package config

import (
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/hopscope/hopscope/discovery/strictyaml"
)

// maxValues is how many values a file may expand to. Otherwise a few lines of nested
// aliases could expand to millions.
const maxValues = 100_000

// decoder sets a Config from a YAML tree. It only checks that each value has its key's
// type; validate checks the values.
type decoder struct {
	errs    *collector
	aliases map[*ast.AliasNode]ast.Node
	values  int
}

// spend counts the values of a list or mapping, and reports whether they are within the
// limit.
func (d *decoder) spend(p *place, n ast.Node, count int) bool {
	if d.exhausted() {
		return false
	}
	d.values += count
	if d.exhausted() {
		line, column := strictyaml.Position(n)
		d.errs.addAt(line, column, p.path(), "the file expands to more than %d values, counting those that aliases repeat", maxValues)
	}
	return !d.exhausted()
}

func (d *decoder) exhausted() bool { return d.values > maxValues }

// decode sets v from n. v holds its default. If n is wrong, decode reports it, marks its
// place, and leaves the default.
func (d *decoder) decode(p *place, n ast.Node, k key, v reflect.Value) {
	if !p.written {
		p.line, p.column = strictyaml.Position(n)
		p.written = true
	}
	n = d.deref(n)
	if n == nil {
		p.failed = true
		return
	}
	if _, ok := n.(*ast.TagNode); ok {
		d.errs.add(p, "YAML tags such as !!str are not supported: remove it, and write a string in quotes")
		p.failed = true
		return
	}
	ok := false
	switch kindOf(k.typ) {
	case kindStruct:
		ok = d.decodeStruct(p, n, v)
	case kindPointer:
		target := reflect.New(k.typ.Elem())
		setDefaults(target.Elem())
		if !v.IsNil() {
			target.Elem().Set(v.Elem()) // it comes from the environment
		}
		if b, isBool := n.(*ast.BoolNode); isBool && k.orBool {
			if ok = true; b.Value {
				v.Set(target)
			} else {
				v.SetZero()
			}
		} else if ok = d.decodeStruct(p, n, target.Elem()); ok {
			v.Set(target)
		}
	case kindList:
		ok = d.decodeList(p, n, k, v)
	case kindMap:
		ok = d.decodeMap(p, n, k, v)
	case kindJSON:
		var text string
		if text, ok = d.decodeJSON(p, n); ok {
			v.SetString(text)
		}
	default:
		ok = decodeScalar(n, k, v)
	}
	if !ok {
		d.errs.add(p, "expected %s, found %s%s", k.expected(), describe(n, k), d.remedy(n, k))
		p.failed = true
	}
}

func (d *decoder) decodeStruct(p *place, n ast.Node, v reflect.Value) bool {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		return false
	}
	keys := keysOf(v.Type())
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	var meant []string
	for _, e := range d.entries(p, m) {
		i := slices.Index(names, e.name)
		if i < 0 {
			meant = append(meant, d.unknownKey(p, e, v.Type(), names))
			continue
		}
		d.decode(e.place(p), e.value, keys[i], v.FieldByIndex(keys[i].index))
	}
	for _, name := range meant {
		// A misspelt key is one mistake, not also a missing one.
		if name != "" && !p.key(name).written {
			p.key(name).failed = true
		}
	}
	return true
}

// unknownKey reports an unknown key, and returns the key that was likely meant, or "".
func (d *decoder) unknownKey(p *place, e entry, in reflect.Type, names []string) (meant string) {
	meant, write := alias(in, e.name)
	near := "; write " + write
	if meant == "" {
		meant, near = strictyaml.Nearest(e.name, names), d.errs.didYouMean(e.name, names)
	}
	line, column := strictyaml.Position(e.key)
	d.errs.addAt(line, column, p.key(e.name).path(), "unknown key%s (valid keys: %s)", near, strings.Join(names, ", "))
	return meant
}

func (d *decoder) decodeList(p *place, n ast.Node, k key, v reflect.Value) bool {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		return false
	}
	v.SetZero()
	if len(seq.Values) == 0 || !d.spend(p, seq, len(seq.Values)) {
		return true
	}
	elem := k.elem()
	list := reflect.MakeSlice(k.typ, len(seq.Values), len(seq.Values))
	for i, item := range seq.Values {
		if kindOf(elem.typ) == kindStruct {
			setDefaults(list.Index(i))
		}
		d.decode(p.item(i), item, elem, list.Index(i))
	}
	v.Set(list)
	return true
}

func (d *decoder) decodeMap(p *place, n ast.Node, k key, v reflect.Value) bool {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		return false
	}
	elem := k.elem()
	v.Set(reflect.MakeMap(k.typ)) // without what comes from the environment
	for _, e := range d.entries(p, m) {
		if !isStringKey(e.key) {
			line, column := strictyaml.Position(e.key)
			d.errs.addAt(line, column, p.path(), "expected a name, found %s; write it in quotes", describe(e.key, key{}))
			continue
		}
		value := reflect.New(elem.typ).Elem()
		if kindOf(elem.typ) == kindStruct {
			setDefaults(value)
		}
		d.decode(e.place(p), e.value, elem, value)
		v.SetMapIndex(reflect.ValueOf(e.name), value)
	}
	return true
}

func isStringKey(n ast.Node) bool {
	if k, ok := n.(*ast.MappingKeyNode); ok {
		n = k.Value
	}
	_, ok := n.(*ast.StringNode)
	return ok
}

// decodeScalar sets v from a scalar of its kind. It never takes a string for a number nor
// a number for a string, except for a status, which may be either.
func decodeScalar(n ast.Node, k key, v reflect.Value) bool {
	text, quoted, isText := stringOf(n)
	switch kindOf(k.typ) {
	case kindString:
		if _, ok := n.(*ast.IntegerNode); ok && (k.format == "statuses" || k.format == "size") {
			text, isText = n.GetToken().Value, true
		}
		if isText {
			v.SetString(text)
		}
		return isText
	case kindBool:
		b, ok := n.(*ast.BoolNode)
		if ok {
			v.SetBool(b.Value)
		}
		return ok
	case kindDuration:
		if _, ok := n.(*ast.IntegerNode); ok && n.GetToken().Value == "0" {
			text, isText = "0", true
		}
	case kindInt, kindFloat:
		// 1e-3 is a string to the YAML parser.
		if !isText {
			text = n.GetToken().Value
		}
		isText = !quoted
	}
	if !isText {
		return false
	}
	value, err := parseScalar(k.typ, text)
	if err == nil {
		v.Set(value)
	}
	return err == nil
}

func stringOf(n ast.Node) (text string, quoted, ok bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, n.Token.Type != token.StringType, true
	case *ast.LiteralNode:
		return n.Value.Value, true, true
	}
	return "", false, false
}
