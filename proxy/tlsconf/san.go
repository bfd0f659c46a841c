package tlsconf

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/hopscope/hopscope/proxy/message"
)

// pattern is what a name in a certificate has to be:
//
//	web.example.com          that name, or a wildcard that stands for it
//	*.example.com            any one label in place of the "*"
//	spiffe://mesh/ns/a/web   that SPIFFE id
//	spiffe://mesh/ns/a/*     any below it
//	spiffe://mesh            any of the trust domain
type pattern struct {
	text   string
	form   form
	domain spiffeid.TrustDomain
}

type form uint8

const (
	oneName form = iota
	wildcard
	oneID
	below
	trustDomain
)

// Names are names of which a certificate has to have one, in the forms of
// [ServerOptions].ClientSAN.
type Names struct{ patterns []pattern }

// ParseNames parses a list of names.
func ParseNames(texts []string) (Names, error) {
	patterns, err := parsePatterns(texts)
	return Names{patterns}, err
}

// Has reports whether a certificate has one of the names. None are nobody's.
func (n Names) Has(leaf *x509.Certificate) bool {
	for i := range n.patterns {
		if n.patterns[i].matches(leaf) {
			return true
		}
	}
	return false
}

// parsePatterns parses a list of patterns.
func parsePatterns(texts []string) ([]pattern, error) {
	var all []pattern
	for _, text := range texts {
		p, err := parsePattern(text)
		if err != nil {
			return nil, fmt.Errorf("the name %q is no DNS name and no SPIFFE id: %w", text, err)
		}
		all = append(all, p)
	}
	return all, nil
}

func parsePattern(text string) (pattern, error) {
	p := pattern{text: text}
	if !strings.HasPrefix(text, "spiffe://") {
		name, isWildcard := strings.CutPrefix(text, "*.")
		if isWildcard {
			p.form = wildcard
		}
		if name == "" || strings.ContainsAny(name, "*/ ") {
			return p, errors.New(`expected web.example.com, *.example.com or spiffe://mesh/web`)
		}
		return p, nil
	}
	p.form = oneID
	if above, ok := strings.CutSuffix(text, "/*"); ok {
		text, p.form = above, below
	}
	id, err := spiffeid.FromString(text)
	if err != nil {
		return p, err
	}
	p.domain = id.TrustDomain()
	if p.form == oneID && id.Path() == "" {
		p.form = trustDomain
	}
	return p, nil
}

// matches reports whether a certificate has a name that the pattern lets in.
func (p *pattern) matches(leaf *x509.Certificate) bool {
	switch p.form {
	case oneName:
		return leaf.VerifyHostname(p.text) == nil
	case wildcard:
		for _, name := range leaf.DNSNames {
			label, rest, _ := strings.Cut(name, ".")
			if label != "" && message.EqualFold(message.BareHost(rest), message.BareHost(p.text[len("*."):])) {
				return true
			}
		}
		return false
	}
	id, ok := identity(leaf)
	switch {
	case !ok:
		return false
	case p.form == oneID:
		return id.String() == p.text
	case p.form == below:
		return strings.HasPrefix(id.String(), strings.TrimSuffix(p.text, "*"))
	}
	return id.MemberOf(p.domain)
}

// identity is a certificate's SPIFFE id. A certificate with more than one URI
// has none (X509-SVID, section 2): which of them it is for, it does not tell.
func identity(leaf *x509.Certificate) (id spiffeid.ID, ok bool) {
	if len(leaf.URIs) != 1 {
		return id, false
	}
	id, err := spiffeid.FromURI(leaf.URIs[0])
	return id, err == nil
}

// letIn refuses a certificate that none of the patterns matches.
func letIn(patterns []pattern, leaf *x509.Certificate) error {
	if len(patterns) == 0 {
		return nil
	}
	texts := make([]string, len(patterns))
	for i := range patterns {
		if patterns[i].matches(leaf) {
			return nil
		}
		texts[i] = patterns[i].text
	}
	return &refusal{wrongName, leaf, list(texts)}
}
