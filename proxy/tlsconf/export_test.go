package tlsconf

import "crypto/x509"

// Matches reports whether a certificate has a name that a pattern lets in.
func Matches(text string, leaf *x509.Certificate) (bool, error) {
	p, err := parsePattern(text)
	return err == nil && p.matches(leaf), err
}

// Texts are how the errors begin that are told by their text.
func Texts() []string {
	var all []string
	for _, t := range texts {
		all = append(all, t.begins)
	}
	return all
}
