package envoy_test

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

// object is a message of Envoy's configuration, in JSON.
type object map[string]any

func typed(name string, o object) object {
	o["@type"] = "type.googleapis.com/envoy." + name
	return o
}

// theirs is Envoy's configuration of tables, each behind a listener of its own.
func theirs(tables []*table, clusters upstreams) object {
	var listeners, all []object
	for _, t := range tables {
		listeners = append(listeners, t.listener())
	}
	explicit := map[string]object{"http1": {"http_protocol_options": object{"enable_trailers": true}}, "http2": {"http2_protocol_options": object{}}}[clusters.protocol]
	spoken := object{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed("extensions.upstreams.http.v3.HttpProtocolOptions", object{"explicit_http_config": explicit})}
	for _, name := range slices.Sorted(maps.Keys(clusters.addresses)) {
		address := clusters.addresses[name]
		host, port, _ := strings.Cut(address, ":")
		n, _ := strconv.Atoi(port)
		endpoint := object{"endpoint": object{"hostname": address, "address": object{"socket_address": object{"address": host, "port_value": n}}}}
		all = append(all, object{
			"name": name, "type": "STATIC", "typed_extension_protocol_options": spoken, "load_assignment": object{"cluster_name": name, "endpoints": []object{{"lb_endpoints": []object{endpoint}}}},
		})
	}
	return object{"listeners": listeners, "clusters": all}
}

func (t *table) listener() object {
	var hosts []object
	for i, h := range t.hosts {
		var routes []object
		for i := range h.routes {
			routes = append(routes, theirRoute(&h.routes[i]))
		}
		hosts = append(hosts, object{"name": strconv.Itoa(i), "domains": h.domains, "routes": routes})
	}
	manager := typed("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", object{
		"stat_prefix": t.name(), "codec_type": "AUTO", "http_protocol_options": object{"enable_trailers": true}, "normalize_path": t.path.Normalize, "merge_slashes": t.path.MergeSlashes,
		"path_with_escaped_slashes_action": map[string]string{
			"keep": "KEEP_UNCHANGED", "reject": "REJECT_REQUEST", "unescape": "UNESCAPE_AND_FORWARD", "redirect": "UNESCAPE_AND_REDIRECT",
		}[t.path.EscapedSlashes],
		"route_config": object{"name": t.name(), "virtual_hosts": hosts, "ignore_port_in_host_matching": true},
		"http_filters": []object{{"name": "envoy.filters.http.router", "typed_config": typed("extensions.filters.http.router.v3.Router", object{})}},
	})
	return object{
		"name": t.name(), "address": object{"socket_address": object{"address": "127.0.0.1", "port_value": 0}},
		"filter_chains": []object{{"filters": []object{{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}}}},
	}
}

func theirRoute(r *config.Route) object {
	o := object{"name": r.Name, "match": theirMatch(&r.Match)}
	theirChanges(o, "request_headers_to_", r.RequestHeaders)
	theirChanges(o, "response_headers_to_", r.ResponseHeaders)
	switch {
	case r.Redirect != nil:
		o["redirect"] = theirRedirect(r.Redirect)
	case r.Answer != nil:
		o["direct_response"] = object{"status": r.Answer.Status, "body": object{"inline_string": r.Answer.Body}}
	default:
		action := object{}
		switch {
		case len(r.Split) > 0:
			var clusters []object
			for _, t := range r.Split {
				clusters = append(clusters, object{"name": t.Cluster, "weight": t.Weight})
			}
			action["weighted_clusters"] = object{"clusters": clusters}
		case r.ClusterHeader != "":
			action["cluster_header"] = r.ClusterHeader
		default:
			action["cluster"] = r.Cluster
		}
		if r.Rewrite != nil {
			theirRewrite(action, r.Rewrite)
		}
		o["route"] = action
	}
	return o
}

// theirChanges puts changes of fields into a route.
func theirChanges(route object, prefix string, c *config.HeaderChanges) {
	if c == nil {
		return
	}
	var all []object
	put := func(values map[string]string, action string) {
		for _, name := range slices.Sorted(maps.Keys(values)) {
			all = append(all, object{"header": object{"key": name, "value": values[name]}, "append_action": action})
		}
	}
	put(c.Set, "OVERWRITE_IF_EXISTS_OR_ADD")
	put(c.Add, "APPEND_IF_EXISTS_OR_ADD")
	route[prefix+"add"], route[prefix+"remove"] = all, c.Remove
}

