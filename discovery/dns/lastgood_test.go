package dns

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/miekg/dns"
)

// TestDoubt has lastGood learn one finding after another, each a second after the
// one before and good for two: what is absent is believed when it was said all that
// time.
func TestDoubt(t *testing.T) {
	const host = "web.example."
	find := func(o outcome, missing bool) finding {
		return finding{targets: []target{{host: host, port: 80, weight: 1}}, missing: missing, parts: map[part]outcome{{host, dns.TypeA}: o}}
	}
	there := find(outcome{addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}, false)
	absent, empty := find(outcome{}, true), find(outcome{}, false)
	broken := find(outcome{err: errors.New("SERVFAIL")}, false)
	failure := finding{err: errors.New("SERVFAIL")}
	var known lastGood
	for i, step := range []struct {
		finding   finding
		endpoints int
		missing   bool
		stale     bool
		how       standing
	}{
		{finding: broken, stale: true, how: failed},
		{finding: absent, missing: true, how: doubted}, // nothing is lost by telling it
		{finding: absent, missing: true, how: doubted},
		{finding: absent, missing: true},
		{finding: absent, missing: true},
		{finding: broken, missing: true, stale: true, how: failed},
		{finding: there, endpoints: 1},
		{finding: absent, endpoints: 1, stale: true, how: doubted},
		{finding: there, endpoints: 1},
		{finding: absent, endpoints: 1, stale: true, how: doubted}, // doubted anew
		{finding: absent, endpoints: 1, stale: true, how: doubted},
		{finding: broken, endpoints: 1, stale: true, how: failed},
		{finding: absent, endpoints: 1, stale: true, how: doubted}, // and again
		{finding: failure, endpoints: 1, stale: true, how: failed},
		{finding: absent, endpoints: 1, stale: true, how: doubted},
		{finding: empty, endpoints: 1, stale: true, how: doubted},
		{finding: empty}, // of what kind ever
		{finding: absent, missing: true},
		{finding: there, endpoints: 1},
		{finding: broken, endpoints: 1, stale: true, how: failed},
	} {
		u, how := known.learn(step.finding, time.Unix(int64(i), 0), 2*time.Second)
		if len(u.Endpoints) != step.endpoints || u.Missing != step.missing || (u.Err != nil) != step.stale || how != step.how {
			t.Errorf("step %d: %+v, standing %d; want %+v", i, u, how, step)
		}
		if known.update.Err != nil || i > 0 && u.Endpoints == nil {
			t.Errorf("step %d: %+v, good %+v", i, u, known.update)
		}
	}
}

// TestDoubtOfAPart: one of two families of addresses goes. That is delivered at once, and
// asked again soon. A family that was never there is not doubted.
func TestDoubtOfAPart(t *testing.T) {
	const host = "web.example."
	find := func(v4, v6 string) finding {
		f := finding{targets: []target{{host: host, port: 80, weight: 1}}, parts: map[part]outcome{}}
		for qtype, text := range map[uint16]string{dns.TypeA: v4, dns.TypeAAAA: v6} {
			o := outcome{}
			if text != "" {
				o.addresses = []netip.Addr{netip.MustParseAddr(text)}
			}
			f.parts[part{host, qtype}] = o
		}
		return f
	}
	var known lastGood
	for i, step := range []struct {
		v4, v6    string
		endpoints int
		how       standing
	}{
		{"10.0.0.1", "", 1, settled},
		{"10.0.0.1", "fd00::1", 2, settled},
		{"10.0.0.1", "", 1, doubted},
		{"10.0.0.1", "fd00::1", 2, settled},
		{"", "fd00::1", 1, doubted},
		{"", "fd00::1", 1, doubted},
		{"", "fd00::1", 1, settled},
		{"", "fd00::1", 1, settled},
	} {
		u, how := known.learn(find(step.v4, step.v6), time.Unix(int64(i), 0), 2*time.Second)
		if len(u.Endpoints) != step.endpoints || u.Err != nil || how != step.how {
			t.Errorf("step %d: %+v, standing %d; want %+v", i, u, how, step)
		}
	}
}

// What was known before is kept as the last good answer is; where only a part of a name
// fails, all of it.
func TestKnownBefore(t *testing.T) {
	const host = "web.example."
	before := &discovery.Known{Endpoints: []discovery.Endpoint{{Address: "10.0.0.9:80", Weight: 1}, {Address: "[::9]:80", Weight: 1}}}
	good := outcome{addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}
	broken := outcome{err: errors.New("SERVFAIL")}
	find := func(a, aaaa outcome) finding {
		return finding{
			targets: []target{{host: host, port: 80, weight: 1}},
			parts:   map[part]outcome{{host, dns.TypeA}: a, {host, dns.TypeAAAA}: aaaa},
		}
	}
	for name, tt := range map[string]struct {
		finding   finding
		endpoints int
		stale     bool
	}{
		"nothing answers": {finding{err: errors.New("timeout")}, 2, true},
		"a part answers":  {find(good, broken), 2, true},
		"all is gone":     {find(outcome{}, outcome{}), 2, true},
		"all answers":     {find(good, outcome{}), 1, false},
	} {
		known := newLastGood(&Options{Known: before})
		u, _ := known.learn(tt.finding, time.Unix(1, 0), 2*time.Second)
		if len(u.Endpoints) != tt.endpoints || (u.Err != nil) != tt.stale {
			t.Errorf("%s: %+v, want %d endpoints, stale %t", name, u, tt.endpoints, tt.stale)
		}
	}
}
