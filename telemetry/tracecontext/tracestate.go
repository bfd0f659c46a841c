package tracecontext

import "bytes"

// The limits of a tracestate that is sent on (W3C Trace Context level 2,
// section 3.3.1): members in the list, bytes in all, bytes in a key or a
// value, and the size of a member above which it is the first to go.
const (
	MaxTracestateMembers = 32
	MaxTracestateBytes   = 512
	maxTracestatePart    = 256
	longTracestateMember = 128
)

// AppendTracestate appends the members of all lines as one list. It appends
// nothing where the list can't be parsed (a member that is malformed, or more
// than [MaxTracestateMembers] over all lines), or has no member: the field is then
// not sent (section 3.3). A key that comes twice is no mistake. A list within
// [MaxTracestateBytes] goes on byte by byte; a longer one loses whole members:
// those over 128 bytes first, then from the right.
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
	size := -1 // there is one comma less than members
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

// nextMember cuts the first member, without the whitespace around it, off a
// list.
func nextMember(list []byte) (member, rest []byte) {
	member, rest, _ = bytes.Cut(list, []byte{','})
	return bytes.Trim(member, " \t"), rest
}

// memberOK checks key=value. The grammar of keys is that of level 2, where a digit
// may come first, and an @ is a character as any other.
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
