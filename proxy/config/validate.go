package config

import (
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Validate checks a Config built in code by the same rules as Parse. It returns [Errors]
// with the paths of the wrong values.
func (c *Config) Validate() error {
	errs := &collector{}
	validate(errs, &place{}, c)
	return errs.err()
}

// validate checks each value by its key's tags, then the rules that span keys.
func validate(errs *collector, root *place, c *Config) {
	v := validator{errs: errs, config: c, root: root}
	v.value(root, key{typ: reflect.TypeFor[Config]()}, reflect.ValueOf(c).Elem())
	v.admin()
	v.mesh()
	v.listeners()
	v.clusters()
	v.catalogs()
	v.overload()
	v.traces()
	v.accessLogs()
}

type validator struct {
	errs   *collector
	config *Config
	root   *place
}

// value checks v and everything in it by the tags.
func (v validator) value(p *place, k key, val reflect.Value) {
	if p.failed {
		return // reported, and a default now
	}
	switch kindOf(k.typ) {
	case kindStruct:
		for _, child := range keysOf(k.typ) {
			v.value(p.key(child.name), child, val.FieldByIndex(child.index))
		}
	case kindPointer:
		if !val.IsNil() {
			k.typ = k.typ.Elem()
			v.value(p, k, val.Elem())
		}
	case kindList:
		v.list(p, k, val)
	case kindMap:
		v.mapping(p, k, val)
	case kindString:
		v.text(p, k, val.String())
	case kindInt:
		n := val.Int()
		if below, above := k.beyond(float64(n)); below || above {
			v.errs.add(p, "expected %s, found %d", k.expected(), n)
		}
	case kindFloat:
		f := val.Float()
		if below, above := k.beyond(f); below || above || f != f {
			v.errs.add(p, "expected %s, found %v", k.expected(), f)
		}
	case kindDuration:
		d := time.Duration(val.Int())
		if k.required && d == 0 && p.line > 0 && !p.written {
			v.missing(p, k)
			return
		}
		if least, err := time.ParseDuration(k.min); err == nil && d < least {
			v.errs.add(p, "expected a duration of at least %s, found %s", durationText(least), durationText(d))
		}
	case kindNetwork:
		network := val.Interface().(netip.Prefix)
		if !network.IsValid() {
			v.errs.add(p, "expected %s, found nothing", k.expected())
		} else if err := checkNetwork(network); err != nil {
			v.errs.add(p, "expected %s, found %q: %v", k.expected(), network, err)
		}
	}
}

// beyond compares a number with the key's limits.
func (k key) beyond(f float64) (below, above bool) {
	if least, err := strconv.ParseFloat(k.min, 64); err == nil {
		below = f < least
	}
	if most, err := strconv.ParseFloat(k.max, 64); err == nil {
		above = f > most
	}
	return below, above
}

func (v validator) list(p *place, k key, val reflect.Value) {
	if k.required && val.Len() == 0 {
		v.missing(p, k)
		return
	}
	elem := k.elem()
	seen := make(map[string]int)
	for i := range val.Len() {
		v.value(p.item(i), elem, val.Index(i))
		if kindOf(elem.typ) != kindString {
			continue
		}
		text := val.Index(i).String()
		if at, ok := seen[text]; ok {
			v.errs.add(p.item(i), "%s is listed twice; it is item %d as well", k.show(text), at)
		}
		seen[text] = i
	}
}

func (v validator) mapping(p *place, k key, val reflect.Value) {
	names := make([]string, 0, val.Len())
	for _, name := range val.MapKeys() {
		names = append(names, name.String())
	}
	slices.Sort(names)
	elem := k.elem()
	for _, name := range names {
		at := p.key(name)
		if f := formatOf("name"); name == "" {
			v.errs.add(at, "the name must not be empty")
		} else if err := f.check(name); err != nil {
			v.errs.add(at, "expected %s, found %q: %v", f.expected, clip(name), err)
		}
		v.value(at, elem, val.MapIndex(reflect.ValueOf(name)))
	}
}

// fieldNames checks the names of header fields.
func (v validator) fieldNames(p *place, headers map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if !isToken(name) {
			v.errs.add(p.key(name), "expected the name of a header field, found %q", clip(name))
		}
	}
}

// missing reports a required key that is absent or empty, once.
func (v validator) missing(p *place, k key) { v.lacks(p, "", k.expected()) }

// lacks is missing for a key that something else requires.
func (v validator) lacks(p *place, with, expected string) {
	if p.line > 0 && !p.written {
		v.errs.add(p, "required key is missing%s; expected %s", with, expected)
	} else {
		v.errs.add(p, "must not be empty%s; expected %s", with, expected)
	}
	p.failed = true
}

func (v validator) text(p *place, k key, s string) {
	if s == "" {
		// If empty is the default, an absent key is empty, too.
		if k.required || k.def != "" || p.written {
			v.missing(p, k)
		}
		return
	}
	if k.format == "log format" {
		s = strings.TrimSuffix(s, "\n") // as Envoy's format strings end
	}
	for _, r := range s {
		if k.format == "text" {
			break
		}
		if r < ' ' || r == 0x7f || r == '\u0085' || r == '\u2028' || r == '\u2029' {
			v.errs.add(p, "the control character %U is not allowed", r)
			return
		}
	}
	switch {
	case len(k.enum) > 0:
		if !slices.Contains(k.enum, s) {
			v.errs.add(p, "expected %s, found %s%s", k.expected(), k.show(s), v.errs.didYouMean(s, k.enum))
		}
	case slices.Contains(k.literals, s):
	case k.format != "":
		if err := formatOf(k.format).check(s); err != nil {
			near := ""
			if n := k.suggest(s); n != "" {
				near = "; did you mean " + strconv.Quote(n) + "?"
			}
			v.errs.add(p, "expected %s, found %s: %v%s", k.expected(), k.show(s), err, near)
		}
	case k.ref != "":
		v.reference(p, s)
	}
}

