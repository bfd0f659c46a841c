package convert

import "github.com/hopscope/hopscope/proxy/config"

// basicAuth converts a BasicAuth, or what a route has of it. Users that are no file can't be
// taken over, and then the route is closed: better than open by mistake.
func (s *filterSet) basicAuth(e *envoy, r *config.Route, n *node, _ bool) {
	users := n.get("users")
	n.skip("@type")
	b := config.NewBasicAuth(users.str("filename"))
	filter := n // of a route's own there is nothing but the users
	for _, f := range s.filters {
		if typeOf(f.at) == "BasicAuth" {
			filter = f.at.get("typed_config")
		}
	}
	b.UsernameHeader = filter.str("forward_username_header")
	if b.File == "" || filter.has("authentication_header") {
		n.readAll()
		e.left(n.line, n.path, "hopscope reads users from a file, and their passwords from Authorization: write the users to a file, and add basic_auth; until then the route is closed")
		closed := refusal(r.Match, e.file, n.line)
		closed.Name = r.Name
		*r = closed
		return
	}
	e.differs(n.line, n.path, "browsers are told that the password is for %q, not for the URL", b.Realm)
	s.try(e, r, n, func(r *config.Route) { r.BasicAuth = b })
}
