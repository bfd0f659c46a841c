package dns

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/miekg/dns"
)

// Types and modes, as they are written in the configuration.
const (
	TypeA    = "A"
	TypeAAAA = "AAAA"
	TypeSRV  = "SRV"

	ModeStrict  = "strict"
	ModeLogical = "logical"
)

// Options are a Source's settings.
type Options struct {
	// Name is what is looked up: a host, or, with type SRV, a service such as
	// _http._tcp.web.service.consul.
	Name string
	// Port is the endpoints' port. With type SRV it is 0: the answer has the ports.
	Port int
	// Type is TypeA, TypeAAAA or TypeSRV; empty is A and AAAA.
	Type string
	// Mode is ModeStrict or ModeLogical; empty is ModeStrict. In strict mode each address
	// is an endpoint. In logical mode the first address of the newest answer is the only
	// endpoint, an IPv4 address if there is one: for names whose many addresses are all the
	// same service.
	Mode string
	// Resolver is the server to ask, host:port. The name is then absolute, and /etc/hosts
	// and /etc/resolv.conf are not read. Empty is the system's servers.
	Resolver string
	// RefreshRate is how often to look up a name whose answer has no TTL, or a TTL of 0. 0
	// is 5 s.
	RefreshRate time.Duration
	// MinTTL and MaxTTL bound the TTL of an answer. 0 is 1 s and 1 h.
	MinTTL, MaxTTL time.Duration
	// Timeout is how long one lookup may take, with all its servers and questions. 0 is 5
	// s.
	Timeout time.Duration
	// Backoff is the pause between lookups that fail.
	Backoff discovery.Backoff
	// Known is what the name stood for before, nil for unknown. It stays as the last good
	// answer does.
	Known *discovery.Known
}

// New checks the options. It asks nothing yet.
func New(o Options) (*Source, error) {
	if err := o.checkName(); err != nil {
		return nil, err
	}
	switch o.Mode {
	case "", ModeStrict:
	case ModeLogical:
		if o.Type == TypeSRV {
			return nil, errors.New(`mode: "logical" takes the first address of a host and can not be had with type SRV, whose answers name several hosts: write "strict"`)
		}
	default:
		return nil, fmt.Errorf(`mode: expected "strict" or "logical", found %q`, o.Mode)
	}
	if o.Resolver != "" {
		address, err := discovery.ParseAddress(o.Resolver)
		if err != nil {
			return nil, fmt.Errorf("resolver: %w (the port of DNS is 53)", err)
		}
		o.Resolver = address
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		or    time.Duration
	}{
		{"refresh_rate", &o.RefreshRate, 5 * time.Second},
		{"min_ttl", &o.MinTTL, time.Second},
		{"max_ttl", &o.MaxTTL, time.Hour},
		{"timeout", &o.Timeout, 5 * time.Second},
	} {
		if *d.value < 0 {
			return nil, fmt.Errorf("%s: it is more than 0, found %s", d.name, *d.value)
		}
		if *d.value == 0 {
			*d.value = d.or
		}
	}
	if o.MinTTL > o.MaxTTL {
		return nil, fmt.Errorf("min_ttl: it is at most max_ttl, which is %s, found %s", o.MaxTTL, o.MinTTL)
	}
	return &Source{
		options: o, servers: &servers{}, hosts: "/etc/hosts", resolv: "/etc/resolv.conf", port: "53",
		now: time.Now, sleep: discovery.Sleep,
	}, nil
}

// checkName checks what is looked up: name, type and port.
func (o *Options) checkName() error {
	switch o.Type {
	case "", TypeA, TypeAAAA:
		if o.Port < 1 || o.Port > 65535 {
			return fmt.Errorf("port: expected a number from 1 to 65535, found %d", o.Port)
		}
	case TypeSRV:
		if o.Port != 0 {
			return fmt.Errorf("port: with type SRV the answer has the ports: remove it, found %d", o.Port)
		}
	default:
		return fmt.Errorf(`type: expected "A", "AAAA" or "SRV", or nothing for A and AAAA, found %q`, o.Type)
	}
	if o.Name == "" {
		return errors.New("name: it is empty; write the name to look up")
	}
	if ip, err := netip.ParseAddr(o.Name); err == nil {
		if !slices.Contains(o.types(), typeOf(ip)) {
			return fmt.Errorf("name: %s is an address that type %s does not have", o.Name, o.Type)
		}
		return nil
	}
	if strings.Contains(o.Name, ":") {
		return fmt.Errorf("name: expected a name without a port, found %q; the port has a key of its own", o.Name)
	}
	if err := discovery.CheckName(o.Name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	return nil
}

// types are the types of the records that are asked for.
func (o *Options) types() []uint16 {
	switch o.Type {
	case TypeA:
		return []uint16{dns.TypeA}
	case TypeAAAA:
		return []uint16{dns.TypeAAAA}
	case TypeSRV:
		return []uint16{dns.TypeSRV}
	}
	return []uint16{dns.TypeA, dns.TypeAAAA}
}

// typeOf is the type of the record that holds an address.
func typeOf(ip netip.Addr) uint16 {
	if ip.Unmap().Is4() {
		return dns.TypeA
	}
	return dns.TypeAAAA
}
