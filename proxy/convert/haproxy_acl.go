package convert

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
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

// maxTerms is how many routes a condition may come to.
const maxTerms = 200

// condition reads "if a !b || c", and returns its terms: one of them has to hold, which it
// does if all of its literals hold. Without a condition there is one empty term.
func (s *haSection) condition(words []string) (terms [][]literal, err error) {
	if len(words) == 0 {
		return [][]literal{{}}, nil
	}
	unless := words[0] == "unless"
	if words[0] != "if" && !unless {
		return nil, fmt.Errorf("%q can't be said", words[0])
	}
	var alternatives [][][]literal // of each of the parts of a term
	add := func() error {
		product := [][]literal{{}}
		for _, part := range alternatives {
			if product = times(product, part); len(product) > maxTerms {
				return errors.New("the condition comes to too many routes")
			}
		}
		terms, alternatives = append(terms, product...), nil
		return nil
	}
	not := false
	for i := 1; i < len(words); i++ {
		w := words[i]
		switch w {
		case "||", "or", "OR":
			if err := add(); err != nil {
				return nil, err
			}
			continue
		case "!":
			not = !not
			continue
		}
		if name, ok := strings.CutPrefix(w, "!"); ok {
			not, w = !not, name
		}
		var atoms []atom
		if w == "{" {
			end := slices.Index(words[i:], "}")
			if end < 0 {
				return nil, errors.New("the brace is not closed")
			}
			a, err := parseAtom(words[i+1 : i+end])
			if err != nil {
				return nil, err
			}
			atoms = []atom{a}
			i += end
		} else if atoms, err = s.named(w); err != nil {
			return nil, err
		}
		alternatives = append(alternatives, either(atoms, not))
		not = false
	}
	if err := add(); err != nil {
		return nil, err
	}
	if unless {
		return opposite(terms)
	}
	return terms, nil
}

func (s *haSection) named(name string) ([]atom, error) {
	if err := s.badACLs[name]; err != nil {
		return nil, fmt.Errorf("the ACL %s: %w", name, err)
	}
	if atoms, ok := s.acls[name]; ok {
		return atoms, nil
	}
	if atoms, ok := predefined(name); ok {
		return atoms, nil
	}
	return nil, fmt.Errorf("there is no ACL %q", name)
}

// either are the terms of an ACL, or of its opposite.
func either(atoms []atom, not bool) (terms [][]literal) {
	var none []literal
	for _, a := range atoms {
		for _, one := range a.single() {
			terms = append(terms, []literal{{atom: one}})
			none = append(none, literal{one, true})
		}
	}
	if not {
		return [][]literal{none}
	}
	return terms
}

func times(a, b [][]literal) (product [][]literal) {
	for _, x := range a {
		for _, y := range b {
			product = append(product, append(slices.Clone(x), y...))
		}
	}
	return product
}

// opposite are the terms of what does not hold.
func opposite(terms [][]literal) ([][]literal, error) {
	product := [][]literal{{}}
	for _, term := range terms {
		var part [][]literal
		for _, l := range term {
			part = append(part, []literal{{l.atom, !l.not}})
		}
		if product = times(product, part); len(product) > maxTerms {
			return nil, errors.New("the condition comes to too many routes")
		}
	}
	return product, nil
}

// haMatch makes a match of a term, for a listener. possible is false if no request of this
// listener can meet it.
func (h *haproxy) haMatch(l *config.Listener, term []literal) (m config.Match, possible bool, err error) {
	m = config.NewMatch()
	not := config.NewMatch().Conditions
	var paths []string // that must not match
	for _, lit := range term {
		if fact, known := lit.known(l); known {
			if fact == lit.not {
				return m, false, nil
			}
			continue
		}
		switch {
		case !lit.not:
			err = h.meet(&m.Conditions, lit.atom)
		case lit.on == "path":
			paths = append(paths, lit.pathRegex())
			if len(paths) == 1 && not.Path+not.PathPrefix+not.PathRegex == "" {
				err = h.meet(&not, lit.atom)
			}
		default:
			err = h.avoid(&not, lit.atom)
		}
		if err != nil {
			return m, true, err
		}
	}
	if len(paths) > 1 {
		not.Path, not.PathPrefix, not.PathRegex = "", "", strings.Join(paths, "|")
	}
	if fmt.Sprint(not) != fmt.Sprint(config.NewMatch().Conditions) {
		m.Not = &not
	}
	return m, true, nil
}

// known reports what holds for all requests of a listener.
func (a atom) known(l *config.Listener) (fact, known bool) {
	switch a.on {
	case "ssl":
		return l.TLS != nil, true
	case "always":
		return a.truth, true
	case "port":
		return slices.Contains(a.values, l.Address[strings.LastIndexByte(l.Address, ':')+1:]), true
	}
	return false, false
}

