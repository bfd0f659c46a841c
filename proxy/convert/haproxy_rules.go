package convert

import (
	"cmp"
	"maps"
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
	h.ownAnswers(l, s, always())
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
		h.toBackend(l, s, s.fallback, always(), haLine{n: s.line, text: "default_backend " + s.fallback})
	case s.kind == "listen" && len(s.servers) > 0:
		h.toBackend(l, s, s.name, always(), haLine{n: s.line, text: "listen " + s.name})
	default:
		r := config.NewRoute("")
		r.Answer = config.NewAnswer()
		r.Answer.Status = 503
		h.add(l, r, origin{s.line, s.kind + " " + s.name})
	}
}

// ownAnswers are the rules of a section whose requests no endpoint gets.
func (h *haproxy) ownAnswers(l *config.Listener, s *haSection, within haCondition) {
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
		h.each(l, within.and(terms), rule.haLine, func(m config.Match) config.Route {
			r := *action
			r.Match = m
			return r
		})
	}
}

// each adds a route for each term.
func (h *haproxy) each(l *config.Listener, terms haCondition, at haLine, make func(config.Match) config.Route) {
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
	case "deny", "return", "tarpit", "block", "reject", "silent-drop":
		status := map[string]int{"return": 200, "tarpit": 500}[rule.action[0]]
		a, err := haAnswer(args, cmp.Or(status, 403))
		if err != nil {
			stub := refusal(r.Match, h.file, rule.n)
			return &stub, errorf("%w; its requests are answered with 501", err)
		}
		switch rule.action[0] {
		case "tarpit":
			h.differs(rule.n, rule.text, "the answer is not held back")
		case "reject", "silent-drop":
			h.differs(rule.n, rule.text, "the client gets 403, and its connection stays open")
		}
		r.Answer = a
		return &r, nil
	case "auth":
		stub := refusal(r.Match, h.file, rule.n)
		return &stub, errorf("hopscope reads users from a file, as basic_auth says: write them there; until then its requests are answered with 501, so that nothing is open by mistake")
	case "allow":
		h.left(rule.n, rule.text, "the rules below it are for its requests as well")
	case "set-header", "add-header", "del-header":
		h.requestHeader(l, rule)
	case "set-priority-class", "set-priority-offset":
		h.left(rule.n, rule.text, "a field of the request says how urgent it is: see queue.priority_header of a route")
	case "set-log-level", "capture", "disable-l7-retry", "set-nice", "set-tos", "set-mark":
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
	// All others are for the routes: see headers.
}

// toBackend adds the routes to a backend: first what its own rules answer.
func (h *haproxy) toBackend(l *config.Listener, from *haSection, name string, terms haCondition, at haLine) {
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
	h.headers(l, from, &base)
	if b != from {
		h.headers(l, b, &base)
	}
	h.compress(from, b, &base)
	h.session(l, b, &base)
	h.queue(b, &base)
	for i, w := range rewrites {
		if w.terms.isAlways() && w.host { // of the host, and always
			base.Rewrite = merge(base.Rewrite, w.to)
			continue
		}
		if i > 0 {
			h.differs(w.n, w.text, "only the first rewrite that applies to a request is done")
		}
		own := base
		own.Rewrite = merge(base.Rewrite, w.to)
		h.each(l, terms.and(w.terms), at, func(m config.Match) config.Route { own.Match = m; return own })
		if w.terms.isAlways() {
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
func (h *haproxy) byField(l *config.Listener, from *haSection, field string, terms haCondition, at haLine) {
	for _, name := range slices.Sorted(maps.Keys(h.backends)) {
		named := literal{atom: atom{on: "header", name: field, how: "str", values: []string{name}}}
		var own haCondition
		for _, term := range terms {
			term = slices.DeleteFunc(slices.Clone(term), func(l literal) bool { return l.name == field && l.how == "found" && !l.not })
			own = append(own, append(term, named))
		}
		h.toBackend(l, from, name, own, at)
	}
}

// headers converts changes of fields, which are for all requests to a backend.
func (h *haproxy) headers(l *config.Listener, s *haSection, r *config.Route) {
	for _, rule := range s.rules {
		switch kind := rule.action[0]; {
		case kind != "set-header" && kind != "add-header" && kind != "del-header", rule.isRewrite():
		case len(rule.action) > 1 && strings.EqualFold(rule.action[1], "x-forwarded-proto"): // see requestHeader
		default:
			h.change(l, s, rule, r, func(r *config.Route) **config.HeaderChanges { return &r.RequestHeaders })
		}
	}
	for _, rule := range s.headers {
		h.change(l, s, rule, r, func(r *config.Route) **config.HeaderChanges { return &r.ResponseHeaders })
	}
}

func (h *haproxy) change(l *config.Listener, s *haSection, rule haRule, r *config.Route, of func(*config.Route) **config.HeaderChanges) {
	terms, err := s.condition(rule.condition)
	if err == nil && (len(terms) != 1 || !known(terms[0], l)) {
		err = errorf("fields are changed for all requests of a route, whatever else they have")
	}
	if err == nil && never(terms[0], l) {
		return
	}
	value := ""
	if err == nil && len(rule.action) > 2 {
		value, err = fieldValue(rule.action[2])
	}
	if err == nil && len(rule.action) < 2 {
		err = errorf("it names no field")
	}
	own := *r
	if err == nil {
		kind := map[string]string{"set-header": "set", "add-header": "add", "del-header": "remove"}[rule.action[0]]
		*of(&own), err = changed(*of(r), kind, rule.action[1], value)
	}
	if err == nil {
		err = h.fits(l, own)
	}
	if err != nil {
		h.left(rule.n, rule.text, "%v", err)
		return
	}
	*r = own
}

// known reports whether a term holds for all requests of a listener, or for none.
func known(term []literal, l *config.Listener) bool {
	return !slices.ContainsFunc(term, func(lit literal) bool { _, ok := lit.known(l); return !ok })
}

// never reports whether a term whose literals are known does not hold.
func never(term []literal, l *config.Listener) bool {
	return slices.ContainsFunc(term, func(lit literal) bool { fact, _ := lit.known(l); return fact == lit.not })
}

// fieldValue is a format string as hopscope has it.
func fieldValue(format string) (string, error) {
	var b strings.Builder
	for rest := format; rest != ""; {
		text, after, found := strings.Cut(rest, "%")
		b.WriteString(text)
		if !found {
			break
		}
		sample, behind, closed := strings.Cut(strings.TrimPrefix(after, "["), "]")
		name, isField := strings.CutPrefix(strings.TrimSuffix(sample, ")"), "req.hdr(")
		switch {
		case strings.HasPrefix(after, "%"):
			b.WriteString("%%")
			behind = after[1:]
		case !strings.HasPrefix(after, "[") || !closed:
			return "", errorf("the format string %q can't be said", format)
		case sample == "src":
			b.WriteString("%CLIENT_IP%")
		case isField && !strings.Contains(name, ","):
			b.WriteString("%REQ(" + name + ")%")
		default:
			return "", errorf("the format string %q can't be said: of samples there are src and req.hdr", format)
		}
		rest = behind
	}
	return b.String(), nil
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
