package config

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/hopscope/hopscope/proxy/header"
	"github.com/hopscope/hopscope/proxy/htpasswd"
)

// BasicAuth asks clients for a name and a password (RFC 7617). Whoever has none of the
// file's gets 401 with WWW-Authenticate, gRPC calls UNAUTHENTICATED (16). It comes before the
// limits of the route, and before anything of its content is read; a preflight of cors needs
// no password. Passwords are readable by all who see the connection: use it with TLS.
// Comparing one takes as long as its hash asks for, so few are compared at a time, and a
// right one is remembered for ten minutes. A request that finds too many before it gets 503
// with Retry-After.
type BasicAuth struct {
	// File has the users: NAME:HASH, a line each, as htpasswd -B writes it. Hashes are those of
	// bcrypt, APR1, crypt's MD5, SHA-256 and SHA-512, {SHA} and {SSHA}; passwords in plain text
	// are an error. It is read at the start and at each reload, and a configuration in a file
	// is reloaded when it changes. One with a mistake is not taken: the users before stay.
	File string `yaml:"file" required:"true" format:"file"`
	// Realm is what browsers say that the password is for.
	Realm string `yaml:"realm" default:"restricted" format:"realm"`
	// UsernameHeader is a field of the request that tells the endpoint the user's name, in
	// place of what the client says there. The default is none.
	UsernameHeader string `yaml:"username_header" format:"field"`
	// Forward sends the field Authorization on to the endpoint, with the password.
	Forward bool `yaml:"forward" default:"true"`

	users *htpasswd.Users // of the file
}

// NewBasicAuth returns a BasicAuth with every default in place.
func NewBasicAuth(file string) *BasicAuth {
	b := withDefaults[BasicAuth]()
	b.File = file
	return &b
}

// WithUsers returns a BasicAuth that has the users of its file. Whoever reads files sets
// them.
func (b *BasicAuth) WithUsers(u *htpasswd.Users) *BasicAuth {
	with := *b
	with.users = u
	return &with
}

// Users are those of the file; nil lets nobody in.
func (b *BasicAuth) Users() *htpasswd.Users { return b.users }

// basicAuth checks who is let in to a route.
func (v validator) basicAuth(p *place, b *BasicAuth) {
	if b == nil || p.broken() || b.UsernameHeader == "" || !isToken(b.UsernameHeader) {
		return
	}
	err := checkChangedField(header.Request, b.UsernameHeader)
	if err == nil && strings.EqualFold(b.UsernameHeader, "authorization") {
		err = errors.New("it has the password")
	}
	if err != nil {
		v.errs.add(p.key("username_header"), "%q can't be the field for a name: %v", clip(b.UsernameHeader), err)
	}
}

// catalogAuth checks who is asked for passwords by tags of the catalog.
func (v validator) catalogAuth(p *place) {
	for _, name := range slices.Sorted(maps.Keys(v.config.Catalog.Auth)) {
		b, at := v.config.Catalog.Auth[name], p.key(name)
		if strings.ContainsFunc(name, unicode.IsSpace) || name == "" {
			v.errs.add(at, "a tag names it, as in auth=staff: it has no spaces")
		}
		v.basicAuth(at, &b)
	}
}

// checkRealm checks what is sent in quotes (RFC 9110 section 5.6.4).
func checkRealm(s string) error {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		return errors.New("it is sent in quotes")
	}
	return nil
}

// userFiles are the files with users of a configuration, each once, in order.
func (c *Config) userFiles() (all []string) {
	for i := range c.Listeners {
		for j := range c.Listeners[i].Routes {
			if b := c.Listeners[i].Routes[j].BasicAuth; b != nil {
				all = append(all, b.File)
			}
		}
	}
	for _, b := range c.Catalog.Auth {
		all = append(all, b.File)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// users checks a file with users.
func (f fileChecker) users(p *place, b *BasicAuth) {
	if b == nil {
		return
	}
	content, ok := f.read(p.key("file"), b.File)
	if !ok {
		return
	}
	if _, err := htpasswd.Parse(content); err != nil {
		f.lines(p.key("file"), b.File, err)
	}
}
