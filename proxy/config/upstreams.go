package config

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hopscope/hopscope/discovery/strictyaml"
	"github.com/hopscope/hopscope/proxy/header"
)

// choice is one of several mutually exclusive keys.
type choice struct {
	name  string
	given bool
}

// oneOf checks that exactly one of the keys is given.
func (v validator) oneOf(p *place, choices ...choice) {
	var names, given []string
	for _, c := range choices {
		if p.key(c.name).failed {
			return // reported
		}
		names = append(names, c.name)
		if c.given {
			given = append(given, c.name)
		}
	}
	switch {
	case p.failed:
	case len(given) == 0:
		v.errs.add(p, "expected one of the keys %s", strings.Join(names, ", "))
	case len(given) > 1:
		v.errs.add(p.key(given[1]), "does not go with %s: expected only one of the keys %s", given[0], strings.Join(names, ", "))
	}
}

// ordered checks that the value of one key is not above that of another, if both could be
// read.
func ordered[T int | time.Duration](v validator, p *place, low, high string, least, most T) {
	if least <= most || p.key(low).failed || p.key(high).failed {
		return
	}
	text := func(n T) string {
		if d, ok := any(n).(time.Duration); ok {
			return durationText(d)
		}
		return fmt.Sprint(n)
	}
	v.errs.add(p.key(high), "%s is below %s, which is %s", text(most), low, text(least))
}

// source checks where a cluster's endpoints come from.
func (v validator) source(p *place, name string, c *Cluster) {
	for _, list := range []struct {
		name  string
		typ   reflect.Type
		items int
	}{{"endpoints", reflect.TypeFor[[]string](), len(c.Endpoints)}, {"static", reflect.TypeFor[[]StaticEndpoint](), len(c.Static)}} {
		if at := p.key(list.name); at.written && list.items == 0 && !at.failed {
			v.missing(at, key{typ: list.typ, format: "address"})
		}
	}
	if c.Template() && name != "" && name == v.config.Catalog.Like {
		v.unrouted(name)
		return
	}
	v.oneOf(p, choice{"endpoints", len(c.Endpoints) > 0}, choice{"static", len(c.Static) > 0},
		choice{"consul", c.Consul != nil}, choice{"dns", c.DNS != nil}, choice{"file", c.File != nil})
	seen := map[string]int{}
	for i, e := range c.Static {
		if first, ok := seen[e.Address]; ok {
			v.errs.add(p.key("static").item(i).key("address"), "%q is listed twice; it is item %d as well", clip(e.Address), first)
		}
		seen[e.Address] = i
	}
	if c.Consul != nil {
		v.consul(p.key("consul"), c.Consul)
	}
	if c.DNS != nil {
		v.dns(p.key("dns"), c.DNS)
	}
}

// unrouted checks that no route leads to a cluster without endpoints.
func (v validator) unrouted(name string) {
	for i, l := range v.config.Listeners {
		for j, r := range l.Routes {
			if at := r.place(v.root.key("listeners").item(i).key("routes").item(j), name); at != nil {
				v.errs.add(at,
					"cluster %q has no endpoints: it only serves catalog.like; give it one of the keys endpoints, static, consul, dns, file", clip(name))
			}
		}
	}
}

// dns checks what spans the keys of a name to look up.
func (v validator) dns(p *place, d *DNS) {
	const why = `addresses have no port (records of type "srv" have)`
	port := p.key("port")
	switch {
	case p.key("type").failed: // reported
	case d.Type == "srv":
		if d.Port != 0 {
			v.errs.add(port, "has no effect with type %q, whose records have ports; remove the key", d.Type)
		}
	case d.Port != 0 || !slices.Contains([]string{"auto", "a", "aaaa"}, d.Type): // a misspelt type is reported
	case port.line > 0 && !port.written:
		v.errs.add(port, "required key is missing; expected an integer from 1 to 65535: %s", why)
	default:
		v.errs.add(port, "expected an integer from 1 to 65535, found 0: %s", why)
	}
	ordered(v, p, "min_ttl", "max_ttl", d.MinTTL, d.MaxTTL)
}

// consul checks what a cluster asks Consul for.
func (v validator) consul(p *place, c *Consul) {
	v.agent(p, c)
	v.oneOf(p, choice{"service", c.Service != ""}, choice{"query", c.Query != ""})
	if c.Query == "" || c.Service != "" {
		return
	}
	for _, k := range []choice{{"tags", len(c.Tags) > 0}, {"filter", c.Filter != ""}, {"near", c.Near != ""},
		{"failover", len(c.Failover) > 0}} {
		if k.given {
			v.errs.add(p.key(k.name), "has no effect with query: the prepared query has its own; remove the key")
		}
	}
}

