package dns

import (
	"errors"
	"fmt"
	"math"
	"net/netip"

	"github.com/miekg/dns"
)

// noTTL is the TTL of what has none, longer than any that has one.
const noTTL = math.MaxUint32

// maxChain is how many aliases (CNAME) are followed.
const maxChain = 16

// answer is what a message says in reply to a question.
type answer struct {
	// records are those of the type that was asked for; none is an answer, too.
	records []dns.RR
	// extra are the records that the server added unasked.
	extra []dns.RR
	// missing is true if there is no such name (NXDOMAIN).
	missing bool
	// next is the name that has to be asked for, where the server followed the
	// aliases no further.
	next string
	// ttl is how many seconds the answer is good, be it one of no records.
	ttl uint32
}

// readAnswer reads a message that is the answer to a question. Its error is for
// messages that answer nothing.
func readAnswer(m *dns.Msg, q dns.Question) (answer, error) {
	a := answer{extra: m.Extra, ttl: noTTL}
	name := dns.CanonicalName(q.Name)
	aliases := 0
	for ; ; aliases++ {
		if aliases > maxChain {
			return answer{}, fmt.Errorf("its aliases (CNAME) go on after %d, or in a circle", maxChain)
		}
		alias := ""
		for _, rr := range m.Answer {
			h := rr.Header()
			if h.Class != dns.ClassINET || dns.CanonicalName(h.Name) != name {
				continue
			}
			if h.Rrtype == q.Qtype {
				a.records = append(a.records, rr)
				a.ttl = min(a.ttl, ttlOf(h.Ttl))
			} else if c, ok := rr.(*dns.CNAME); ok && alias == "" {
				alias = dns.CanonicalName(c.Target)
				a.ttl = min(a.ttl, ttlOf(h.Ttl))
			}
		}
		if len(a.records) > 0 {
			return a, nil
		}
		if alias == "" {
			break
		}
		name = alias
	}
	return a, a.readAbsence(m, name, aliases)
}

// readAbsence reads why a message has no records of a name.
func (a *answer) readAbsence(m *dns.Msg, name string, aliases int) error {
	authority := false
	for _, rr := range m.Ns {
		// The negative TTL: RFC 2308, section 5.
		if soa, ok := rr.(*dns.SOA); ok {
			authority = true
			a.ttl = min(a.ttl, ttlOf(soa.Hdr.Ttl), ttlOf(soa.Minttl))
		}
	}
	switch {
	case m.Rcode == dns.RcodeNameError:
		a.missing = true
	case authority:
	case aliases > 0:
		a.next = name
	case !m.Authoritative && (len(m.Ns) > 0 || !m.RecursionAvailable):
		return errors.New("it refers to other servers and does not ask them itself; name a server that does recursion")
	}
	return nil
}

// ttlOf reads a TTL. One of more than 31 bits means 0 (RFC 2181, section 8).
func ttlOf(seconds uint32) uint32 {
	if seconds > math.MaxInt32 {
		return 0
	}
	return seconds
}

// addressesIn lists the addresses in records, in their order.
func addressesIn(records []dns.RR) []netip.Addr {
	var list []netip.Addr
	for _, rr := range records {
		var bytes []byte
		switch rr := rr.(type) {
		case *dns.A:
			bytes = rr.A.To4()
		case *dns.AAAA:
			bytes = rr.AAAA
		}
		if ip, ok := netip.AddrFromSlice(bytes); ok {
			list = append(list, ip.Unmap())
		}
	}
	return list
}
