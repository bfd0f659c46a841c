package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kind is the kind of a key's value, as a reader of the file sees it.
type kind int

const (
	kindString kind = iota
	kindBool
	kindInt
	kindFloat
	kindDuration
	kindNetwork
	kindStruct
	kindPointer
	kindList
	kindMap
	kindJSON
)

func kindOf(t reflect.Type) kind {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return kindDuration
	case reflect.TypeFor[netip.Prefix]():
		return kindNetwork
	case reflect.TypeFor[JSON]():
		return kindJSON
	}
	switch t.Kind() {
	case reflect.String:
		return kindString
	case reflect.Bool:
		return kindBool
	case reflect.Int:
		return kindInt
	case reflect.Float64:
		return kindFloat
	case reflect.Struct:
		return kindStruct
	case reflect.Pointer:
		return kindPointer
	case reflect.Slice:
		return kindList
	case reflect.Map:
		return kindMap
	}
	panic(fmt.Sprintf("config: a key can not hold a %v", t))
}

// key is one field of a struct of config.go with its tags. For a list or a map, enum,
// format and secret apply to the values.
type key struct {
	name     string // in the file
	owner    string // the struct that has the field
	field    string // in the struct
	index    []int  // of the field: see [reflect.Value.FieldByIndex]
	typ      reflect.Type
	def      string // default; "" is the zero value
	required bool
	min, max string // "" is no limit
	enum     []string
	format   string // see formatOf
	literals []string
	ref      string // the map of Config whose names are the values
	secret   bool
	orBool   bool // true stands for the mapping {}, false for an absent key
}

// keysOf returns the keys of a struct of config.go in their order, including those of
// embedded structs.
func keysOf(t reflect.Type) []key {
	keys := make([]key, 0, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			for _, k := range keysOf(f.Type) {
				k.index = append(slices.Clone(f.Index), k.index...)
				keys = append(keys, k)
			}
			continue
		}
		if !f.IsExported() {
			continue // it is no key
		}
		k := key{
			owner:    t.Name(),
			name:     f.Tag.Get("yaml"),
			field:    f.Name,
			index:    f.Index,
			typ:      f.Type,
			def:      f.Tag.Get("default"),
			required: f.Tag.Get("required") == "true",
			min:      f.Tag.Get("min"),
			max:      f.Tag.Get("max"),
			ref:      f.Tag.Get("ref"),
			secret:   f.Tag.Get("secret") == "true",
			orBool:   f.Tag.Get("short") == "bool",
		}
		if enum := f.Tag.Get("enum"); enum != "" {
			k.enum = strings.Split(enum, ",")
		}
		if format := f.Tag.Get("format"); format != "" {
			words := strings.Split(format, "|")
			k.format, k.literals = words[0], words[1:]
		}
		keys = append(keys, k)
	}
	return keys
}

// elem returns the key of a list's items or a map's values. None of them may be empty.
func (k key) elem() key {
	k.typ = k.typ.Elem()
	k.def, k.required = "", true
	return k
}

// expected says what the key holds, for "expected ..., found ...".
func (k key) expected() string {
	switch kindOf(k.typ) {
	case kindBool:
		return "true or false"
	case kindInt:
		return "an integer" + k.limits()
	case kindFloat:
		return "a number" + k.limits()
	case kindDuration:
		return "a duration such as 250ms"
	case kindNetwork:
		return "a network such as 10.0.0.0/8"
	case kindStruct, kindPointer, kindMap, kindJSON:
		if k.orBool {
			return "a mapping, true or false"
		}
		return "a mapping"
	case kindList:
		if kindOf(k.typ.Elem()) == kindStruct {
			return "a list of mappings"
		}
		return "a list, each item " + k.elem().expected()
	}
	if len(k.enum) > 0 {
		return "one of " + quotedList(k.enum)
	}
	if k.ref != "" {
		return "the name of one of the " + k.ref
	}
	if k.format == "" {
		return "a string"
	}
	text := formatOf(k.format).expected
	for _, l := range k.literals {
		text += ", or " + strconv.Quote(l)
	}
	return text
}

// limits says the range of a number or duration, with a space before it.
func (k key) limits() string {
	switch {
	case k.min != "" && k.max != "":
		return " from " + k.min + " to " + k.max
	case k.min != "":
		return " of at least " + k.min
	case k.max != "":
		return " of at most " + k.max
	}
	return ""
}

func quotedList(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = strconv.Quote(w)
	}
	return strings.Join(quoted, ", ")
}

// parseScalar reads the text of a scalar that is not a string.
func parseScalar(t reflect.Type, text string) (reflect.Value, error) {
	v := reflect.New(t).Elem()
	switch kindOf(t) {
	case kindString:
		v.SetString(text)
	case kindBool:
		switch text {
		case "true", "false":
			v.SetBool(text == "true")
		default:
			return v, strconv.ErrSyntax
		}
	case kindInt:
		if !isDecimal(text) {
			return v, strconv.ErrSyntax
		}
		n, err := strconv.ParseInt(text, 10, strconv.IntSize)
		if err != nil {
			return v, err
		}
		v.SetInt(n)
	case kindFloat:
		if !isDecimal(text) && !isFraction(text) {
			return v, strconv.ErrSyntax
		}
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return v, err
		}
		v.SetFloat(f)
	case kindDuration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return v, err
		}
		v.SetInt(int64(d))
	case kindNetwork:
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return v, err
		}
		v.Set(reflect.ValueOf(p))
	default:
		return v, strconv.ErrSyntax
	}
	return v, nil
}

// isDecimal reports whether s is a plain decimal integer. YAML versions disagree about
// 010, 0x1F and 1_000, so it refuses them.
func isDecimal(s string) bool {
	s = strings.TrimPrefix(s, "-")
	if s == "" || (len(s) > 1 && s[0] == '0') {
		return false
	}
	return strings.Trim(s, "0123456789") == ""
}

// isFraction tells a decimal fraction or an exponent form: 0.01, 1e-3.
func isFraction(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	return digits != "" && digits[0] >= '0' && digits[0] <= '9' &&
		strings.Trim(digits, "0123456789.eE+-") == ""
}
