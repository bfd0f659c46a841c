package config

import (
	"reflect"
	"strings"
)

// stringList is the type of a list of addresses.
var stringList = reflect.TypeFor[[]string]()

// choice is a key of which one alone may be given.
type choice struct {
	name  string
	given bool
}

// oneOf checks that one of the keys is given, or, where none is needed, at most
// one.
func (v validator) oneOf(p *place, needed bool, choices ...choice) {
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
	case len(given) == 0 && needed:
		v.errs.add(p, "expected one of the keys %s", strings.Join(names, ", "))
	case len(given) > 1:
		v.errs.add(p.key(given[1]), "does not go with %s: expected only one of the keys %s", given[0], strings.Join(names, ", "))
	}
}

// source checks where a cluster's endpoints come from.
func (v validator) source(p *place, c *Cluster) {
	if at := p.key("endpoints"); at.written && len(c.Endpoints) == 0 && !at.failed {
		v.missing(at, key{typ: stringList, format: "address"})
		return
	}
	v.oneOf(p, true, choice{"endpoints", len(c.Endpoints) > 0}, choice{"static", len(c.Static) > 0},
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
	if d := c.DNS; d != nil {
		at := p.key("dns")
		switch {
		case d.Port == 0 && d.Type != "srv" && !at.key("port").failed && !at.key("type").failed:
			v.errs.add(at.key("port"), "required key is missing; expected an integer from 1 to 65535, as addresses have no port (only type %q does)", "srv")
		case d.Port != 0 && d.Type == "srv":
			v.errs.add(at.key("port"), "has no effect with type %q, whose records have ports; remove the key", "srv")
		case d.MinTTL > d.MaxTTL:
			v.errs.add(at.key("max_ttl"), "%s is below min_ttl, which is %s", durationText(d.MaxTTL), durationText(d.MinTTL))
		}
	}
}

// consul checks what a cluster asks Consul for.
func (v validator) consul(p *place, c *Consul) {
	v.agent(p, c)
	v.oneOf(p, true, choice{"service", c.Service != ""}, choice{"query", c.Query != ""})
	if c.Query == "" {
		return
	}
	for _, k := range []choice{{"tags", len(c.Tags) > 0}, {"filter", c.Filter != ""}, {"near", c.Near != ""},
		{"failover", len(c.Failover) > 0}, {"mesh_gateway", c.MeshGateway != "none"}} {
		if k.given {
			v.errs.add(p.key(k.name), "has no effect with query: the prepared query has its own; remove the key")
		}
	}
}

// agent checks how a Consul agent is reached.
func (v validator) agent(p *place, c *Consul) {
	if c.Token != "" && c.TokenFile != "" {
		v.errs.add(p.key("token_file"), "does not go with token: expected only one of them")
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

// catalogs checks the top level's Consul, the catalogue and the registration.
func (v validator) catalogs() {
	c := v.config
	at := v.root.key("consul")
	v.agent(at, &c.Consul)
	for _, k := range []choice{{"service", c.Consul.Service != ""}, {"query", c.Consul.Query != ""}, {"tags", len(c.Consul.Tags) > 0},
		{"filter", c.Consul.Filter != ""}, {"failover", len(c.Consul.Failover) > 0}, {"mesh_gateway", c.Consul.MeshGateway != "none"},
		{"near", c.Consul.Near != ""}, {"only_passing", c.Consul.OnlyPassing}} {
		if k.given && !at.key(k.name).failed {
			v.errs.add(at.key(k.name), "says what is asked for, and the top level says which agent is asked; it goes into a cluster's consul")
		}
	}
	if r := c.Register.Consul; r != nil && r.Check != nil {
		v.oneOf(v.root.key("register").key("consul").key("check"), true,
			choice{"http", r.Check.HTTP != ""}, choice{"tcp", r.Check.TCP != ""}, choice{"grpc", r.Check.GRPC != ""})
	}
}

// balance checks what spans the keys of a cluster's balance.
func (v validator) balance(p *place, b *Balance) {
	hashes := b.Policy == "ring_hash" || b.Policy == "maglev"
	switch {
	case p.failed:
		return
	case hashes && len(b.Hash) == 0 && !p.key("hash").failed:
		v.errs.add(p.key("hash"), "required key is missing with policy %q; expected what requests are told apart by, such as [{header: x-user}]", b.Policy)
	case !hashes && len(b.Hash) > 0 && !p.key("policy").failed:
		v.errs.add(p.key("hash"), "has no effect with policy %q; set policy to \"ring_hash\" or \"maglev\", or remove the key", b.Policy)
	}
	for i, h := range b.Hash {
		v.oneOf(p.key("hash").item(i), true, choice{"header", h.Header != ""}, choice{"cookie", h.Cookie != ""},
			choice{"query", h.Query != ""}, choice{"source", h.Source}, choice{"path", h.Path})
	}
	if b.MinRingSize > b.MaxRingSize {
		v.errs.add(p.key("max_ring_size"), "%d is below min_ring_size, which is %d", b.MaxRingSize, b.MinRingSize)
	}
	if !isPrime(b.TableSize) && !p.key("table_size").failed {
		v.errs.add(p.key("table_size"), "expected a prime number, found %d; did you mean %d?", b.TableSize, primeFrom(b.TableSize))
	}
	if b.BoundedLoad != 0 && b.BoundedLoad <= 1 {
		v.errs.add(p.key("bounded_load"), "expected 0 or a number above 1, found %v: every endpoint has to take its average", b.BoundedLoad)
	}
	if b.ZoneAware && v.config.Locality.Zone == "" {
		v.errs.add(p.key("zone_aware"), "has no effect without this proxy's zone; set locality.zone at the top level")
	}
	if s := b.Subsets; s != nil && s.Fallback == "default" && len(s.Default) == 0 {
		v.errs.add(p.key("subsets").key("default"), "required key is missing with fallback \"default\"; expected the metadata of the default subset")
	}
}

// route checks what spans the keys of a route and its cluster.
func (v validator) route(p *place, r *Route) {
	v.retry(p.key("retry"), r.Retry)
	c, ok := v.config.Clusters[r.Cluster]
	if len(r.Subset) == 0 || !ok {
		return
	}
	if c.Balance.Subsets == nil {
		v.errs.add(p.key("subset"), "cluster %q has no subsets: add clusters.%s.balance.subsets, or remove the key", r.Cluster, r.Cluster)
		return
	}
	for _, s := range c.Balance.Subsets.Selectors {
		if sameKeys(s.Keys, r.Subset) {
			return
		}
	}
	v.errs.add(p.key("subset"), "no selector of cluster %q has exactly these keys: add one to clusters.%s.balance.subsets.selectors", r.Cluster, r.Cluster)
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
	for _, k := range []struct {
		on, key string
		given   bool
	}{{"retriable-status-codes", "statuses", len(r.Statuses) > 0}, {"retriable-headers", "headers", len(r.Headers) > 0}} {
		on := false
		for _, word := range r.On {
			on = on || word == k.on
		}
		switch {
		case on && !k.given && !p.key(k.key).failed:
			v.errs.add(p.key(k.key), "required key is missing with %q in on", k.on)
		case !on && k.given:
			v.errs.add(p.key(k.key), "has no effect without %q in on", k.on)
		}
	}
	if b := r.Backoff; b.Base > b.Max {
		v.errs.add(p.key("backoff").key("max"), "%s is below base, which is %s", durationText(b.Max), durationText(b.Base))
	}
}

func isPrime(n int) bool {
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return n > 1
}

// primeFrom is the least prime number that is not below n.
func primeFrom(n int) int {
	for !isPrime(n) {
		n++
	}
	return n
}
