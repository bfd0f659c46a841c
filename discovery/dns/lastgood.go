package dns

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/miekg/dns"
)

// lastGood is the last good answer, and decides whether a finding takes its place. It asks
// nobody and has no clock.
type lastGood struct {
	logical bool
	// update is the answer; its Err is nil.
	update discovery.Update
	// held are the addresses in it.
	held map[part][]netip.Addr
	// gone is what had addresses and now is said to have none, with the time
	// from which that is believed. The zero part is the whole name.
	gone map[part]time.Time
}

func newLastGood(o *Options) *lastGood {
	l := &lastGood{logical: o.Mode == ModeLogical}
	if o.Known != nil {
		l.update = discovery.Update{Endpoints: o.Known.Endpoints, Missing: o.Known.Missing}
	}
	return l
}

// standing says how a lookup came out, which decides when the next one is due.
type standing uint8

const (
	settled standing = iota // when its TTL is over
	failed                  // soon, since it failed, at least in part
	doubted                 // soon, since it says that something is gone
)

// learn takes in a finding, which is good for so long from now on. It returns the update to
// deliver, and how the lookup came out.
func (l *lastGood) learn(f finding, now time.Time, good time.Duration) (discovery.Update, standing) {
	if f.err != nil {
		l.gone = nil // doubt starts anew
		return l.stale(f.err), failed
	}
	held := make(map[part][]netip.Addr, len(f.parts))
	absent := []part{}
	var failures []error
	for p, o := range f.parts {
		switch {
		case o.err != nil:
			failures = append(failures, o.err)
			held[p] = l.held[p]
			continue
		case len(o.addresses) == 0:
			absent = append(absent, p)
		}
		held[p] = o.addresses
	}
	if l.held == nil && len(l.update.Endpoints) > 0 && len(failures) > 0 {
		l.gone = nil
		return l.stale(first(failures)), failed // which part of what was known before fails is not known
	}
	endpoints := l.endpoints(f.targets, held)
	if len(endpoints) == 0 && len(failures) == 0 {
		absent = append(absent, part{})
	}
	l.miss(absent, now.Add(good))
	how := settled
	switch {
	case len(failures) > 0:
		how = failed
	case l.doubt(now) > 0:
		how = doubted
	}
	switch {
	case len(endpoints) > 0:
		l.update, l.held = discovery.Update{Endpoints: endpoints}, held
	case how == doubted && len(l.update.Endpoints) > 0:
		return l.stale(whyDoubted(f)), how
	case how != failed:
		l.update, l.held = discovery.Update{Endpoints: []discovery.Endpoint{}, Missing: f.missing}, nil
	}
	if how == failed {
		return l.stale(first(failures)), how
	}
	return l.update, how
}

// miss notes what has no addresses. If it had some before, that is believed from the given
// time on.
func (l *lastGood) miss(absent []part, believed time.Time) {
	gone := make(map[part]time.Time, len(absent))
	for _, p := range absent {
		if before, ok := l.gone[p]; ok {
			gone[p] = before
		} else if p == (part{}) || len(l.held[p]) > 0 {
			gone[p] = believed
		}
	}
	l.gone = gone
}

// doubt is how long until the next disappearance is believed; 0 if there is none to doubt.
func (l *lastGood) doubt(now time.Time) time.Duration {
	least := time.Duration(0)
	for _, believed := range l.gone {
		if left := believed.Sub(now); left > 0 && (least == 0 || left < least) {
			least = left
		}
	}
	return least
}

// whyDoubted says what is not believed yet. It is the same each time.
func whyDoubted(f finding) error {
	what := "the name has no addresses"
	if f.missing {
		what = "there is no such name (NXDOMAIN)"
	}
	return fmt.Errorf("the last answer was that %s: it is believed if the answers are the same until its negative TTL is over", what)
}

// stale is the last good answer, which may be out of date.
func (l *lastGood) stale(err error) discovery.Update {
	update := l.update
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
func (l *lastGood) endpoints(targets []target, held map[part][]netip.Addr) []discovery.Endpoint {
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
	if l.logical && len(list) > 1 {
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
