package cluster

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a cluster in a bubble of synctest, where time passes only while all wait.
type rig struct {
	*Cluster
	t    testing.TB
	feed feed
	log  *bytes.Buffer
}

// feed is a source of which the test says what it delivers.
type feed chan discovery.Update

func (f feed) Run(ctx context.Context, deliver func(discovery.Update)) {
	for {
		select {
		case <-ctx.Done():
			deliver(discovery.Update{Err: ctx.Err()}) // as a source may that is careless
			return
		case u := <-f:
			deliver(u)
		}
	}
}

func upstreamOptions() upstream.Options {
	return upstream.Options{
		ConnectTimeout: time.Second, IdleTimeout: time.Minute, MaxIdle: 8,
		Head: http1.Limits{HeadBytes: 8 << 10, Fields: 100},
	}
}

// newFed is a cluster that a feed delivers the endpoints of.
func newFed(t testing.TB, o Options) *rig {
	t.Helper()
	r := &rig{t: t, feed: feed(make(chan discovery.Update)), log: new(bytes.Buffer)}
	o.Source, o.From, o.Upstream = r.feed, "Consul", upstreamOptions()
	o.Limits = Limits{MaxConnections: 8, MaxPending: 8, MaxRequests: 8, MaxRetries: 1}
	o.Log = slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	r.Cluster = New("web", nil, o, netio.NewShared())
	t.Cleanup(r.Close)
	return r
}

// deliver has the source deliver an update, and waits until it has been taken.
func (r *rig) deliver(u discovery.Update) {
	r.feed <- u
	synctest.Wait()
}

// found has the source deliver healthy endpoints.
func (r *rig) found(addresses ...string) { r.deliver(discovery.Update{Endpoints: at(addresses...)}) }

func at(addresses ...string) []discovery.Endpoint {
	var all []discovery.Endpoint
	for _, a := range addresses {
		all = append(all, discovery.Endpoint{Address: a, Weight: 1})
	}
	return all
}

// pass lets time pass.
func (r *rig) pass(d time.Duration) {
	time.Sleep(d) // on the bubble's clock
	synctest.Wait()
}

// logged returns what was logged since it was last called.
func (r *rig) logged() string {
	r.mu.Lock() // which is held by whoever logs
	defer r.mu.Unlock()
	defer r.log.Reset()
	return r.log.String()
}

// wantLog checks that what was logged is one line for each that is wanted, which
// has all of its words.
func (r *rig) wantLog(lines ...[]string) {
	r.t.Helper()
	logged := r.logged()
	got := strings.Split(strings.TrimSpace(logged), "\n")
	if logged == "" {
		got = nil
	}
	if len(got) != len(lines) {
		r.t.Fatalf("%d lines in the log, want %d:\n%s", len(got), len(lines), logged)
	}
	for i, words := range lines {
		for _, word := range words {
			if !strings.Contains(got[i], word) {
				r.t.Errorf("the log says\n\t%s\nwithout %q", got[i], word)
			}
		}
	}
}

// picked is what n picks come to: how often each endpoint, or error, comes.
func (r *rig) picked(n int) map[string]int {
	counts := map[string]int{}
	for i := range n {
		e, err := r.Pick(&balance.Request{Random: uint64(i) * 0x9e3779b97f4a7c15, Now: r.shared.Now()})
		if err != nil {
			counts[err.Error()]++
			continue
		}
		counts[e.Address]++
	}
	return counts
}

// wantPicked checks which endpoints are picked.
func (r *rig) wantPicked(addresses ...string) {
	r.t.Helper()
	got := r.picked(20 * max(len(addresses), 1))
	if len(got) != len(addresses) {
		r.t.Fatalf("picked %v, want %v", got, addresses)
	}
	for _, a := range addresses {
		if got[a] == 0 {
			r.t.Errorf("picked %v, want %v", got, addresses)
		}
	}
}

func (r *rig) endpoint(address string) *Endpoint {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.endpoints[address]
	if e == nil {
		r.t.Fatalf("there is no endpoint %s", address)
	}
	return e
}

// status is the Status of one endpoint.
func (r *rig) status(address string) EndpointStatus {
	r.t.Helper()
	for _, e := range r.Status().Endpoints {
		if e.Address == address {
			return e
		}
	}
	r.t.Fatalf("there is no endpoint %s", address)
	return EndpointStatus{}
}

func (r *rig) isReady() bool {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	select {
	case <-r.ready:
		return true
	default:
		return r.Ready(ctx)
	}
}

// numbered are n addresses.
func numbered(n int) []string {
	addresses := make([]string, n)
	for i := range addresses {
		addresses[i] = fmt.Sprintf("10.%d.%d.%d:8080", i>>16, i>>8&255, i&255)
	}
	return addresses
}
