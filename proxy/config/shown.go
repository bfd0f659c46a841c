package config

import (
	"reflect"
	"slices"
	"strings"
)

// Shown is a key of the configuration with its value on one line, for people.
type Shown struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Wants is what a match asks for at a key, on one line: {"headers", "x-user"} leads to
// "exact beta". It is "" for a key that the match does not have.
func (m *Match) Wants(keys ...string) string { return at(m, keys) }

// At is the value of a key of the listener, on one line.
func (l *Listener) At(keys ...string) string { return at(l, keys) }

// at is what the keys lead to, on one line; "" for what is not there.
func at[T any](of *T, keys []string) string {
	tree, _ := dump(key{typ: reflect.TypeFor[T]()}, reflect.ValueOf(of).Elem(), true)
	for _, name := range keys {
		o, _ := tree.(object)
		i := slices.IndexFunc(o, func(one member) bool { return strings.EqualFold(one.name, name) })
		if i < 0 {
			return ""
		}
		tree = o[i].value
	}
	return bare(tree)
}

// Set are the keys of the route that have another value than the default, but for its name
// and match.
func (r *Route) Set() []Shown {
	plain := NewRoute("")
	return different(r, &plain, "name", "match")
}

// Set are the policies that the route has.
func (r *RoutePolicies) Set() []Shown { return different(r, &RoutePolicies{}) }

// different are the keys of a value that are not as those of another, but for some.
func different[T any](a, b *T, but ...string) (all []Shown) {
	of := func(v *T) object {
		tree, _ := dump(key{typ: reflect.TypeFor[T]()}, reflect.ValueOf(v).Elem(), true)
		return tree.(object)
	}
	plain := map[string]string{}
	for _, one := range of(b) {
		plain[one.name] = bare(one.value)
	}
	for _, one := range of(a) {
		text := bare(one.value)
		if before, there := plain[one.name]; !slices.Contains(but, one.name) && (!there || before != text) {
			all = append(all, Shown{one.name, text})
		}
	}
	return all
}

// bare is a tree on one line, without parentheses around it.
func bare(tree any) string {
	text := inline(tree)
	if _, ok := tree.(object); ok {
		text = strings.TrimSuffix(strings.TrimPrefix(text, "("), ")")
	}
	return text
}