// pathRegex is an expression for the whole path.
func (a atom) pathRegex() string {
	v := a.values[0]
	flags := ""
	if a.fold {
		flags = "(?i)"
	}
	switch a.how {
	case "beg":
		return flags + regexp.QuoteMeta(v) + ".*"
	case "end":
		return flags + ".*" + regexp.QuoteMeta(v)
	case "sub":
		return flags + ".*" + regexp.QuoteMeta(v) + ".*"
	case "reg":
		return flags + wholeText(v)
	case "dir":
		return flags + "(?:.*/)?" + regexp.QuoteMeta(strings.Trim(v, "/")) + "(?:/.*)?"
	}
	return flags + regexp.QuoteMeta(v)
}

// text is a condition on a value.
func (a atom) text() (t config.Text, err error) {
	v := a.values[0]
	if v == "" {
		return t, errors.New("a condition on an empty text can't be said")
	}
	t.IgnoreCase = a.fold
	switch a.how {
	case "beg":
		t.Prefix = v
	case "end":
		t.Suffix = v
	case "sub":
		t.Contains = v
	case "reg":
		t.Regex, t.IgnoreCase = a.pathRegex(), false
	case "dom":
		t.Regex, t.IgnoreCase = `(?i)(?:.*[./?:])?`+regexp.QuoteMeta(strings.Trim(v, "."))+`(?:[./?:].*)?`, false
	default:
		t.Exact = v
	}
	return t, nil
}

// textRegex is an expression for the same.
func textRegex(t *config.Text) string {
	fold := "(?:"
	if t.IgnoreCase {
		fold = "(?i:"
	}
	switch {
	case t.Prefix != "":
		return fold + regexp.QuoteMeta(t.Prefix) + ".*)"
	case t.Suffix != "":
		return fold + ".*" + regexp.QuoteMeta(t.Suffix) + ")"
	case t.Contains != "":
		return fold + ".*" + regexp.QuoteMeta(t.Contains) + ".*)"
	case t.Exact != "":
		return fold + regexp.QuoteMeta(t.Exact) + ")"
	}
	return "(?:" + t.Regex + ")"
}

// plainHosts are the values as patterns for hosts, if they can be such.
func (a atom) plainHosts() (hosts []string, ok bool) {
	for _, v := range a.values {
		switch {
		case a.how == "str":
			v = dropPort(v)
		case a.how == "end" && strings.HasPrefix(v, "."):
			v = "*" + dropPort(v)
		default:
			return nil, false
		}
		hosts = append(hosts, v)
	}
	return hosts, true
}

// meet adds a condition that has to hold.
func (h *haproxy) meet(c *config.Conditions, a atom) error {
	switch a.on {
	case "path":
		return meetPath(c, a)
	case "method":
		if c.Methods != nil {
			return errors.New("there are two conditions on the method")
		}
		c.Methods = a.values
	case "src":
		if c.Clients != nil {
			return errors.New("there are two conditions on the client's address")
		}
		for _, v := range a.values {
			p, _ := network(v) // checked
			c.Clients = append(c.Clients, p)
		}
	case "host":
		if hosts, ok := a.plainHosts(); ok && c.Hosts == nil {
			c.Hosts = hosts
			return nil
		}
		if len(a.values) > 1 {
			return errors.New("there are two conditions on the host")
		}
		a.name = "host"
		return meetValue(c.Headers, a)
	case "header":
		return meetValue(c.Headers, a)
	case "cookie":
		return meetValue(c.Cookies, a)
	case "query":
		return meetValue(c.Query, a)
	}
	return nil
}

func meetPath(c *config.Conditions, a atom) error {
	slot := &c.PathRegex
	value := a.pathRegex()
	switch {
	case a.fold:
	case a.how == "str":
		slot, value = &c.Path, a.values[0]
	case a.how == "beg":
		slot, value = &c.PathPrefix, a.values[0]
	}
	if *slot != "" {
		return errors.New("there are two such conditions on the path")
	}
	*slot = value
	return nil
}

func meetValue(to map[string]config.ValueMatch, a atom) error {
	switch a.how {
	case "found":
		return put(to, a.name, config.ValueMatch{Present: true})
	case "absent":
		return put(to, a.name, config.ValueMatch{Absent: true})
	}
	t, err := a.text()
	if err != nil {
		return err
	}
	return put(to, a.name, config.ValueMatch{Text: t})
}

// avoid adds a condition that must not hold; of several on the same, none must.
func (h *haproxy) avoid(c *config.Conditions, a atom) error {
	switch a.on {
	case "method":
		c.Methods = append(c.Methods, a.values...)
		return nil
	case "src":
		for _, v := range a.values {
			p, _ := network(v) // checked
			c.Clients = append(c.Clients, p)
		}
		return nil
	case "host":
		if hosts, ok := a.plainHosts(); ok {
			c.Hosts = append(c.Hosts, hosts...)
			return nil
		}
		a.name = "host"
	}
	values := map[string]map[string]config.ValueMatch{"host": c.Headers, "header": c.Headers, "cookie": c.Cookies, "query": c.Query}[a.on]
	before, twice := values[a.name]
	if !twice {
		return meetValue(values, a)
	}
	t, err := a.text()
	if err != nil || before.Present || before.Absent {
		return fmt.Errorf("%s: there are two conditions on it", a.name)
	}
	values[a.name] = config.ValueMatch{Text: config.Text{Regex: textRegex(&before.Text) + "|" + textRegex(&t)}}
	return nil
}
