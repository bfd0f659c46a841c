package config

import (
	"cmp"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/hopscope/hopscope/discovery/strictyaml"
	"github.com/hopscope/hopscope/telemetry/redact"
)

// describe says what the file has there, without revealing a secret.
func describe(n ast.Node, k key) string {
	switch n := n.(type) {
	case nil:
		return "nothing"
	case *ast.MappingNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "nothing"
	case *ast.AnchorNode:
		return "an anchor"
	case *ast.AliasNode:
		return "an alias"
	case *ast.TagNode:
		return "a tag"
	case *ast.MappingKeyNode:
		return describe(n.Value, k)
	}
	if text, quoted, ok := stringOf(n); ok && (quoted || !isDecimal(text)) {
		return k.show(text)
	}
	if k.secret {
		return "a value that is not a string"
	}
	return clip(n.GetToken().Value)
}

// show quotes a string for a message, without revealing a secret.
func (k key) show(text string) string {
	switch {
	case k.secret, k.format == "file" && isPEM(text):
		return "a string that is not shown"
	case strings.Contains(text, "://"), strings.Contains(text, "@"): // a URL may stand where none is expected
		text = redact.URL(text)
	}
	return strconv.Quote(clip(k.shown(text)))
}

// remedy returns the end of a message about a value of the wrong type: what to write
// instead, if that is obvious.
func (d *decoder) remedy(n ast.Node, k key) string {
	if d.errs.full() || k.secret {
		return ""
	}
	text, quoted, ok := stringOf(n)
	switch n.(type) {
	case *ast.NullNode:
		switch kindOf(k.typ) {
		case kindStruct, kindPointer, kindMap:
			return "; write {} for the defaults, or remove the key"
		}
		return "; write a value, or remove the key for the default"
	case *ast.MappingNode:
		if inner, suffix := k.holds(); inner != nil && suffix == "[]" {
			return "; put it in a list: [{...}]"
		}
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		text, ok = n.GetToken().Value, true
	}
	if !ok || text == "" {
		return ""
	}
	near := ""
	switch kindOf(k.typ) {
	case kindString:
		if len(k.enum) > 0 && !slices.Contains(k.enum, text) {
			return d.errs.didYouMean(text, k.enum)
		}
		if near = k.suggest(text); near == "" {
			return "; write it in quotes: " + strconv.Quote(clip(text))
		}
		near = strconv.Quote(near)
	case kindBool:
		near = suggestBool(text)
	case kindDuration:
		near = suggestDuration(text)
	case kindNetwork:
		if near = suggestNetwork(text); near != "" {
			near = strconv.Quote(near)
		}
	case kindInt, kindFloat:
		if isDecimal(text) && quoted {
			return "; write it without quotes"
		}
		if strings.HasSuffix(text, "%") {
			near = k.nearestNumber(text)
		}
	case kindList:
		near = k.elem().inList(text)
	case kindStruct, kindPointer:
		near = mappingOf(k, text)
	}
	if near == "" {
		return ""
	}
	return "; did you mean " + near + "?"
}

// inList returns a list of one item, or "" if the key does not accept the item.
func (k key) inList(text string) string {
	switch kindOf(k.typ) {
	case kindString:
		if len(k.enum) > 0 {
			words := strings.Split(text, ",") // as Envoy has its lists
			for i, w := range words {
				if words[i] = k.nearestValue(strings.TrimSpace(w)); words[i] == "" {
					return ""
				}
				words[i] = yamlString(words[i])
			}
			return "[" + clip(strings.Join(words, ", ")) + "]"
		}
		if shown := k.show(text); text != "" && !strings.Contains(shown, redact.Mark) {
			return "[" + shown + "]"
		}
	case kindInt:
		if isDecimal(text) {
			return "[" + text + "]"
		}
	case kindNetwork:
		if _, err := netip.ParsePrefix(text); err == nil {
			return "[" + strconv.Quote(text) + "]"
		}
	}
	return ""
}

