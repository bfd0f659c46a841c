package convert

import (
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

// session converts a StatefulSession with a cookie or a field.
func (s *filterSet) session(e *envoy, r *config.Route, n *node, _ bool) {
	n.skip("stat_prefix")
	state := n.get("session_state")
	state.skip("name")
	if state == nil {
		return // it does nothing
	}
	t := state.get("typed_config")
	var c *config.StatefulSession
	what := "cookie"
	switch kind := typeOf(state); kind {
	case "CookieBasedSessionState":
		c = config.NewStatefulSession(t.str("cookie", "name"))
		if path := t.str("cookie", "path"); path != "" {
			c.Cookie.Path = path
		}
		c.Cookie.TTL = t.get("cookie").duration(0, "ttl")
	case "HeaderBasedSessionState":
		what = "field"
		c = config.NewHeaderSession(t.str("name"))
	default:
		state.readAll()
		e.left(n.line, n.path, "a session is kept by a cookie or a field, not by %s", strings.TrimSuffix(kind, "BasedSessionState"))
		return
	}
	if c.Strict = n.truth("strict"); len(r.Targets()) == 0 {
		return
	}
	e.differs(n.line, n.path, "the %s's value is hopscope's own: who comes with one of Envoy's is balanced anew, once", what)
	if c.Cookie != nil && c.Cookie.Path != "/" {
		e.differs(n.line, n.path, "requests outside of the cookie's path are given the cookie, too")
	}
	if r.StatefulSession != nil {
		e.left(n.line, n.path, "a route has one session, and there is that of the filter before it")
		return
	}
	s.try(e, r, n, func(r *config.Route) { r.StatefulSession = c })
}
