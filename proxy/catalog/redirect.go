package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hopscope/hopscope/proxy/message"
)

// Redirect is where clients are sent, in the place of an endpoint.
type Redirect struct {
	Status int // 301, 302, 303, 307 or 308
	Scheme string
	Host   string // with the port, if there is one; empty is the request's own
	// Path is the whole path, with a query if it has one. With Appends it is put in front
	// of the request's path, which keeps its query; Strip is taken from the request's
	// path before that.
	Path    string
	Appends bool
	Strip   string
}

// ParseRedirect reads a redirect in Fabio's form: 301,https://www.example.com$path. "$path"
// at the end stands for the path of the request and its query, without strip at its front,
// and "$host" for its host.
func ParseRedirect(text, strip string) (*Redirect, error) {
	code, target, ok := strings.Cut(text, ",")
	status, err := strconv.Atoi(code)
	if !ok || err != nil || !slices.Contains([]int{301, 302, 303, 307, 308}, status) {
		return nil, fmt.Errorf("%q is no redirect: write 301,https://www.example.com$path, with 301, 302, 303, 307 or 308", text)
	}
	scheme, rest, ok := strings.Cut(target, "://")
	if !ok || scheme != "http" && scheme != "https" {
		return nil, fmt.Errorf("%q is no URL of http or https", target)
	}
	r := &Redirect{Status: status, Scheme: scheme, Strip: strip}
	rest, r.Appends = strings.CutSuffix(rest, "$path")
	host, path, slash := strings.Cut(rest, "/")
	if slash {
		path = "/" + path
	}
	if r.Path = path; host != "$host" {
		r.Host = host
	}
	name, port := message.SplitPort(r.Host)
	switch {
	case strings.Contains(r.Host+r.Path, "$"):
		return nil, errors.New("only $host for the whole host, and $path at the end, stand for something")
	case host == "" || strings.HasSuffix(host, ":"):
		return nil, fmt.Errorf("%q has no host, or no port", target)
	case strings.Contains(r.Path, "?") && r.Appends:
		return nil, errors.New("a query can't come before $path")
	case strings.Contains(target, "#"):
		return nil, errors.New("a fragment can't be kept apart from the query of a request: leave it out")
	case strings.Trim(port, "0123456789") != "":
		return nil, fmt.Errorf("%q is no port", port)
	}
	if r.Host != "" {
		if err := checkHost(normal(name)); err != nil {
			return nil, err
		}
	}
	if r.Appends {
		r.Path = strings.TrimSuffix(r.Path, "/")
	} else if r.Path == "" {
		r.Path = "/"
	}
	path, query, _ := strings.Cut(r.Path, "?")
	return r, errors.Join(checkPath(path), checkPath(strings.ReplaceAll(query, "?", "")))
}
