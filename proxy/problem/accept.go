package problem

import (
	"bytes"
	"strings"
)

// Form is the form of a response's content.
type Form uint8

const (
	// Text is a short text, text/plain.
	Text Form = iota
	// JSON is application/problem+json.
	JSON
	// HTML is a page, text/html.
	HTML
)

// ContentType returns the form's media type.
func (f Form) ContentType() string {
	return [...]string{"text/plain; charset=utf-8", "application/problem+json", "text/html; charset=utf-8"}[f]
}

// maxRanges is how many media ranges of a request are looked at.
const maxRanges = 100

// Negotiate returns the form that a client wants most, by the values of its Accept fields
// (RFC 9110 section 12.5.1). The highest weight wins, then the more specific range, then
// JSON before a page before text. Who accepts anything gets a text, and so does who accepts
// nothing that there is. A client that accepts application/json accepts problem+json.
// page says whether there is a page.
func Negotiate(accept [][]byte, page bool) Form {
	var forms [HTML + 1]preference
	n := 0
	for _, value := range accept {
		for len(value) > 0 && n < maxRanges {
			var one []byte
			one, value = cutAt(value, ',')
			if name, weight, ok := parseRange(one); ok {
				forms[JSON].consider(matchJSON(name), weight)
				forms[HTML].consider(match(name, "text/", "text/html"), weight)
				forms[Text].consider(match(name, "text/", "text/plain"), weight)
			}
			n++
		}
	}
	if !page {
		forms[HTML] = preference{}
	}
	best := Text
	for _, form := range []Form{HTML, JSON} {
		if forms[form].above(forms[best], best) {
			best = form
		}
	}
	return best
}

// A media range matches a form in one of these ways, the more specific the higher.
const (
	matchNot = iota
	matchAny
	matchType
	matchSuffix
	matchLike
	matchExact
)

// preference is how much a client wants a form: by the most specific range that matches.
type preference struct{ match, weight int }

func (p *preference) consider(match, weight int) {
	if match > p.match || match == p.match && match > matchNot && weight > p.weight {
		*p = preference{match, weight}
	}
}

// above reports whether p comes before q, the preference of form: also where it is as
// good, unless both are good only since anything is.
func (p preference) above(q preference, form Form) bool {
	if p.weight == 0 || p.weight != q.weight {
		return p.weight > q.weight
	}
	class := min(p.match, matchSuffix)
	return class >= min(q.match, matchSuffix) && (class > matchAny || form != Text)
}

func match(name, kind, exact string) int {
	switch name {
	case exact:
		return matchExact
	case kind + "*":
		return matchType
	case "*/*":
		return matchAny
	}
	return matchNot
}

func matchJSON(name string) int {
	switch {
	case name == "application/json":
		return matchLike
	case strings.HasPrefix(name, "application/") && strings.HasSuffix(name, "+json") && name != "application/problem+json":
		return matchSuffix
	}
	return match(name, "application/", "application/problem+json")
}

// cutAt cuts a list at the first separator that is not in quotes.
func cutAt(list []byte, separator byte) (first, rest []byte) {
	quoted := false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == separator && !quoted:
			return list[:i], list[i+1:]
		}
	}
	return list, nil
}

// parseRange reads a media range with its weight in thousandths. Parameters of the media
// type do not count.
func parseRange(element []byte) (name string, weight int, ok bool) {
	media, parameters := cutAt(element, ';')
	name = strings.ToLower(string(bytes.Trim(media, " \t")))
	if strings.Count(name, "/") != 1 {
		return "", 0, false
	}
	for len(parameters) > 0 {
		var one []byte
		one, parameters = cutAt(parameters, ';')
		one = bytes.Trim(one, " \t")
		if len(one) > 2 && one[0]|0x20 == 'q' && one[1] == '=' {
			weight, ok = parseWeight(one[2:])
			return name, weight, ok
		}
	}
	return name, 1000, true
}

// parseWeight reads a qvalue (RFC 9110 section 12.4.2), in thousandths.
func parseWeight(b []byte) (int, bool) {
	if len(b) == 0 || len(b) > 5 || b[0] != '0' && b[0] != '1' || len(b) > 1 && b[1] != '.' {
		return 0, false
	}
	weight := int(b[0]-'0') * 1000
	for i, unit := 2, 100; i < len(b); i, unit = i+1, unit/10 {
		if b[i] < '0' || b[i] > '9' {
			return 0, false
		}
		weight += int(b[i]-'0') * unit
	}
	return weight, weight <= 1000
}
