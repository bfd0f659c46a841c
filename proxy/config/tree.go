package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// object is a mapping that keeps the order of its keys. The dump and the schema are trees
// of objects, []any and JSON scalars.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON writes the members in their order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s:", jsonText(m.name))
		b.Write(jsonText(m.value))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// jsonText is the JSON of a tree, in one line, with <, > and & as they are.
func jsonText(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("config: %v", err)) // not a tree
	}
	return bytes.TrimSpace(b.Bytes())
}

func jsonIndented(v any) []byte {
	var b bytes.Buffer
	if err := json.Indent(&b, jsonText(v), "", "  "); err != nil {
		panic(fmt.Sprintf("config: %v", err))
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// appendYAML writes a tree as block YAML. Each line begins with indent, except the first:
// the caller has indented that.
func appendYAML(b *bytes.Buffer, v any, indent string) {
	switch v := v.(type) {
	case object:
		if len(v) == 0 {
			b.WriteString("{}\n")
			return
		}
		for i, m := range v {
			if i > 0 {
				b.WriteString(indent)
			}
			b.WriteString(yamlString(m.name) + ":")
			appendYAMLValue(b, m.value, indent)
		}
	case []any:
		if isFlat(v) {
			items := make([]string, len(v))
			for i := range v {
				items[i] = yamlScalar(v[i])
			}
			b.WriteString("[" + strings.Join(items, ", ") + "]\n")
			return
		}
		for i, item := range v {
			if i > 0 {
				b.WriteString(indent)
			}
			b.WriteString("- ")
			appendYAML(b, item, indent+"  ")
		}
	default:
		b.WriteString(yamlScalar(v) + "\n")
	}
}

// appendYAMLValue writes what follows "key:".
func appendYAMLValue(b *bytes.Buffer, v any, indent string) {
	switch t := v.(type) {
	case object:
		if len(t) > 0 {
			b.WriteString("\n" + indent + "  ")
			appendYAML(b, v, indent+"  ")
			return
		}
	case []any:
		if !isFlat(t) {
			b.WriteString("\n" + indent + "  ")
			appendYAML(b, v, indent+"  ")
			return
		}
	}
	b.WriteByte(' ')
	appendYAML(b, v, indent)
}

// isFlat tells a list that is written in one line.
func isFlat(list []any) bool {
	return !slices.ContainsFunc(list, func(v any) bool {
		_, ok := v.(object)
		return ok
	})
}

func yamlScalar(v any) string {
	if s, ok := v.(string); ok {
		return yamlString(s)
	}
	return string(jsonText(v))
}

// yamlString leaves a string plain if every YAML version reads it as the same string, and
// quotes all others. A JSON string is a YAML string.
func yamlString(s string) string {
	if !isPlainYAML(s) {
		return string(jsonText(s))
	}
	return s
}

// isPlainYAML tells words, addresses and durations.
func isPlainYAML(s string) bool {
	switch strings.ToLower(s) {
	case "", "true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf":
		return false
	}
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if strings.Trim(s, letters+"0123456789._/:-") != "" || strings.HasSuffix(s, ":") || strings.Contains(s, "::") {
		return false
	}
	switch {
	case strings.ContainsRune(letters+"/", rune(s[0])):
		return true
	case s[0] >= '1' && s[0] <= '9':
		return strings.Count(s, ".") == 3 || strings.Trim(s, "0123456789hms") == "" && strings.Trim(s, "0123456789") != ""
	}
	return s == "0s"
}
