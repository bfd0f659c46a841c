package route

import (
	"math"
	"strings"

	"github.com/hopscope/hopscope/proxy/message"
)

// Value is a condition on the value of a field, of a parameter of the query, or of a
// cookie. One of Exact, Prefix, Suffix, Contains, Regex, Range, Present and Absent is set.
type Value struct {
	Name                            string // of a field, whatever its case
	Exact, Prefix, Suffix, Contains string
	Regex                           *Regex    // the whole value
	Range                           *[2]int64 // a decimal integer from the first, below the second
	Present, Absent                 bool
	// FoldCase takes upper and lower case for the same, in Exact, Prefix, Suffix and
	// Contains: those of ASCII.
	FoldCase bool
	// Not is for a value that is there, and is not as the condition says.
	Not bool
}

// value is a compiled Value, in few bytes.
type value struct {
	on       subject
	id       message.FieldID
	test     test
	not      bool
	foldCase bool
	name     string
	text     string // of what the value is compared with
	regex    *Regex
	from, to int64
}

// test is what is asked of a value.
type test uint8

const (
	isPresent test = iota
	isAbsent
	isExact
	hasStart
	hasEnd
	contains
	matches
	isWithin
)

func newValue(on subject, v Value) *value {
	c := &value{on: on, name: v.Name, not: v.Not, foldCase: v.FoldCase}
	if on == onHeader {
		c.name = strings.ToLower(v.Name)
		c.id = message.FieldByName([]byte(c.name))
	}
	switch {
	case v.Present:
	case v.Absent:
		c.test = isAbsent
	case v.Regex != nil:
		c.test, c.regex = matches, v.Regex
	case v.Range != nil:
		c.test, c.from, c.to = isWithin, v.Range[0], v.Range[1]
	case v.Exact != "":
		c.test, c.text = isExact, v.Exact
	case v.Prefix != "":
		c.test, c.text = hasStart, v.Prefix
	case v.Suffix != "":
		c.test, c.text = hasEnd, v.Suffix
	default:
		c.test, c.text = contains, v.Contains
	}
	return c
}

// met reports whether a request meets the condition.
func (v *value) met(h *message.Head) bool {
	text, there := v.get(h)
	switch v.test {
	case isPresent:
		return there
	case isAbsent:
		return !there
	}
	return there && v.meets(text) != v.not
}

// exact reports whether only one text meets the condition.
func (v *value) exact() bool { return v.test == isExact && !v.not && !v.foldCase }

func (v *value) meets(text []byte) bool {
	switch n := len(v.text); v.test {
	case isExact:
		return len(text) == n && v.same(text)
	case hasStart:
		return len(text) >= n && v.same(text[:n])
	case hasEnd:
		return len(text) >= n && v.same(text[len(text)-n:])
	case matches:
		return v.regex.Match(text)
	case isWithin:
		i, ok := integer(text)
		return ok && i >= v.from && i < v.to
	}
	for i := range len(text) - len(v.text) + 1 {
		if v.same(text[i : i+len(v.text)]) {
			return true
		}
	}
	return false
}

// integer parses a decimal integer. Unlike strconv.ParseInt, it makes no error of what is none.
func integer(text []byte) (int64, bool) {
	digits := text
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		digits = text[1:]
	}
	if len(digits) == 0 {
		return 0, false
	}
	var n uint64
	for _, c := range digits {
		if c < '0' || c > '9' || n > math.MaxInt64/10 {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	if text[0] == '-' {
		return -int64(n), n <= 1<<63
	}
	return int64(n), n <= math.MaxInt64
}

// same compares what is as long as the text.
func (v *value) same(part []byte) bool {
	if v.foldCase {
		return message.EqualFold(part, v.text)
	}
	return string(part) == v.text
}

// get returns the value that a request has, if it is there.
func (v *value) get(h *message.Head) (text []byte, there bool) {
	switch v.on {
	case onQuery:
		return h.QueryValue(v.name)
	case onCookie:
		text, there = h.CookieValue(v.name)
		if n := len(text); n >= 2 && text[0] == '"' && text[n-1] == '"' { // RFC 6265 section 4.1.1
			text = text[1 : n-1]
		}
		return text, there
	}
	if v.id == message.Host { // what the request is for, also where its target says so
		text = h.Host()
		return text, len(text) > 0
	}
	return v.field(h)
}

// field returns the value of a field, several lines joined as RFC 9110 section 5.3 says,
// and Cookie as RFC 9113 section 8.2.3 does.
func (v *value) field(h *message.Head) (text []byte, there bool) {
	if v.id != message.Unknown && !h.Has(v.id) {
		return nil, false
	}
	own := len(h.Scratch())
	fields := h.Fields
	for i := range fields {
		f := &fields[i]
		if f.ID != v.id || f.Removed || f.ID == message.Unknown && (int(f.Name.Len) != len(v.name) || !message.EqualFold(h.Bytes(f.Name), v.name)) {
			continue
		}
		if !there {
			text, there = h.Bytes(f.Value), true
			continue
		}
		text = joined(h, own, text, f)
	}
	return text, there
}

// joined adds a line to those before, which are joined in what the head's storage has
// behind its end, or are one line.
func joined(h *message.Head, own int, before []byte, f *message.Field) []byte {
	between := ","
	if f.ID == message.Cookie {
		between = "; "
	}
	b := append(h.Scratch()[:own], before...) // over itself, if it is there already
	return append(append(b, between...), h.Bytes(f.Value)...)[own:]
}
