package convert

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

// matching is a match in the making.
type matching struct {
	config.Match
	// prefix is how Envoy's path begins if it is matched by that alone.
	prefix   string
	foldCase bool
	byHeader bool // the hosts are asked for by a condition on the Host field
}

// match converts a RouteMatch for the hosts of its virtual host.
func match(n *node, hosts hostMatch) (m matching, err error) {
	m.Match = config.NewMatch()
	m.Hosts = hosts.hosts
	if hosts.header != nil {
		m.Headers["host"], m.byHeader = *hosts.header, true
	}
	if err := m.path(n); err != nil {
		return m, err
	}
	for _, h := range n.list("headers") {
		if err := m.header(h); err != nil {
			return m, fmt.Errorf("headers: %w", err)
		}
	}
	for _, q := range n.list("query_parameters") {
		value, err := presence(q, "string_match")
		if err == nil {
			err = put(m.Query, q.str("name"), value)
		}
		if err != nil {
			return m, fmt.Errorf("query_parameters: %w", err)
		}
	}
	for _, c := range n.list("cookies") {
		value, err := presence(c, "string_match")
		if err == nil && c.truth("invert_match") {
			value, err = config.ValueMatch{}, errors.New("a cookie that is inverted can't be said")
		}
		if err == nil {
			err = put(m.Cookies, c.str("name"), value)
		}
		if err != nil {
			return m, fmt.Errorf("cookies: %w", err)
		}
	}
	if f := n.get("runtime_fraction"); f != nil {
		f.skip("runtime_key")
		m.Percent = percent(f.get("default_value"))
	}
	if n.get("grpc") != nil {
		m.GRPC = &config.GRPCMatch{}
	}
	for _, key := range []string{"tls_context", "dynamic_metadata", "filter_state"} {
		if n.has(key) {
			n.skip(key)
			return m, fmt.Errorf("%s: %s", key, reasons[key])
		}
	}
	return m, nil
}

// percent reads a FractionalPercent, or a Percent.
func percent(n *node) float64 {
	if v, ok := n.number("value"); ok {
		return v
	}
	v, _ := n.number("numerator")
	switch n.str("denominator") {
	case "TEN_THOUSAND":
		return v / 100
	case "MILLION":
		return v / 10_000
	}
	return v
}

func (m *matching) path(n *node) error {
	m.foldCase = n.has("case_sensitive") && !n.truth("case_sensitive")
	fold := func(behind, text string) string { return "(?i)" + regexp.QuoteMeta(text) + behind }
	switch {
	case n.has("prefix"):
		m.prefix = n.str("prefix")
		if m.PathPrefix = m.prefix; m.foldCase && m.prefix != "/" && m.prefix != "" {
			m.PathPrefix, m.PathRegex = "", fold(".*", m.prefix)
		}
	case n.has("path"):
		if m.Path = n.str("path"); m.foldCase {
			m.PathRegex, m.Path = fold("", m.Path), ""
		}
	case n.has("safe_regex"):
		n.skip("safe_regex")
		m.PathRegex = n.str("safe_regex", "regex")
	case n.has("path_separated_prefix"):
		m.prefix = n.str("path_separated_prefix")
		if m.PathSegments = m.prefix; m.foldCase {
			m.PathRegex, m.PathSegments = fold("(/.*)?", m.prefix), ""
		}
	case n.has("path_match_policy"):
		n.skip("path_match_policy")
		m.PathTemplate = n.str("path_match_policy", "typed_config", "path_template")
	case n.has("connect_matcher"):
		n.skip("connect_matcher")
		return errors.New("connect_matcher: CONNECT is for listeners with forward_proxy")
	default:
		return errors.New("its match has no path, prefix, regular expression or template")
	}
	return nil
}

// all reports whether the match takes every request of its hosts.
func (m *matching) all() bool {
	c, headers := &m.Conditions, len(m.Headers)
	if m.byHeader {
		headers--
	}
	return (c.PathPrefix == "/" || c.PathPrefix == "") && c.Path+c.PathRegex+c.PathSegments+c.PathTemplate == "" && len(c.Methods)+len(c.Query)+len(c.Cookies) == 0 &&
		headers == 0 && c.GRPC == nil && m.Percent == 100 && m.Not == nil
}

