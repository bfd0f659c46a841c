package convert

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

// haRule is a rule with its condition.
type haRule struct {
	haLine
	action    []string // such as redirect scheme https
	condition []string // "if" and what follows
	late      bool     // it comes behind the rules that are not, and has no format strings
}

// ruleLine reads http-request, http-response and redirect.
func (h *haproxy) ruleLine(s *haSection, l haLine) {
	words := l.words
	late := words[0] == "redirect" // it is looked at when all of http-request has been
	if late {
		words = append([]string{"http-request"}, words...)
	}
	r := haRule{haLine: l, action: words[1:], late: late}
	if at := slices.IndexFunc(words, func(w string) bool { return w == "if" || w == "unless" }); at > 0 {
		r.action, r.condition = words[1:at], words[at:]
	}
	if len(r.action) == 0 {
		h.left(l.n, l.text, "it does nothing")
		return
	}
	if words[0] == "http-request" {
		at := len(s.rules)
		for !late && at > 0 && s.rules[at-1].late {
			at--
		}
		s.rules = slices.Insert(s.rules, at, r)
		return
	}
	switch r.action[0] {
	case "set-header", "add-header", "del-header":
		s.headers = append(s.headers, r)
	default:
		h.left(l.n, l.text, "hopscope has no such rule for responses")
	}
}

// isRewrite reports whether a rule changes what the endpoint is asked for.
func (r haRule) isRewrite() bool {
	switch r.action[0] {
	case "set-path", "replace-path":
		return true
	case "set-header":
		return len(r.action) > 1 && strings.EqualFold(r.action[1], "host")
	}
	return false
}

// routes converts the rules of a frontend, and then where it sends requests.
func (h *haproxy) routes(l *config.Listener, s *haSection) {
	if s.monitor.n > 0 {
		r := config.NewRoute("")
		r.Match.Path, r.Answer = s.monitor.word(1), config.NewAnswer()
		r.Answer.Headers["content-type"] = "text/html"
		r.Answer.Body = "<html><body><h1>200 OK</h1>\nService ready.\n</body></html>\n"
		h.add(l, r, origin{s.monitor.n, s.monitor.text})
	}
	everything := [][]literal{{}}
	h.ownAnswers(l, s, everything)
	for _, use := range s.uses {
		terms, err := s.condition(use.condition)
		if err != nil {
			h.left(use.n, use.text, "%v; its requests go on to the routes below", err)
			continue
		}
		h.toBackend(l, s, use.action[1], terms, use.haLine)
	}
	switch {
	case s.fallback != "":
		h.toBackend(l, s, s.fallback, everything, haLine{n: s.line, text: "default_backend " + s.fallback})
	case s.kind == "listen" && len(s.servers) > 0:
		h.toBackend(l, s, s.name, everything, haLine{n: s.line, text: "listen " + s.name})
	default:
		r := config.NewRoute("")
		r.Answer = config.NewAnswer()
		r.Answer.Status = 503
		h.add(l, r, origin{s.line, s.kind + " " + s.name})
	}
}

// ownAnswers are the rules of a section whose requests no endpoint gets.
func (h *haproxy) ownAnswers(l *config.Listener, s *haSection, within [][]literal) {
	for _, rule := range s.rules {
		if rule.isRewrite() {
			continue
		}
		action, err := h.answerOf(l, rule)
		if action == nil && err == nil {
			continue // it was dealt with
		}
		terms, conditionErr := s.condition(rule.condition)
		if conditionErr != nil {
			h.left(rule.n, rule.text, "%v", conditionErr)
			continue
		}
		if err != nil {
			h.left(rule.n, rule.text, "%v", err)
			if action == nil {
				continue
			}
		}
		h.each(l, times(within, terms), rule.haLine, func(m config.Match) config.Route {
			r := *action
			r.Match = m
			return r
		})
	}
}

// each adds a route for each term.
func (h *haproxy) each(l *config.Listener, terms [][]literal, at haLine, make func(config.Match) config.Route) {
	if len(terms) > maxTerms {
		h.left(at.n, at.text, "the conditions come to more than %d routes", maxTerms)
		return
	}
	for _, term := range terms {
		h.tell(term, at)
		m, possible, err := h.haMatch(l, term)
		switch {
		case err != nil:
			h.left(at.n, at.text, "%v; its requests go on to the routes below", err)
		case possible:
			h.add(l, make(m), origin{at.n, at.text})
		}
	}
}

