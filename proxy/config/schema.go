package config

import (
	"reflect"
	"strconv"
)

// durationPattern is what time.ParseDuration takes, but for a minus: no key may
// be negative.
const durationPattern = `^\+?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`

// Schema is a JSON Schema (draft 2020-12) of the configuration file, for editors: it
// completes and describes keys and marks what has the wrong form. It accepts everything
// that Parse accepts. Only Parse checks rules that span keys, such as a route to a
// missing cluster.
func Schema() []byte {
	s := schemaWriter{comments: readComments()}
	root := s.object(reflect.TypeFor[Config]())
	schema := append(object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"title", "hopscope configuration"},
	}, root...)
	return jsonIndented(append(schema, member{"$defs", s.defs}))
}

type schemaWriter struct {
	comments comments
	defs     object // of the structs below Config
}

// object is the schema of a struct.
func (s *schemaWriter) object(t reflect.Type) object {
	properties := object{}
	required := []any{}
	for _, k := range keysOf(t) {
		schema := object{{"description", s.comments.field(k)}}
		schema = append(schema, s.value(k)...)
		if def, ok := k.defaultTree(); ok {
			schema = append(schema, member{"default", def})
		}
		properties = append(properties, member{k.name, schema})
		if k.required {
			required = append(required, k.name)
		}
	}
	o := object{
		{"description", s.comments[t.Name()]},
		{"type", "object"},
		{"properties", properties},
	}
	if len(required) > 0 {
		o = append(o, member{"required", required})
	}
	return append(o, member{"additionalProperties", false})
}

// define adds the schema of a struct to $defs, once, and refers to it.
func (s *schemaWriter) define(t reflect.Type) object {
	defined := false
	for _, d := range s.defs {
		defined = defined || d.name == t.Name()
	}
	if !defined {
		i := len(s.defs)
		s.defs = append(s.defs, member{t.Name(), nil}) // before what it holds
		s.defs[i].value = s.object(t)
	}
	return object{{"$ref", "#/$defs/" + t.Name()}}
}

// value is the schema of what a key holds.
func (s *schemaWriter) value(k key) object {
	switch kindOf(k.typ) {
	case kindStruct:
		return s.define(k.typ)
	case kindPointer:
		if k.orBool {
			return object{{"anyOf", []any{object{{"type", "boolean"}}, s.define(k.typ.Elem())}}}
		}
		return s.define(k.typ.Elem())
	case kindList:
		list := object{{"type", "array"}, {"items", s.value(k.elem())}}
		if k.required {
			list = append(list, member{"minItems", 1})
		}
		if kindOf(k.typ.Elem()) == kindString {
			list = append(list, member{"uniqueItems", true})
		}
		return list
	case kindMap:
		return object{
			{"type", "object"},
			{"propertyNames", object{{"pattern", formatOf("name").pattern}, {"maxLength", 255}}},
			{"additionalProperties", s.value(k.elem())},
		}
	case kindJSON:
		return object{{"type", "object"}}
	case kindBool:
		return object{{"type", "boolean"}}
	case kindInt:
		return k.withLimits(object{{"type", "integer"}})
	case kindFloat:
		return k.withLimits(object{{"type", "number"}})
	case kindDuration:
		return object{{"anyOf", []any{
			object{{"type", "string"}, {"pattern", durationPattern}},
			object{{"const", 0}},
		}}}
	case kindNetwork:
		return object{{"type", "string"}, {"pattern", `^[0-9A-Fa-f:.]+/[0-9]{1,3}$`}}
	}
	return k.stringSchema()
}

func (k key) stringSchema() object {
	if len(k.enum) > 0 {
		return object{{"enum", anyList(k.enum)}}
	}
	schema := object{{"type", "string"}, {"minLength", 1}}
	if k.format == "" {
		return schema
	}
	pattern := object{{"pattern", formatOf(k.format).pattern}}
	if k.format == "size" {
		return object{{"anyOf", []any{append(schema, pattern...), object{{"type", "integer"}, {"minimum", 0}, {"maximum", maxSize}}}}}
	}
	if k.format == "statuses" {
		return object{{"anyOf", []any{append(schema, pattern...), object{{"type", "integer"}, {"minimum", 100}, {"maximum", 999}}}}}
	}
	if len(k.literals) > 0 {
		return append(schema, member{"anyOf", []any{pattern, object{{"enum", anyList(k.literals)}}}})
	}
	return append(schema, pattern...)
}

// withLimits adds the limits of a number.
func (k key) withLimits(schema object) object {
	if least, err := strconv.ParseFloat(k.min, 64); err == nil {
		schema = append(schema, member{"minimum", least})
	}
	if most, err := strconv.ParseFloat(k.max, 64); err == nil {
		schema = append(schema, member{"maximum", most})
	}
	return schema
}

// defaultTree returns the default of a key that is not a struct, map or pointer; false if
// it has none.
func (k key) defaultTree() (any, bool) {
	switch kindOf(k.typ) {
	case kindStruct, kindPointer, kindMap, kindJSON:
		return nil, false
	}
	if k.def == "" {
		return nil, false
	}
	return dump(k, k.defaultValue(), false)
}

func anyList(words []string) []any {
	list := make([]any, len(words))
	for i, w := range words {
		list[i] = w
	}
	return list
}
