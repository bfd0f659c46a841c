package tlsconf

import (
	"crypto/tls"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/message"
)

// chooser finds the certificate for the name that a client asks for.
type chooser struct {
	exact    map[string][]*tls.Certificate
	wildcard map[string][]*tls.Certificate // by what follows the "*."
	fallback []*tls.Certificate            // the first, and others for the same names
}

func newChooser(pairs []*tls.Certificate) *chooser {
	c := &chooser{exact: map[string][]*tls.Certificate{}, wildcard: map[string][]*tls.Certificate{}}
	first := serverNames(pairs[0])
	for _, pair := range pairs {
		all := serverNames(pair)
		for _, name := range all {
			if rest, ok := strings.CutPrefix(name, "*."); ok {
				c.wildcard[rest] = append(c.wildcard[rest], pair)
			} else {
				c.exact[name] = append(c.exact[name], pair)
			}
		}
		if slices.Equal(all, first) {
			c.fallback = append(c.fallback, pair)
		}
	}
	return c
}

// serverNames are the DNS names that a certificate is for, sorted. A subject's
// common name counts where there is nothing else.
func serverNames(pair *tls.Certificate) []string {
	var all []string
	for _, name := range pair.Leaf.DNSNames {
		all = append(all, message.LowerHost(name))
	}
	if len(names(pair.Leaf)) == 0 && len(pair.Leaf.EmailAddresses) == 0 && pair.Leaf.Subject.CommonName != "" {
		all = append(all, message.LowerHost(pair.Leaf.Subject.CommonName))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// choose is for tls.Config.GetCertificate.
func (c *chooser) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := message.LowerHost(hello.ServerName)
	candidates := c.exact[name]
	if len(candidates) == 0 {
		_, rest, _ := strings.Cut(name, ".")
		candidates = c.wildcard[rest]
	}
	if len(candidates) == 0 {
		candidates = c.fallback
	}
	if len(candidates) > 1 {
		for _, pair := range candidates {
			if hello.SupportsCertificate(pair) == nil {
				return pair, nil
			}
		}
	}
	return candidates[0], nil
}
