package pathform

import "bytes"

// Rules say what becomes of a path before it is matched and sent on. They are Envoy's
// normalize_path, merge_slashes and path_with_escaped_slashes_action.
type Rules struct {
	// Normalize makes one form of those that mean the same by RFC 3986 section 6.2.2:
	// escapes of unreserved characters are decoded (%61 is a), those of others have upper
	// case digits, and dot segments are removed. A backslash becomes a slash, as in browsers.
	Normalize bool
	// MergeSlashes makes one slash of several in a row.
	MergeSlashes bool
	// EscapedSlashes is what happens to paths with %2F or %5C, the escapes of a slash and a
	// backslash.
	EscapedSlashes Escaped
}

// Escaped is what happens to a path with escaped slashes.
type Escaped uint8

// Keep leaves them, Reject refuses the path, Unescape makes slashes of them, and Redirect
// does so as well and asks for the client to be told of the new path.
const (
	Keep Escaped = iota
	Reject
	Unescape
	Redirect
)

// EscapedOf returns the meaning of a word of the configuration; an unknown one, which the
// configuration does not let through, is Reject.
func EscapedOf(word string) Escaped {
	switch word {
	case "keep":
		return Keep
	case "unescape":
		return Unescape
	case "redirect":
		return Redirect
	}
	return Reject
}

// Verdict is what is to be done with a path.
type Verdict uint8

const (
	// Same is a path that is in the normal form.
	Same Verdict = iota
	// Changed is one that has another form.
	Changed
	// Moved is one that had escaped slashes, whose client is to be sent to the other form.
	Moved
	// Slash is one that is refused because it has escaped slashes.
	Slash
	// Null is one that is refused because it has %00, at which some servers end the path.
	Null
	// Parameter is one that is refused because a dot segment has parameters, such as "..;a":
	// some servers take it for "..", others do not.
	Parameter
)

// Reason says why a path is refused, "" for one that is not.
func (v Verdict) Reason() string {
	switch v {
	case Slash:
		return "it has an escaped slash (%2F) or backslash (%5C), which servers read in different ways"
	case Null:
		return "it has the escape of a null byte (%00)"
	case Parameter:
		return `it has a dot segment with parameters, such as "..;a", which servers read in different ways`
	}
	return ""
}

// Plain reports whether a path is seen to be in the normal form at a glance. It is for the
// hot path: Append says the same of such a path, and takes longer.
func (r Rules) Plain(path []byte) bool {
	last := byte(0)
	for _, c := range path {
		if c == '%' || c == '\\' || last == '/' && (c == '/' || c == '.') {
			return false
		}
		last = c
	}
	return true
}

// Append appends the normal form of a path to a slice. What it has appended means nothing
// if the path is refused. A path that does not begin with a slash is left as it is.
func (r Rules) Append(to, path []byte) ([]byte, Verdict) {
	start := len(to)
	if len(path) == 0 || path[0] != '/' {
		return append(to, path...), Same
	}
	to, verdict := r.decode(to, path)
	if verdict == Slash || verdict == Null {
		return to, verdict
	}
	form := to[start:]
	if r.Normalize {
		var ok bool
		if form, ok = removeDots(form); !ok {
			return to, Parameter
		}
	}
	if r.MergeSlashes {
		form = merge(form)
	}
	switch {
	case verdict == Moved:
	case bytes.Equal(form, path):
		verdict = Same
	default:
		verdict = Changed
	}
	return to[:start+len(form)], verdict
}

// decode appends the path with its escapes as the rules have them.
//
// A "%" that begins no escape stays. No escape behind it is decoded whose character would
// make one of it: else a second look would find another path, such as "%2F" in "%%32F".
func (r Rules) decode(to, path []byte) ([]byte, Verdict) {
	verdict, stray := Same, -3
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '\\' && r.Normalize {
			c = '/'
		}
		if c != '%' {
			to = append(to, c)
			continue
		}
		escaped, ok := escape(path[i:])
		if !ok {
			stray = len(to)
			to = append(to, c)
			continue
		}
		digits := path[i+1 : i+3]
		i += 2
		switch {
		case (escaped == '/' || escaped == '\\') && r.EscapedSlashes != Keep:
			if r.EscapedSlashes == Reject {
				return to, Slash
			}
			if to = append(to, '/'); r.EscapedSlashes == Redirect {
				verdict = Moved
			}
		case !r.Normalize:
			to = append(append(to, '%'), digits...)
		case escaped == 0:
			return to, Null
		case unreserved(escaped) && len(to)-stray > 2:
			to = append(to, escaped)
		default:
			to = append(to, '%', upper(digits[0]), upper(digits[1]))
		}
	}
	return to, verdict
}

// escape returns the byte whose escape b begins with.
func escape(b []byte) (byte, bool) {
	if len(b) < 3 {
		return 0, false
	}
	high, ok := digit(b[1])
	low, also := digit(b[2])
	return high<<4 | low, ok && also
}

func digit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'f' {
		return c - 'a' + 'A'
	}
	return c
}

// unreserved reports whether the escape of a character means what the character means (RFC
// 3986 section 2.3).
func unreserved(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// removeDots removes dot segments in place (RFC 3986 section 5.2.4). It is false for one
// with parameters.
func removeDots(path []byte) (form []byte, ok bool) {
	end := 0 // of the form
	for i := 0; i < len(path); {
		next := i + 1
		for next < len(path) && path[next] != '/' {
			next++
		}
		segment := path[i+1 : next]
		bare, _, parameters := bytes.Cut(segment, []byte(";"))
		up := string(bare) == ".."
		switch {
		case !up && string(bare) != ".":
			end += copy(path[end:], path[i:next])
		case parameters:
			return nil, false
		default:
			if up {
				end = max(bytes.LastIndexByte(path[:end], '/'), 0)
			}
			if next == len(path) {
				path[end] = '/'
				end++
			}
		}
		i = next
	}
	return path[:end], true
}

// merge makes one slash of several in place.
func merge(path []byte) []byte {
	end := 0
	for _, c := range path {
		if c != '/' || end == 0 || path[end-1] != '/' {
			path[end] = c
			end++
		}
	}
	return path[:end]
}
