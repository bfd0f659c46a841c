package envoy_test

import (
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/pathtemplate"
)

// ownFields are those that either proxy adds to requests about itself, the client, the
// trace or the framing. What is in them is no matter of routes.
var ownFields = []string{
	"x-forwarded-for", "x-forwarded-proto", "x-request-id", "x-envoy-expected-rq-timeout-ms", "x-envoy-attempt-count", "traceparent", "tracestate", "grpc-timeout",
	"content-length",
}

// comparison is a request that the proxies do not treat alike.
type comparison struct {
	q         request
	want, got outcome
	route     *config.Route // that one of them took, if it leads to a cluster
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
		"what is a gRPC call",
		"To Envoy it is what has the content type application/grpc or application/grpc+NAME. hopscope asks for POST, too, as gRPC does, takes parameters " +
			"behind the type, and answers gRPC-Web with a status of gRPC.",
		func(c *comparison) bool {
			kind := c.q.field("content-type")
			if !strings.HasPrefix(kind, "application/grpc") || c.q.method == "POST" && !strings.Contains(kind, ";") && !strings.Contains(kind, "-web") {
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
			return message.BadHost([]byte(c.q.field(c.route.Rewrite.HostFromHeader))) != ""
		},
	},
	{
		"a malformed request that says that it is a gRPC call",
		"Envoy answers 200 with a status of gRPC, hopscope 400: what is malformed is no call.",
		func(c *comparison) bool { return c.want.GRPC == "13" && c.got.Status == 400 },
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
	path, _, _ := strings.Cut(c.q.target, "?")
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
