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

// lookedAt bounds the members that are looked at; more of them are dropped
// from the right.
const lookedAt = 4 * MaxTracestateMembers

// AppendTracestate appends the members of all lines as one list. Lines that
// are well formed and within limits go on byte by byte; otherwise malformed
// members are dropped, then as many as the limits ask for: those over 128
// bytes first, then from the right. It appends nothing where nothing is left;
// the field is then not sent.
func AppendTracestate(dst []byte, lines [][]byte) []byte {
	size, count, ok := 0, 0, true
	for i, line := range lines {
		if i > 0 {
			size++
		}
		size += len(line)
		for rest := line; ok && len(rest) > 0; {
			var member []byte
			member, rest = nextMember(rest)
			if len(member) > 0 {
				count++
				ok = memberOK(member)
			}
		}
	}
	switch {
	case !ok || count > MaxTracestateMembers || size > MaxTracestateBytes:
		return appendWithin(dst, lines)
	case count == 0:
		return dst
	}
	for i, line := range lines {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, line...)
	}
	return dst
}

// appendWithin is AppendTracestate for lines that need work.
func appendWithin(dst []byte, lines [][]byte) []byte {
	var members [lookedAt][]byte
	n, size := 0, -1 // -1: there is one comma less than members
	for _, line := range lines {
		for rest := line; len(rest) > 0 && n < lookedAt; {
			var member []byte
			if member, rest = nextMember(rest); len(member) > 0 && memberOK(member) {
				members[n] = member
				n++
				size += len(member) + 1
			}
		}
	}
	kept := n
	for _, least := range [...]int{longTracestateMember, 0} {
		for i := n - 1; i >= 0 && (kept > MaxTracestateMembers || size > MaxTracestateBytes); i-- {
			if len(members[i]) > least {
				size -= len(members[i]) + 1
				members[i] = nil
				kept--
			}
		}
	}
	first := len(dst)
	for _, member := range members[:n] {
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

// memberOK checks key=value. The grammar of keys is that of level 2, where a
// digit may come first, without its split at the @, which old tracers ignore.
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
