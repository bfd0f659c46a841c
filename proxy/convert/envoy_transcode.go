package convert

import (
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

// speaksHTTP2 reports whether a cluster, which is converted later, is spoken to in HTTP/2.
func speaksHTTP2(n *node) bool {
	if n.has("http2_protocol_options") {
		return true
	}
	for _, f := range n.find("typed_extension_protocol_options").allFields() {
		if f.node.find("explicit_http_config").has("http2_protocol_options") || f.node.has("auto_config") && n.has("transport_socket") {
			return true
		}
	}
	return false
}

// transcode converts a GrpcJsonTranscoder.
func (s *filterSet) transcode(e *envoy, r *config.Route, n *node, _ bool) {
	t := config.NewTranscode(n.str("proto_descriptor"))
	if t.Services = n.strs("services"); len(t.Services) == 0 {
		n.readAll() // it is off
		return
	}
	if n.has("proto_descriptor_bin") {
		n.readAll()
		e.left(n.line, n.path, "proto_descriptor_bin: hopscope reads descriptors from a file: write them to one, and name it in transcode.descriptors of a route")
		return
	}
	t.AutoMapping = n.truth("auto_mapping")
	t.IgnoredQueryParameters = n.strs("ignored_query_parameters")
	t.IgnoreUnknownQueryParameters = n.truth("ignore_unknown_query_parameters")
	t.ConvertGRPCStatus = n.truth("convert_grpc_status")
	t.RejectUnknownMethods = n.truth("request_validation_options", "reject_unknown_method")
	e.transcodeContent(t, n)
	for _, name := range r.Targets() {
		if !e.http2Clusters[name] { // no gRPC server is there
			if n.truth("match_incoming_request_route") {
				e.left(n.line, n.path, "gRPC needs HTTP/2, and the cluster %q is spoken to in HTTP/1.1", name)
			}
			return
		}
	}
	if len(r.Targets()) == 0 {
		return
	}
	e.transcodeNotes(t, n)
	s.byCall = s.byCall || !n.truth("match_incoming_request_route")
	s.try(e, r, n, func(r *config.Route) { r.Transcode = t })
}

// transcodeContent reads how messages are written, and how large they may be.
func (e *envoy) transcodeContent(t *config.Transcode, n *node) {
	print := n.get("print_options")
	t.Print.AddWhitespace = print.truth("add_whitespace")
	t.Print.AlwaysPrintPrimitiveFields = print.truth("always_print_primitive_fields")
	t.Print.AlwaysPrintEnumsAsInts = print.truth("always_print_enums_as_ints")
	t.Print.PreserveProtoFieldNames = print.truth("preserve_proto_field_names")
	if most := max(n.integer(0, "max_request_body_size"), n.integer(0, "max_response_body_size")); most > 0 {
		t.MaxMessage = itoa(most)
	}
}

// transcodeNotes tells what is different about translations.
func (e *envoy) transcodeNotes(t *config.Transcode, n *node) {
	if !n.truth("match_incoming_request_route") {
		e.differs(n.line, n.path, "the route is found by the request as it came, not by the path of its call, such as /%s/METHOD: see that the paths of google.api.http have routes", t.Services[0])
	}
	if print := n.get("print_options"); !print.truth("stream_newline_delimited") && !print.truth("stream_sse_style_delimited") {
		e.differs(n.line, n.path, "the messages of a stream are sent as they come, a line of JSON each, not as one array")
	} else if print.truth("stream_sse_style_delimited") {
		e.differs(n.line, n.path, "the messages of a stream are sent as events to clients that accept text/event-stream, and as lines of JSON to others")
	}
	if rejects := n.truth("request_validation_options", "reject_unknown_query_parameters"); !rejects && !t.IgnoreUnknownQueryParameters {
		e.differs(n.line, n.path, "a request with a parameter that is no field is answered with 400; Envoy sends it on as it is")
	}
	e.differs(n.line, n.path, "JSON and queries are taken by the letter of their standards, and more of what is wrong is refused: see docs/from-envoy.md, \"The same transcoding, but for\"")
	if !n.truth("query_param_unescape_plus") {
		e.differs(n.line, n.path, "a plus sign in a query is a space")
	}
	if a, b := n.integer(0, "max_request_body_size"), n.integer(0, "max_response_body_size"); a > 0 && b > 0 && a != b {
		e.differs(n.line, n.path, "requests and responses have one limit, the larger one: %s bytes", t.MaxMessage)
	}
}

// jsonRoute adds a route for requests that become the calls of one of those from first on:
// Envoy finds that by the path of the call, hopscope by the request as it came. It comes
// last, and takes nothing but what becomes a call.
func (e *envoy) jsonRoute(l *config.Listener, first int) {
	var at []int
	for i, r := range l.Routes[first:] {
		if r.Transcode != nil && callPaths(&r.Match, r.Transcode.Services) {
			at = append(at, first+i)
		}
	}
	if len(at) != 1 {
		return
	}
	r, from := l.Routes[at[0]], e.origins[l.Name][at[0]]
	t, not := *r.Transcode, config.NewMatch().Conditions
	t.RejectUnknownMethods, r.Transcode = true, &t
	if r.Match.Not != nil {
		not = *r.Match.Not
	}
	not.GRPC = &config.GRPCMatch{}
	m := &r.Match
	m.Path, m.PathPrefix, m.PathSegments, m.PathRegex, m.PathTemplate, m.GRPC, m.Not = "", "", "", "", "", nil, &not
	e.differs(from.line, from.what, "requests that are translated to its calls are found by a route of their own, behind the others")
	e.add(l, r, from)
}

// callPaths reports whether a route is for the calls of services, as Envoy finds it after
// the translation, and not for the paths of google.api.http.
func callPaths(m *config.Match, services []string) bool {
	if m.GRPC != nil {
		return true
	}
	for _, service := range services {
		for _, path := range []string{m.Path, m.PathPrefix, m.PathSegments} {
			if strings.HasPrefix(path, "/"+service) {
				return true
			}
		}
	}
	return false
}
