package discovery

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/hopscope/hopscope/telemetry/redact"
)

// ParseAddress checks an endpoint's address, which is host:port, and returns
// the one form in which it is delivered: IP addresses as RFC 5952 writes them,
// names in lower case. Its error says what to write instead, and leaves it to
// the caller to say where.
func ParseAddress(s string) (string, error) {
	host, port, err := splitAddress(s)
	if err != nil {
		return "", err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf("the port of an address is a number from 1 to 65535, found %q", clip(port))
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return netip.AddrPortFrom(ip.Unmap(), uint16(n)).String(), nil
	}
	if err := CheckName(host); err != nil {
		return "", err
	}
	return strings.ToLower(host) + ":" + strconv.FormatUint(n, 10), nil
}

// splitAddress splits host:port or [IPv6]:port.
func splitAddress(s string) (host, port string, err error) {
	missing := fmt.Errorf("an address is host:port, and %q has no port: write %s:8080", clip(s), clip(s))
	if inside, ok := strings.CutPrefix(s, "["); ok {
		host, after, closed := strings.Cut(inside, "]")
		ip, err := netip.ParseAddr(host)
		switch {
		case !closed, err != nil, !ip.Is6():
			return "", "", fmt.Errorf("brackets are for an IPv6 address, as in [::1]:8080, found %q", clip(s))
		case after == "":
			return "", "", missing
		case after[0] != ':':
			return "", "", fmt.Errorf("only a port may follow the brackets, as in [::1]:8080, found %q", clip(s))
		}
		return host, after[1:], nil
	}
	switch strings.Count(s, ":") {
	case 0:
		if s == "" {
			return "", "", errors.New("an address is host:port, and this one is empty")
		}
		return "", "", missing
	case 1:
		host, port, _ = strings.Cut(s, ":")
		return host, port, nil
	}
	if ip, err := netip.ParseAddr(s); err == nil {
		return "", "", fmt.Errorf("an IPv6 address goes in brackets, with its port behind them: write [%s]:8080", ip)
	}
	return "", "", fmt.Errorf("an address is host:port, or [IPv6]:port, found %q", clip(s))
}

// CheckName tells what is wrong with a host's name (RFC 1123, section 2.1; the
// underscore of service names, RFC 2782, is let pass). A dot at the end makes a
// name absolute.
func CheckName(name string) error {
	bare := strings.TrimSuffix(name, ".")
	if bare == "" {
		return errors.New("the host is missing: an address is host:port")
	}
	if len(bare) > 253 {
		return fmt.Errorf("a host name has at most 253 characters, %q has %d", clip(name), len(bare))
	}
	digits := false
	for label := range strings.SplitSeq(bare, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Errorf("%q is not a host name: between its dots stand 1 to 63 characters, the first and last no hyphen", clip(name))
		}
		digits = true
		for i := range len(label) {
			c := label[i]
			switch {
			case c >= '0' && c <= '9':
				continue
			case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_':
				digits = false
			default:
				return fmt.Errorf("%q is not a host name: it has letters a to z, digits, hyphens and dots; others are written in their xn-- form", clip(name))
			}
		}
	}
	if digits {
		return fmt.Errorf("%q is neither an IPv4 address nor a name, whose last part has a letter", clip(name))
	}
	return nil
}

// clip bounds what of a value is shown in a message.
func clip(s string) string {
	if strings.Contains(s, "@") { // what is in front of it may be a password
		s = redact.URL(s)
	}
	if runes := []rune(s); len(runes) > 80 {
		return string(runes[:80]) + "..."
	}
	return s
}
