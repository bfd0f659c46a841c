package why

import (
	"strings"
	"unicode"
)

// maxText is the longest text, in bytes.
const maxText = 300

// Clean makes a text of another proxy one line of bounded length that a terminal can show.
func Clean(s string) string {
	if plain(s) {
		return s
	}
	cut := s
	if len(s) > maxText {
		cut = strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, cut)
}

// plain reports whether a text is as it should be already, as nearly all are.
func plain(s string) bool {
	if len(s) > maxText {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// ServiceOf names a service after the host that it was asked for by: without the port,
// unless the host is an address.
func ServiceOf(host string) string {
	name := host
	if colon := strings.LastIndexByte(host, ':'); colon > strings.LastIndexByte(host, ']') {
		name = host[:colon]
	}
	if strings.HasPrefix(name, "[") || name != "" && strings.Trim(name, "0123456789.") == "" {
		return host
	}
	return name
}
