package config

import "github.com/hopscope/hopscope/proxy/pathform"

// Path says in which form the paths of a listener's requests are matched and sent on, so
// that no other way to write a path leads past a route: /x/../admin, //admin and /%61dmin
// are /admin. The names and meanings are those of Envoy's connection manager. Views have the
// path as the client sent it, and rewritten_path. Parameters of a segment stay: /admin;x is
// not /admin.
type Path struct {
	// Normalize makes one form of all that mean the same by RFC 3986 section 6.2.2: escapes of
	// letters, digits, "-", ".", "_" and "~" are decoded, those of other characters have
	// upper case digits, and the segments "." and ".." are removed. A backslash becomes a
	// slash. %00, and a "." or ".." with parameters, such as "..;a", are refused with 400.
	Normalize bool `yaml:"normalize" default:"true"`
	// MergeSlashes makes one slash of several in a row. It is false for a listener of
	// direction "outbound" that does not set it: what the service asks of others may depend
	// on them.
	MergeSlashes bool `yaml:"merge_slashes" default:"true"`
	// EscapedSlashes is what happens to a path with %2F or %5C, the escapes of a slash and a
	// backslash, which some servers take for slashes and others do not. "reject" answers
	// with 400. "keep" leaves them as they are. "unescape" makes slashes of them before
	// the rest is done. "redirect" does the same, and sends the client to the new path
	// (307); a gRPC call is refused. It is "keep" for a listener of direction "outbound" that
	// does not set it.
	EscapedSlashes string `yaml:"escaped_slashes" default:"reject" enum:"keep,reject,unescape,redirect"`
}

// Rules are the rules that the settings stand for.
func (p *Path) Rules() pathform.Rules {
	return pathform.Rules{Normalize: p.Normalize, MergeSlashes: p.MergeSlashes, EscapedSlashes: pathform.EscapedOf(p.EscapedSlashes)}
}

// OutboundPath returns the defaults of a listener of direction "outbound".
func OutboundPath() Path {
	p := withDefaults[Path]()
	p.MergeSlashes, p.EscapedSlashes = false, "keep"
	return p
}

// settlePaths gives listeners of direction "outbound" the defaults that are theirs.
func settlePaths(root *place, c *Config) {
	for i := range c.Listeners {
		l, p := &c.Listeners[i], root.key("listeners").item(i).key("path")
		if l.Direction != "outbound" {
			continue
		}
		if !p.key("merge_slashes").written {
			l.Path.MergeSlashes = OutboundPath().MergeSlashes
		}
		if !p.key("escaped_slashes").written {
			l.Path.EscapedSlashes = OutboundPath().EscapedSlashes
		}
	}
}

// paths checks that the paths that the routes of a listener ask for can be those of a
// request.
func (v validator) paths(p *place, l *Listener) {
	if l.Path.EscapedSlashes == "" || p.key("path").broken() {
		return
	}
	rules := l.Path.Rules()
	for i := range l.Routes {
		m := &l.Routes[i].Match
		v.normal(p.key("routes").item(i).key("match"), rules, &m.Conditions)
		if m.Not != nil {
			v.normal(p.key("routes").item(i).key("match").key("not"), rules, m.Not)
		}
	}
}

// normal checks the paths of a match. Of a prefix the last segment may go on.
func (v validator) normal(p *place, rules pathform.Rules, c *Conditions) {
	for _, k := range []struct{ name, path, more string }{{"path", c.Path, ""}, {"path_prefix", c.PathPrefix, "x"}, {"path_segments", c.PathSegments, ""}} {
		if k.path == "" || k.path[0] != '/' || p.key(k.name).failed {
			continue
		}
		form, verdict := rules.Append(nil, []byte(k.path+k.more))
		switch at := p.key(k.name); {
		case verdict == pathform.Slash:
			v.errs.add(at, `no request has the path %q: %s; set path.escaped_slashes of the listener to "keep"`, clip(k.path), verdict.Reason())
		case verdict.Reason() != "":
			v.errs.add(at, "no request has the path %q: %s", clip(k.path), verdict.Reason())
		case verdict != pathform.Same:
			v.errs.add(at, "no request has the path %q, as the listener normalizes paths; write %q", clip(k.path), clip(string(form[:len(form)-len(k.more)])))
		}
	}
}
