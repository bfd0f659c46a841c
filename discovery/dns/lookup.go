package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"github.com/miekg/dns"
)

// maxAtOnce is how many hosts of a service are asked for at the same time.
const maxAtOnce = 8

// finding is what one lookup found.
type finding struct {
	targets []target
	// parts are the addresses of the targets' hosts, by host and family.
	parts map[part]outcome
	// missing is true if there is no such name.
	missing bool
	ttl     uint32
	// err is why not even the targets are known.
	err error
}

// target is a host and port, with what a service record says about it.
type target struct {
	host                   string
	port, priority, weight int
}

// part is one family of addresses of a host: type A or AAAA.
type part struct {
	host  string
	qtype uint16
}

type outcome struct {
	addresses []netip.Addr
	err       error
}

// reply is an answer, or why there is none.
type reply struct {
	answer
	err error
}

// lookup looks the name up.
func (s *Source) lookup(ctx context.Context) finding {
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	servers, names := []string{s.options.Resolver}, []string{dns.CanonicalName(s.options.Name)}
	if s.options.Resolver == "" {
		var err error
		if servers, names, err = resolvConf(s.resolv, s.port, s.options.Name); err != nil {
			return s.unread(err)
		}
	}
	if s.options.Type == TypeSRV {
		return s.lookupService(ctx, servers, names)
	}
	f := finding{
		targets: []target{{host: s.options.Name, port: s.options.Port, weight: 1}},
		parts:   make(map[part]outcome, 2),
		ttl:     noTTL,
	}
	f.missing = f.add(s.options.Name, s.options.types(), s.lookupHost(ctx, servers, names, s.options.Name, s.options.types()))
	return f
}

// unread is what a lookup finds that could not begin.
func (s *Source) unread(err error) finding {
	if s.options.Type == TypeSRV {
		return finding{err: err, ttl: noTTL, parts: make(map[part]outcome)}
	}
	f := finding{targets: []target{{host: s.options.Name, port: s.options.Port, weight: 1}}, parts: make(map[part]outcome, 2), ttl: noTTL}
	f.add(s.options.Name, s.options.types(), failing(s.options.types(), err))
	return f
}

// failing are the replies without an answer, with the reason.
func failing(types []uint16, err error) []reply {
	replies := make([]reply, len(types))
	for i := range replies {
		replies[i] = reply{answer{ttl: noTTL}, err}
	}
	return replies
}

// add takes over the replies for a host, one for each type, and tells whether
// they say that there is no such host.
func (f *finding) add(host string, types []uint16, replies []reply) (missing bool) {
	missing = true
	for i, r := range replies {
		missing = missing && r.err == nil && r.missing
		if r.err == nil {
			f.ttl = min(f.ttl, r.ttl)
		}
		f.parts[part{host, types[i]}] = outcome{addressesIn(r.records), r.err}
	}
	return missing
}

// lookupHost finds a host's addresses, of this machine's own knowledge or by
// asking for each of the names that it may have. There is a reply for each type.
func (s *Source) lookupHost(ctx context.Context, servers, names []string, host string, types []uint16) []reply {
	var local []netip.Addr
	if ip, err := netip.ParseAddr(host); err == nil {
		local = []netip.Addr{ip.Unmap()}
	} else if s.options.Resolver == "" {
		var err error
		if local, err = localAddresses(s.hosts, host); err != nil {
			return failing(types, err)
		}
	}
	known := false
	replies := make([]reply, len(types))
	for i, qtype := range types {
		replies[i].ttl = noTTL
		for _, ip := range local {
			if typeOf(ip) == qtype {
				known = true
				replies[i].records = append(replies[i].records, recordOf(ip))
			}
		}
	}
	if known {
		return replies
	}
	return s.search(ctx, servers, names, types)
}

// recordOf is the record that an address would stand in.
func recordOf(ip netip.Addr) dns.RR {
	if ip.Is4() {
		return &dns.A{A: ip.AsSlice()}
	}
	return &dns.AAAA{AAAA: ip.AsSlice()}
}

