package http2

import "github.com/hopscope/hopscope/proxy/message"

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// badName says what is wrong with a field's name (RFC 9113 section 8.2.1). What
// is not a token HTTP/1 could not carry.
func badName(name string) string {
	switch n := message.Prefix(name, message.InName); {
	case name == "":
		return "empty name"
	case n == len(name):
		return ""
	case 'A' <= name[n] && name[n] <= 'Z':
		return "upper case in the name"
	default:
		return "byte 0x" + message.HexByte(name[n]) + " in the name"
	}
}

// badValue says what is wrong with a field's value (RFC 9113 section 8.2.1).
func badValue(value string) string {
	if value == "" {
		return ""
	}
	if n := message.Prefix(value, message.InValue); n < len(value) {
		return "control character 0x" + message.HexByte(value[n])
	}
	if isSpace(value[0]) || isSpace(value[len(value)-1]) {
		return "space around the value"
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
		if n := message.Prefix(s, message.InTarget); n < len(s) {
			return "has a byte that is not allowed, 0x" + message.HexByte(s[n])
		}
	}
	return ""
}