// agent checks the settings for reaching a Consul agent.
func (v validator) agent(p *place, c *Consul) {
	if c.Token != "" && c.TokenFile != "" {
		v.errs.add(p.key("token_file"), "does not go with token: expected only one of the keys token, token_file")
	}
	if t := c.TLS; t != nil {
		v.pair(p.key("tls"), t.Cert, t.Key)
	}
}

// pair checks that a certificate and its key are given together.
func (v validator) pair(p *place, cert, private string) {
	switch {
	case cert != "" && private == "" && !p.key("key").written:
		v.errs.add(p.key("key"), "required key is missing with cert; expected the path of a file with the certificate's private key")
	case private != "" && cert == "" && !p.key("cert").written:
		v.errs.add(p.key("cert"), "required key is missing with key; expected the path of a file with the key's certificate")
	}
}

// catalogs checks the top level's Consul, the catalog and the registration.
func (v validator) catalogs() {
	c := v.config
	at := v.root.key("consul")
	v.agent(at, &c.Consul)
	for _, k := range []choice{{"service", c.Consul.Service != ""}, {"query", c.Consul.Query != ""}, {"tags", len(c.Consul.Tags) > 0},
		{"filter", c.Consul.Filter != ""}, {"failover", len(c.Consul.Failover) > 0},
		{"near", c.Consul.Near != ""}, {"only_passing", c.Consul.OnlyPassing}} {
		if k.given && !at.key(k.name).failed {
			v.errs.add(at.key(k.name), "the top level says which agent to ask, not what to ask for; move the key to clusters.NAME.consul")
		}
	}
	v.catalogAuth(v.root.key("catalog").key("auth"))
	if r := c.Register.Consul; r != nil && len(r.Names) > 0 {
		v.registeredNames(v.root.key("register").key("consul").key("names"), r)
	}
	if r := c.Register.Consul; r != nil && r.Check != nil {
		v.oneOf(v.root.key("register").key("consul").key("check"),
			choice{"http", r.Check.HTTP != ""}, choice{"tcp", r.Check.TCP != ""}, choice{"grpc", r.Check.GRPC != ""})
	}
}

// registeredNames checks the services that tags may have this proxy registered as.
func (v validator) registeredNames(at *place, r *RegisterConsul) {
	if !slices.ContainsFunc(v.config.Listeners, func(l Listener) bool { return l.Catalog == "consul" }) {
		v.errs.add(at, `has no effect, as no listener serves the catalog, whose tags ask for it; set catalog: consul of one, or remove the key`)
	}
	own := cmp.Or(r.Name, v.config.Service)
	for i, name := range r.Names {
		if name == own {
			v.errs.add(at.item(i), "%q is the service that is registered anyway; remove it here", clip(name))
		}
	}
}

// balance checks what spans the keys of a cluster's balance.
func (v validator) balance(p *place, b *Balance) {
	hashes := b.Policy == "ring_hash" || b.Policy == "maglev"
	switch {
	case p.failed:
		return
	case hashes && len(b.Hash) == 0 && !p.key("hash").failed:
		v.lacks(p.key("hash"), " with policy "+strconv.Quote(b.Policy), "what requests are told apart by, such as [{header: x-user}]")
	case !hashes && len(b.Hash) > 0 && !p.key("policy").failed:
		v.errs.add(p.key("hash"), "has no effect with policy %q; set policy to \"ring_hash\" or \"maglev\", or remove the key", b.Policy)
	}
	for i, h := range b.Hash {
		v.oneOf(p.key("hash").item(i), choice{"header", h.Header != ""}, choice{"cookie", h.Cookie != ""},
			choice{"query", h.Query != ""}, choice{"source", h.Source}, choice{"path", h.Path})
	}
	ordered(v, p, "min_ring_size", "max_ring_size", b.MinRingSize, b.MaxRingSize)
	if size := p.key("table_size"); !size.failed && b.TableSize >= 2 && b.TableSize <= largestTable && !isPrime(b.TableSize) {
		v.errs.add(p.key("table_size"), "expected a prime number, found %d; did you mean %d?", b.TableSize, primeFrom(b.TableSize))
	}
	if b.BoundedLoad > 0 && b.BoundedLoad <= 1 {
		v.errs.add(p.key("bounded_load"), "expected 0 or a number above 1, found %v: every endpoint has to take its average", b.BoundedLoad)
	}
	if b.ZoneAware && v.config.Locality.Zone == "" && !v.root.key("locality").failed && !v.root.key("locality").key("zone").failed {
		v.errs.add(p.key("zone_aware"), "has no effect without this proxy's zone; set locality.zone at the top level")
	}
	if b.Subsets != nil {
		v.subsets(p.key("subsets"), b.Subsets)
	}
}

