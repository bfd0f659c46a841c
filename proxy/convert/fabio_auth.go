package convert

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/catalog"
	"github.com/hopscope/hopscope/proxy/config"
)

// auth reads a line of fabio.properties: proxy.auth = name=staff;type=basic;file=a;realm=b, with
// commas between several.
func (f *fabio) auth(line int, text string) error {
	_, value, ok := strings.Cut(text, "=")
	if !ok {
		return errorf("expected proxy.auth = name=NAME;type=basic;file=FILE")
	}
	for scheme := range strings.SplitSeq(value, ",") {
		o := map[string]string{}
		for option := range strings.SplitSeq(scheme, ";") {
			k, v, _ := strings.Cut(option, "=")
			o[strings.TrimSpace(k)] = strings.Trim(strings.TrimSpace(v), `"`)
		}
		switch {
		case o["name"] == "":
			return errorf("proxy.auth needs a name, as in name=staff;type=basic;file=staff.htpasswd")
		case o["type"] != "basic":
			f.left(line, text, "of proxy.auth, only type=basic can be said; what asks for %s is closed", o["name"])
			continue
		}
		b := config.NewBasicAuth(o["file"])
		b.Realm = cmp.Or(o["realm"], o["name"])
		if err := f.asks(o["name"], b); err != nil {
			f.left(line, text, "%v; what asks for %s is closed", err, o["name"])
			continue
		}
		f.differs(line, text, "passwords in plain text in %s are refused: hash them with htpasswd -B. It is read again whenever it changes", b.File)
		f.known[o["name"]] = b
	}
	return nil
}

// asks reports what keeps hopscope from asking for passwords so.
func (f *fabio) asks(name string, b *config.BasicAuth) error {
	c := config.New()
	c.Catalog.Auth = map[string]config.BasicAuth{name: *b}
	l := config.NewListener("in", ":80")
	l.Catalog = "consul"
	c.Listeners = []config.Listener{l}
	return firstMistake(c.Validate())
}

// protected has a route ask for passwords if its targets say so; false if it can't, and
// answers 501.
func (f *fabio) protected(l *config.Listener, r *config.Route, t *fabioTarget) bool {
	name := t.options["auth"]
	if name == "" {
		return true
	}
	if r.BasicAuth = f.known[name]; r.BasicAuth == nil {
		f.left(t.line, t.text, "auth: there is no line proxy.auth = name=%s;type=basic;file=FILE; its requests are answered with 501, so that nothing is open by mistake", name)
		f.draft.add(l, refusal(r.Match, f.file, t.line), t.origin())
	}
	return r.BasicAuth != nil
}

// inCatalog checks the tags, which stay in Consul's catalog, and takes over who they ask for.
func (f *fabio) inCatalog() {
	if len(f.tags) == 0 {
		return
	}
	for name, b := range f.known {
		if f.Catalog.Auth == nil {
			f.Catalog.Auth = map[string]config.BasicAuth{}
		}
		f.Catalog.Auth[name] = *b
	}
	for _, tag := range f.tags {
		instance := catalog.Instance{Endpoint: discovery.Endpoint{Address: "127.0.0.1:1", Weight: 1}, Tags: []string{tag.what}}
		plan := catalog.Compile([]catalog.Service{{Name: "service", Instances: []catalog.Instance{instance}}}, catalog.Options{Auth: slices.Collect(maps.Keys(f.known))})
		for _, p := range plan.Problems {
			if p.Tag != "" {
				f.left(tag.line, tag.what, "%s", p.Why)
			}
		}
	}
}
