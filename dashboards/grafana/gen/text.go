package main

import (
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/words"
)

// kinds puts kinds of failures in words.
func kinds() []dashboard.ValueMapping {
	texts := map[string]string{}
	for _, name := range words.Kinds() {
		texts[name] = sentence(words.Kind(name))
	}
	for _, e := range words.Terms() {
		texts[e.Word] = sentence(e.Meaning)
	}
	return mapping(texts)
}

// flagText is a response flag and its meaning.
type flagText struct{ code, meaning string }

func allFlags() (all []flagText) {
	for _, f := range hop.All() {
		all = append(all, flagText{f.Code(), words.Plain(words.Flag(f).Meaning)})
	}
	return all
}

// flagMeanings says what each response flag means, and flagNext what to look at first.
func flagMeanings() []dashboard.ValueMapping {
	return mapping(flagTexts(func(e words.Entry) string { return sentence(e.Meaning) }))
}

func flagNext() []dashboard.ValueMapping {
	return mapping(flagTexts(func(e words.Entry) string {
		if len(e.Next) == 0 {
			return ""
		}
		return e.Next[0]
	}))
}

func flagTexts(text func(words.Entry) string) map[string]string {
	texts := map[string]string{}
	for _, f := range hop.All() {
		if t := words.Plain(text(words.Flag(f))); t != "" {
			texts[f.Code()] = t
		}
	}
	return texts
}

// parts says in words which part of a service is at fault.
var parts = mapping(map[string]string{
	"application":     "its application",
	"proxy":           "its proxy",
	"network":         "the network",
	"configuration":   "the configuration",
	"certificate":     "a certificate",
	"capacity":        "its capacity",
	"name_resolution": "name resolution",
	"":                "not known",
})

func mapping(texts map[string]string) []dashboard.ValueMapping {
	options := map[string]dashboard.ValueMappingResult{}
	for value, text := range texts {
		options[value] = dashboard.ValueMappingResult{Text: &text}
	}
	return []dashboard.ValueMapping{{ValueMap: &dashboard.ValueMap{Type: dashboard.MappingTypeValueToText, Options: options}}}
}

// colours gives values a text and a colour.
func colours(of map[string][2]string) []dashboard.ValueMapping {
	options := map[string]dashboard.ValueMappingResult{}
	for value, t := range of {
		options[value] = dashboard.ValueMappingResult{Text: &t[0], Color: &t[1]}
	}
	return []dashboard.ValueMapping{{ValueMap: &dashboard.ValueMap{Type: dashboard.MappingTypeValueToText, Options: options}}}
}

func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
