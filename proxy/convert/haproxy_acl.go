package convert

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// atom is a condition of HAProxy's: what is looked at, how, and values of which one is
// enough.
type atom struct {
	on     string // path, host, header, cookie, query, method, src, ssl, port, always
	name   string // of a field, a cookie or a parameter
	how    string // str, beg, end, sub, reg, dir, dom, found
	values []string
	fold   bool
	truth  bool // of "always"
}

// literal is an atom, or its opposite.
type literal struct {
	atom
	not bool
}

// methods of how a value is compared, by the end of a name, as in path_beg.
var haMatches = []string{"_beg", "_end", "_sub", "_reg", "_dir", "_dom"}

// parseAtom reads what follows the name of an ACL.
func parseAtom(words []string) (a atom, err error) {
	if len(words) == 0 {
		return a, errors.New("it has no condition")
	}
	fetch, rest := words[0], words[1:]
	if before, converter, ok := strings.Cut(fetch, ","); ok {
		switch converter {
		case "lower":
			a.fold = true
		case "host_only", "field(1,:)":
		default:
			return a, fmt.Errorf("the converter %q can't be said", converter)
		}
		fetch = before
	}
	what, argument, _ := strings.Cut(strings.TrimSuffix(fetch, ")"), "(")
	a.how = "str"
	for _, suffix := range haMatches {
		if base, ok := strings.CutSuffix(what, suffix); ok {
			what, a.how = base, suffix[1:]
		}
	}
	a.name = strings.ToLower(argument)
	switch what {
	case "path", "url":
		a.on = "path"
		if what == "url" && a.how != "beg" {
			return a, errors.New("url with its query can't be compared: use path")
		}
	case "hdr", "req.hdr", "req.fhdr":
		if a.on = "header"; a.name == "host" {
			a.on = "host"
		}
		if a.name == "" || strings.Contains(a.name, ",") {
			return a, errors.New("only a field as a whole can be compared")
		}
	case "hdr_cnt", "req.hdr_cnt":
		return presentAtom(a, rest)
	case "cook", "req.cook":
		a.on, a.name = "cookie", argument
	case "url_param", "urlp":
		a.on, a.name = "query", argument
	case "method":
		a.on = "method"
	case "src":
		a.on = "src"
	case "ssl_fc":
		a.on, a.truth = "ssl", true
		return a, nil
	case "dst_port":
		a.on = "port"
	case "always_true", "always_false":
		a.on, a.truth = "always", what == "always_true"
		return a, nil
	default:
		return a, fmt.Errorf("hopscope's conditions do not have %q", fetch)
	}
	return a.flags(rest)
}

// presentAtom reads a count of fields, which is compared with none.
func presentAtom(a atom, rest []string) (atom, error) {
	a.on, a.how = "header", "found"
	switch strings.Join(rest, " ") {
	case "gt 0", "ge 1":
		return a, nil
	case "eq 0", "0":
		a.how = "absent"
		return a, nil
	}
	return a, errors.New("a count of fields can be compared with none only")
}

// flags reads the flags and the values.
func (a atom) flags(words []string) (atom, error) {
	for len(words) > 0 && strings.HasPrefix(words[0], "-") {
		flag := words[0]
		words = words[1:]
		switch flag {
		case "-i":
			a.fold = true
		case "--":
			a.values = words
			return a, a.check()
		case "-m":
			if len(words) == 0 {
				return a, errors.New("-m says how to compare")
			}
			a.how, words = words[0], words[1:]
		case "-n":
		default:
			return a, fmt.Errorf("the flag %s can't be said: write the values into the file", flag)
		}
	}
	a.values = words
	if a.on == "port" && len(words) == 2 && words[0] == "eq" {
		a.values = words[1:]
	}
	return a, a.check()
}

func (a atom) check() error {
	if !slices.Contains([]string{"str", "beg", "end", "sub", "reg", "dir", "dom", "found", "absent"}, a.how) {
		return fmt.Errorf("the comparison %q can't be said", a.how)
	}
	if a.how == "dir" && a.on != "path" || a.how == "dom" && a.on != "host" || a.how != "str" && slices.Contains([]string{"method", "src", "port"}, a.on) {
		return fmt.Errorf("the comparison %q can't be said of this", a.how)
	}
	if len(a.values) == 0 && a.how != "found" && a.how != "absent" {
		return errors.New("it has no values")
	}
	for _, v := range a.values {
		if a.how == "reg" {
			if _, err := regexp.Compile(v); err != nil {
				return fmt.Errorf("expressions are RE2 here: %w", err)
			}
		}
		if a.on == "src" {
			if _, err := network(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// network is an address or a network.
func network(text string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("%q is no network", text)
	}
	return p.Masked(), nil
}

// single splits an atom into such of one value, where hopscope has no list for it.
func (a atom) single() (all []atom) {
	switch {
	case a.on == "method" || a.on == "src" || a.on == "port" || len(a.values) < 2:
		return []atom{a}
	case a.on == "host" && (a.how == "str" || a.how == "end"):
		return []atom{a}
	}
	for _, v := range a.values {
		one := a
		one.values = []string{v}
		all = append(all, one)
	}
	return all
}

// predefined are the ACLs that HAProxy has by itself.
func predefined(name string) ([]atom, bool) {
	switch name {
	case "TRUE", "HTTP":
		return []atom{{on: "always", truth: true}}, true
	case "FALSE":
		return []atom{{on: "always"}}, true
	case "METH_GET":
		return []atom{{on: "method", how: "str", values: []string{"GET", "HEAD"}}}, true
	case "LOCALHOST":
		return []atom{{on: "src", how: "str", values: []string{"127.0.0.0/8", "::1"}}}, true
	}
	if m, ok := strings.CutPrefix(name, "METH_"); ok {
		return []atom{{on: "method", how: "str", values: []string{m}}}, true
	}
	return nil, false
}
