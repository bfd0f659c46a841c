package config

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/pathtemplate"
)

// Match is what a request must match. All given keys must match. Regular expressions are
// RE2, and have to match all of the text.
type Match struct {
	Conditions
	// Percent is the share of the requests that match, in per cent, by chance. 0 is none.
	Percent float64 `yaml:"percent" default:"100" min:"0" max:"100"`
	// Not has conditions of the same form, none of which may hold: with
	// {methods: [GET], headers: {x-a: {exact: b}}} a request matches if its method is not
	// GET and its x-a is not b, or absent.
	Not *Conditions `yaml:"not"`
}

// Conditions are what a request is asked for.
type Conditions struct {
	// Path is the whole path.
	Path string `yaml:"path" format:"path"`
	// PathPrefix is how the path begins.
	PathPrefix string `yaml:"path_prefix" format:"path"`
	// PathSegments is the path, or segments that it begins with: /cart matches /cart and
	// /cart/7, but not /carts.
	PathSegments string `yaml:"path_segments" format:"path"`
	// PathRegex is a regular expression for the whole path, without the query.
	PathRegex string `yaml:"path_regex" format:"regex"`
	// PathTemplate is a template for the whole path, such as /cart/{id}/items. "{id}" and
	// "*" stand for one segment, "{rest=**}" and "**" for any number of them, "{id=videos/*}"
	// for what it says. Text may follow at the end: /videos/*.mp4.
	PathTemplate string `yaml:"path_template" format:"path template"`
	// Hosts are the hosts, without port. Case and a dot at the end do not matter.
	// "*.example.com" matches every name below example.com. IPv6 addresses are in
	// brackets.
	Hosts []string `yaml:"hosts" format:"host"`
	// Methods are the methods.
	Methods []string `yaml:"methods" format:"method"`
	// Headers are conditions on header fields, by name. Several lines of one field are
	// joined by commas.
	Headers map[string]ValueMatch `yaml:"headers"`
	// Query has conditions on parameters of the query, by name, as they were sent. Of
	// several with the same name the first counts.
	Query map[string]ValueMatch `yaml:"query"`
	// Cookies are conditions on cookies, by name. Of several with the same name the first
	// counts.
	Cookies map[string]ValueMatch `yaml:"cookies"`
	// Clients are the networks of the clients. The client is who opened the connection, or
	// whom forwarded.trusted_proxies says.
	Clients []netip.Prefix `yaml:"clients"`
	// Identities are names of which the client's certificate has one, as in the listener's
	// tls.client_san: DNS names and SPIFFE ids, where "/*" at the end stands for all below.
	Identities []string `yaml:"identities" format:"san"`
	// GRPC asks for gRPC calls: true for all of them.
	GRPC *GRPCMatch `yaml:"grpc" short:"bool"`
}

// ValueMatch is a condition on one value. It is one of the keys, and ignore_case where
// that is useful.
type ValueMatch struct {
	Text
	// Present is true for any value, also an empty one.
	Present bool `yaml:"present" default:"false"`
	// Absent is true for no value.
	Absent bool `yaml:"absent" default:"false"`
	// Not is a value that is there, and is not so. To take requests without the value as
	// well, write the condition in the "not" of the match.
	Not *Text `yaml:"not"`
}

// Text is what a value is.
type Text struct {
	// Exact is the whole value.
	Exact string `yaml:"exact"`
	// Prefix is how the value begins.
	Prefix string `yaml:"prefix"`
	// Suffix is how the value ends.
	Suffix string `yaml:"suffix"`
	// Contains is a part of the value.
	Contains string `yaml:"contains"`
	// Regex is a regular expression for the whole value.
	Regex string `yaml:"regex" format:"regex"`
	// Range is two integers: the value is one that is not below the first, and below the
	// second.
	Range []int `yaml:"range"`
	// IgnoreCase takes upper and lower case for the same, in exact, prefix, suffix and
	// contains: letters of ASCII.
	IgnoreCase bool `yaml:"ignore_case" default:"false"`
}