// tell notes, once, what is different about hosts and fields.
func (h *haproxy) tell(term []literal, at haLine) {
	for _, lit := range term {
		if lit.on == "host" && !h.hostNoted {
			h.hostNoted = true
			h.differs(at.n, at.text, "hosts are compared without their port, in upper or lower case")
		}
		if lit.on == "header" && lit.how != "found" && lit.how != "absent" && !h.headerNoted {
			h.headerNoted = true
			h.differs(at.n, at.text, "a field is compared as a whole, not each value of a list by itself")
		}
	}
}

// answerOf is the route of a rule that answers. It is nil for other rules, which are noted
// here; with an error it is what closes the place.
func (h *haproxy) answerOf(l *config.Listener, rule haRule) (*config.Route, error) {
	r := config.NewRoute("")
	args := rule.action[1:]
	switch rule.action[0] {
	case "redirect":
		redirect, err := haRedirect(args)
		if rule.late && strings.Contains(rule.text, "%[") {
			err = errorf("only http-request redirect has format strings")
		}
		if err != nil {
			stub := refusal(r.Match, h.file, rule.n)
			return &stub, errorf("%w; its requests are answered with 501", err)
		}
		if r.Redirect = redirect; redirect.Scheme+redirect.Host == "" {
			if redirect.Path != "" { // as it is written
				r.Redirect, r.Answer = nil, config.NewAnswer()
				r.Answer.Status, r.Answer.Headers["location"] = redirect.Code, redirect.Path
			} else {
				h.differs(rule.n, rule.text, "Location begins with the scheme and the host")
			}
		}
		return &r, nil
	case "deny", "return", "tarpit", "block":
		status := map[string]int{"deny": 403, "return": 200, "tarpit": 500, "block": 403}[rule.action[0]]
		a, err := haAnswer(args, status)
		if err != nil {
			stub := refusal(r.Match, h.file, rule.n)
			return &stub, errorf("%w; its requests are answered with 501", err)
		}
		if rule.action[0] == "tarpit" {
			h.differs(rule.n, rule.text, "the answer is not held back")
		}
		r.Answer = a
		return &r, nil
	case "auth":
		stub := refusal(r.Match, h.file, rule.n)
		return &stub, errorf("hopscope asks for no passwords; its requests are answered with 501, so that nothing is open by mistake")
	case "allow":
		h.left(rule.n, rule.text, "the rules below it are for its requests as well")
	case "set-header", "add-header", "del-header":
		h.requestHeader(l, rule)
	case "set-log-level", "capture", "set-priority-class", "set-priority-offset", "disable-l7-retry", "set-nice", "set-tos", "set-mark":
		h.left(rule.n, rule.text, "hopscope has no such rule; it does not change where requests go")
	default:
		h.left(rule.n, rule.text, "hopscope has no such rule")
	}
	return nil, nil
}

// requestHeader converts a change of a request's field.
func (h *haproxy) requestHeader(l *config.Listener, rule haRule) {
	name := ""
	if len(rule.action) > 1 {
		name = strings.ToLower(rule.action[1])
	}
	if name == "x-forwarded-proto" {
		if l.Forwarded.XForwarded == "append" {
			return // it is set to the scheme
		}
		l.Forwarded.XForwarded = "append"
		h.differs(rule.n, rule.text, "X-Forwarded-Proto goes together with X-Forwarded-For: requests get both")
		return
	}
	h.left(rule.n, rule.text, "hopscope does not change the fields of requests")
}

// haRedirect converts the arguments of a redirect.
func haRedirect(args []string) (*config.Redirect, error) {
	if len(args) < 2 {
		return nil, errorf("a redirect needs a target")
	}
	r := config.NewRedirect()
	r.Code = 302
	kind, to := args[0], args[1]
	for i := 2; i < len(args); i++ {
		switch args[i] {
		case "code":
			if i++; i < len(args) {
				r.Code = number(args[i])
			}
		case "drop-query":
			r.StripQuery = true
		case "ignore-empty":
		default:
			return nil, errorf("%q of a redirect can't be said", args[i])
		}
	}
	switch kind {
	case "scheme":
		r.Scheme = to
	case "prefix":
		return r, redirectPrefix(r, to)
	case "location":
		return r, redirectLocation(r, to)
	default:
		return nil, errorf("%q of a redirect can't be said", kind)
	}
	if strings.Contains(r.Scheme, "%") {
		return nil, errorf("hopscope's redirects have no format strings")
	}
	return r, nil
}

