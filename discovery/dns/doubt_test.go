package dns_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/discovery/dns"
)

// clocked is a source with the test's clock. The wait after each lookup takes no time,
// and the test is told how long it would have been.
type clocked struct {
	t     *testing.T
	now   time.Time
	waits chan time.Duration
	goOn  chan struct{}
	last  discovery.Update
}

func runClocked(t *testing.T, o dns.Options) *clocked {
	t.Helper()
	o.MinTTL, o.MaxTTL, o.RefreshRate, o.Backoff = 0, 0, 0, discovery.Backoff{}
	source, err := dns.New(o)
	must(t, err)
	c := &clocked{t: t, now: time.Unix(0, 0), waits: make(chan time.Duration), goOn: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	source.UseClock(func() time.Time { return c.now }, func(ctx context.Context, d time.Duration) bool {
		select {
		case c.waits <- d:
		case <-ctx.Done():
			return false
		}
		select {
		case <-c.goOn:
			return true
		case <-ctx.Done():
			return false
		}
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		source.Run(ctx, func(u discovery.Update) { c.last = u })
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return c
}

// look waits until a lookup is over, and returns what is known then and how long it
// is until the next. The source stands still until step.
func (c *clocked) look() (discovery.Update, time.Duration) {
	c.t.Helper()
	select {
	case d := <-c.waits:
		return c.last, d
	case <-time.After(patience):
		c.t.Fatal("no lookup")
		return discovery.Update{}, 0
	}
}

// step has the wait be over.
func (c *clocked) step(d time.Duration) {
	c.now = c.now.Add(d)
	c.goOn <- struct{}{}
}

// absences are answers that say, for half a minute, that there are no addresses.
var absences = map[string]string{
	"NXDOMAIN": "NXDOMAIN\nNS example. 3600 SOA ns.example. me.example. 1 2 3 4 30",
	"NODATA":   "NS example. 3600 SOA ns.example. me.example. 1 2 3 4 30",
}

// TestAbsenceIsAskedForAgainSoon: a name is said to have no addresses, once, in an
// answer that is good for half a minute. Its new address is seen within a second.
func TestAbsenceIsAskedForAgainSoon(t *testing.T) {
	const srv = service + " 1 SRV 1 1 80 a.example.\n"
	for kind, absent := range absences {
		for name, tt := range map[string]struct {
			key, before, after string
			change             func(*dns.Options)
		}{
			"A":       {web, "web.example. 1 A 10.0.0.1", "web.example. 1 A 10.0.0.2", func(*dns.Options) {}},
			"AAAA":    {web, "web.example. 1 AAAA ::ffff:10.0.0.1", "web.example. 1 AAAA ::ffff:10.0.0.2", func(o *dns.Options) { o.Type = dns.TypeAAAA }},
			"both":    {web, "web.example. 1 A 10.0.0.1\nweb.example. 1 AAAA fd00::1", "web.example. 1 A 10.0.0.2", func(o *dns.Options) { o.Type = "" }},
			"logical": {web, "web.example. 1 A 10.0.0.1", "web.example. 1 A 10.0.0.2", func(o *dns.Options) { o.Mode = dns.ModeLogical }},
			"alias":   {web, "web.example. 60 CNAME b.example.\nb.example. 1 A 10.0.0.1", "web.example. 60 CNAME b.example.\nb.example. 1 A 10.0.0.2", func(*dns.Options) {}},
			"SRV":     {service, srv + "EXTRA a.example. 1 A 10.0.0.1", srv + "EXTRA a.example. 1 A 10.0.0.2", serviceOf},
		} {
			t.Run(kind+" "+name, func(t *testing.T) {
				t.Parallel()
				s := serve(t, map[string]string{tt.key: tt.before})
				o := fast(s)
				tt.change(&o)
				c := runClocked(t, o)
				u, wait := c.look()
				if len(u.Endpoints) == 0 || u.Err != nil || wait != time.Second {
					t.Fatalf("first %+v, the next after %s", u, wait)
				}
				s.set(tt.key, absent)
				c.step(wait)
				u, wait = c.look()
				if len(u.Endpoints) == 0 || u.Err == nil || !strings.Contains(u.Err.Error(), "until its negative TTL is over") {
					t.Errorf("what was known is not kept, or not said to be stale: %+v", u)
				}
				if wait < time.Second/2 || wait > time.Second {
					t.Errorf("asked again after %s, want about 1s", wait)
				}
				s.set(tt.key, tt.after)
				c.step(wait)
				u, wait = c.look()
				expect(t, u, "10.0.0.2:80")
				if wait != time.Second {
					t.Errorf("asked again after %s, want 1s", wait)
				}
			})
		}
	}
}

func serviceOf(o *dns.Options) {
	o.Name, o.Port, o.Type = "_http._tcp.web.example", 0, dns.TypeSRV
}

// TestAbsenceIsBelieved when it was said for as long as its negative TTL. Until then
// the questions come less and less often; from then on, by the negative TTL.
func TestAbsenceIsBelieved(t *testing.T) {
	for kind, absent := range absences {
		t.Run(kind, func(t *testing.T) {
			s := serve(t, map[string]string{web: "web.example. 1 A 10.0.0.1"})
			c := runClocked(t, fast(s))
			_, wait := c.look()
			s.set(web, absent)
			c.step(wait)
			began, asked := c.now, 0
			for {
				u, wait := c.look()
				passed := c.now.Sub(began)
				if passed >= 30*time.Second {
					if len(u.Endpoints) != 0 || u.Err != nil || u.Missing != (kind == "NXDOMAIN") || wait != 30*time.Second {
						t.Errorf("after %s: %+v, the next after %s", passed, u, wait)
					}
					break
				}
				asked++
				if len(u.Endpoints) != 1 || u.Err == nil {
					t.Fatalf("after %s: %+v", passed, u)
				}
				if wait > 5*time.Second || passed+wait > 30*time.Second {
					t.Errorf("after %s: asked again after %s", passed, wait)
				}
				c.step(wait)
			}
			if asked > 20 {
				t.Errorf("%d questions in half a minute", asked)
			}
			s.set(web, "web.example. 1 A 10.0.0.2")
			c.step(30 * time.Second)
			u, _ := c.look()
			expect(t, u, "10.0.0.2:80")
		})
	}
}

// TestANameThatIsNotThereYet is asked for soon: it may be about to come.
func TestANameThatIsNotThereYet(t *testing.T) {
	s := serve(t, map[string]string{web: absences["NXDOMAIN"]})
	c := runClocked(t, fast(s))
	u, wait := c.look()
	expect(t, u, "missing")
	if wait > time.Second {
		t.Errorf("asked again after %s", wait)
	}
	s.set(web, "web.example. 1 A 10.0.0.1")
	c.step(wait)
	u, _ = c.look()
	expect(t, u, "10.0.0.1:80")
}

// TestAHostOfAServiceThatGoes is left out at once, and looked for again soon,
// whatever the TTLs say.
func TestAHostOfAServiceThatGoes(t *testing.T) {
	s := serve(t, map[string]string{
		service:        "_http._tcp.web.example. 300 SRV 1 1 80 a.example.\n_http._tcp.web.example. 300 SRV 1 1 80 b.example.",
		"a.example. A": "a.example. 1 A 10.0.0.1", "a.example.": absences["NODATA"],
		"b.example. A": "b.example. 300 A 10.0.0.2", "b.example.": absences["NODATA"],
	})
	o := fast(s)
	serviceOf(&o)
	c := runClocked(t, o)
	u, wait := c.look()
	expect(t, u, "10.0.0.1:80", "10.0.0.2:80")
	s.set("a.example. A", absences["NXDOMAIN"])
	c.step(wait)
	u, wait = c.look()
	expect(t, u, "10.0.0.2:80")
	if wait > time.Second {
		t.Errorf("asked again after %s", wait)
	}
	s.set("a.example. A", "a.example. 60 A 10.0.0.3")
	c.step(wait)
	u, wait = c.look()
	expect(t, u, "10.0.0.2:80", "10.0.0.3:80")
	if wait != 30*time.Second {
		t.Errorf("asked again after %s, want the shortest TTL", wait)
	}
}

// TestAServerOfManyMoods is asked about once a second at most, whatever it answers:
// what failed and what is doubted have a pause each that grows.
func TestAServerOfManyMoods(t *testing.T) {
	s := serve(t, map[string]string{web: "web.example. 1 A 10.0.0.1"})
	c := runClocked(t, fast(s))
	_, wait := c.look()
	moods := []string{"SERVFAIL", absences["NXDOMAIN"], "REFUSED", absences["NODATA"]}
	began := c.now
	for i := range 40 {
		s.set(web, moods[i%len(moods)])
		c.step(wait)
		var u discovery.Update
		if u, wait = c.look(); len(u.Endpoints) != 1 || u.Err == nil {
			t.Fatalf("after %s: %+v", c.now.Sub(began), u)
		}
	}
	if passed := c.now.Sub(began); passed < time.Minute {
		t.Errorf("asked 40 times in %s", passed)
	}
}
