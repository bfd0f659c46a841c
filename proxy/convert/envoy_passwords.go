package convert

import "github.com/hopscope/hopscope/proxy/config"

// basicAuth converts a BasicAuth, or what a route has of it. Users that are no file can't be
// taken over, and then the route is closed: better than open by mistake.
func (s *filterSet) basicAuth(e *envoy, r *config.Route, n *node, _ bool) {
	b := config.NewBasicAuth(n.str("users", "filename"))
	b.UsernameHeader = s.passwords.str("forward_username_header") // a route has users alone
	if b.File == "" || s.passwords.has("authentication_header") {
		n.readAll()
		s.passwords.readAll()
		e.left(n.line, n.path, "hopscope reads users from a file, and their passwords from Authorization: write the users to a file, and add basic_auth; until then the route is closed")
		e.close(r, n)
		return
	}
	if s.try(e, r, n, func(r *config.Route) { r.BasicAuth = b }); r.BasicAuth == nil {
		e.left(n.line, n.path, "until it has basic_auth the route is closed")
		e.close(r, n)
		return
	}
	e.differs(n.line, n.path, "browsers are told that the password is for %q, not for the URL", b.Realm)
}

// close answers a route's requests with 501.
func (e *envoy) close(r *config.Route, n *node) {
	closed := refusal(r.Match, e.file, n.line)
	closed.Name = r.Name
	*r = closed
}
