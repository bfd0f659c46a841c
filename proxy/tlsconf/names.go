package tlsconf

import (
	"crypto/x509"
	"fmt"
	"strings"
	"time"
)

// names are who a certificate says that its holder is: URIs such as SPIFFE ids
// first, then DNS names and addresses.
func names(c *x509.Certificate) []string {
	var all []string
	for _, u := range c.URIs {
		all = append(all, u.String())
	}
	all = append(all, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	return all
}

// words describe a certificate in a sentence. What is in it was written by
// another party, and is quoted.
func words(c *x509.Certificate) string {
	const day = "2006-01-02 15:04:05 UTC"
	subject := c.Subject.String()
	if all := names(c); subject == "" && len(all) > 0 {
		subject = all[0]
	}
	return fmt.Sprintf("%q (issued by %q, valid from %s to %s)", clip(subject), clip(c.Issuer.String()),
		c.NotBefore.UTC().Format(day), c.NotAfter.UTC().Format(day))
}

// namesInWords tell whom a certificate is for.
func namesInWords(c *x509.Certificate) string {
	all := names(c)
	if len(all) == 0 {
		return "no name (of a subject alone none is read)"
	}
	return list(all)
}

// list quotes a few of a list.
func list(all []string) string {
	const most = 5
	quoted := make([]string, 0, most+1)
	for i, s := range all {
		if i == most {
			quoted = append(quoted, fmt.Sprintf("%d more", len(all)-most))
			break
		}
		quoted = append(quoted, fmt.Sprintf("%q", clip(s)))
	}
	return strings.Join(quoted, ", ")
}

// clip keeps a line short that another party has a say in.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// validity says why a certificate is not valid now, "" where it is.
func validity(c *x509.Certificate, now time.Time) string {
	switch {
	case now.After(c.NotAfter):
		return "has expired"
	case now.Before(c.NotBefore):
		return "is not valid yet"
	}
	return ""
}
