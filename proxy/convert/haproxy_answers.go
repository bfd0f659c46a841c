package convert

import (
	"net/url"
	"strings"

	"github.com/hopscope/hopscope/proxy/config"
)

// haRedirect converts the arguments of a redirect.
func haRedirect(args []string) (*config.Redirect, error) {
	if len(args) < 2 {
		return nil, errorf("a redirect needs a target")
	}
	r := config.NewRedirect()
	r.Code = 302
	kind, to := args[0], args[1]
	for i := 2; i < len(args); i++ {
		switch args[i] {
		case "code":
			if i++; i < len(args) {
				r.Code = number(args[i])
			}
		case "drop-query":
			r.StripQuery = true
		case "ignore-empty":
		default:
			return nil, errorf("%q of a redirect can't be said", args[i])
		}
	}
	switch kind {
	case "scheme":
		r.Scheme = to
	case "prefix":
		return r, redirectPrefix(r, to)
	case "location":
		return r, redirectLocation(r, to)
	default:
		return nil, errorf("%q of a redirect can't be said", kind)
	}
	if strings.Contains(r.Scheme, "%") {
		return nil, errorf("hopscope's redirects have no format strings")
	}
	return r, nil
}

// cutFormat cuts the sample expressions that stand for the request's own host, or for its
// own target.
func cutFormat(text string, samples ...string) (rest string, ok bool) {
	for _, s := range samples {
		if rest, ok := strings.CutSuffix(text, "%["+s+"]"); ok {
			return rest, true
		}
	}
	return text, false
}

func redirectPrefix(r *config.Redirect, to string) error {
	if to == "/" || to == "" {
		return nil
	}
	if strings.HasPrefix(to, "/") {
		if strings.Contains(to, "%") {
			return errorf("hopscope's redirects have no format strings")
		}
		r.PathRegex, r.Substitution = "^(.*)$", quoteSubstitution(to)+`\1`
		return nil
	}
	u, path, err := redirectTarget(to)
	if err != nil {
		return err
	}
	r.Scheme, r.Host = u.Scheme, u.Host
	if path = strings.TrimSuffix(path, "/"); path != "" {
		r.PathRegex, r.Substitution = "^(.*)$", quoteSubstitution(path)+`\1`
	}
	return nil
}

// redirectTarget reads an absolute URL, whose host may be the request's.
func redirectTarget(to string) (u url.URL, path string, err error) {
	scheme, rest, ok := strings.Cut(to, "://")
	if !ok {
		return u, "", errorf("%q is no URL", to)
	}
	host, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	host = strings.NewReplacer("%[hdr(host)]", "", "%[req.hdr(host)]", "", "%[req.hdr(Host)]", "", "%[hdr(Host)]", "").Replace(host)
	if strings.Contains(scheme+host+path, "%[") {
		return u, "", errorf("hopscope's redirects have no format strings, but for the request's own host and path")
	}
	if strings.HasPrefix(host, "www.") && host == "www." {
		return u, "", errorf("a redirect can't put something in front of the request's host")
	}
	return url.URL{Scheme: scheme, Host: host}, path, nil
}

func redirectLocation(r *config.Redirect, to string) error {
	if rest, ok := cutFormat(to, "capture.req.uri", "path", "url", "pathq"); ok { // the rest is a prefix
		if strings.HasSuffix(to, "%[path]") {
			r.StripQuery = true
		}
		return redirectPrefix(r, rest)
	}
	path := to
	if !strings.HasPrefix(to, "/") {
		u, p, err := redirectTarget(to)
		if err != nil {
			return err
		}
		r.Scheme, r.Host, path = u.Scheme, u.Host, p
		if path == "" {
			path = "/"
		}
	} else if strings.Contains(to, "%[") {
		return errorf("hopscope's redirects have no format strings")
	}
	r.Path = path
	r.StripQuery = !strings.Contains(path, "?")
	return nil
}

// haAnswer converts the arguments of an answer.
func haAnswer(args []string, status int) (*config.Answer, error) {
	a := config.NewAnswer()
	a.Status = status
	kind := ""
	for i := 0; i < len(args); i++ {
		value := ""
		if i+1 < len(args) {
			value = args[i+1]
		}
		switch args[i] {
		case "status", "deny_status":
			a.Status = number(value)
		case "content-type":
			kind = value
		case "string":
			a.Body = value
		case "lf-string":
			if strings.Contains(value, "%") {
				return nil, errorf("hopscope's answers have no format strings")
			}
			a.Body = value
		case "file":
			a.File = value
		case "hdr":
			if i+2 >= len(args) || strings.Contains(args[i+2], "%") {
				return nil, errorf("hopscope's answers have no format strings")
			}
			a.Headers[strings.ToLower(value)] = args[i+2]
			i++
		case "default-errorfiles":
			i--
		default:
			return nil, errorf("%q of an answer can't be said", args[i])
		}
		i++
	}
	if kind != "" && a.Body+a.File != "" {
		a.Headers["content-type"] = kind
	}
	return a, nil
}
