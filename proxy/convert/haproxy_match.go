package convert

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

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