// search asks for one name after the other until one has records. As in
// resolver(3), a name whose servers have tried and failed is passed over, and
// silence ends the search: the next name might be another host.
func (s *Source) search(ctx context.Context, servers, names []string, types []uint16) []reply {
	var absent, failed []reply
	for _, name := range names {
		replies := s.askAll(ctx, servers, name, types)
		found, failures, passed := false, 0, 0
		for _, r := range replies {
			found = found || len(r.records) > 0
			if r.err != nil {
				failures++
				if f, ok := errors.AsType[*failure](r.err); ok && f.servfail() {
					passed++
				}
			}
		}
		switch {
		case found, failures > passed:
			return replies
		case failures > 0:
			failed = replies
		case absent == nil:
			absent = replies
		default:
			for i := range absent {
				absent[i].missing = absent[i].missing && replies[i].missing
				absent[i].ttl = min(absent[i].ttl, replies[i].ttl)
			}
		}
	}
	if failed != nil {
		return failed
	}
	return absent
}

// askAll asks for all types of a name at once.
func (s *Source) askAll(ctx context.Context, servers []string, name string, types []uint16) []reply {
	replies := make([]reply, len(types))
	var group sync.WaitGroup
	for i, qtype := range types {
		group.Go(func() { replies[i].answer, replies[i].err = s.question(ctx, servers, name, qtype) })
	}
	group.Wait()
	return replies
}

// question asks one question, and the further ones that follow from aliases
// which the server has not followed itself.
func (s *Source) question(ctx context.Context, servers []string, name string, qtype uint16) (answer, error) {
	ttl := uint32(noTTL)
	next := name
	for range maxChain {
		a, err := s.servers.ask(ctx, servers, s.options.Timeout, dns.Question{Name: next, Qtype: qtype, Qclass: dns.ClassINET})
		if err != nil {
			return answer{}, err
		}
		ttl = min(ttl, a.ttl)
		a.ttl = ttl
		if a.next == "" {
			return a, nil
		}
		next = a.next
	}
	return answer{}, fmt.Errorf("%s %s: its aliases (CNAME) go on after %d, or in a circle", dns.TypeToString[qtype], name, maxChain)
}

// lookupService finds the hosts of a service and their addresses: those that
// came with the answer, and others by asking.
func (s *Source) lookupService(ctx context.Context, servers, names []string) finding {
	service := s.search(ctx, servers, names, []uint16{dns.TypeSRV})[0]
	f := finding{missing: service.missing, ttl: service.ttl, err: service.err, parts: make(map[part]outcome)}
	for _, rr := range service.records {
		// A target of "." says that there is no such service (RFC 2782).
		if srv, ok := rr.(*dns.SRV); ok && srv.Target != "." && srv.Port != 0 {
			f.targets = append(f.targets, target{
				host: dns.CanonicalName(srv.Target), port: int(srv.Port), priority: int(srv.Priority), weight: max(1, int(srv.Weight)),
			})
		}
	}
	types := []uint16{dns.TypeA, dns.TypeAAAA}
	var group sync.WaitGroup
	var mu sync.Mutex // guards f
	slots := make(chan struct{}, maxAtOnce)
	asked := make(map[string]bool)
	for _, t := range f.targets {
		if asked[t.host] {
			continue
		}
		asked[t.host] = true
		if replies := added(service.extra, t.host, types); replies != nil {
			mu.Lock()
			f.add(t.host, types, replies)
			mu.Unlock()
			continue
		}
		slots <- struct{}{}
		group.Go(func() {
			replies := s.lookupHost(ctx, servers, []string{t.host}, t.host, types)
			mu.Lock()
			f.add(t.host, types, replies)
			mu.Unlock()
			<-slots
		})
	}
	group.Wait()
	return f
}

// added makes replies of the addresses of a host that came with another answer;
// nil if there are none.
func added(extra []dns.RR, host string, types []uint16) []reply {
	replies := make([]reply, len(types))
	found := false
	for i, qtype := range types {
		replies[i].ttl = noTTL
		for _, rr := range extra {
			if h := rr.Header(); h.Rrtype == qtype && h.Class == dns.ClassINET && dns.CanonicalName(h.Name) == host {
				found = true
				replies[i].records = append(replies[i].records, rr)
				replies[i].ttl = min(replies[i].ttl, ttlOf(h.Ttl))
			}
		}
	}
	if !found {
		return nil
	}
	return replies
}
