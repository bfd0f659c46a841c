package config

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// checkHostname accepts what a client can ask for in TLS: RFC 6066 section 3 allows only
// names.
func checkHostname(s string) error {
	if isAddress(s) {
		return errors.New("an IP address is not sent as a name (RFC 6066 section 3)")
	}
	if !isHostname(s) {
		return fmt.Errorf("%q is not a host name", s)
	}
	return nil
}

// checkDomain accepts a name to look up.
func checkDomain(s string) error {
	if isAddress(s) {
		return errors.New("an IP address is not looked up: a cluster has it in endpoints")
	}
	if !isHostname(s) {
		return fmt.Errorf("%q is not a host name", s)
	}
	return nil
}

// suggestDomain cuts what goes into other keys.
func suggestDomain(s string) string {
	if _, rest, ok := strings.Cut(s, "://"); ok {
		s, _, _ = strings.Cut(rest, "/")
	}
	if host, _, err := splitHostPort(s); err == nil {
		s = host
	}
	return strings.TrimPrefix(s, ".")
}

// checkDatacenter accepts names as Consul has for datacentres, namespaces and partitions.
func checkDatacenter(s string) error {
	if !isPlainName(s) {
		return errors.New("Consul has no such names")
	}
	return nil
}

func isAddress(s string) bool {
	_, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return err == nil
}

const spiffeScheme = "spiffe://"

// checkSAN accepts a pattern for the names in certificates: example.com, *.example.com,
// spiffe://mesh/web, spiffe://mesh/ns/default/*.
func checkSAN(s string) error {
	if id, ok := strings.CutPrefix(s, spiffeScheme); ok {
		if len(s) > 2048 {
			return errors.New("a SPIFFE id has at most 2048 bytes")
		}
		return checkSPIFFE(id)
	}
	if s == "*" {
		return errors.New("to take every name, leave the key out")
	}
	if strings.Contains(s, "://") {
		return errors.New("of URIs, only SPIFFE ids are matched: they begin with spiffe://")
	}
	return checkHostname(strings.TrimPrefix(s, "*."))
}

// checkSPIFFE checks what follows the scheme: the trust domain and the path, by
// section 2 of the SPIFFE-ID standard. "*" may be the last segment of the path.
func checkSPIFFE(id string) error {
	domain, path, hasPath := strings.Cut(id, "/")
	switch {
	case domain == "":
		return errors.New("the trust domain is missing")
	case len(domain) > 255:
		return errors.New("a trust domain has at most 255 bytes")
	case domain != strings.ToLower(domain):
		return errors.New("a trust domain is in lower case")
	case !isSegment(domain):
		return fmt.Errorf(`the trust domain %q has more than letters, digits, ".", "-" and "_"`, domain)
	}
	if !hasPath {
		return nil
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == "" && last:
			return errors.New(`a SPIFFE id has no "/" at its end`)
		case s == "":
			return errors.New("a segment of the path is empty")
		case s == "." || s == "..":
			return fmt.Errorf("the path has a segment %q", s)
		case s == "*" && last:
		case strings.Contains(s, "*"):
			return errors.New(`"*" stands for whole segments, at the end of the path alone`)
		case !isSegment(s):
			return fmt.Errorf(`%q has more than letters, digits, ".", "-" and "_"`, s)
		}
	}
	return nil
}

// isSegment tells the characters of a SPIFFE id's parts.
func isSegment(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return s != "" && strings.Trim(s, letters+"0123456789.-_") == ""
}

// suggestSAN writes scheme and trust domain in lower case, and cuts the "/" at
// the end.
func suggestSAN(s string) string {
	if len(s) < len(spiffeScheme) || !strings.EqualFold(s[:len(spiffeScheme)], spiffeScheme) {
		return ""
	}
	domain, path, _ := strings.Cut(strings.TrimRight(s[len(spiffeScheme):], "/"), "/")
	if path != "" {
		path = "/" + path
	}
	return spiffeScheme + strings.ToLower(domain) + path
}

// pinBytes is the length of a SHA-256.
const pinBytes = 32

func checkSPKI(s string) error {
	pin, err := base64.StdEncoding.Strict().DecodeString(s)
	switch {
	case err != nil:
		return errors.New("it is not base64")
	case len(pin) != pinBytes:
		return fmt.Errorf("it stands for %d bytes, and a SHA-256 has %d", len(pin), pinBytes)
	}
	return nil
}

// suggestSPKI knows pins as curl (sha256//...), HPKP and Android (sha256/...)
// write them, and hexadecimal ones.
func suggestSPKI(s string) string {
	if pin, ok := strings.CutPrefix(s, "sha256/"); ok {
		return strings.TrimPrefix(pin, "/")
	}
	if pin, err := hex.DecodeString(strings.ReplaceAll(s, ":", "")); err == nil {
		return base64.StdEncoding.EncodeToString(pin)
	}
	return ""
}
