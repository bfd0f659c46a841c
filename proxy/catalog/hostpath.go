package catalog

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/hopscope/hopscope/proxy/message"
)

// errPort is of a host and path that are known but for the port of the host.
var errPort = errors.New("hosts are compared without their port: leave it out")

// parseHostPath reads HOST/PATH. Without a slash it is a host, and all its paths.
func parseHostPath(s, datacenter string) (hostPath, error) {
	if strings.HasPrefix(s, ":") {
		return hostPath{}, errors.New("a port is a TCP route, which an HTTP listener does not serve: give the service a listener of its own")
	}
	var port error
	host, path, _ := strings.Cut(s, "/")
	p := hostPath{host: expand(host, datacenter), path: "/" + expand(path, datacenter)}
	if name, _ := message.SplitPort(p.host); len(name) < len(p.host) {
		p.host, port = name, errPort
	}
	p.host = normal(p.host)
	if err := checkPath(p.path); err != nil {
		return hostPath{}, err
	}
	switch suffix, ok := strings.CutPrefix(p.host, "*"); {
	case ok && suffix != "":
		if checkName("a"+suffix) != nil {
			return hostPath{}, fmt.Errorf("%+q is no host name, which may have one * at its beginning", p.host)
		}
	case !ok && p.host != "":
		if err := checkHost(p.host); err != nil {
			return hostPath{}, err
		}
	}
	return p, port
}

// normal is a host, which has no port, in the form in which places are compared.
func normal(host string) string {
	if strings.HasPrefix(host, "[") {
		return "[" + message.LowerHost(host) + "]"
	}
	return message.LowerHost(host)
}

// expand puts the data centre in for $DC and ${DC}; what else looks like a
// variable is left as it is.
func expand(s, datacenter string) string {
	if !strings.Contains(s, "$") {
		return s
	}
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "$")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if rest, ok := strings.CutPrefix(after, "{DC}"); ok {
			b.WriteString(datacenter)
			s = rest
		} else if rest, ok := strings.CutPrefix(after, "DC"); ok && (rest == "" || !isWord(rest[0])) {
			b.WriteString(datacenter)
			s = rest
		} else {
			b.WriteByte('$')
			s = after
		}
	}
}

// checkPath is for what goes on the wire as it is written.
func checkPath(s string) error {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f {
			return fmt.Errorf("%+q is no path: paths are compared as they are sent, so write %%XX for what is not ASCII", s)
		} else if c == '?' || c == '#' {
			return fmt.Errorf("%q is no path: it ends before the %q", s, c)
		}
	}
	return nil
}

// checkHost takes a name, an IPv4 address, or an IPv6 address in brackets.
func checkHost(s string) error {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if a, err := netip.ParseAddr(inner); !ok || err != nil || !a.Is6() {
			return fmt.Errorf("%+q is no IPv6 address", s)
		}
		return nil
	}
	return checkName(s)
}

// checkName takes names of letters, digits, "-" and "_", in labels.
func checkName(s string) error {
	for label := range strings.SplitSeq(s, ".") {
		valid := label != "" && len(label) <= 63
		for i := range len(label) {
			valid = valid && (label[i] == '-' || isWord(label[i]))
		}
		if !valid || len(s) > 253 {
			return fmt.Errorf("%+q is no host name", s)
		}
	}
	return nil
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
