package dns

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/hopscope/hopscope/discovery"
	"github.com/miekg/dns"
)

// keeper decides what is believed of the lookups' findings. It asks nobody and
// has no clock.
type keeper struct {
	logical bool
	// good is the last good answer; its Err is nil.
	good discovery.Update
	// held are the addresses in it.
	held map[part][]netip.Addr
	// doubted is true if the last answer was that there are no addresses, and
	// was not believed yet.
	doubted bool
}

func newKeeper(o *Options) *keeper {
	k := &keeper{logical: o.Mode == ModeLogical}
	if o.Known != nil {
		k.good = discovery.Update{Endpoints: o.Known.Endpoints, Missing: o.Known.Missing}
	}
	return k
}

// learn takes a finding in. It returns what is to be told, and whether the
// lookup failed, at least in part, and is to be tried again soon.
func (k *keeper) learn(f finding) (update discovery.Update, failed bool) {
	doubted := k.doubted
	k.doubted = false // a failure in between has it start anew
	if f.err != nil {
		return k.stale(f.err), true
	}
	held := make(map[part][]netip.Addr, len(f.parts))
	var failures []error
	for p, o := range f.parts {
		if o.err != nil {
			failures = append(failures, o.err)
			held[p] = k.held[p]
			continue
		}
		held[p] = o.addresses
	}
	if k.held == nil && len(k.good.Endpoints) > 0 && len(failures) > 0 {
		return k.stale(first(failures)), true // which part of what was known before fails is not known
	}
	endpoints := k.endpoints(f.targets, held)
	if len(endpoints) == 0 {
		return k.learnNone(f, failures, doubted)
	}
	k.good, k.held = discovery.Update{Endpoints: endpoints}, held
	if len(failures) > 0 {
		return k.stale(first(failures)), true
	}
	return k.good, false
}

// learnNone takes in that there are no addresses.
func (k *keeper) learnNone(f finding, failures []error, doubted bool) (update discovery.Update, failed bool) {
	switch {
	case len(failures) > 0:
		return k.stale(first(failures)), true
	case len(k.good.Endpoints) > 0 && !doubted:
		k.doubted = true
		what := "the name has no addresses"
		if f.missing {
			what = "there is no such name (NXDOMAIN)"
		}
		return k.stale(fmt.Errorf("the last answer was that %s: it is believed if the next one says so, too", what)), false
	}
	k.good = discovery.Update{Endpoints: []discovery.Endpoint{}, Missing: f.missing}
	k.held = nil
	return k.good, false
}

// stale is the last good answer, which may be out of date.
func (k *keeper) stale(err error) discovery.Update {
	update := k.good
	update.Err = err
	return update
}

// first picks one of several errors, the same each time, and tells how many
// there are.
func first(list []error) error {
	slices.SortFunc(list, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	if len(list) > 1 {
		return fmt.Errorf("%w (and %d more)", list[0], len(list)-1)
	}
	return list[0]
}

// endpoints are the targets' addresses, without duplicates and in an order that
// depends on nothing else.
func (k *keeper) endpoints(targets []target, held map[part][]netip.Addr) []discovery.Endpoint {
	type address struct {
		netip.AddrPort
		priority, weight int
	}
	var list []address
	for _, t := range targets {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
			for _, ip := range held[part{t.host, qtype}] {
				list = append(list, address{netip.AddrPortFrom(ip, uint16(t.port)), t.priority, t.weight})
			}
		}
	}
	if k.logical && len(list) > 1 {
		list = list[:1]
	}
	// Of an address that is there twice, the first to be used stays.
	slices.SortFunc(list, func(a, b address) int {
		return cmp.Or(a.Compare(b.AddrPort), cmp.Compare(a.priority, b.priority), cmp.Compare(b.weight, a.weight))
	})
	list = slices.CompactFunc(list, func(a, b address) bool { return a.AddrPort == b.AddrPort })
	slices.SortStableFunc(list, func(a, b address) int { return cmp.Compare(a.priority, b.priority) })

	endpoints := make([]discovery.Endpoint, len(list))
	priority := 0
	for i, a := range list {
		if i > 0 && a.priority != list[i-1].priority {
			priority++
		}
		endpoints[i] = discovery.Endpoint{Address: a.String(), Weight: a.weight, Priority: priority}
	}
	return endpoints
}