// header converts a HeaderMatcher.
func (m *matching) header(n *node) error {
	name := strings.ToLower(n.str("name"))
	inverted, missingIsEmpty := n.truth("invert_match"), n.truth("treat_missing_header_as_empty")
	if name == ":authority" {
		name = "host"
	}
	if n.has("present_match") || !hasAny(n, "exact_match", "prefix_match", "suffix_match", "contains_match", "safe_regex_match", "range_match", "string_match") {
		present := !n.has("present_match") || n.truth("present_match")
		if strings.HasPrefix(name, ":") {
			return fmt.Errorf("%s: it is there in every request", name)
		}
		if present == inverted {
			return put(m.Headers, name, config.ValueMatch{Absent: true})
		}
		return put(m.Headers, name, config.ValueMatch{Present: true})
	}
	text, err := headerText(n)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if strings.HasPrefix(name, ":") {
		return m.pseudo(name, text, inverted)
	}
	emptyToo := missingIsEmpty && text.takesEmpty()
	switch {
	case emptyToo:
		return fmt.Errorf("%s: treat_missing_header_as_empty can't be said for a condition that holds for an empty value", name)
	case inverted && missingIsEmpty:
		return put(m.not().Headers, name, config.ValueMatch{Text: text.Text})
	case inverted:
		return put(m.Headers, name, config.ValueMatch{Not: &text.Text})
	}
	return put(m.Headers, name, config.ValueMatch{Text: text.Text})
}

func hasAny(n *node, names ...string) bool {
	for _, name := range names {
		if n.has(name) {
			return true
		}
	}
	return false
}

// pseudo converts a condition on the method.
func (m *matching) pseudo(name string, t textMatch, inverted bool) error {
	if name != ":method" {
		return fmt.Errorf("%s: hopscope's conditions do not have it", name)
	}
	methods := []string{t.Exact}
	if t.Regex != "" {
		methods = strings.Split(strings.Trim(t.Regex, "^()$"), "|")
	}
	for _, one := range methods {
		if one == "" || strings.Trim(one, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" {
			return errors.New(":method: only methods and a list of them, such as GET|HEAD, can be said")
		}
	}
	to := &m.Conditions
	if inverted {
		to = m.not()
	}
	if to.Methods != nil {
		return errors.New(":method: there are two conditions on it")
	}
	to.Methods = methods
	return nil
}

func (m *matching) not() *config.Conditions {
	if m.Not == nil {
		m.Not = &config.Conditions{Headers: map[string]config.ValueMatch{}}
	}
	return m.Not
}

// put adds the condition for a name. A name has one at most.
func put(to map[string]config.ValueMatch, name string, value config.ValueMatch) error {
	if _, twice := to[name]; twice {
		return fmt.Errorf("%s: hopscope has one condition for each name", name)
	}
	to[name] = value
	return nil
}

// textMatch is a condition on a text.
type textMatch struct{ config.Text }

func (t textMatch) takesEmpty() bool {
	if t.Regex == "" {
		return false
	}
	r, err := regexp.Compile(`\A(?:` + t.Regex + `)\z`)
	return err == nil && r.MatchString("")
}

// presence converts a matcher that asks for a value, or only that there is one.
func presence(n *node, key string) (v config.ValueMatch, err error) {
	if !n.has(key) {
		if n.has("present_match") && !n.truth("present_match") {
			return config.ValueMatch{Absent: true}, nil
		}
		return config.ValueMatch{Present: true}, nil
	}
	t, err := stringMatcher(n.get(key))
	return config.ValueMatch{Text: t.Text}, err
}

// headerText reads the condition of a HeaderMatcher, of which there is an older form.
func headerText(n *node) (t textMatch, err error) {
	if n.has("range_match") {
		t.Range = []int{n.integer(0, "range_match", "start"), n.integer(0, "range_match", "end")}
		return t, nil
	}
	if n.has("string_match") {
		return stringMatcher(n.get("string_match"))
	}
	return stringMatcher(n)
}

// stringMatcher converts a StringMatcher.
func stringMatcher(n *node) (t textMatch, err error) {
	any := func(text string, to *string) {
		if *to = text; text == "" { // it holds for every value
			t.Regex = ".*"
		}
	}
	word := func(key string) (string, bool) {
		for _, k := range []string{key, key + "_match"} {
			if n.has(k) {
				return n.str(k), true
			}
		}
		return "", false
	}
	t.IgnoreCase = n.truth("ignore_case")
	if text, ok := word("exact"); ok {
		if t.Exact = text; text == "" {
			t.Regex = "^$"
		}
	} else if text, ok := word("prefix"); ok {
		any(text, &t.Prefix)
	} else if text, ok := word("suffix"); ok {
		any(text, &t.Suffix)
	} else if text, ok := word("contains"); ok {
		any(text, &t.Contains)
	} else if hasAny(n, "safe_regex", "safe_regex_match") {
		n.skip("safe_regex", "safe_regex_match")
		t.Regex = n.str("safe_regex", "regex") + n.str("safe_regex_match", "regex")
	} else {
		n.readAll()
		return t, errors.New("this way to match a text can't be said")
	}
	if t.Regex != "" {
		t.IgnoreCase = false
	}
	return t, nil
}