// cutFormat cuts the sample expressions that stand for the request's own host, or for its
// own target.
func cutFormat(text string, samples ...string) (rest string, ok bool) {
	for _, s := range samples {
		if rest, ok := strings.CutSuffix(text, "%["+s+"]"); ok {
			return rest, true
		}
	}
	return text, false
}

func redirectPrefix(r *config.Redirect, to string) error {
	if to == "/" || to == "" {
		return nil
	}
	if strings.HasPrefix(to, "/") {
		if strings.Contains(to, "%") {
			return errorf("hopscope's redirects have no format strings")
		}
		r.PathRegex, r.Substitution = "^(.*)$", quoteSubstitution(to)+`\1`
		return nil
	}
	u, path, err := redirectTarget(to)
	if err != nil {
		return err
	}
	r.Scheme, r.Host = u.Scheme, u.Host
	if path = strings.TrimSuffix(path, "/"); path != "" {
		r.PathRegex, r.Substitution = "^(.*)$", quoteSubstitution(path)+`\1`
	}
	return nil
}

// redirectTarget reads an absolute URL, whose host may be the request's.
func redirectTarget(to string) (u url.URL, path string, err error) {
	scheme, rest, ok := strings.Cut(to, "://")
	if !ok {
		return u, "", errorf("%q is no URL", to)
	}
	host, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	host = strings.NewReplacer("%[hdr(host)]", "", "%[req.hdr(host)]", "", "%[req.hdr(Host)]", "", "%[hdr(Host)]", "").Replace(host)
	if strings.Contains(scheme+host+path, "%[") {
		return u, "", errorf("hopscope's redirects have no format strings, but for the request's own host and path")
	}
	if strings.HasPrefix(host, "www.") && host == "www." {
		return u, "", errorf("a redirect can't put something in front of the request's host")
	}
	return url.URL{Scheme: scheme, Host: host}, path, nil
}

func redirectLocation(r *config.Redirect, to string) error {
	if rest, ok := cutFormat(to, "capture.req.uri", "path", "url", "pathq"); ok { // the rest is a prefix
		if strings.HasSuffix(to, "%[path]") {
			r.StripQuery = true
		}
		return redirectPrefix(r, rest)
	}
	path := to
	if !strings.HasPrefix(to, "/") {
		u, p, err := redirectTarget(to)
		if err != nil {
			return err
		}
		r.Scheme, r.Host, path = u.Scheme, u.Host, p
		if path == "" {
			path = "/"
		}
	} else if strings.Contains(to, "%[") {
		return errorf("hopscope's redirects have no format strings")
	}
	r.Path = path
	r.StripQuery = !strings.Contains(path, "?")
	return nil
}

// haAnswer converts the arguments of an answer.
func haAnswer(args []string, status int) (*config.Answer, error) {
	a := config.NewAnswer()
	a.Status = status
	kind := ""
	for i := 0; i < len(args); i++ {
		value := ""
		if i+1 < len(args) {
			value = args[i+1]
		}
		switch args[i] {
		case "status", "deny_status":
			a.Status = number(value)
		case "content-type":
			kind = value
		case "string":
			a.Body = value
		case "lf-string":
			if strings.Contains(value, "%") {
				return nil, errorf("hopscope's answers have no format strings")
			}
			a.Body = value
		case "file":
			a.File = value
		case "hdr":
			if i+2 >= len(args) || strings.Contains(args[i+2], "%") {
				return nil, errorf("hopscope's answers have no format strings")
			}
			a.Headers[strings.ToLower(value)] = args[i+2]
			i++
		case "default-errorfiles":
			i--
		default:
			return nil, errorf("%q of an answer can't be said", args[i])
		}
		i++
	}
	if kind != "" && a.Body+a.File != "" {
		a.Headers["content-type"] = kind
	}
	return a, nil
}

