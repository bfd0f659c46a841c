package config

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// CORS lets pages of other origins read a route's responses. The proxy answers preflights
// itself: they match a route by the method that they ask for. Where an origin is allowed,
// responses, the proxy's own errors too, have the fields that browsers ask for, in place of
// the endpoint's; where it is not, they have none, and the browser keeps the page from
// reading them.
type CORS struct {
	// AllowOrigins are the origins: exact ones such as https://shop.example.com,
	// expressions in RE2 that match the whole origin such as
	// "regex:https://.*\\.example\\.com", or "*" for all.
	AllowOrigins []string `yaml:"allow_origins" required:"true" format:"origin"`
	// AllowMethods are the methods that pages may use. Browsers allow GET, HEAD and POST
	// in any case.
	AllowMethods []string `yaml:"allow_methods" format:"method"`
	// AllowHeaders are the fields that pages may send; "*" is all but authorization.
	AllowHeaders []string `yaml:"allow_headers" format:"field"`
	// ExposeHeaders are the fields of responses that pages may read.
	ExposeHeaders []string `yaml:"expose_headers" format:"field"`
	// MaxAge is how long browsers may remember the answer to a preflight. With 0 they are
	// not told, and take 5 s.
	MaxAge time.Duration `yaml:"max_age" default:"0s" min:"0"`
	// AllowCredentials lets pages send cookies, and read what comes back. It is refused
	// with "*" among the origins, where every page on the web could act as the user.
	AllowCredentials bool `yaml:"allow_credentials" default:"false"`
}

// OriginPattern compiles an expression of [CORS]; ok is false for an exact origin.
func OriginPattern(origin string) (re *regexp.Regexp, ok bool, err error) {
	text, ok := strings.CutPrefix(origin, "regex:")
	if !ok {
		return nil, false, nil
	}
	re, err = regexp.Compile("^(?:" + text + ")$")
	return re, true, err
}

// checkOrigin checks an origin as browsers send it (RFC 6454 section 6.2).
func checkOrigin(s string) error {
	if _, ok, err := OriginPattern(s); ok || s == "*" || s == "null" {
		return err
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme == "" || u.Host == "":
		return errors.New("an origin is a scheme, a host and, unless it is the scheme's own, a port")
	case u.User != nil:
		return errors.New("a user or a password has no place in it")
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "":
		return errors.New("an origin ends with the host or the port")
	case s != strings.ToLower(s):
		return errors.New("browsers send origins in lower case")
	case u.Scheme == "http" && u.Port() == "80", u.Scheme == "https" && u.Port() == "443":
		return errors.New("browsers leave out the port that is the scheme's own")
	}
	return nil
}

// suggestOrigin knows the URL of a page.
func suggestOrigin(s string) string {
	u, err := url.Parse(strings.ToLower(s))
	if err != nil || u.Host == "" {
		return ""
	}
	origin := u.Scheme + "://" + u.Host
	switch u.Scheme {
	case "http":
		origin = strings.TrimSuffix(origin, ":80")
	case "https":
		origin = strings.TrimSuffix(origin, ":443")
	}
	if origin == s || checkOrigin(origin) != nil {
		return ""
	}
	return origin
}

// cors checks what spans the keys of cors.
func (v validator) cors(p *place, c *CORS) {
	if c != nil && c.AllowCredentials && slices.Contains(c.AllowOrigins, "*") {
		v.errs.add(p.key("allow_credentials"), `with "*" among allow_origins every page on the web could act as the user; list the origins, or remove the key`)
	}
}
