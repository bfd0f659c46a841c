package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/telemetry/redact"
)

// DumpYAML is the effective configuration, defaults included, with secrets
// redacted.
//
// The routes of files are among those of their listeners, and routes_from is left out.
func (c *Config) DumpYAML() []byte { return c.whole().yaml(true) }

// DumpJSON is the same as JSON.
func (c *Config) DumpJSON() []byte { return jsonIndented(c.whole().tree(true)) }

// whole is the configuration with all of its routes in one file.
func (c *Config) whole() *Config {
	all := *c
	all.RoutesFrom = nil
	return &all
}

// Hash is a short name for what the configuration says, secrets left out: 12 hexadecimal
// digits, which are the same wherever that is the same.
func (c *Config) Hash() string {
	sum := sha256.Sum256(c.DumpYAML())
	return hex.EncodeToString(sum[:6])
}

// String says on one line what a request must match: the keys that are set, in their order.
func (m *Match) String() string {
	v, _ := dump(key{typ: reflect.TypeFor[Match]()}, reflect.ValueOf(m).Elem(), true)
	var all []string
	for _, one := range v.(object) {
		if share, ok := one.value.(float64); ok && share == 100 {
			continue
		}
		all = append(all, strings.ReplaceAll(one.name, "_", " ")+" "+inline(one.value))
	}
	if len(all) == 0 {
		return "every request"
	}
	return strings.Join(all, "; ")
}

// inline is a tree on one line, without marks and without what is false.
func inline(tree any) string {
	switch v := tree.(type) {
	case object:
		var all []string
		for _, one := range v {
			if set, isBool := one.value.(bool); set || !isBool {
				all = append(all, one.name+" "+inline(one.value))
			}
		}
		return "(" + strings.Join(all, ", ") + ")"
	case string:
		return v
	case []any:
		all := make([]string, len(v))
		for i := range v {
			all[i] = inline(v[i])
		}
		return strings.Join(all, ", ")
	}
	return string(jsonText(tree))
}

func (c *Config) yaml(hide bool) []byte {
	var b bytes.Buffer
	appendYAML(&b, c.tree(hide), "")
	return b.Bytes()
}

func (c *Config) tree(hide bool) any {
	v, _ := dump(key{typ: reflect.TypeFor[Config]()}, reflect.ValueOf(c).Elem(), hide)
	return v
}

// dump makes a tree of a value. It returns false if the key is absent and has no default.
func dump(k key, v reflect.Value, hide bool) (tree any, ok bool) {
	switch kindOf(k.typ) {
	case kindStruct:
		o := object{}
		for _, child := range keysOf(k.typ) {
			if value, ok := dump(child, v.FieldByIndex(child.index), hide); ok {
				o = append(o, member{child.name, value})
			}
		}
		return o, len(o) > 0
	case kindPointer:
		if v.IsNil() {
			return nil, false
		}
		k.typ = k.typ.Elem()
		tree, _ := dump(k, v.Elem(), hide) // that it is there means something, whatever it has
		return tree, true
	case kindList:
		if v.Len() == 0 && k.def == "" {
			return nil, k.required
		}
		list := make([]any, v.Len())
		for i := range list {
			list[i], _ = dump(k.elem(), v.Index(i), hide)
		}
		return list, true
	case kindMap:
		if v.Len() == 0 {
			return nil, false
		}
		o := object{}
		for _, name := range v.MapKeys() {
			value, _ := dump(k.elem(), v.MapIndex(name), hide)
			o = append(o, member{name.String(), value})
		}
		slices.SortFunc(o, func(a, b member) int { return strings.Compare(a.name, b.name) })
		return o, true
	case kindString:
		s := v.String()
		switch {
		case s == "":
			return s, k.required || k.def != ""
		case hide:
			return k.shown(s), true
		}
		return s, true
	case kindJSON:
		if v.String() == "" {
			return nil, false
		}
		return JSON(v.String()).tree(), true
	case kindDuration:
		return durationText(time.Duration(v.Int())), true
	case kindNetwork:
		return v.Interface().(netip.Prefix).String(), true
	case kindBool, kindInt, kindFloat:
		return v.Interface(), true
	}
	panic(fmt.Sprintf("config: can not dump a %v", k.typ))
}

// shown returns the key's value for people. It hides secrets, the user, password and
// query values of a URL, and credentials in any other text.
func (k key) shown(s string) string {
	switch {
	case k.secret, k.format == "file" && isPEM(s): // it may be a private key
		return redact.Mark
	case k.format == "url", k.format == "target", k.format == "collector":
		return redact.URL(s)
	}
	return redact.Text(s)
}

// durationText writes a duration as a person would: 1h, not 1h0m0s.
func durationText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
