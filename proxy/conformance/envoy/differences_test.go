package envoy_test

import (
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/pathform"
	"github.com/hopscope/hopscope/proxy/pathtemplate"
)

// ownFields are those that either proxy adds to requests about itself, the client, the
// trace or the framing. What is in them is no matter of routes.
var ownFields = []string{
	"x-forwarded-for", "x-forwarded-proto", "x-request-id", "x-envoy-expected-rq-timeout-ms", "x-envoy-attempt-count", "traceparent", "tracestate", "grpc-timeout",
	"content-length", "connection",
}

// comparison is a request that the proxies do not treat alike.
type comparison struct {
	q         request
	want, got outcome
	route     *config.Route // that one of them took
	path      *config.Path  // of the listener
	protocol  string        // that endpoints are spoken to in
	// alike reports whether they treat another request alike, or not for another reason.
	alike func(request) bool
}

// difference is one that stays.
type difference struct {
	name, reason string
	// is reports whether it explains a comparison.
	is func(*comparison) bool
}

// differences are those that stay, each with its reason: docs/from-envoy.md has them, too.
var differences = []difference{
	{
		"several lines of a field",
		"Envoy 1.40 compares each line with a condition. hopscope joins them by commas: both forms are the same to RFC 9110 section 5.3.",
		func(c *comparison) bool {
			joined, repeated := c.q.joined()
			return repeated && c.alike(joined)
		},
	},
	{
		"escapes in lower case",
		"hopscope's normal form has %2F where the request has %2f (RFC 3986 section 6.2.2.1). Envoy leaves those that it does not decode.",
		func(c *comparison) bool {
			path, query := c.q.cut()
			upper := escape.ReplaceAllStringFunc(path, strings.ToUpper)
			return c.path.Normalize && upper != path && c.alike(c.q.at(upper+query))
		},
	},
	{
		"an unescaped backslash",
		"It is a slash to hopscope. Envoy makes one of it only with normalize_path.",
		func(c *comparison) bool {
			path, query := c.q.cut()
			slash := strings.NewReplacer("%5c", "%2f", "%5C", "%2f").Replace(path)
			return !c.path.Normalize && slash != path && c.alike(c.q.at(slash+query))
		},
	},
	{
		"a backslash in a segment of a template",
		`To Envoy a segment has characters of RFC 3986 alone, of which "\" is none.`,
		func(c *comparison) bool {
			return strings.Contains(c.q.target, `\`) && c.route != nil && c.route.Match.PathTemplate != "" && c.want.Route != c.route.Name
		},
	},
	{
		"a path of slashes alone",
		"hopscope merges them to one, Envoy leaves them.",
		func(c *comparison) bool {
			path, query := c.q.cut()
			return c.path.MergeSlashes && len(path) > 1 && strings.Trim(path, "/") == "" && c.alike(c.q.at("/"+query))
		},
	},
	{
		"parameters of a dot segment",
		"hopscope refuses ..;a, which servers do not agree on. To Envoy it is the segment above.",
		func(c *comparison) bool {
			return c.path.Normalize && strings.Contains(c.q.target, "..;") && (c.got.Status == 400 || c.got.GRPC != "")
		},
	},
	{
		"where an escaped slash is redirected to",
		"Envoy's Location is the path, hopscope's the whole URL: a path that begins with two slashes would name a host.",
		func(c *comparison) bool {
			return c.path.EscapedSlashes == "redirect" && c.got.Status == 307 && strings.HasPrefix(c.want.Location, "/") && c.got.Location == "http://"+c.q.host+c.want.Location
		},
	},
	{
		"what is a gRPC call",
		"To Envoy it is what has the content type application/grpc or application/grpc+NAME. hopscope asks for POST, too, as gRPC does, takes parameters " +
			"behind the type and any case of letters, and answers gRPC-Web with a status of gRPC.",
		func(c *comparison) bool {
			kind := c.q.field("content-type")
			if !strings.HasPrefix(strings.ToLower(kind), "application/grpc") || c.q.method == "POST" && grpcKind.MatchString(kind) {
				return false
			}
			other := c.q.clone()
			other.remove("content-type")
			return c.alike(other)
		},
	},
	{
		"a rewritten path that is none",
		`Envoy sends a rewritten path that does not begin with "/" as it is, which endpoints refuse, and leaves the path alone where nothing is left of it. hopscope puts "/" in front.`,
		func(c *comparison) bool {
			path, ok := c.rewritten()
			return ok && !strings.HasPrefix(path, "/")
		},
	},
	{
		"a host from a field that has none",
		"Envoy sends whatever is in the field of host_rewrite_header as the host, which endpoints refuse. hopscope leaves the host as it is.",
		func(c *comparison) bool {
			if c.route == nil || c.route.Rewrite == nil || c.route.Rewrite.HostFromHeader == "" {
				return false
			}
			// The value that it has after the changes of fields.
			changed := c.route.RequestHeaders != nil && (c.want.Status == 400 || message.BadHost([]byte(c.want.Host)) != "")
			return changed || message.BadHost([]byte(c.q.field(c.route.Rewrite.HostFromHeader))) != ""
		},
	},
	{
		"a field that names a cluster",
		"Envoy takes every cluster that there is. hopscope takes those of allow_clusters.",
		func(c *comparison) bool {
			return c.route != nil && c.route.ClusterHeader != "" && (c.got.Status == 503 || c.got.GRPC == "14") && !slices.Contains(c.route.AllowClusters, c.q.field(c.route.ClusterHeader))
		},
	},
	{
		"a malformed request that says that it is a gRPC call",
		"Envoy answers 200 with a status of gRPC, hopscope 400: what is malformed is no call.",
		func(c *comparison) bool { return c.want.GRPC == "13" && c.got.Status == 400 },
	},
	{
		"white space around a value, over HTTP/2",
		"It makes the request malformed (RFC 9113 section 8.2.1), and hopscope refuses it. Envoy takes it away.",
		func(c *comparison) bool {
			return c.q.form != overHTTP1 && c.got.refused() && slices.ContainsFunc(c.q.fields, func(f string) bool {
				_, value, _ := strings.Cut(f, ": ")
				return strings.Trim(value, " \t") != value
			})
		},
	},
	{
		"a byte in the path that URLs have not, over HTTP/2",
		"hopscope refuses it, as over HTTP/1.1 (RFC 9113 section 8.3.1). Envoy refuses it over HTTP/1.1 alone.",
		func(c *comparison) bool {
			return c.q.form != overHTTP1 && c.got.refused() && message.Prefix(c.q.target, message.InTarget) < len(c.q.target)
		},
	},
	{
		"an empty cookie, over HTTP/2",
		"Envoy drops the field.",
		func(c *comparison) bool {
			if c.q.form == overHTTP1 || !slices.Contains(c.q.fields, "cookie: ") {
				return false
			}
			other := c.q.clone()
			other.remove("cookie")
			return c.alike(other)
		},
	},
	{
		"an endpoint that resets a stream with PROTOCOL_ERROR",
		"Envoy answers 502, as for a malformed response. hopscope answers 503, as for any reset: it is the request that the endpoint complains of.",
		func(c *comparison) bool { return c.protocol == "http2" && c.want.Status == 502 && c.got.Status == 503 },
	},
	{
		"Location of an answer with 201",
		"Envoy adds the URL that was asked for, which is what no Location means (RFC 9110 section 15.3.2).",
		func(c *comparison) bool {
			if c.want.Cluster != "" || c.want.Status != 201 && c.want.GRPC == "" || c.got.Location != "" {
				return false
			}
			without := c.want
			without.Location = ""
			return cmp.Equal(without, c.got)
		},
	},
	{
		"a redirect with a port, to a host with a port",
		"Envoy writes both, which is no URL. hopscope lets the port win.",
		func(c *comparison) bool { return strings.Contains(c.want.Location, "other.test:81:") },
	},
}

// refused reports whether the request was taken for malformed.
func (o *outcome) refused() bool { return o.Status == 400 || o.Status == 200 && o.GRPC == "13" }

// explained reports whether a difference that stays explains a comparison, and which.
func explained(c *comparison) (string, bool) {
	for i := range differences {
		if differences[i].is(c) {
			return differences[i].name, true
		}
	}
	return "", false
}

// rewritten is what an expression makes of the path, if the route has one.
func (c *comparison) rewritten() (string, bool) {
	if c.route == nil || c.route.Rewrite == nil {
		return "", false
	}
	path, _ := c.q.cut()
	if form, verdict := c.path.Rules().Append(nil, []byte(path)); verdict != pathform.Same {
		path = string(form)
	}
	switch w := c.route.Rewrite; {
	case w.PathRegex != "":
		s, err := pathtemplate.ParseSubstitution(w.PathRegex, w.Substitution)
		return string(s.Apply([]byte(path))), err == nil
	case w.PathTemplate != "":
		t, err := pathtemplate.Parse(c.route.Match.PathTemplate)
		if err != nil {
			return "", false
		}
		to, err := t.Rewrite(w.PathTemplate)
		return string(to.Apply([]byte(path))), err == nil
	}
	return "", false
}

// grpcKind is a content type that both take for gRPC's.
var grpcKind = regexp.MustCompile(`^application/grpc(\+.*)?$`)

// escape is the escape of a byte in a path.
var escape = regexp.MustCompile("%[0-9a-fA-F]{2}")

// cut returns the path of the target, and the rest.
func (q *request) cut() (path, rest string) {
	path, query, asked := strings.Cut(q.target, "?")
	if asked {
		query = "?" + query
	}
	return path, query
}

// at is the request with another target.
func (q *request) at(target string) request {
	r := q.clone()
	r.target = target
	return r
}

// joined is the request with one line a field, if it is another.
func (q *request) joined() (request, bool) {
	all := q.clone()
	all.fields = nil
	for _, f := range q.fields {
		name, value, _ := strings.Cut(f, ": ")
		at := slices.IndexFunc(all.fields, func(f string) bool { return nameOf(f) == name })
		if at < 0 {
			all.fields = append(all.fields, f)
			continue
		}
		all.fields[at] += "," + value
	}
	return all, len(all.fields) < len(q.fields)
}

func (q *request) clone() request {
	r := *q
	r.fields = slices.Clone(q.fields)
	return r
}

func (q *request) field(name string) string {
	for _, f := range q.fields {
		if nameOf(f) == name {
			_, value, _ := strings.Cut(f, ": ")
			return value
		}
	}
	return ""
}
