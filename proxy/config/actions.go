package config

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/hopscope/hopscope/proxy/pathtemplate"
)

// Redirect sends the client to another URL: the one that it asked for, with these parts
// replaced.
type Redirect struct {
	// Scheme is the scheme. Without a port here, a port that is the default of http or https
	// is left out if the scheme changes to the other.
	Scheme string `yaml:"scheme" format:"scheme"`
	// Host is the host, with or without a port.
	Host string `yaml:"host" format:"authority"`
	// Port is the port; 0 is that of the request, or none if there is a host here.
	Port int `yaml:"port" default:"0" min:"0" max:"65535"`
	// Path is the whole path. If it has a query, that takes the place of the request's.
	Path string `yaml:"path" format:"target"`
	// PathPrefix takes the place of what the match has of the path: its path_prefix or
	// path_segments, or the whole path if it is matched as a whole.
	PathPrefix string `yaml:"path_prefix" format:"path"`
	// PathRegex is a regular expression (RE2) for parts of the path, each of which is replaced
	// by substitution.
	PathRegex string `yaml:"path_regex" format:"regex"`
	// Substitution is what path_regex is replaced by; \1 stands for its first group. Without
	// it the parts are removed.
	Substitution string `yaml:"substitution"`
	// StripQuery leaves the query of the request out.
	StripQuery bool `yaml:"strip_query" default:"false"`
	// Code is the status: 301, 302, 303, 307 or 308. With 301 and 302 a client may ask by GET
	// whatever its request was, with 303 it does, with 307 and 308 it asks as before.
	Code int `yaml:"code" default:"301" min:"301" max:"308"`
}

// Answer is a response of the proxy's own. It has one of "body", "file" and "json", or no
// content.
type Answer struct {
	// Status is the status.
	Status int `yaml:"status" default:"200" min:"200" max:"599"`
	// Headers are its fields, by name. Content-Type is text/plain for a body,
	// application/json for JSON, and goes by the name of a file, unless it is among them.
	Headers map[string]string `yaml:"headers"`
	// Body is the content.
	Body string `yaml:"body" format:"text"`
	// File is the path of a file that holds the content, at most 1 MiB. It is read at the
	// start and at each reload.
	File string `yaml:"file" format:"file"`
	// JSON is the content, written as a mapping.
	JSON JSON `yaml:"json"`
}

// MaxAnswer is the size of the content of an [Answer], in bytes: it stays in memory.
const MaxAnswer = 1 << 20

// action checks that a route does one thing.
func (v validator) action(p *place, r *Route) {
	v.oneOf(p, choice{"cluster", r.Cluster != ""}, choice{"split", len(r.Split) > 0}, choice{"cluster_header", r.ClusterHeader != ""},
		choice{"redirect", r.Redirect != nil}, choice{"answer", r.Answer != nil})
	switch {
	case r.Redirect != nil:
		v.redirect(p.key("redirect"), r.Redirect)
	case r.Answer != nil:
		v.answer(p.key("answer"), r.Answer)
	default:
		return
	}
	for _, k := range []choice{{"timeout", p.key("timeout").written && r.Timeout != NewRoute("").Timeout}, {"retry", r.Retry != nil}, {"hedge", r.Hedge != nil}, {"priority", r.Priority == "high"},
		{"subset", len(r.Subset) > 0}, {"stateful_session", r.StatefulSession != nil}, {"host", r.Host != ""}, {"rewrite", r.Rewrite != nil}, {"internal_redirects", r.InternalRedirects != nil}, {"mirror", len(r.Mirror) > 0}, {"idle_timeout", r.IdleTimeout > 0},
		{"request_headers", r.RequestHeaders != nil}, {"sticky", r.Sticky != nil}, {"guard", r.Guard != nil}} {
		if k.given {
			v.errs.add(p.key(k.name), "has no effect, as the proxy itself answers the requests of this route; remove the key")
		}
	}
}

func (v validator) redirect(p *place, r *Redirect) {
	v.atMostOne(p, choice{"path", r.Path != ""}, choice{"path_prefix", r.PathPrefix != ""}, choice{"path_regex", r.PathRegex != ""})
	v.substitution(p, r.PathRegex, r.Substitution)
	if r.Path+r.PathPrefix+r.PathRegex+r.Scheme == "" && r.Host == "" && r.Port == 0 && !r.StripQuery && !p.broken() {
		v.errs.add(p, "it leads to where it comes from; expected one of the keys scheme, host, port, path, path_prefix, path_regex, strip_query")
	}
	v.redirectCode(p.key("code"), r.Code)
}

// substitution checks that what takes the place of an expression fits it.
func (v validator) substitution(p *place, regex, text string) {
	at := p.key("substitution")
	if regex == "" {
		if text != "" && !p.key("path_regex").written {
			v.errs.add(at, "has no effect without path_regex; add that, or remove the key")
		}
		return
	}
	if checkRegex(regex) != nil {
		return // reported
	}
	if strings.ContainsAny(text, " ?#") {
		v.errs.add(at, "expected what takes the place of path_regex, found %q: a path has no space, %q and %q", clip(text), "?", "#")
	} else if _, err := pathtemplate.ParseSubstitution(regex, text); err != nil {
		v.errs.add(at, "expected what takes the place of path_regex, found %q: %v", clip(text), err)
	}
}

func (v validator) answer(p *place, a *Answer) {
	contents := []choice{{"body", a.Body != ""}, {"file", a.File != ""}, {"json", a.JSON != ""}}
	v.atMostOne(p, contents...)
	for _, c := range contents {
		if c.given && (a.Status == 204 || a.Status == 205 || a.Status == 304) {
			v.errs.add(p.key(c.name), "a response of status %d has no content; remove the key", a.Status)
		}
	}
	if len(a.Body) > MaxAnswer {
		v.errs.add(p.key("body"), "expected at most %d bytes, found %d", MaxAnswer, len(a.Body))
	}
	v.fieldNames(p.key("headers"), a.Headers)
	for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
		if err := checkOwnField(name); err != nil {
			v.errs.add(p.key("headers").key(name), "%q can't be set: %v", clip(name), err)
		}
	}
}

// checkOwnField refuses fields that are the connection's, which the proxy writes itself.
func checkOwnField(name string) error {
	switch strings.ToLower(name) {
	case "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "content-length":
		return errors.New("it is about the connection or the framing, which the proxy itself sees to")
	}
	return nil
}

func checkScheme(s string) error {
	for _, r := range s {
		if r > unicode.MaxASCII || !unicode.IsLower(r) && !unicode.IsDigit(r) && !strings.ContainsRune("+-.", r) {
			return errors.New("RFC 3986 section 3.1 makes it of letters, digits, \"+\", \"-\" and \".\"; write it in lower case")
		}
	}
	if s[0] < 'a' {
		return errors.New("it begins with a letter")
	}
	return nil
}