// subsets checks what spans the keys of subsets.
func (v validator) subsets(p *place, s *Subsets) {
	at := p.key("default")
	switch {
	case p.key("fallback").failed: // reported
	case s.Fallback == "default" && len(s.Default) == 0:
		v.lacks(at, ` with fallback "default"`, "the metadata of the default subset, such as {version: v1}")
	case s.Fallback != "default" && len(s.Default) > 0:
		v.errs.add(at, "has no effect with fallback %q; set fallback to \"default\", or remove the key", clip(s.Fallback))
	}
}

// healthCheck checks what spans the keys of a health check.
func (v validator) healthCheck(p *place, h *HealthCheck) {
	v.oneOf(p, choice{"http", h.HTTP != nil}, choice{"tcp", h.TCP != nil}, choice{"grpc", h.GRPC != nil})
	if h.HTTP != nil {
		v.fieldNames(p.key("http").key("headers"), h.HTTP.Headers)
		if at := p.key("http").key("statuses"); len(h.HTTP.Statuses) == 0 && !at.failed {
			v.missing(at, key{typ: reflect.TypeFor[[]string](), format: "statuses"})
		}
	}
}

// route checks what spans the keys of a route and its cluster.
func (v validator) route(p *place, r *Route) {
	v.match(p.key("match"), &r.Match)
	v.action(p, r)
	v.rewrite(p.key("rewrite"), r)
	v.internalRedirects(p.key("internal_redirects"), r.InternalRedirects)
	v.mirrors(p.key("mirror"), r)
	v.session(p.key("stateful_session"), r.StatefulSession)
	v.headerChanges(p.key("request_headers"), header.Request, r.RequestHeaders)
	v.headerChanges(p.key("response_headers"), header.Response, r.ResponseHeaders)
	v.retry(p.key("retry"), r.Retry)
	v.policies(p, &r.RoutePolicies)
	v.split(p, r)
	v.guard(p, r)
	v.transcode(p, r)
	v.clusterHeader(p, r)
	if len(r.Subset) == 0 {
		return
	}
	for _, name := range r.Targets() {
		v.subset(p, r, name)
	}
}

// subset checks that a cluster of a route has subsets like the route's.
func (v validator) subset(p *place, r *Route, name string) {
	c, ok := v.config.Clusters[name]
	selectors := v.root.key("clusters").key(name).key("balance").key("subsets").key("selectors")
	if !ok || selectors.broken() {
		return
	}
	if c.Balance.Subsets == nil {
		v.errs.add(p.key("subset"), "cluster %q has no subsets; add %s, with a selector of the keys %s, or remove the key",
			clip(name), selectors.parent.path(), keysText(r.Subset))
		return
	}
	for _, s := range c.Balance.Subsets.Selectors {
		if sameKeys(s.Keys, r.Subset) {
			return
		}
	}
	v.errs.add(p.key("subset"), "no selector of cluster %q has the keys %s and no other; add one to %s",
		clip(name), keysText(r.Subset), selectors.path())
}

// keysText lists the keys of metadata as a file has them.
func keysText(metadata map[string]string) string {
	return clip("[" + strings.Join(slices.Sorted(maps.Keys(metadata)), ", ") + "]")
}

func sameKeys(keys []string, of map[string]string) bool {
	for _, k := range keys {
		if _, ok := of[k]; !ok {
			return false
		}
	}
	return len(keys) == len(of)
}

// retry checks what spans the keys of a retry policy.
func (v validator) retry(p *place, r *Retry) {
	if r == nil || p.failed {
		return
	}
	if on := p.key("on"); len(r.On) == 0 && r.Attempts != 1 && !on.failed {
		for _, k := range keysOf(reflect.TypeFor[Retry]()) {
			if k.name == "on" {
				v.missing(on, k)
			}
		}
	}
	v.retriable(p, r, "retriable-status-codes", "statuses", "statuses such as [429]", len(r.Statuses) > 0)
	v.retriable(p, r, "retriable-headers", "headers", "response fields such as [x-retry]", len(r.Headers) > 0)
	ordered(v, p.key("backoff"), "base", "max", r.Backoff.Base, r.Backoff.Max)
}

// retriable checks that a word in a retry policy's "on" and the key that belongs to it
// are given together.
func (v validator) retriable(p *place, r *Retry, word, name, expected string, given bool) {
	on, near := false, false
	for _, w := range r.On {
		on = on || w == word
		near = near || strictyaml.Nearest(w, []string{word}) != ""
	}
	switch {
	case p.key("on").failed: // reported
	case on && !given:
		v.lacks(p.key(name), fmt.Sprintf(" with %q in on", word), expected)
	case !on && !near && given: // a misspelt word is reported
		v.errs.add(p.key(name), "has no effect without %q in on; add it there, or remove the key", word)
	}
}

// largestTable is the limit of table_size: looking for primes above it takes
// long.
const largestTable = 5_000_011

func isPrime(n int) bool {
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return n > 1
}

// primeFrom returns the smallest prime that is at least n.
func primeFrom(n int) int {
	for !isPrime(n) {
		n++
	}
	return n
}
