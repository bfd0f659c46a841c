package dns

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

// TestDoubt has a keeper learn one finding after another: what is absent is
// believed when it is said twice, with nothing in between.
func TestDoubt(t *testing.T) {
	const host = "web.example."
	find := func(o outcome, missing bool) finding {
		return finding{targets: []target{{host: host, port: 80, weight: 1}}, missing: missing, parts: map[part]outcome{{host, dns.TypeA}: o}}
	}
	there := find(outcome{addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}, false)
	absent, empty := find(outcome{}, true), find(outcome{}, false)
	broken := find(outcome{err: errors.New("SERVFAIL")}, false)
	var k keeper
	for i, step := range []struct {
		finding   finding
		endpoints int
		missing   bool
		stale     bool
		failed    bool
	}{
		{finding: broken, stale: true, failed: true},
		{finding: absent, missing: true}, // nothing is lost by believing it
		{finding: broken, missing: true, stale: true, failed: true},
		{finding: there, endpoints: 1},
		{finding: absent, endpoints: 1, stale: true},
		{finding: there, endpoints: 1},
		{finding: absent, endpoints: 1, stale: true}, // doubted anew
		{finding: broken, endpoints: 1, stale: true, failed: true},
		{finding: absent, endpoints: 1, stale: true}, // and again
		{finding: finding{err: errors.New("SERVFAIL")}, endpoints: 1, stale: true, failed: true},
		{finding: absent, endpoints: 1, stale: true},
		{finding: empty}, // the second answer, of what kind ever
		{finding: absent, missing: true},
		{finding: there, endpoints: 1},
		{finding: broken, endpoints: 1, stale: true, failed: true},
	} {
		u, failed := k.learn(step.finding)
		if len(u.Endpoints) != step.endpoints || u.Missing != step.missing || (u.Err != nil) != step.stale || failed != step.failed {
			t.Errorf("step %d: %+v, failed %t; want %+v", i, u, failed, step)
		}
		if k.good.Err != nil || i > 0 && u.Endpoints == nil {
			t.Errorf("step %d: %+v, good %+v", i, u, k.good)
		}
	}
}
