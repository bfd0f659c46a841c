package convert

import (
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

func merge(a *config.Rewrite, b config.Rewrite) *config.Rewrite {
	if a != nil && b.Host == "" {
		b.Host = a.Host
	}
	return &b
}

// haRewrite is a rule that changes what the endpoint is asked for.
type haRewrite struct {
	haLine
	terms haCondition
	to    config.Rewrite
	host  bool // it is about the host
}

// rewrites are those of a section. One that is for all requests is the last.
func (h *haproxy) rewrites(s *haSection) (all []haRewrite) {
	for _, rule := range s.rules {
		if !rule.isRewrite() {
			continue
		}
		w := haRewrite{haLine: rule.haLine}
		var err error
		if w.terms, err = s.condition(rule.condition); err == nil {
			w.to, err = rewriteOf(rule.action)
		}
		if err != nil {
			h.left(rule.n, rule.text, "%v", err)
			continue
		}
		if w.host = w.to.Host != ""; !w.host && s.kind == "frontend" && len(s.uses) > 0 {
			h.differs(rule.n, rule.text, "conditions of use_backend are on the path as it came, not as this rule leaves it")
		}
		all = append(all, w)
	}
	return all
}

func rewriteOf(action []string) (w config.Rewrite, err error) {
	args := action[1:]
	switch action[0] {
	case "set-header":
		if len(args) < 2 || strings.Contains(args[1], "%") {
			return w, errorf("a host is rewritten to a name only")
		}
		w.Host = args[1]
	case "replace-path":
		if len(args) < 2 || strings.Contains(args[1], "%[") {
			return w, errorf("what takes the place of a path has no format strings")
		}
		w.PathRegex, w.Substitution = wholePath(args[0]), args[1]
	case "set-path":
		if len(args) < 1 {
			return w, errorf("it needs a path")
		}
		if inner, ok := strings.CutPrefix(args[0], "%[path,regsub("); ok {
			return regsub(strings.TrimSuffix(inner, ")]"))
		}
		prefix, whole := cutFormat(args[0], "path")
		if strings.Contains(prefix, "%") {
			return w, errorf("what takes the place of a path has no format strings")
		}
		w.PathRegex, w.Substitution = "^(.*)$", quoteSubstitution(prefix)
		if whole {
			w.Substitution += `\1`
		}
	}
	return w, nil
}

// regsub is the converter that replaces what an expression finds.
func regsub(args string) (w config.Rewrite, err error) {
	parts := strings.SplitN(args, ",", 3)
	unquote := func(s string) string { return strings.Trim(s, `"'`) }
	if len(parts) < 2 || strings.Contains(args, ")") && strings.Count(args, "(") != strings.Count(args, ")") {
		return w, errorf("this regsub can't be said")
	}
	w.PathRegex, w.Substitution = unquote(parts[0]), unquote(parts[1])
	if len(parts) < 3 && !strings.HasPrefix(w.PathRegex, "^") {
		return w, errorf(`regsub without "g" replaces once, and a rewrite all of it: begin the expression with ^`)
	}
	return w, nil
}

// wholeText is an expression for all of a text, in which another one finds a part.
func wholeText(regex string) string {
	if strings.Contains(regex, "|") {
		return ".*(?:" + regex + ").*"
	}
	var anchored bool
	if regex, anchored = strings.CutPrefix(regex, "^"); !anchored {
		regex = ".*" + regex
	}
	if strings.HasSuffix(regex, "$") && !strings.HasSuffix(regex, `\$`) {
		return strings.TrimSuffix(regex, "$")
	}
	return regex + ".*"
}

// wholePath is an expression for the whole path, of which another one finds a part.
func wholePath(regex string) string {
	if strings.Contains(regex, "|") {
		regex = "(?:" + regex + ")"
	}
	if !strings.HasPrefix(regex, "^") {
		regex = "^.*?" + regex
	}
	if !strings.HasSuffix(regex, "$") && !strings.HasSuffix(regex, "(.*)") {
		regex += ".*$"
	}
	return regex
}
