package clientcert

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"net/url"
	"strings"

	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
)

// Mode is what happens to the field. From a client that has shown no
// certificate, all modes but AlwaysForwardOnly remove it.
type Mode uint8

const (
	// Sanitize removes the field.
	Sanitize Mode = iota
	// ForwardOnly leaves the field as it came.
	ForwardOnly
	// AppendForward adds the client's certificate to what came.
	AppendForward
	// SanitizeSet replaces what came by the client's certificate.
	SanitizeSet
	// AlwaysForwardOnly leaves the field as it came, from every client.
	AlwaysForwardOnly
)

// ModeOf returns the mode of a configuration word; an unknown word, which the
// configuration does not let through, is Sanitize.
func ModeOf(word string) Mode {
	switch word {
	case "forward_only":
		return ForwardOnly
	case "append_forward":
		return AppendForward
	case "sanitize_set":
		return SanitizeSet
	case "always_forward_only":
		return AlwaysForwardOnly
	}
	return Sanitize
}

// Options are the filter's settings.
type Options struct {
	// Mode is what happens to the field.
	Mode Mode
	// By returns the URIs of this side's own certificate, such as its SPIFFE
	// id; nil is for none. It is called for each request that tells of a
	// certificate, since certificates are reloaded.
	By func() []string
	// Cert adds the certificate itself, which makes for a long field.
	Cert bool
}

// New returns the filter.
func New(o Options) filter.Filter {
	return func(next filter.Handler) filter.Handler {
		return func(x *filter.Exchange) error {
			o.apply(&x.Request, x.Conn.Info().Certificate)
			return next(x)
		}
	}
}

const name = "x-forwarded-client-cert"

func (o *Options) apply(h *message.Head, shown *x509.Certificate) {
	switch {
	case o.Mode == AlwaysForwardOnly:
	case o.Mode == Sanitize || shown == nil:
		h.Remove(message.XForwardedClientCert)
	case o.Mode == AppendForward || o.Mode == SanitizeSet:
		var value []byte
		if o.Mode == AppendForward {
			value = came(h)
		}
		value = o.element(value, shown)
		h.Remove(message.XForwardedClientCert)
		h.EndField(message.XForwardedClientCert, append(h.BeginField(name), value...))
	}
}

// came is what the client sent, in one line since many readers look at one line
// only, with a comma behind it.
func came(h *message.Head) []byte {
	if !h.Has(message.XForwardedClientCert) {
		return nil
	}
	var list []byte
	for i := range h.Fields {
		if f := &h.Fields[i]; f.ID == message.XForwardedClientCert && !f.Removed {
			if value := bytes.TrimSpace(h.Bytes(f.Value)); len(value) > 0 {
				list = append(append(list, value...), ',')
			}
		}
	}
	return list
}

// element appends what is told of a certificate, in Envoy's order. Subject is
// there even if it is empty, and so is URI.
func (o *Options) element(b []byte, c *x509.Certificate) []byte {
	if o.By != nil {
		for _, uri := range o.By() {
			b = append(appendValue(append(b, "By="...), uri), ';')
		}
	}
	b = append(b, "Hash="...)
	hash := sha256.Sum256(c.Raw)
	b = hex.AppendEncode(b, hash[:])
	if o.Cert {
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
		b = append(b, `;Cert="`...)
		b = append(append(b, strings.ReplaceAll(url.QueryEscape(string(text)), "+", "%20")...), '"')
	}
	// The subject as RFC 2253 writes it has a backslash before each quote and
	// each backslash: that is quoted already.
	b = append(append(b, `;Subject="`...), clean(c.Subject.String())...)
	b = append(b, '"')
	if len(c.URIs) == 0 {
		b = append(b, ";URI="...)
	}
	for _, uri := range c.URIs {
		b = appendValue(append(b, ";URI="...), uri.String())
	}
	for _, dns := range c.DNSNames {
		b = appendValue(append(b, ";DNS="...), dns)
	}
	return b
}

// appendValue appends a value, in quotes where it has what separates elements.
func appendValue(b []byte, value string) []byte {
	value = clean(value)
	if !strings.ContainsAny(value, `,;="\`) {
		return append(b, value...)
	}
	b = append(b, '"')
	for i := range len(value) {
		if c := value[i]; c == '"' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, value[i])
	}
	return append(b, '"')
}

// clean writes control characters, which a field must not have (RFC 9110
// section 5.5), in percent-encoding. A certificate may have any.
func clean(s string) string {
	isControl := func(r rune) bool { return r < ' ' || r == 0x7f }
	if strings.IndexFunc(s, isControl) < 0 {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == 0x7f {
			b.WriteByte('%')
			b.WriteString(strings.ToUpper(hex.EncodeToString([]byte{c})))
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