// toBackend adds the routes to a backend: first what its own rules answer.
func (h *haproxy) toBackend(l *config.Listener, from *haSection, name string, terms [][]literal, at haLine) {
	b := h.backends[name]
	if field, ok := fieldOf(name); ok && b == nil {
		h.byField(l, from, field, terms, at)
		return
	}
	if b == nil {
		why := "there is no such backend"
		if strings.Contains(name, "%[") {
			why = "of what a request has, only a field as a whole can name a backend"
		}
		h.left(at.n, at.text, "%s; its requests are answered with 501", why)
		h.each(l, terms, at, func(m config.Match) config.Route { return refusal(m, h.file, at.n) })
		return
	}
	rewrites := h.rewrites(from)
	if b != from {
		h.ownAnswers(l, b, terms)
		rewrites = append(rewrites, h.rewrites(b)...)
	}
	base := config.NewRoute(b.name)
	base.Timeout = b.timeouts["server"]
	h.headers(from, &base)
	if b != from {
		h.headers(b, &base)
	}
	h.compress(from, b, &base)
	for i, w := range rewrites {
		if len(w.terms) == 1 && len(w.terms[0]) == 0 && w.host { // of the host, and always
			base.Rewrite = merge(base.Rewrite, w.to)
			continue
		}
		if i > 0 {
			h.differs(w.n, w.text, "only the first rewrite that applies to a request is done")
		}
		own := base
		own.Rewrite = merge(base.Rewrite, w.to)
		h.each(l, times(terms, w.terms), at, func(m config.Match) config.Route { own.Match = m; return own })
		if len(w.terms) == 1 && len(w.terms[0]) == 0 {
			return // it is for all requests
		}
	}
	h.each(l, terms, at, func(m config.Match) config.Route { base.Match = m; return base })
}

// fieldOf is the field that names a backend, as in %[req.hdr(x-backend)].
func fieldOf(name string) (field string, ok bool) {
	inner, ok := strings.CutPrefix(name, "%[")
	for _, fetch := range []string{"req.hdr(", "hdr("} {
		if field, found := strings.CutPrefix(inner, fetch); ok && found && strings.HasSuffix(field, ")]") && !strings.ContainsAny(field, ",") {
			return strings.ToLower(strings.TrimSuffix(field, ")]")), true
		}
	}
	return "", false
}

// byField adds routes to each backend that a field may name.
func (h *haproxy) byField(l *config.Listener, from *haSection, field string, terms [][]literal, at haLine) {
	for _, name := range slices.Sorted(maps.Keys(h.backends)) {
		named := literal{atom: atom{on: "header", name: field, how: "str", values: []string{name}}}
		var own [][]literal
		for _, term := range terms {
			term = slices.DeleteFunc(slices.Clone(term), func(l literal) bool { return l.name == field && l.how == "found" && !l.not })
			own = append(own, append(term, named))
		}
		h.toBackend(l, from, name, own, at)
	}
}

func merge(a *config.Rewrite, b config.Rewrite) *config.Rewrite {
	if a != nil && b.Host == "" {
		b.Host = a.Host
	}
	return &b
}

// haRewrite is a rule that changes what the endpoint is asked for.
type haRewrite struct {
	haLine
	terms [][]literal
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

// headers converts changes of responses' fields.
func (h *haproxy) headers(s *haSection, _ *config.Route) {
	for _, rule := range s.headers {
		h.left(rule.n, rule.text, "hopscope does not change the fields of responses")
	}
}

// compress converts the compression of a backend, or of the frontend.
func (h *haproxy) compress(from, b *haSection, r *config.Route) {
	lines := b.compression
	if len(lines) == 0 {
		lines = from.compression
	}
	c := &config.Compress{}
	for _, l := range lines {
		switch l.word(1) {
		case "algo":
			for _, a := range l.from(2) {
				if a == "gzip" {
					c.Algorithms = []string{"gzip"}
				} else {
					h.left(l.n, l.text, "of HAProxy's algorithms hopscope has gzip")
				}
			}
		case "type":
			c.Types = append(c.Types, l.from(2)...)
		case "direction", "offload":
			h.left(l.n, l.text, "hopscope compresses responses that have no encoding")
		}
	}
	if c.Algorithms == nil {
		return
	}
	if len(c.Types) == 0 {
		c.Types = []string{"text/*", "application/*", "image/*", "font/*", "audio/*", "video/*"}
	}
	r.Compress = c
}
