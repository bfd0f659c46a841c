package config

import (
	"bytes"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"
)

// BriefYAML is the configuration as a person would write it: without the keys that have
// their defaults. It has secrets as they are. Parse returns the same Config for it.
func (c *Config) BriefYAML() []byte {
	var b bytes.Buffer
	tree, _ := brief(key{typ: reflect.TypeFor[Config]()}, reflect.ValueOf(c).Elem())
	appendYAML(&b, tree, "")
	return b.Bytes()
}

// brief makes a tree of a value. It returns false if leaving the key out says the same.
func brief(k key, v reflect.Value) (tree any, ok bool) {
	switch kindOf(k.typ) {
	case kindStruct:
		o := object{}
		for _, child := range keysOf(k.typ) {
			if value, ok := brief(child, v.FieldByIndex(child.index)); ok {
				o = append(o, member{child.name, value})
			}
		}
		return o, len(o) > 0
	case kindPointer:
		if v.IsNil() {
			return nil, false
		}
		short := k.orBool
		k.typ = k.typ.Elem()
		tree, any := brief(k, v.Elem())
		if short && !any {
			return true, true
		}
		return tree, true
	case kindList:
		if v.Len() == 0 && k.def == "" || k.def != "" && reflect.DeepEqual(v.Interface(), k.defaultValue().Interface()) {
			return []any{}, k.required
		}
		list := make([]any, v.Len())
		for i := range list {
			list[i], _ = brief(k.elem(), v.Index(i))
		}
		return list, true
	case kindMap:
		o := object{}
		for _, name := range v.MapKeys() {
			value, _ := brief(k.elem(), v.MapIndex(name))
			o = append(o, member{name.String(), value})
		}
		slices.SortFunc(o, func(a, b member) int { return strings.Compare(a.name, b.name) })
		return o, len(o) > 0
	}
	changed := !v.IsZero()
	if k.def != "" {
		changed = v.Interface() != k.defaultValue().Interface()
	}
	return briefScalar(v), changed || k.required
}

func briefScalar(v reflect.Value) any {
	switch value := v.Interface().(type) {
	case JSON:
		return value.tree()
	case time.Duration:
		return durationText(value)
	case netip.Prefix:
		return value.String()
	default:
		return value
	}
}
