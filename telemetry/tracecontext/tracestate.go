package tracecontext

import "bytes"

// The limits of a tracestate that is sent on (W3C Trace Context level 2, section 3.3.1):
// members in the list, bytes in all, bytes in a key or a value, and the size above which
// a member is dropped first.
const (
	MaxTracestateMembers = 32
	MaxTracestateBytes   = 512
	maxTracestatePart    = 256
	longTracestateMember = 128
)

// AppendTracestate appends the members of all lines as one list. It appends nothing if
// the list can't be parsed (a malformed member, or more than [MaxTracestateMembers] in
// all lines), or is empty: then do not send the field (section 3.3). A key may come
// twice. A list within [MaxTracestateBytes] is sent unchanged. A longer one loses whole
// members: first those over 128 bytes, then from the right.
func AppendTracestate(dst []byte, lines [][]byte) []byte {
	var members [MaxTracestateMembers][]byte
	n, size := 0, max(len(lines)-1, 0)
	for _, line := range lines {
		size += len(line)
		for rest := line; len(rest) > 0; {
			var member []byte
			if member, rest = nextMember(rest); len(member) == 0 {
				continue
			}
			if n == len(members) || !memberOK(member) {
				return dst
			}
			members[n] = member
			n++
		}
	}
	switch {
	case n == 0:
		return dst
	case size > MaxTracestateBytes:
		return appendShortened(dst, members[:n])
	}
	for i, line := range lines {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, line...)
	}
	return dst
}

// appendShortened appends as many members as fit within [MaxTracestateBytes].
func appendShortened(dst []byte, members [][]byte) []byte {
	size := -1 // there is one comma fewer than members
	for _, member := range members {
		size += len(member) + 1
	}
	for _, least := range [...]int{longTracestateMember, 0} {
		for i := len(members) - 1; i >= 0 && size > MaxTracestateBytes; i-- {
			if len(members[i]) > least {
				size -= len(members[i]) + 1
				members[i] = nil
			}
		}
	}
	first := len(dst)
	for _, member := range members {
		if member == nil {
			continue
		}
		if len(dst) > first {
			dst = append(dst, ',')
		}
		dst = append(dst, member...)
	}
	return dst
}

// nextMember cuts the first member off a list, and trims it.
func nextMember(list []byte) (member, rest []byte) {
	member, rest, _ = bytes.Cut(list, []byte{','})
	return bytes.Trim(member, " \t"), rest
}

// memberOK checks key=value. Keys follow the grammar of level 2: a digit may come first,
// and @ is an ordinary character.
func memberOK(m []byte) bool {
	eq := bytes.IndexByte(m, '=')
	if eq < 1 || eq > maxTracestatePart || len(m)-eq-1 < 1 || len(m)-eq-1 > maxTracestatePart {
		return false
	}
	if c := m[0]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
		return false
	}
	for _, c := range m[:eq] {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case c == '_', c == '-', c == '*', c == '/', c == '@':
		default:
			return false
		}
	}
	for _, c := range m[eq+1:] {
		if c < ' ' || c > '~' || c == '=' {
			return false
		}
	}
	return true
}