// reference checks the name of a cluster.
func (v validator) reference(p *place, name string) {
	clusters := v.config.Clusters
	if _, ok := clusters[name]; ok || v.root.key("clusters").broken() {
		return
	}
	near := "; there are no clusters"
	if len(clusters) > 0 {
		near = ""
		if !v.errs.full() {
			near = v.errs.didYouMean(name, slices.Sorted(maps.Keys(clusters)))
		}
	}
	v.errs.add(p, "there is no cluster %q%s", clip(name), near)
}

// listeners checks what spans the keys of listeners.
func (v validator) listeners() {
	list := v.root.key("listeners")
	names := make(map[string]int)
	bound := make(binder)
	bound.bind(v.config.Admin.Address, "admin.address")
	for i, l := range v.config.Listeners {
		p := list.item(i)
		if len(l.Routes) == 0 && l.ForwardProxy == nil && l.Catalog != "consul" &&
			!p.key("routes").failed && !p.key("forward_proxy").failed && !p.key("catalog").failed {
			v.errs.add(p, "the listener does nothing; expected routes, catalog or forward_proxy")
		}
		if first, ok := names[l.Name]; !ok {
			names[l.Name] = i
		} else if l.Name != "" {
			v.errs.add(p.key("name"), "%q is the name of listeners[%d] already", clip(l.Name), first)
		}
		address := p.key("address")
		if owner := bound.bind(l.Address, address.path()); owner != "" {
			v.errs.add(address, "%q can't be bound: %s takes it already", clip(l.Address), owner)
		}
		if l.TLS != nil {
			v.listenerTLS(p.key("tls"), l.TLS)
		}
		v.errorPages(p, &l)
		v.paths(p, &l)
		for j := range l.Routes {
			v.route(p.key("routes").item(j), &l.Routes[j])
			v.identities(p.key("routes").item(j).key("match").key("identities"), &l, &l.Routes[j].Match)
		}
	}
}

// maxErrorPages is how many error pages a listener may have: they stay in memory.
const maxErrorPages = 100

// errorPages checks what a listener's own errors look like.
func (v validator) errorPages(p *place, l *Listener) {
	if l.TraceLink != "" && l.ProxyStatus != "append" && !p.key("proxy_status").failed {
		v.errs.add(p.key("trace_link"), `has no effect while proxy_status is %q, as errors tell nothing of the mesh then; set proxy_status to "append", or remove the key`, clip(l.ProxyStatus))
	}
	pages := p.key("error_pages")
	if n := len(l.ErrorPages); n > maxErrorPages {
		v.errs.add(pages, "expected at most %d pages, found %d", maxErrorPages, n)
	}
	for i := range l.ErrorPages {
		v.errorStatuses(pages.item(i).key("statuses"), l.ErrorPages[i].Statuses)
	}
}

// leastMemory is the least memory that a proxy can work with.
const leastMemory = 16 << 20

// overload checks that the proxy has memory to work with.
func (v validator) overload() {
	if n := v.config.Overload.MaxMemoryBytes; n > 0 && n < leastMemory {
		v.errs.add(v.root.key("overload").key("max_memory_bytes"), "expected at least %d bytes, or 0 for the limit of the cgroup or the machine, found %d", leastMemory, n)
	}
}

// clusters checks what spans the keys of clusters.
func (v validator) clusters() {
	all := v.root.key("clusters")
	for _, name := range slices.Sorted(maps.Keys(v.config.Clusters)) {
		c, p := v.config.Clusters[name], all.key(name)
		if p.failed {
			continue
		}
		if c.TLS != nil {
			v.clusterTLS(p.key("tls"), c.TLS)
		}
		v.source(p, name, &c)
		v.balance(p.key("balance"), &c.Balance)
		v.retry(p.key("retry"), c.Retry)
		for i := range c.HealthChecks {
			v.healthCheck(p.key("health_checks").item(i), &c.HealthChecks[i])
		}
	}
}

// listenerTLS checks what spans the keys of a listener's TLS.
func (v validator) listenerTLS(p *place, t *ListenerTLS) {
	v.versions(p, t.MinVersion, t.MaxVersion)
	if len(t.ALPN) == 0 {
		v.errs.add(p.key("alpn"), `must not be empty; expected "h2", "http/1.1" or both: remove the key for both`)
	}
	switch {
	case p.key("client_auth").failed:
	case t.ClientAuth == "none":
		for _, k := range []struct {
			name  string
			given bool
		}{{"client_ca", t.ClientCA != ""}, {"client_san", len(t.ClientSAN) > 0}, {"crl", t.CRL != ""}} {
			if k.given {
				v.errs.add(p.key(k.name), `has no effect while client_auth is "none", as no client is asked for a certificate; `+
					`set client_auth to "request" or "require", or remove the key`)
			}
		}
	case t.ClientCA == "" && !p.key("client_ca").written: // an empty one is reported
		v.errs.add(p.key("client_ca"), "required key is missing with client_auth %q; expected the path of a file "+
			"with the authorities that sign the clients' certificates", clip(t.ClientAuth))
	}
}

// clusterTLS checks what spans the keys of a cluster's TLS.
func (v validator) clusterTLS(p *place, t *ClusterTLS) {
	v.versions(p, t.MinVersion, t.MaxVersion)
	v.pair(p, t.Cert, t.Key)
}

func (v validator) versions(p *place, least, most string) {
	if least == "1.3" && most == "1.2" {
		v.errs.add(p.key("max_version"), "%q is below min_version, which is %q", most, least)
	}
}
