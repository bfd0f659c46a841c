package snapshot

import (
	"maps"
	"slices"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/pathtemplate"
	"github.com/hopscope/hopscope/proxy/resources"
	"github.com/hopscope/hopscope/proxy/route"
	"github.com/hopscope/hopscope/proxy/tlsconf"
)

// compile makes the table of routes that requests are matched against.
func compile(routes []resources.Route) *route.Table { return route.Compile(matchesOf(routes)) }

// matchesOf compiles what routes ask of requests.
func matchesOf(routes []resources.Route) []route.Match {
	matches := make([]route.Match, len(routes))
	for i := range routes {
		m := &routes[i].Match
		matches[i] = conditions(&m.Conditions)
		matches[i].Preflights = routes[i].Policies.CORS != nil
		if m.Percent != 100 {
			matches[i].Share = route.Percent(m.Percent)
		}
		if m.Not != nil {
			not := conditions(m.Not)
			matches[i].Not = &not
		}
	}
	return matches
}

// conditions compiles what a valid configuration asks requests for.
func conditions(c *config.Conditions) route.Match {
	m := route.Match{
		Path: c.Path, PathPrefix: c.PathPrefix, PathSegments: c.PathSegments, PathRegex: regexOf(c.PathRegex),
		Hosts: c.Hosts, Methods: c.Methods, Clients: c.Clients,
		Headers: valuesOf(c.Headers), Query: valuesOf(c.Query), Cookies: valuesOf(c.Cookies),
	}
	if c.PathTemplate != "" {
		m.PathTemplate, _ = pathtemplate.Parse(c.PathTemplate)
	}
	if len(c.Identities) > 0 {
		names, _ := tlsconf.ParseNames(c.Identities)
		m.Identities = names.Has
	}
	if c.GRPC != nil {
		m.GRPC = &route.Call{Service: c.GRPC.Service, Method: c.GRPC.Method}
	}
	return m
}

func regexOf(text string) *route.Regex {
	if text == "" {
		return nil
	}
	r, _ := route.ParseRegex(text)
	return r
}

func valuesOf(all map[string]config.ValueMatch) (values []route.Value) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m := all[name]
		text := &m.Text
		if m.Not != nil {
			text = m.Not
		}
		v := route.Value{
			Name: name, Exact: text.Exact, Prefix: text.Prefix, Suffix: text.Suffix, Contains: text.Contains,
			Regex: regexOf(text.Regex), FoldCase: text.IgnoreCase, Present: m.Present, Absent: m.Absent, Not: m.Not != nil,
		}
		if len(text.Range) == 2 {
			v.Range = &[2]int64{int64(text.Range[0]), int64(text.Range[1])}
		}
		values = append(values, v)
	}
	return values
}
