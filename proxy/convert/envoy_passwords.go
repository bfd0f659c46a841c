package convert

import "github.com/hopscope/hopscope/proxy/config"

// basicAuth converts a BasicAuth. Routes whose passwords can't be asked for are closed.
func (s *filterSet) basicAuth(e *envoy, r *config.Route, n *node, _ bool) {
	file := n.str("users", "filename")
	if file == "" {
		n.skip("users")
		e.left(n.line, n.path, "users: hopscope reads them from a file: write them to one, and name it in basic_auth of a route; the requests are answered with 501")
		*r = refusal(r.Match, e.file, n.line)
		return
	}
	b := config.NewBasicAuth(file)
	b.UsernameHeader = s.userField
	if s.try(e, r, n, func(r *config.Route) { r.BasicAuth = b }); r.BasicAuth == nil {
		e.left(n.line, n.path, "the requests are answered with 501")
		*r = refusal(r.Match, e.file, n.line)
	}
}
