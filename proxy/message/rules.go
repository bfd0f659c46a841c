package message

import "math"

// The rules in this file are those of HTTP, whatever the version: a message that
// one codec refuses is refused by the other.

// BadHost says what is wrong with uri-host [ ":" port ] (RFC 9110 section 7.2),
// which may not be empty where the scheme is http (section 4.2.1); it is empty
// for a good one.
func BadHost[T text](b T) (reason string) {
	n := 0
	if len(b) > 0 && b[0] == '[' {
		n = 1 + Prefix(b[1:], inIPv6)
		if n == len(b) || b[n] != ']' || colons(b[:n]) < 2 {
			return "has a malformed IPv6 address"
		}
		n++
	} else {
		n = Prefix(b, InHost)
	}
	port := b[n:]
	for i := range len(port) {
		if port[i] == '@' {
			return "has user information"
		}
	}
	switch {
	case n == 0 && (len(b) == 0 || b[0] == ':'):
		return "is empty"
	case len(port) == 0:
	case port[0] != ':':
		return "has a byte that is not allowed, 0x" + HexByte(port[0])
	case Prefix(port[1:], InDigit) != len(port)-1 || len(port) > 6:
		return "has a malformed port"
	}
	return ""
}

func colons[T text](b T) (n int) {
	for i := range len(b) {
		if b[i] == ':' {
			n++
		}
	}
	return n
}

// BadHostPort is [BadHost] for the target of CONNECT, whose port must be there
// (RFC 9112 section 3.2.3, RFC 9113 section 8.5).
func BadHostPort[T text](b T) (reason string) {
	if reason := BadHost(b); reason != "" {
		return reason
	}
	_, port := SplitPort(b)
	if len(port) == 0 {
		return "has no port"
	}
	if n := portNumber(port, ""); n == 0 || n > 65535 {
		return "has a port that is not between 1 and 65535"
	}
	return ""
}

// ParseLength parses the value of Content-Length: 1*DIGIT of at most 19 digits
// (RFC 9110 section 8.6). reason says what is wrong with it; it is empty for a
// good one. A list of the same number several times may be refused (RFC 9112
// section 6.3), and is.
func ParseLength[T text](value T) (n int64, reason string) {
	digits := Prefix(value, InDigit)
	switch {
	case len(value) == 0:
		return 0, "is empty"
	case digits < len(value) && value[digits] == ',':
		return 0, "is a list"
	case digits < len(value) && (value[0] == '+' || value[0] == '-'):
		return 0, "has a sign"
	case digits < len(value):
		return 0, "is not a number"
	case digits > 19:
		return 0, "has more than 19 digits"
	}
	var u uint64 // 19 digits fit
	for i := range len(value) {
		u = u*10 + uint64(value[i]-'0')
	}
	if u > math.MaxInt64 {
		return 0, "is more than 9223372036854775807"
	}
	return int64(u), ""
}

// ParseStatus parses a status: three digits, from 100 on. Those from 600 on have
// no meaning, and are taken as 5xx (RFC 9110 section 15). reason says what is
// wrong with it.
func ParseStatus[T text](value T) (status int, reason string) {
	if len(value) != 3 || Prefix(value, InDigit) < 3 {
		return 0, "is not three digits"
	}
	status = int(value[0]-'0')*100 + int(value[1]-'0')*10 + int(value[2]-'0')
	if status < 100 {
		return 0, "is not between 100 and 999"
	}
	return status, ""
}

// WantsContinue reports whether a value of Expect has the member 100-continue
// (RFC 9110 section 10.1.1). Other expectations are not met, nor refused.
func WantsContinue[T text](list T) bool { return hasMember(list, "100-continue") }

// WantsTrailers reports whether a value of TE has the member trailers (RFC 9110
// section 10.1.4).
func WantsTrailers[T text](list T) bool { return hasMember(list, "trailers") }

// hasMember reports whether a list has a member, which has no quotes in it.
func hasMember[T text](list T, want string) bool {
	for from := 0; from <= len(list); {
		to := from
		for to < len(list) && list[to] != ',' {
			to++
		}
		if EqualFold(trimSpace(list[from:to]), want) {
			return true
		}
		from = to + 1
	}
	return false
}

// trimSpace cuts optional whitespace off both ends (RFC 9110 section 5.6.3).
func trimSpace[T text](b T) T {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
