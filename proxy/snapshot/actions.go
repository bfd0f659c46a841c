package snapshot

import (
	"cmp"
	"maps"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/forward"
	"github.com/hopscope/hopscope/proxy/pathtemplate"
	"github.com/hopscope/hopscope/proxy/resources"
)

// ownAction is what the proxy itself answers the requests of a route with, nil where they
// go to a cluster.
func ownAction(r *resources.Route) forward.Action {
	switch {
	case r.Redirect != nil:
		return redirect(r.Redirect, &r.Match.Conditions)
	case r.Answer != nil:
		return answer(r.Answer, r.Content)
	}
	return nil
}

func redirect(c *config.Redirect, match *config.Conditions) *forward.Redirect {
	a := &forward.Redirect{
		Status: c.Code, Scheme: c.Scheme, Host: c.Host, Port: c.Port, Target: c.Path, StripQuery: c.StripQuery,
		Regex: substitution(c.PathRegex, c.Substitution),
	}
	if c.PathPrefix != "" {
		a.Prefix = &forward.Prefix{Length: matched(match), With: c.PathPrefix}
	}
	return a
}

// rewrite makes an action change path and host as a route says.
func rewrite(a *forward.Forward, c *config.Rewrite, match *config.Conditions) {
	if c.Host != "" {
		a.Host = c.Host
	}
	a.HostFrom, a.KeepHost = c.HostFromHeader, c.Host+c.HostFromHeader != ""
	if c.Location || c.Cookies {
		a.Undo = &forward.Undo{Location: c.Location, Cookies: c.Cookies}
		if n := matched(match); c.PathPrefix != "" && n >= 0 {
			a.Undo.From, a.Undo.To = cmp.Or(match.PathSegments, match.PathPrefix), c.PathPrefix
		}
	}
	switch {
	case c.PathPrefix != "":
		a.Rewrite = &forward.Rewrite{Prefix: &forward.Prefix{Length: matched(match), With: c.PathPrefix}}
	case c.PathRegex != "":
		a.Rewrite = &forward.Rewrite{Regex: substitution(c.PathRegex, c.Substitution)}
	case c.PathTemplate != "":
		if t, err := pathtemplate.Parse(match.PathTemplate); err == nil { // it is valid
			if to, err := t.Rewrite(c.PathTemplate); err == nil {
				a.Rewrite = &forward.Rewrite{Template: to}
			}
		}
	}
}

func substitution(regex, with string) *pathtemplate.Substitution {
	if regex == "" {
		return nil
	}
	s, _ := pathtemplate.ParseSubstitution(regex, with) // it is valid
	return s
}

// matched is how many bytes of a path a match is about, -1 for all of it.
func matched(m *config.Conditions) int {
	switch {
	case m.Path != "" || m.PathRegex != "" || m.PathTemplate != "":
		return -1
	case m.PathSegments != "":
		return len(m.PathSegments)
	}
	return len(m.PathPrefix)
}

// answer makes a response of the proxy's own.
func answer(c *config.Answer, content string) *forward.Answer {
	a := &forward.Answer{Status: c.Status, Body: []byte{}}
	kind := ""
	switch {
	case c.Body != "":
		a.Body, kind = []byte(c.Body), "text/plain; charset=utf-8"
	case c.JSON != "":
		a.Body, kind = []byte(c.JSON), "application/json"
	case c.File != "":
		a.Body = []byte(content)
		if kind = mime.TypeByExtension(path.Ext(c.File)); kind == "" {
			kind = http.DetectContentType(a.Body)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		if strings.EqualFold(name, "content-type") {
			kind = ""
		}
		a.Fields = append(a.Fields, fault.Field{Name: strings.ToLower(name), Value: c.Headers[name]})
	}
	if kind != "" {
		a.Fields = append(a.Fields, fault.Field{Name: "content-type", Value: kind})
	}
	return a
}
