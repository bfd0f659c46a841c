package config

import (
	"strings"

	"github.com/hopscope/hopscope/proxy/pathtemplate"
)

// Rewrite says what the endpoint is asked for in place of what the client asks for. The
// query stays. Where the path is rewritten, the request has the one that it came with, and
// its query, in x-envoy-original-path; where the host is, that in x-envoy-original-host.
type Rewrite struct {
	// PathPrefix takes the place of what the match has of the path: its path_prefix or
	// path_segments, or the whole path if it is matched as a whole.
	PathPrefix string `yaml:"path_prefix" format:"path"`
	// PathRegex is a regular expression (RE2) for parts of the path, each of which is replaced
	// by substitution.
	PathRegex string `yaml:"path_regex" format:"regex"`
	// Substitution is what path_regex is replaced by; \1 stands for its first group. Without
	// it the parts are removed.
	Substitution string `yaml:"substitution"`
	// PathTemplate is the path, in which {id} stands for what the variable has in the
	// path_template of the match.
	PathTemplate string `yaml:"path_template"`
	// Host is the Host field: a name, or "endpoint" for the endpoint's own address.
	Host string `yaml:"host" format:"authority"`
	// HostFromHeader is a field of the request whose value becomes the Host field. If it is
	// absent, or no host, the Host field stays.
	HostFromHeader string `yaml:"host_from_header" format:"field"`
	// Location takes the rewrite back in the field Location of responses. If it leads to the
	// host that the endpoint was asked for, or to its address, it gets the host and the scheme
	// that the client asked for; and if its path begins with path_prefix, it gets what that
	// took the place of. Others stay.
	Location bool `yaml:"location" default:"false"`
	// Cookies does the same for the attributes Domain and Path of the field Set-Cookie. If the
	// client asked for an IP address, or for a name without a dot, Domain is left out.
	Cookies bool `yaml:"cookies" default:"false"`
}

// atMostOne reports the second of several keys that do not go together.
func (v validator) atMostOne(p *place, choices ...choice) {
	first := ""
	var names []string
	for _, c := range choices {
		names = append(names, c.name)
	}
	for _, c := range choices {
		switch {
		case !c.given:
		case first == "":
			first = c.name
		default:
			v.errs.add(p.key(c.name), "does not go with %s: expected at most one of the keys %s", first, strings.Join(names, ", "))
			return
		}
	}
}

// rewrite checks what spans the keys of a rewrite.
func (v validator) rewrite(p *place, r *Route) {
	w := r.Rewrite
	if w == nil {
		return
	}
	v.atMostOne(p, choice{"path_prefix", w.PathPrefix != ""}, choice{"path_regex", w.PathRegex != ""}, choice{"path_template", w.PathTemplate != ""})
	v.atMostOne(p, choice{"host", w.Host != ""}, choice{"host_from_header", w.HostFromHeader != ""})
	v.substitution(p, w.PathRegex, w.Substitution)
	if r.Host != "" && w.Host+w.HostFromHeader != "" {
		v.errs.add(p, "its host does not go with the host of the route; remove one of them")
	}
	if w.PathTemplate == "" {
		return
	}
	at := p.key("path_template")
	if r.Match.PathTemplate == "" {
		v.errs.add(at, "has no effect without path_template in the match, whose variables it has")
		return
	}
	t, err := pathtemplate.Parse(r.Match.PathTemplate)
	if err != nil {
		return // reported
	}
	if _, err := t.Rewrite(w.PathTemplate); err != nil {
		v.errs.add(at, "expected a path with variables of the match such as /items/{id}, found %q: %v", clip(w.PathTemplate), err)
	}
}
