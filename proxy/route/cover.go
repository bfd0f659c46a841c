package route

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/message"
)

// Covers reports whether a match takes every request that another takes, so that a route
// behind it gets none. It is false where that is not sure: for identities, and where one
// expression or template would have to be compared with another.
func (m *Match) Covers(other *Match) bool {
	return coversAll(m.values(), other.values()) && m.coversRest(other, other.start())
}

// coversRest is Covers but for what is asked of values; start is how the other's paths begin.
func (m *Match) coversRest(other *Match, start string) bool {
	return m.coversPath(other, start) && m.coversHosts(other) && m.coversMethods(other) &&
		(len(m.Clients) == 0 || len(other.Clients) > 0 && within(other.Clients, m.Clients)) &&
		m.Identities == nil && m.coversCalls(other) && m.coversNot(other) &&
		(m.Share == nil || other.Share != nil && *other.Share <= *m.Share) // one number decides for both
}

// Never reports whether no request can match.
func (m *Match) Never() bool {
	if m.Share != nil && *m.Share == 0 {
		return true
	}
	if m.Path == "" {
		return false
	}
	path := []byte(m.Path)
	return !strings.HasPrefix(m.Path, m.PathPrefix) || m.PathSegments != "" && !strings.HasPrefix(m.Path+"/", m.PathSegments+"/") ||
		m.PathRegex != nil && !m.PathRegex.Match(path) || m.PathTemplate != nil && !m.PathTemplate.Match(path, nil)
}

// start is how every path of the match begins.
func (m *Match) start() string {
	longest := m.Path
	for _, s := range []string{m.PathPrefix, m.PathSegments} {
		if len(s) > len(longest) {
			longest = s
		}
	}
	rest := Match{PathRegex: m.PathRegex, PathTemplate: m.PathTemplate, GRPC: m.GRPC}
	if k := rest.keys(); len(k.prefix+k.exact) > len(longest) {
		return k.prefix + k.exact // one of them
	}
	return longest
}

func (m *Match) coversPath(o *Match, start string) bool {
	if m.Path != "" && m.Path != o.Path || !strings.HasPrefix(start, m.PathPrefix) {
		return false
	}
	if s := m.PathSegments; s != "" && !strings.HasPrefix(start, s+"/") && o.Path != s && o.PathSegments != s {
		return false
	}
	if re := m.PathRegex; re != nil && re.whole.String() != `\A(?:.*)\z` &&
		(o.Path == "" || !re.Match([]byte(o.Path))) && (o.PathRegex == nil || o.PathRegex.whole.String() != re.whole.String()) {
		return false
	}
	t := m.PathTemplate
	return t == nil || o.Path != "" && t.Match([]byte(o.Path), nil)
}

func (m *Match) coversHosts(o *Match) bool {
	if len(m.Hosts) == 0 {
		return true
	}
	for _, host := range o.Hosts {
		if !slices.ContainsFunc(m.Hosts, func(pattern string) bool { return coversHost(pattern, host) }) {
			return false
		}
	}
	return len(o.Hosts) > 0
}

// coversHost reports whether a pattern has every host that another has.
func coversHost(pattern, other string) bool {
	suffix, wild := strings.CutPrefix(other, "*")
	if !wild {
		return isHost([]byte(message.Hostname(other)), pattern)
	}
	own, ok := strings.CutPrefix(pattern, "*")
	if !ok {
		return false
	}
	own, suffix = message.BareHost(own), message.BareHost(suffix)
	return len(suffix) >= len(own) && message.EqualFold(suffix[len(suffix)-len(own):], own)
}

func (m *Match) coversMethods(o *Match) bool {
	if len(m.Methods) == 0 {
		return true
	}
	if len(o.Methods) == 0 || o.Preflights && !m.Preflights {
		return false
	}
	return !slices.ContainsFunc(o.Methods, func(method string) bool { return !slices.Contains(m.Methods, method) })
}

// values are the conditions on fields, parameters and cookies.
func (m *Match) values() (all []*value) {
	for _, c := range (&Match{Headers: m.Headers, Query: m.Query, Cookies: m.Cookies}).asConditions() {
		all = append(all, c.value)
	}
	return all
}

// coversAll reports whether each of the conditions follows from one of the others.
func coversAll(conditions, others []*value) bool {
	for _, v := range conditions {
		if !slices.ContainsFunc(others, func(o *value) bool { return follows(v, o) }) {
			return false
		}
	}
	return true
}

// follows reports whether a condition on a value holds wherever another does.
func follows(own, other *value) bool {
	if own.on != other.on || own.name != other.name {
		return false
	}
	switch {
	case own.test == isPresent:
		return other.test != isAbsent
	case other.exact():
		return own.test != isAbsent && own.meets([]byte(other.text)) != own.not
	}
	same := own.test == other.test && own.not == other.not && own.foldCase == other.foldCase && own.text == other.text && own.from == other.from && own.to == other.to
	return same && (own.regex == nil || own.regex.whole.String() == other.regex.whole.String())
}

// within reports whether every network is in one of the others.
func within(networks, others []netip.Prefix) bool {
	return !slices.ContainsFunc(networks, func(n netip.Prefix) bool {
		return !slices.ContainsFunc(others, func(o netip.Prefix) bool { return o.Bits() <= n.Bits() && o.Contains(n.Addr()) })
	})
}

func (m *Match) coversCalls(o *Match) bool {
	if m.GRPC == nil {
		return true
	}
	return o.GRPC != nil && (m.GRPC.Service == "" || m.GRPC.Service == o.GRPC.Service) && (m.GRPC.Method == "" || m.GRPC.Method == o.GRPC.Method)
}

// coversNot reports whether nothing that the match excludes can be among what the other
// takes: because the other excludes it, too.
func (m *Match) coversNot(o *Match) bool {
	if m.Not == nil {
		return true
	}
	if o.Not == nil {
		return false
	}
	excluded := o.Not.parts()
	return !slices.ContainsFunc(m.Not.parts(), func(p part) bool {
		return p.match.Identities != nil || !slices.ContainsFunc(excluded, func(e part) bool { return e.match.Identities == nil && e.match.Covers(&p.match) })
	})
}

// Covers finds out which matches of a list no request gets to.
type Covers struct {
	matches []Match
	starts  []string
	values  [][]*value
}

// NewCovers is for the matches of a table.
func NewCovers(matches []Match) *Covers {
	c := &Covers{matches: matches}
	for i := range matches {
		c.starts = append(c.starts, matches[i].start())
		c.values = append(c.values, matches[i].values())
	}
	return c
}

// Before is the first match that covers the one of an index, of those before it; -1 if there
// is none.
func (c *Covers) Before(i int) int {
	for j := range i {
		if coversAll(c.values[j], c.values[i]) && c.matches[j].coversRest(&c.matches[i], c.starts[i]) {
			return j
		}
	}
	return -1
}