// GRPCMatch is which gRPC calls are meant.
type GRPCMatch struct {
	// Service is the service, with its package, such as shop.Cart. Without it every service
	// is meant.
	Service string `yaml:"service" format:"grpc name"`
	// Method is the method, such as Add. Without it every method is meant.
	Method string `yaml:"method" format:"grpc name"`
}

func checkRegex(s string) error {
	_, err := regexp.Compile(s)
	if err == nil {
		_, err = regexp.Compile(`\A(?:` + s + `)\z`) // it may be too large only with these
	}
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return nil
}

func checkPathTemplate(s string) error {
	_, err := pathtemplate.Parse(s)
	return err
}

// checkGRPCName accepts names of services and methods.
func checkGRPCName(s string) error {
	for i := range len(s) {
		if c := s[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '_' && c != '.' {
			return fmt.Errorf("%q is not among them", []rune(s[i:])[0])
		}
	}
	return nil
}

// match checks what spans the keys of a match.
func (v validator) match(p *place, m *Match) {
	v.conditions(p, &m.Conditions)
	if m.Not != nil {
		v.conditions(p.key("not"), m.Not)
	}
}

func (v validator) conditions(p *place, c *Conditions) {
	for _, part := range []struct {
		name   string
		values map[string]ValueMatch
		check  func(string) error
	}{{"headers", c.Headers, checkMatchedField}, {"query", c.Query, nil}, {"cookies", c.Cookies, checkCookie}} {
		all := p.key(part.name)
		for _, name := range slices.Sorted(maps.Keys(part.values)) {
			at, value := all.key(name), part.values[name]
			if part.check != nil {
				if err := part.check(name); err != nil {
					v.errs.add(at, "%q can't be matched: %v", clip(name), err)
					continue
				}
			}
			v.valueMatch(at, &value)
		}
	}
}

// identities checks that the clients of a listener are asked for what a match asks of them.
func (v validator) identities(p *place, l *Listener, m *Match) {
	if len(m.Identities) > 0 && (l.TLS == nil || l.TLS.ClientAuth == "none") {
		v.errs.add(p, `no client is asked for a certificate; set tls.client_auth of the listener to "request" or "require", or remove the key`)
	}
}

// checkMatchedField knows the names that other proxies have for parts of the request line.
func checkMatchedField(name string) error {
	keys := map[string]string{":path": "path", ":method": "methods", ":authority": "hosts"}
	if key := keys[strings.ToLower(name)]; key != "" {
		return errors.New("it is no header field here; use the key " + key + " of the match")
	}
	return checkField(name)
}

// valueMatch checks what spans the keys of a condition on a value.
func (v validator) valueMatch(p *place, m *ValueMatch) {
	v.oneOf(p, append(m.Text.choices(), choice{"present", m.Present}, choice{"absent", m.Absent}, choice{"not", m.Not != nil})...)
	v.comparison(p, &m.Text)
	if m.Not != nil {
		v.oneOf(p.key("not"), m.Not.choices()...)
		v.comparison(p.key("not"), m.Not)
	}
}

func (t *Text) choices() []choice {
	return []choice{{"exact", t.Exact != ""}, {"prefix", t.Prefix != ""}, {"suffix", t.Suffix != ""}, {"contains", t.Contains != ""},
		{"regex", t.Regex != ""}, {"range", len(t.Range) > 0}}
}

// comparison checks what spans the keys of a text.
func (v validator) comparison(p *place, t *Text) {
	switch n := len(t.Range); {
	case p.key("range").failed:
	case n != 0 && n != 2:
		v.errs.add(p.key("range"), "expected two integers such as [100, 200], found %d", n)
	case n == 2 && t.Range[0] >= t.Range[1]:
		v.errs.add(p.key("range"), "expected two integers such as [100, 200]: the first below the second, which is not in the range; found [%d, %d]", t.Range[0], t.Range[1])
	}
	if t.IgnoreCase && t.Exact+t.Prefix+t.Suffix+t.Contains == "" && !p.broken() {
		v.errs.add(p.key("ignore_case"), "has no effect without exact, prefix, suffix or contains; in a regular expression write (?i) in front")
	}
}