// mappingOf returns a mapping with the main key, for a file that has only its value.
func mappingOf(k key, text string) string {
	t, name := k.typ, ""
	if kindOf(t) == kindPointer {
		t = t.Elem()
	}
	switch t {
	case reflect.TypeFor[Consul]():
		name = "service"
		if checkAddress(text) == nil {
			name = "address"
		}
	case reflect.TypeFor[DNS]():
		name = "name"
		if host, port, err := splitHostPort(text); err == nil && checkAddress(text) == nil {
			return "{name: " + host + ", port: " + port + "}"
		}
	case reflect.TypeFor[StaticEndpoint]():
		name = "address"
	case reflect.TypeFor[SlowStart]():
		name = "window"
	case reflect.TypeFor[RetryBudget]():
		name = "percent"
	case reflect.TypeFor[Retry]():
		if n, err := strconv.Atoi(text); err == nil && n > 0 && n < 100 {
			return "{on: [connect-failure], attempts: " + strconv.Itoa(n+1) + "}"
		}
		return ""
	case reflect.TypeFor[EndpointFile](), reflect.TypeFor[HTTPCheck](), reflect.TypeFor[AccessLog](), reflect.TypeFor[AccessLogTo]():
		name = "path"
	case reflect.TypeFor[ValueMatch](), reflect.TypeFor[Text]():
		name = "exact"
	case reflect.TypeFor[Balance]():
		name = "policy"
	case reflect.TypeFor[Hedge]():
		name = "after"
	default:
		if text == "true" {
			return "{}"
		}
		return ""
	}
	for _, inner := range keysOf(t) {
		if inner.name == name {
			return inner.inMapping(text)
		}
	}
	return ""
}

// inMapping returns a mapping with only this key, or "" if the key can't hold text.
func (k key) inMapping(text string) string {
	if text = k.nearestValue(text); text == "" {
		return ""
	}
	if kindOf(k.typ) == kindString {
		if k.secret || strings.Contains(text, "://") || strings.Contains(text, "@") {
			return "" // it may be, or hold, a secret
		}
		text = yamlString(clip(text))
	}
	return "{" + k.name + ": " + text + "}"
}

// nearestValue returns text if the key accepts it, else what was likely meant, or "".
func (k key) nearestValue(text string) string {
	switch {
	case kindOf(k.typ) == kindDuration:
		return suggestDuration(text)
	case kindOf(k.typ) == kindFloat:
		return k.nearestNumber(text)
	case len(k.enum) > 0 && !slices.Contains(k.enum, text):
		return cmp.Or(strictyaml.Nearest(text, k.enum), wordAlias(text, k.enum))
	case k.format != "" && formatOf(k.format).check(text) != nil:
		return ""
	}
	return text
}

func suggestBool(text string) string {
	switch strings.ToLower(text) {
	case "yes", "on", "true", "1":
		return "true"
	case "no", "off", "false", "0":
		return "false"
	}
	return ""
}

// nearestNumber cuts a per cent sign, which shares are written without.
func (k key) nearestNumber(text string) string {
	text = strings.TrimSuffix(text, "%")
	if _, err := parseScalar(k.typ, text); err != nil {
		return ""
	}
	return text
}

// suggestDuration takes a plain number for seconds and knows days.
func suggestDuration(text string) string {
	if _, err := strconv.ParseUint(text, 10, 32); err == nil {
		return text + "s"
	}
	text = strings.ToLower(strings.ReplaceAll(text, " ", ""))
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return strconv.FormatUint(n*24, 10) + "h"
		}
	}
	if _, err := time.ParseDuration(text); err == nil {
		return text
	}
	return ""
}

// suggest returns a valid value near to s, or "".
func (k key) suggest(s string) string {
	if near := strictyaml.Nearest(s, k.literals); near != "" {
		return near
	}
	if k.format == "" || len(s) > strictyaml.MaxNearest {
		return ""
	}
	f := formatOf(k.format)
	if f.suggest == nil {
		return ""
	}
	if near := f.suggest(s); near != "" && near != s && f.check(near) == nil {
		return near
	}
	return ""
}

// suggestNetwork makes a network of an address.
func suggestNetwork(s string) string {
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil || addr.Zone() != "" {
		return ""
	}
	return netip.PrefixFrom(addr, addr.BitLen()).String()
}
