package live_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/proxy/snapshot"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// live is a proxy of a cluster that changes, under load.
type live struct {
	*proxytest.Proxy
	load *load
}

// startLive runs a proxy in front of the cluster "web", which is given in YAML, and
// returns when the cluster has n endpoints that are well.
func startLive(t *testing.T, n int, web string) *live {
	t.Helper()
	c, err := config.Parse("live.yaml", []byte(`
service: front
admin: {address: "127.0.0.1:0"}
telemetry: {access_log: {path: "off"}}
listeners: [{name: ingress, address: "`+proxytest.OwnAddress()+`", routes: [{cluster: web}]}]
clusters:
  web: `+web))
	if err != nil {
		t.Fatal(err)
	}
	l := &live{Proxy: &proxytest.Proxy{T: t, Said: &proxytest.Log{}}}
	if l.Proxy.Proxy, err = snapshot.Start(c, snapshot.Options{Log: slog.New(slog.NewTextHandler(l.Said, nil))}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Stop()
		if t.Failed() {
			t.Logf("the proxy's log:\n%s", l.Said)
		}
	})
	l.becomes(fmt.Sprintf("a cluster of %d endpoints", n), func(s cluster.Status) bool { return healthy(s) == n })
	return l
}

// begin begins the load, and returns when it flows.
func (l *live) begin(method string) {
	l.load = startLoad(l.T, l.Ingress(), method)
	proxytest.Eventually(l.T, "the first answers", func() bool { return len(l.load.since(0)) > 200 })
}

// status is the cluster as the admin API shows it.
func (l *live) status() cluster.Status {
	l.T.Helper()
	s, err := l.ask()
	if err != nil {
		l.T.Fatal(err)
	}
	return s
}

// ask is status for goroutines that are not the test's own.
func (l *live) ask() (s cluster.Status, err error) {
	r, err := http.NewRequest("GET", "http://"+l.AdminAddr().String()+"/clusters", nil)
	if err != nil {
		return s, err
	}
	r.Header.Set("Accept", "application/json")
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		return s, err
	}
	defer response.Body.Close()
	var all []cluster.Status
	if err := json.NewDecoder(response.Body).Decode(&all); err != nil || len(all) == 0 {
		return s, fmt.Errorf("/clusters: %s with %d clusters, %w", response.Status, len(all), err)
	}
	return all[0], nil
}

// lookEvery is how often the admin API is asked, which is not to be a load too.
const lookEvery = 20 * time.Millisecond

// becomes waits until the cluster is as wanted.
func (l *live) becomes(what string, wanted func(cluster.Status) bool) {
	l.T.Helper()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	proxytest.Eventually(l.T, what, func() bool {
		<-ticker.C
		return wanted(l.status())
	})
}

// endpoint is what the admin API shows of an endpoint.
func (l *live) endpoint(address string) cluster.EndpointStatus {
	l.T.Helper()
	return endpointOf(l.status(), address)
}

func endpointOf(s cluster.Status, address string) cluster.EndpointStatus {
	for _, e := range s.Endpoints {
		if e.Address == address {
			return e
		}
	}
	return cluster.EndpointStatus{}
}

func healthy(s cluster.Status) (n int) {
	for _, e := range s.Endpoints {
		if e.Health == "healthy" {
			n++
		}
	}
	return n
}

// follows makes a change after which an endpoint is to get requests, and waits for
// the first. It returns how long that took from when the change was answered.
func (l *live) follows(what, address string, change func()) time.Duration {
	l.T.Helper()
	began := l.load.now()
	change()
	answered := l.load.now()
	var first result
	proxytest.Eventually(l.T, what+": requests to "+address, func() bool {
		for _, o := range l.load.since(began) {
			if o.from == address {
				first = o
				return true
			}
		}
		return false
	})
	took := max(first.done-answered, 0)
	l.took(what, took, began)
	return took
}

// leaves makes a change after which an endpoint is to get no more requests, and
// waits until it gets none. It returns when the last was sent, from when the change
// was answered.
func (l *live) leaves(what, address string, change func()) time.Duration {
	l.T.Helper()
	const enough = 300 // requests in a row that others answer
	began := l.load.now()
	change()
	answered := l.load.now()
	last := answered
	proxytest.Eventually(l.T, what+": no requests to "+address, func() bool {
		row := 0
		for _, o := range l.load.since(answered) {
			if row++; o.from == address {
				last, row = max(last, o.sent), 0
			}
		}
		return row >= enough
	})
	l.took(what, last-answered, began)
	return last - answered
}

// took tells how soon traffic followed, beside how late this machine itself was.
func (l *live) took(what string, took, began time.Duration) {
	l.T.Helper()
	l.T.Logf("%s: traffic follows after %s (answers came up to %s late)", what, took.Round(100*time.Microsecond), l.load.lateness(began).Round(time.Millisecond))
}