func theirMatch(m *config.Match) object {
	o := object{}
	switch {
	case m.Path != "":
		o["path"] = m.Path
	case m.PathSegments != "":
		o["path_separated_prefix"] = m.PathSegments
	case m.PathRegex != "":
		o["safe_regex"] = object{"regex": m.PathRegex}
	case m.PathTemplate != "":
		o["path_match_policy"] = object{
			"name":         "envoy.path.match.uri_template.uri_template_matcher",
			"typed_config": typed("extensions.path.match.uri_template.v3.UriTemplateMatchConfig", object{"path_template": m.PathTemplate}),
		}
	case m.GRPC != nil && m.GRPC.Method != "":
		o["path"] = "/" + m.GRPC.Service + "/" + m.GRPC.Method
	case m.GRPC != nil && m.GRPC.Service != "":
		o["safe_regex"] = object{"regex": "/" + regexp.QuoteMeta(m.GRPC.Service) + "/[^/]*"}
	default:
		o["prefix"] = max(m.PathPrefix, "/")
	}
	var fields []object
	if len(m.Methods) > 0 {
		fields = append(fields, theirMethods(m.Methods))
	}
	for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
		fields = append(fields, theirField(name, m.Headers[name]))
	}
	if m.Not != nil {
		fields = append(fields, theirNot(m.Not)...)
	}
	if len(fields) > 0 {
		o["headers"] = fields
	}
	o["query_parameters"] = theirValues(m.Query)
	o["cookies"] = theirValues(m.Cookies)
	if m.GRPC != nil {
		o["grpc"] = object{}
	}
	if m.Percent == 0 {
		o["runtime_fraction"] = object{"default_value": object{"numerator": 0}}
	}
	return o
}

func theirMethods(methods []string) object {
	return object{"name": ":method", "string_match": object{"safe_regex": object{"regex": strings.Join(methods, "|")}}}
}

// theirNot inverts conditions. Envoy takes a field that is absent for an empty one there,
// if it is told to.
func theirNot(c *config.Conditions) (fields []object) {
	if len(c.Methods) > 0 {
		fields = append(fields, theirMethods(c.Methods))
	}
	if c.PathPrefix != "" {
		fields = append(fields, object{"name": ":path", "string_match": object{"prefix": c.PathPrefix}})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		fields = append(fields, theirField(name, c.Headers[name]))
	}
	for _, f := range fields {
		inverted, _ := f["invert_match"].(bool)
		f["invert_match"] = !inverted
		if _, ok := f["present_match"]; !ok {
			f["treat_missing_header_as_empty"] = true
		}
	}
	return fields
}

func theirField(name string, m config.ValueMatch) object {
	if name == "host" {
		name = ":authority"
	}
	o := object{"name": name}
	text := &m.Text
	switch {
	case m.Present:
		o["present_match"] = true
		return o
	case m.Absent:
		o["present_match"], o["invert_match"] = true, true
		return o
	case m.Not != nil:
		text = m.Not
		o["invert_match"] = true
	}
	if text.Range != nil {
		o["range_match"] = object{"start": text.Range[0], "end": text.Range[1]}
	} else {
		o["string_match"] = theirText(text)
	}
	return o
}

func theirText(t *config.Text) object {
	o := object{"ignore_case": t.IgnoreCase}
	switch {
	case t.Prefix != "":
		o["prefix"] = t.Prefix
	case t.Suffix != "":
		o["suffix"] = t.Suffix
	case t.Contains != "":
		o["contains"] = t.Contains
	case t.Regex != "":
		return object{"safe_regex": object{"regex": t.Regex}}
	default:
		o["exact"] = t.Exact
	}
	return o
}

// theirValues are conditions on parameters of the query or cookies.
func theirValues(all map[string]config.ValueMatch) []object {
	conditions := []object{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m := all[name]
		o := object{"name": name, "string_match": theirText(&m.Text)}
		if m.Present {
			o["string_match"] = object{"safe_regex": object{"regex": ".*"}}
		}
		conditions = append(conditions, o)
	}
	return conditions
}

func theirSubstitution(regex, with string) object {
	return object{"pattern": object{"regex": regex}, "substitution": with}
}

func theirRewrite(action object, w *config.Rewrite) {
	switch {
	case w.PathPrefix != "":
		action["prefix_rewrite"] = w.PathPrefix
	case w.PathRegex != "":
		action["regex_rewrite"] = theirSubstitution(w.PathRegex, w.Substitution)
	case w.PathTemplate != "":
		action["path_rewrite_policy"] = object{
			"name":         "envoy.path.rewrite.uri_template.uri_template_rewriter",
			"typed_config": typed("extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig", object{"path_template_rewrite": w.PathTemplate}),
		}
	}
	switch {
	case w.Host == "endpoint":
		action["auto_host_rewrite"] = true
	case w.Host != "":
		action["host_rewrite_literal"] = w.Host
	case w.HostFromHeader != "":
		action["host_rewrite_header"] = w.HostFromHeader
	}
}

func theirRedirect(r *config.Redirect) object {
	o := object{"strip_query": r.StripQuery, "response_code": map[int]string{
		301: "MOVED_PERMANENTLY", 302: "FOUND", 303: "SEE_OTHER", 307: "TEMPORARY_REDIRECT", 308: "PERMANENT_REDIRECT",
	}[r.Code]}
	set := func(given bool, key string, value any) {
		if given {
			o[key] = value
		}
	}
	set(r.Scheme != "", "scheme_redirect", r.Scheme)
	set(r.Host != "", "host_redirect", r.Host)
	set(r.Port != 0, "port_redirect", r.Port)
	set(r.Path != "", "path_redirect", r.Path)
	set(r.PathPrefix != "", "prefix_rewrite", r.PathPrefix)
	set(r.PathRegex != "", "regex_rewrite", theirSubstitution(r.PathRegex, r.Substitution))
	return o
}
