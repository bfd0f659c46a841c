package convert

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

// domainKind is how Envoy finds a virtual host: the lower kinds first, and of one kind the
// longest domain.
type domainKind int

const (
	exactDomain domainKind = iota
	suffixDomain
	prefixDomain
	anyDomain
)

func kindOf(domain string) domainKind {
	switch {
	case domain == "*":
		return anyDomain
	case strings.HasPrefix(domain, "*"):
		return suffixDomain
	case strings.HasSuffix(domain, "*"):
		return prefixDomain
	}
	return exactDomain
}

// segment is a virtual host with some of its domains, which are tried at the same time.
type segment struct {
	host    *node // the virtual host
	domains []string
}

// segments puts virtual hosts into the order in which Envoy would find them, since here the
// first route that matches wins. A virtual host is cut in pieces only if it has to be both
// before and behind another.
func segments(hosts []*node) []segment {
	whole := make([]segment, len(hosts))
	for i, h := range hosts {
		whole[i] = segment{h, h.strs("domains")}
	}
	if ordered, ok := order(whole); ok {
		return ordered
	}
	var pieces []segment
	for _, s := range whole {
		for _, d := range s.domains {
			pieces = append(pieces, segment{s.host, []string{d}})
		}
	}
	slices.SortStableFunc(pieces, func(a, b segment) int { return compareDomains(a.domains[0], b.domains[0]) })
	var joined []segment
	for _, p := range pieces {
		if n := len(joined); n > 0 && joined[n-1].host == p.host {
			joined[n-1].domains = append(joined[n-1].domains, p.domains...)
			continue
		}
		joined = append(joined, p)
	}
	return joined
}

func compareDomains(a, b string) int {
	return cmp.Or(cmp.Compare(kindOf(a), kindOf(b)), cmp.Compare(len(b), len(a)))
}

// order puts each segment behind those that come before it; it fails if there is no such
// order.
func order(all []segment) (ordered []segment, ok bool) {
	left := slices.Clone(all)
	for len(left) > 0 {
		i := slices.IndexFunc(left, func(s segment) bool {
			return !slices.ContainsFunc(left, func(other segment) bool { return other.host != s.host && mustFollow(s, other) })
		})
		if i < 0 {
			return nil, false
		}
		ordered = append(ordered, left[i])
		left = slices.Delete(left, i, i+1)
	}
	return ordered, true
}

// mustFollow reports whether a has a domain that takes hosts of b, which Envoy finds first.
func mustFollow(a, b segment) bool {
	for _, wide := range a.domains {
		for _, narrow := range b.domains {
			if compareDomains(narrow, wide) < 0 && overlap(wide, narrow) {
				return true
			}
		}
	}
	return false
}

// overlap reports whether hosts of the narrow domain may be of the wide one, too.
func overlap(wide, narrow string) bool {
	wide, narrow = strings.ToLower(wide), strings.ToLower(narrow)
	switch kindOf(wide) {
	case anyDomain:
		return true
	case suffixDomain:
		return strings.HasSuffix(narrow, wide[1:])
	case prefixDomain:
		return kindOf(narrow) == suffixDomain || strings.HasPrefix(narrow, strings.TrimSuffix(wide, "*"))
	}
	return wide == narrow
}

// hostMatch is how routes ask for the domains of a segment.
type hostMatch struct {
	hosts  []string
	header *config.ValueMatch // of the Host field, where hosts do not do
}

// matches are the conditions for the domains of a segment, each for routes of its own.
func (s segment) matches() (all []hostMatch) {
	var plain []string
	for _, d := range s.domains {
		bare := dropPort(d)
		switch {
		case d == "*":
			return []hostMatch{{}}
		case kindOf(d) == exactDomain, strings.HasPrefix(d, "*.") && !strings.Contains(d[1:], "*"):
			if !slices.Contains(plain, bare) {
				plain = append(plain, bare)
			}
		case kindOf(d) == suffixDomain:
			all = append(all, hostMatch{header: regexValue("(?i).+" + regexp.QuoteMeta(bare[1:]) + "(:[0-9]+)?")})
		default:
			all = append(all, hostMatch{header: regexValue("(?i)" + regexp.QuoteMeta(strings.TrimSuffix(d, "*")) + ".+")})
		}
	}
	if len(plain) > 0 {
		all = append([]hostMatch{{hosts: plain}}, all...)
	}
	return all
}

func regexValue(regex string) *config.ValueMatch {
	return &config.ValueMatch{Text: config.Text{Regex: regex}}
}

// dropPort cuts a port, or "*" for any, off a host.
func dropPort(host string) string {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.HasSuffix(host, "]") || strings.Trim(host[i+1:], "0123456789*") != "" {
		return host
	}
	return host[:i]
}
