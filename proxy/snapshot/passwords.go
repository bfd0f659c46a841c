package snapshot

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/filter/basicauth"
	"github.com/hopscope/hopscope/proxy/htpasswd"
	"github.com/hopscope/hopscope/proxy/resources"
)

// userFiles reads files with users, each once.
type userFiles map[string]*htpasswd.Users

// read returns a policy with the users of its file.
func (f userFiles) read(b *config.BasicAuth) (*config.BasicAuth, error) {
	users, ok := f[b.File]
	if !ok {
		content, err := readStart(b.File, htpasswd.MaxFile+1)
		if err == nil {
			users, err = htpasswd.Parse(content)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.File, err)
		}
		f[b.File] = users
	}
	return b.WithUsers(users), nil
}

// routes reads the users of a listener's routes.
func (f userFiles) routes(t *resources.RouteTable) error {
	var mistakes []error
	for i := range t.Routes {
		p := &t.Routes[i].Policies
		if p.BasicAuth == nil {
			continue
		}
		with, err := f.read(p.BasicAuth)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("routes[%d].basic_auth: %w", i, err))
		}
		p.BasicAuth = with
	}
	return errors.Join(mistakes...)
}

// catalog reads the users that tags of the catalog may ask for.
func (f userFiles) catalog(s *resources.Set) error {
	var mistakes []error
	for _, name := range slices.Sorted(maps.Keys(s.Auth)) {
		with, err := f.read(s.Auth[name])
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("catalog.auth.%s: %w", name, err))
		}
		s.Auth[name] = with
	}
	return errors.Join(mistakes...)
}

// basicAuthFilter asks for passwords; nil where a route asks for none.
func basicAuthFilter(p *config.RoutePolicies, v *basicauth.Verifier) filter.Filter {
	b := p.BasicAuth
	if b == nil {
		return nil
	}
	return basicauth.New(basicauth.Options{Users: b.Users(), Realm: b.Realm, UsernameField: b.UsernameHeader, Forward: b.Forward}, v)
}
