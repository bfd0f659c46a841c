package dns

import (
	"context"
	"time"

	"github.com/miekg/dns"
)

// UseClock has a Source ask another clock for the time, and wait by it.
func (s *Source) UseClock(now func() time.Time, sleep func(context.Context, time.Duration) bool) {
	s.now, s.sleep = now, sleep
}

// UseFiles has a Source read other files than those of the system.
func (s *Source) UseFiles(hosts, resolv string) { s.hosts, s.resolv = hosts, resolv }

// UsePort has the servers of resolv.conf, which knows none but 53, on another.
func (s *Source) UsePort(port string) { s.port = port }

func (a answer) Records() []dns.RR { return a.records }
func (a answer) TTL() uint32       { return a.ttl }

var (
	HostAddresses  = hostAddresses
	ReadAnswer     = readAnswer
	AddressesIn    = addressesIn
	ResolvConf     = resolvConf
	LocalAddresses = localAddresses
)