// faultless ends the load, of which nothing may have failed, as the clients and the
// proxy see it.
func (l *live) faultless() []result {
	l.T.Helper()
	all := l.load.end()
	if failed := l.failures(all); len(failed) > 0 {
		l.T.Errorf("%d of %d requests failed, want 0", len(failed), len(all))
		for _, o := range failed[:min(len(failed), 5)] {
			l.T.Log(l.tell(o))
		}
		l.T.Fatalf("the proxy's own count: %v", l.counts())
	}
	l.counted(map[string]int{"200 ": len(all)})
	return all
}

// counted waits until the proxy's own count of requests is this, by status and flags:
// a client has its response a moment before its request is recorded.
func (l *live) counted(want map[string]int) {
	l.T.Helper()
	var got map[string]int
	defer func() {
		l.T.Helper()
		if l.T.Failed() {
			l.T.Logf("requests by status and flag: %v, want %v", got, want)
		}
	}()
	proxytest.Eventually(l.T, "the proxy counting as the clients do", func() bool {
		got = l.counts()
		return maps.Equal(got, want)
	})
}

// counts is how many requests the proxy has counted, by status and flags.
func (l *live) counts() map[string]int {
	l.T.Helper()
	got := map[string]int{}
	for _, m := range l.Scrape()["hopscope_requests_total"].GetMetric() {
		labels := map[string]string{}
		for _, pair := range m.GetLabel() {
			labels[pair.GetName()] = pair.GetValue()
		}
		if n := int(m.GetCounter().GetValue()); n > 0 {
			got[labels["code"]+" "+labels["flag"]] += n
		}
	}
	return got
}

func (l *live) failures(all []result) []result {
	var failed []result
	for _, o := range all {
		if !o.ok() {
			failed = append(failed, o)
		}
	}
	return failed
}

// record is the Hop of a request that failed.
func (l *live) record(o result) *hop.Hop {
	l.T.Helper()
	l.FlushViews()
	hops := l.Store().Trace(l.load.trace(o.n))
	if len(hops) != 1 {
		return nil
	}
	return hops[0]
}

// tell says all that is known of a request that failed.
func (l *live) tell(o result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "request %d, due at %s, sent at %s, done at %s: status %d, %v", o.n, o.due, o.sent, o.done, o.status, o.err)
	h := l.record(o)
	if h == nil {
		return b.String() + "; the proxy has no Hop of it"
	}
	fmt.Fprintf(&b, "; its Hop: %d %s %s: %s", h.Status, h.Flags, h.Details, h.Failure.Reason)
	for i, a := range h.Attempts {
		fmt.Fprintf(&b, "; attempt %d, from %s to %s at %s (reused: %t): %d %s %s", i+1, a.Start, a.End, a.Endpoint, a.Reused, a.Status, a.Flags, a.Reason)
	}
	return b.String()
}

// watching looks at the cluster all the time until the returned function is called,
// which returns when the last look is over.
func (l *live) watching(look func(cluster.Status)) (stop func()) {
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		ticker := time.NewTicker(lookEvery)
		defer ticker.Stop()
		for {
			if s, err := l.ask(); err != nil {
				l.T.Error(err)
			} else {
				look(s)
			}
			select {
			case <-done:
				return
			case <-ticker.C:
			}
		}
	})
	return sync.OnceFunc(func() {
		close(done)
		running.Wait()
	})
}

// agent is a Consul where the endpoints of the service "web" are registered.
type agent struct {
	*backends.ConsulServer
	t *testing.T
}

func startAgent(t *testing.T, o backends.ConsulOptions) *agent {
	t.Helper()
	return &agent{backends.Consul(t, o), t}
}

// instance is how a backend is registered: with a check that the test sets.
func instance(b *backend) *api.AgentServiceRegistration {
	return &api.AgentServiceRegistration{
		Name: "web", ID: b.address, Address: b.host(), Port: b.port(),
		Check: &api.AgentServiceCheck{TTL: "1h", Status: api.HealthPassing},
	}
}

func (a *agent) add(all ...*backend) {
	a.t.Helper()
	for _, b := range all {
		a.Register(a.t, instance(b))
	}
}

func (a *agent) remove(b *backend) {
	a.t.Helper()
	a.Deregister(a.t, b.address)
}

// weigh gives an endpoint a weight.
func (a *agent) weigh(b *backend, weight int) {
	a.t.Helper()
	r := instance(b)
	r.Weights = &api.AgentWeights{Passing: weight, Warning: 1}
	a.Register(a.t, r)
}

func (a *agent) set(b *backend, status string) {
	a.t.Helper()
	a.SetTTL(a.t, "service:"+b.address, status)
}

// web is the cluster "web" of this Consul, with more of its settings.
func (a *agent) web(more string) string {
	return fmt.Sprintf("{consul: {address: %q, service: web}%s}", a.Address, more)
}
