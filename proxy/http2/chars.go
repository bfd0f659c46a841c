package http2

import "strings"

// The classes of a byte, a bit each.
const (
	inToken  = 1 << iota // RFC 9110 section 5.6.2
	inName               // the same in lower case
	inValue              // RFC 9110 section 5.5: field-vchar, SP, HTAB
	inTarget             // what a request target may hold
	inHost               // reg-name of RFC 3986 section 3.2.2
	inDigit
	inIPv6 // what may stand between brackets
)

// class tells the classes of each byte. It is never written to.
var class = func() (table [256]uint8) {
	set := func(bits uint8, chars string) {
		for _, c := range []byte(chars) {
			table[c] |= bits
		}
	}
	const digits = "0123456789"
	const lower = "abcdefghijklmnopqrstuvwxyz"
	const upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	set(inToken|inName|inHost, digits+lower)
	set(inToken|inHost, upper)
	set(inToken|inName, "!#$%&'*+-.^_`|~")
	set(inHost, "-._~%!$&'()*+,;=")
	set(inDigit, digits)
	set(inIPv6, digits+"abcdefABCDEF:.")
	set(inValue, "\t ")
	for c := 0x21; c <= 0x7e; c++ {
		table[c] |= inValue | inTarget
	}
	table['#'] &^= inTarget // a fragment is never sent
	for c := 0x80; c <= 0xff; c++ {
		table[c] |= inValue
	}
	return table
}()

// span is how many bytes at the start of s are of a class.
func span(s string, bit uint8) int {
	for i := range len(s) {
		if class[s[i]]&bit == 0 {
			return i
		}
	}
	return len(s)
}

// isAll reports whether s is not empty and all of a class.
func isAll(s string, bit uint8) bool { return s != "" && span(s, bit) == len(s) }

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// badName says what is wrong with a field's name (RFC 9113 section 8.2.1). What
// is not a token HTTP/1 could not carry.
func badName(name string) string {
	switch n := span(name, inName); {
	case name == "":
		return "empty name"
	case n == len(name):
		return ""
	case 'A' <= name[n] && name[n] <= 'Z':
		return "upper case in the name"
	default:
		return "byte 0x" + hexByte(name[n]) + " in the name"
	}
}

// badValue says what is wrong with a field's value (RFC 9113 section 8.2.1).
func badValue(value string) string {
	if value == "" {
		return ""
	}
	if n := span(value, inValue); n < len(value) {
		return "control character 0x" + hexByte(value[n])
	}
	if isSpace(value[0]) || isSpace(value[len(value)-1]) {
		return "space around the value"
	}
	return ""
}

// badHost says what is wrong with uri-host [ ":" port ] (RFC 9110 section 7.2),
// which may not be empty (section 4.2.1).
func badHost(s string) string {
	if strings.IndexByte(s, '@') >= 0 {
		return "has user information"
	}
	n := 0
	if strings.HasPrefix(s, "[") {
		n = 1 + strings.IndexByte(s, ']')
		if n < 4 || !isAll(s[1:n-1], inIPv6) || strings.Count(s[1:n-1], ":") < 2 {
			return "has a malformed IPv6 address"
		}
	} else {
		n = span(s, inHost)
	}
	switch port := s[n:]; {
	case n == 0 && (s == "" || s[0] == ':'):
		return "is empty"
	case port == "":
	case port[0] != ':':
		return "has a byte that is not allowed, 0x" + hexByte(port[0])
	case span(port[1:], inDigit) != len(port)-1 || len(port) > 6:
		return "has a malformed port"
	}
	return ""
}

// badHostPort is badHost for the target of CONNECT, where the port must be there
// (RFC 9113 section 8.5).
func badHostPort(s string) string {
	if reason := badHost(s); reason != "" {
		return reason
	}
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 || s[len(s)-1] == ']' || colon == len(s)-1 {
		return "has no port"
	}
	if port, ok := parseLength(s[colon+1:]); !ok || port == 0 || port > 65535 {
		return "has a port that is not between 1 and 65535"
	}
	return ""
}

// badPath says what is wrong with a path and query.
func badPath(s string, asterisk bool) string {
	switch {
	case s == "":
		return "is empty"
	case s == "*" && asterisk:
	case s[0] != '/':
		return "does not begin with a slash"
	default:
		if n := span(s, inTarget); n < len(s) {
			return "has a byte that is not allowed, 0x" + hexByte(s[n])
		}
	}
	return ""
}

// parseLength parses 1*DIGIT.
func parseLength(s string) (n int64, ok bool) {
	if !isAll(s, inDigit) || len(s) > 18 {
		return 0, false
	}
	for i := range len(s) {
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

// equalFold reports whether two ASCII strings are the same but for case.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}

func hexByte(c byte) string {
	const hex = "0123456789abcdef"
	return string([]byte{hex[c>>4], hex[c&15]})
}
