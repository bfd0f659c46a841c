package convert

import (
	"maps"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

// routeConfig converts the virtual hosts of a route configuration to routes of a listener.
func (e *envoy) routeConfig(l *config.Listener, n *node, filters *filterSet, anyPort bool) {
	n.skip("name", "validate_clusters")
	anyPort = n.truth("ignore_port_in_host_matching") || anyPort
	all := segments(n.list("virtual_hosts"))
	for i, s := range all {
		s.host.skip("name", "domains")
		if !anyPort && slices.ContainsFunc(s.domains, func(d string) bool { return d != "*" && dropPort(d) == d }) {
			e.differs(s.host.line, s.host.path, "here the port of Host does not count: Envoy takes a host with a port for another unless strip_any_host_port is set")
			anyPort = true // told once
		}
		rest := false // a wider virtual host takes what this one leaves
		for _, later := range all[i+1:] {
			rest = rest || mustFollow(later, s)
		}
		for _, hosts := range s.matches() {
			e.virtualHost(l, s.host, hosts, []*node{s.host, n}, filters, rest)
		}
	}
}

// virtualHost converts the routes of a virtual host. With rest, requests that none of them
// takes must not get to the routes behind.
func (e *envoy) virtualHost(l *config.Listener, host *node, hosts hostMatch, outer []*node, filters *filterSet, rest bool) {
	whole, first := false, len(l.Routes)
	for _, n := range host.list("routes") {
		whole = e.route(l, n, hosts, outer, filters)
	}
	if !whole && filters.byCall {
		e.jsonRoute(l, first)
	}
	if !rest || whole {
		return
	}
	r := config.NewRoute("")
	r.Match.Hosts, r.Answer = hosts.hosts, config.NewAnswer()
	if hosts.header != nil {
		r.Match.Headers["host"] = *hosts.header
	}
	r.Answer.Status = 404
	e.add(l, r, origin{host.line, host.path})
}

// route converts a route, and reports whether it takes every request of its hosts.
func (e *envoy) route(l *config.Listener, n *node, hosts hostMatch, outer []*node, filters *filterSet) (whole bool) {
	n.skip("decorator", "metadata", "stat_prefix")
	from := origin{n.line, n.path}
	m, err := match(n.get("match"), hosts)
	if err != nil {
		n.readAll()
		e.left(n.line, n.path, "%v; its requests go on to the routes below", err)
		return false
	}
	r := config.NewRoute("")
	r.Match = m.Match
	if name := n.str("name"); name != "" {
		r.Name = name
	}
	switch {
	case n.has("route"):
		err = e.forward(&r, n.get("route"), m, outer)
	case n.has("redirect"):
		r.Redirect = redirect(n.get("redirect"), m)
	case n.has("direct_response"):
		err = e.answer(&r, n)
	default:
		err = errorf("its action can't be said")
		n.skip("filter_action", "non_forwarding_action")
	}
	if err != nil {
		e.left(n.line, n.path, "%v; its requests are answered with 501", err)
		r = refusal(m.Match, e.file, n.line)
	}
	if action := n.find("route"); action != nil && len(r.Targets()) > 0 {
		filters.upgrade(e, &r, action)
		e.streamDuration(&r, action, filters.maxStream)
	}
	levels := append([]*node{n, n.find("route")}, outer...)
	filters.apply(e, &r, levels)
	e.headers(filters, &r, levels)
	e.add(l, r, from)
	return m.all()
}

// headers converts changes of fields, those of the route first, as Envoy makes them.
func (e *envoy) headers(filters *filterSet, r *config.Route, levels []*node) {
	requests := func(r *config.Route) **config.HeaderChanges { return &r.RequestHeaders }
	responses := func(r *config.Route) **config.HeaderChanges { return &r.ResponseHeaders }
	for _, level := range levels {
		for _, side := range []struct {
			name string
			of   func(*config.Route) **config.HeaderChanges
		}{{"request", requests}, {"response", responses}} {
			if side.name == "request" && len(r.Targets()) == 0 {
				level.skip("request_headers_to_add", "request_headers_to_remove") // nobody gets the request
				continue
			}
			for _, n := range level.list(side.name + "_headers_to_remove") {
				e.change(filters, r, n, side.of, "remove", n.text, "")
			}
			for _, n := range level.list(side.name + "_headers_to_add") {
				e.change(filters, r, n, side.of, howToAdd(n), n.str("header", "key"), n.str("header", "value"))
			}
		}
	}
}

// howToAdd is "set" or "add", or else the action that can't be said.
func howToAdd(n *node) string {
	n.skip("keep_empty_value")
	if n.has("append") && !n.truth("append") {
		return "set"
	}
	switch action := n.str("append_action"); action {
	case "", "APPEND_IF_EXISTS_OR_ADD":
		return "add"
	case "OVERWRITE_IF_EXISTS_OR_ADD":
		return "set"
	default:
		return action
	}
}

// change adds a change of a field, if hopscope can have it.
func (e *envoy) change(filters *filterSet, r *config.Route, at *node, of func(*config.Route) **config.HeaderChanges, kind, name, value string) {
	if kind != "add" && kind != "set" && kind != "remove" {
		e.left(at.line, at.path, "%s: a field is set, added or removed", kind)
		return
	}
	h, err := changed(*of(r), kind, name, value)
	if err != nil {
		e.left(at.line, at.path, "%v", err)
		return
	}
	filters.try(e, r, at, func(r *config.Route) { *of(r) = h })
}

// redirect converts a RedirectAction.
func redirect(n *node, m matching) *config.Redirect {
	r := config.NewRedirect()
	r.Scheme = n.str("scheme_redirect")
	if n.truth("https_redirect") {
		r.Scheme = "https"
	}
	r.Host, r.Port = n.str("host_redirect"), n.integer(0, "port_redirect")
	r.Path, r.StripQuery = n.str("path_redirect"), n.truth("strip_query")
	r.PathPrefix = n.str("prefix_rewrite")
	if r.PathPrefix != "" && m.foldCase && m.prefix != "" {
		r.PathRegex, r.Substitution, r.PathPrefix = "^(?i:"+quoteRegex(m.prefix)+")", quoteSubstitution(r.PathPrefix), ""
	}
	if n.has("regex_rewrite") {
		n.get("regex_rewrite").skip("pattern")
		r.PathRegex, r.Substitution = n.str("regex_rewrite", "pattern", "regex"), n.str("regex_rewrite", "substitution")
	}
	codes := map[string]int{"MOVED_PERMANENTLY": 301, "FOUND": 302, "SEE_OTHER": 303, "TEMPORARY_REDIRECT": 307, "PERMANENT_REDIRECT": 308}
	if code := codes[n.str("response_code")]; code != 0 {
		r.Code = code
	}
	return r
}

// answer converts a DirectResponseAction.
func (e *envoy) answer(r *config.Route, route *node) error {
	n := route.get("direct_response")
	a := config.NewAnswer()
	a.Status = n.integer(200, "status")
	body := n.get("body")
	switch {
	case body.has("filename"):
		a.File = body.str("filename")
	case body.has("inline_string"):
		a.Body = body.str("inline_string")
		a.Headers["content-type"] = "text/plain"
	case body != nil && len(body.fields) > 0:
		body.readAll()
		return errorf("direct_response.body: its content has to be inline_string or filename")
	}
	r.Answer = a
	return nil
}

// forward converts a RouteAction.
func (e *envoy) forward(r *config.Route, n *node, m matching, outer []*node) error {
	n.skip("cluster_not_found_response_code", "metadata_match")
	switch {
	case n.has("cluster"):
		r.Cluster = n.str("cluster")
	case n.has("weighted_clusters"):
		r.Split = e.split(n.get("weighted_clusters"))
	case n.has("cluster_header"):
		r.ClusterHeader = n.str("cluster_header")
		r.AllowClusters = slices.Sorted(maps.Keys(e.clusters))
	default:
		return errorf("its cluster can't be said")
	}
	r.Timeout = n.duration(r.Timeout, "timeout")
	if n.has("idle_timeout") {
		r.IdleTimeout = e.timeout(n, 0, "idle_timeout")
	}
	r.Priority = priorityOf(n.str("priority"))
	r.Mirror = e.mirrors(n)
	e.internalRedirects(r, n)
	e.rewrite(r, n, m)
	for _, f := range n.get("metadata_match").find("filter_metadata").find("envoy.lb").allFields() {
		if r.Subset == nil {
			r.Subset = map[string]string{}
		}
		r.Subset[f.name] = f.node.text
	}
	e.retryOf(r, append([]*node{n}, outer...))
	for _, name := range r.Targets() {
		e.hashPolicy(name, n)
	}
	return nil
}

// internalRedirects converts which redirects of endpoints the proxy follows itself.
func (e *envoy) internalRedirects(r *config.Route, action *node) {
	n := action.get("internal_redirect_policy")
	switch {
	case n == nil:
		return
	case len(n.list("predicates")) > 0:
		n.readAll()
		e.left(n.line, n.path, "hopscope has no predicates for redirects: it leaves them to the client")
		return
	}
	f := config.NewInternalRedirects()
	if f.Max = n.integer(f.Max, "max_internal_redirects"); f.Max == 0 {
		n.readAll()
		return
	}
	if codes := n.strs("redirect_response_codes"); len(codes) > 0 {
		f.Codes = nil
		for _, code := range codes {
			f.Codes = append(f.Codes, number(code))
		}
	}
	f.CrossScheme = n.truth("allow_cross_scheme_redirect")
	f.CopyHeaders = n.strs("response_headers_to_copy")
	r.InternalRedirects = f
	e.differs(n.line, n.path, "a Location without a host is followed as well, and x-envoy-original-url is the URL of the first request, not of the one before")
}

// mirrors converts copies of requests to other clusters.
func (e *envoy) mirrors(n *node) (all []config.Mirror) {
	for _, policy := range n.list("request_mirror_policies") {
		if !policy.has("cluster") {
			e.left(policy.line, policy.path, "a copy goes to a cluster that is named")
			continue
		}
		m := config.NewMirror(policy.str("cluster"))
		if f := policy.get("runtime_fraction"); f != nil {
			f.skip("runtime_key")
			m.Percent = percent(f.get("default_value"))
		}
		e.differs(policy.line, policy.path, "at most %d copies are under way at once: see max_requests of the mirror", m.MaxRequests)
		all = append(all, m)
	}
	return all
}

// split converts clusters with weights.
func (e *envoy) split(n *node) (all []config.SplitTarget) {
	n.skip("total_weight", "runtime_key_prefix")
	seen := map[string]int{}
	for _, c := range n.list("clusters") {
		t := config.SplitTarget{Cluster: c.str("name"), Weight: c.integer(0, "weight")}
		if seen[t.Cluster]++; seen[t.Cluster] > 1 {
			t.Variant = t.Cluster + "-" + itoa(seen[t.Cluster])
		}
		all = append(all, t)
	}
	return all
}

func (n *node) allFields() []field {
	if n == nil {
		return nil
	}
	return n.fields
}

// rewrite converts what the endpoint is asked for.
func (e *envoy) rewrite(r *config.Route, n *node, m matching) {
	w := &config.Rewrite{}
	switch prefix := n.str("prefix_rewrite"); {
	case prefix == "":
	case m.prefix == "" && m.Path == "" && m.PathRegex == "" && m.PathTemplate == "": // it goes in front
		w.PathRegex, w.Substitution = "^(.*)$", quoteSubstitution(prefix)+`\1`
	case m.foldCase && m.prefix != "":
		w.PathRegex, w.Substitution = "^(?i:"+quoteRegex(m.prefix)+")", quoteSubstitution(prefix)
	default:
		w.PathPrefix = prefix
	}
	if n.has("regex_rewrite") {
		n.get("regex_rewrite").skip("pattern")
		w.PathRegex, w.Substitution = n.str("regex_rewrite", "pattern", "regex"), n.str("regex_rewrite", "substitution")
	}
	if n.has("path_rewrite_policy") {
		n.skip("path_rewrite_policy")
		w.PathTemplate = n.str("path_rewrite_policy", "typed_config", "path_template_rewrite")
	}
	w.Host, w.HostFromHeader = n.str("host_rewrite_literal"), n.str("host_rewrite_header")
	if n.truth("auto_host_rewrite") {
		w.Host = e.hostOf(r.Targets(), n.get("auto_host_rewrite"))
	}
	if *w != (config.Rewrite{}) {
		r.Rewrite = w
	}
}

// hostOf is the Host field that auto_host_rewrite makes of a cluster's endpoints: the name
// that they were found by.
func (e *envoy) hostOf(clusters []string, at *node) string {
	names := map[string]bool{}
	for _, cluster := range clusters {
		c := e.clusters[cluster]
		for _, locality := range c.find("load_assignment").find("endpoints").allItems() {
			for _, lb := range locality.find("lb_endpoints").allItems() {
				names[hostname(c, lb.find("endpoint"))] = true
			}
		}
	}
	for name := range names {
		if len(names) == 1 {
			return name
		}
	}
	e.differs(at.line, at.path, "the endpoints have several names: Host becomes the address of the endpoint")
	return "endpoint"
}

// hostname is the name that an endpoint was found by; empty if there is none.
func hostname(cluster, endpoint *node) string {
	if name := endpoint.find("hostname").scalarText(); name != "" || !strings.HasSuffix(cluster.find("type").scalarText(), "_DNS") {
		return name
	}
	return endpoint.find("address").find("socket_address").find("address").scalarText()
}

func (n *node) allItems() []*node {
	if n == nil {
		return nil
	}
	return n.items
}

// hashPolicy gives a cluster the hash policies of a route: hopscope has them in the cluster.
func (e *envoy) hashPolicy(cluster string, n *node) {
	policies := n.list("hash_policy")
	if len(policies) == 0 {
		return
	}
	var all []config.HashOn
	for _, p := range policies {
		h := config.NewHashOn()
		h.Terminal = p.truth("terminal")
		switch {
		case p.has("header"):
			h.Header = p.str("header", "header_name")
		case p.has("cookie"):
			p.get("cookie")
			h.Cookie, h.CookieTTL = p.str("cookie", "name"), p.get("cookie").duration(0, "ttl")
			if path := p.str("cookie", "path"); path != "" {
				h.CookiePath = path
			}
			if !p.get("cookie").has("ttl") {
				e.differs(p.line, p.path, "who has no such cookie is given one; Envoy does so only with a ttl")
			}
		case p.has("connection_properties"):
			h.Source = p.truth("connection_properties", "source_ip")
		case p.has("query_parameter"):
			h.Query = p.str("query_parameter", "name")
		default:
			p.read = false
			continue
		}
		all = append(all, h)
	}
	if known, ok := e.hashes[cluster]; ok && !slices.Equal(known, all) {
		e.left(policies[0].line, policies[0].path, "the cluster %q hashes what the route in line %d says: a hash belongs to the cluster here", cluster, e.hashedAt[cluster])
		return
	}
	e.hashes[cluster], e.hashedAt[cluster] = all, policies[0].line
}
