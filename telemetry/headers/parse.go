package headers

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// The limits for reading a Proxy-Status: bytes in all lines together, and members.
const (
	MaxProxyStatusBytes   = 8 << 10
	MaxProxyStatusMembers = 64
)

// maxTook is the longest time that a member can say.
const maxTook = 24 * time.Hour

// ErrTooLarge is the error for a Proxy-Status over a limit.
var ErrTooLarge = errors.New("headers: Proxy-Status is too large")

// Member is what one proxy on the way said, ours or another. A zero field means that it
// did not say.
type Member struct {
	Name           string
	Error          string // the RFC 9209 error type
	Details        string
	ReceivedStatus int
	NextHop        string
	Failure        hop.Failure // our own parameters; its Reason is in Details
	// Recovered is true if the Failure did not fail the request. It took so long.
	Recovered bool
	Took      time.Duration
}

// ParseProxyStatus reads the Proxy-Status lines of a response: the first
// member is of the proxy nearest to the origin. Parameters that are unknown or
// of the wrong type are ignored (RFC 9209 section 2.1).
//
// By the RFC a malformed member voids the whole list. ParseProxyStatus still returns the
// other members, with an error that quotes the malformed one. A list over a limit is not
// read at all.
func ParseProxyStatus(lines [][]byte) ([]Member, error) {
	size := 0
	for _, line := range lines {
		size += len(line) + 2
	}
	if size > MaxProxyStatusBytes {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrTooLarge, size, MaxProxyStatusBytes)
	}
	text := make([]string, len(lines))
	for i, line := range lines {
		text[i] = string(line)
	}
	list, err := httpsfv.UnmarshalList(text)
	if err != nil {
		list, err = piecewise(text)
	}
	if len(list) > MaxProxyStatusMembers {
		return nil, fmt.Errorf("%w: %d members, more than %d", ErrTooLarge, len(list), MaxProxyStatusMembers)
	}
	var members []Member
	for _, m := range list {
		if item, ok := m.(httpsfv.Item); ok {
			if member, ok := read(item); ok {
				members = append(members, member)
			}
		}
	}
	return members, err
}

// piecewise reads a list member by member, for one that does not parse as a whole. It
// returns the error of the first malformed member.
func piecewise(lines []string) (list httpsfv.List, first error) {
	for _, line := range lines {
		for rest := line; rest != ""; {
			var piece string
			piece, rest = cutMember(rest)
			if piece = strings.Trim(piece, " \t"); piece == "" {
				continue
			}
			item, err := httpsfv.UnmarshalItem([]string{piece})
			if err == nil {
				list = append(list, item)
			} else if first == nil {
				first = fmt.Errorf("malformed Proxy-Status member %.80q: %w", piece, err)
			}
		}
	}
	return list, first
}

// cutMember cuts at the first comma that is outside a String.
func cutMember(s string) (member, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

func read(item httpsfv.Item) (m Member, ok bool) {
	if m.Name, ok = text(item.Value); !ok {
		return m, false
	}
	param := func(name string) string {
		v, _ := item.Params.Get(name)
		s, _ := text(v)
		return s
	}
	m.Error = param("error")
	m.Details = param("details")
	m.NextHop = param("next-hop")
	m.Failure = hop.Failure{
		Hop: param(FailedHop), Part: hop.ParsePart(param(FailedPart)), Kind: word(param(FailedKind)),
		Caller: param(FailedCaller), Endpoint: param(FailedEndpoint),
	}
	if v, _ := item.Params.Get(FailedInferred); v == true {
		m.Failure.Inferred = true
	}
	if v, _ := item.Params.Get(Recovered); v == true {
		m.Recovered = true
	}
	if v, _ := item.Params.Get(Took); v != nil {
		if ms, isInt := v.(int64); isInt && ms > 0 && ms <= maxTook.Milliseconds() {
			m.Took = time.Duration(ms) * time.Millisecond
		}
	}
	if v, there := item.Params.Get("received-status"); there {
		if status, isInt := v.(int64); isInt && status >= 100 && status <= 999 {
			m.ReceivedStatus = int(status)
		}
	}
	return m, true
}

// word returns s if it can be a kind of failure, so that an upstream can't invent long or
// odd ones.
func word(s string) string {
	if len(s) > 40 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || s != "" && (s[0] < 'a' || s[0] > 'z') {
		return ""
	}
	return s
}

// text returns the value of a Token or a String.
func text(v any) (string, bool) {
	switch v := v.(type) {
	case httpsfv.Token:
		return string(v), true
	case string:
		return v, true
	}
	return "", false
}

// Failure tells who is at fault for the failure of a response, and why. It looks for the
// first member, so the one nearest to the origin, that says "error" or names the failed hop;
// all members after it only relayed the failure. ok is false if there is none: then the
// application itself answered.
func Failure(members []Member) (f hop.Failure, ok bool) {
	for i := range members {
		m := &members[i]
		switch {
		case m.Recovered:
			continue
		case m.Failure.Hop != "":
			f = m.failure()
		case m.Error != "":
			f = hop.Failure{Hop: m.Name, Reason: m.Details}
		default:
			continue
		}
		if f.Reason == "" {
			f.Reason = strings.ReplaceAll(m.Error, "_", " ")
		}
		f.Origin = hop.OriginRelayed
		return f, true
	}
	return hop.Failure{}, false
}

// failure is the failure that the member names, with its reason.
func (m *Member) failure() hop.Failure {
	f := m.Failure
	f.Origin, f.Reason = hop.OriginRelayed, m.Details
	if _, sentence, found := strings.Cut(m.Details, reasonMark); found {
		f.Reason = sentence
	}
	return f
}

// RecoveredFrom tells which failure a response went well in spite of: the one that the
// first member, so the nearest to the origin, names that says so. It returns nil if there
// is none.
func RecoveredFrom(members []Member) *hop.Recovered {
	for i := range members {
		if m := &members[i]; m.Recovered && m.Failure.Hop != "" {
			return &hop.Recovered{Failure: m.failure(), Took: m.Took}
		}
	}
	return nil
}

// MayTellOfRecovery reports whether it is worth parsing a line for [RecoveredFrom].
func MayTellOfRecovery(line []byte) bool { return bytes.Contains(line, []byte(Recovered)) }
