package dns_test

import (
	"testing"

	"github.com/hopscope/hopscope/discovery/dns"
	miekg "github.com/miekg/dns"
)

func FuzzHostAddresses(f *testing.F) {
	for _, s := range []string{"10.0.0.1 web # x", "::1\tweb web.\r\n", "# web", "web", "10.0.0.1", "fe80::1%eth0 a WEB", "1.2.3 web"} {
		f.Add(s, "web")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		for _, ip := range dns.HostAddresses(text, name) {
			if !ip.IsValid() || ip.Is4In6() {
				t.Fatalf("%v", ip)
			}
		}
	})
}

func FuzzReadAnswer(f *testing.F) {
	for _, records := range [][]string{
		{"web.example. 60 A 10.0.0.1"}, {"web.example. 60 CNAME web.example."}, {"web.example. 60 CNAME a.example.", "a.example. 4294967295 AAAA ::1"},
		{"web.example. 60 SRV 1 2 3 ."}, {"example. 60 SOA a. b. 1 2 3 4 5"}, nil,
	} {
		m := new(miekg.Msg).SetQuestion("web.example.", miekg.TypeA)
		m.Response = true
		for _, r := range records {
			rr, err := miekg.NewRR(r)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
			m.Ns = append(m.Ns, rr)
		}
		packet, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packet)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		m := new(miekg.Msg)
		if m.Unpack(packet) != nil {
			return
		}
		for _, qtype := range []uint16{miekg.TypeA, miekg.TypeAAAA, miekg.TypeSRV} {
			q := miekg.Question{Name: "web.example.", Qtype: qtype, Qclass: miekg.ClassINET}
			a, err := dns.ReadAnswer(m, q)
			if err != nil {
				continue
			}
			dns.AddressesIn(a.Records())
			for _, rr := range a.Records() {
				if rr.Header().Rrtype != qtype || a.TTL() > 1<<31-1 {
					t.Fatalf("%v, TTL %d", rr, a.TTL())
				}
			}
		}
	})
}
