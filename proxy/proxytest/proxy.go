package proxytest

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/snapshot"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/store"
)

// StartYAML runs a proxy by a configuration in YAML.
func StartYAML(t *testing.T, text string) *Proxy {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte("admin: {address: \"127.0.0.1:0\"}\ntelemetry: {access_log: {path: \"off\"}}\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	l := &Proxy{T: t, Said: &Log{}}
	if l.Proxy, err = snapshot.Start(c, snapshot.Options{Log: slog.New(slog.NewTextHandler(l.Said, nil))}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Stop()
		if t.Failed() {
			t.Logf("the proxy's log:\n%s", l.Said)
		}
	})
	return l
}

// AskHost makes a request of the proxy for a host.
func (l *Proxy) AskHost(host, path string) (status int, body string) {
	l.T.Helper()
	return l.Call("GET", "http://"+l.Ingress()+path, host)
}

// Call makes a request, on a connection of its own.
func (l *Proxy) Call(method, url, host string) (status int, body string) {
	l.T.Helper()
	r, err := http.NewRequestWithContext(l.T.Context(), method, url, nil)
	if err != nil {
		l.T.Fatal(err)
	}
	r.Host = host
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		l.T.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		l.T.Fatal(err)
	}
	return response.StatusCode, string(b)
}

// AwaitAnswer waits until a host is answered in this way.
func (l *Proxy) AwaitAnswer(host, path string, status int, part string) {
	l.T.Helper()
	var got int
	var body string
	Eventually(l.T, fmt.Sprintf("%s%s answering %d %q", host, path, status, part), func() bool {
		got, body = l.AskHost(host, path)
		return got == status && strings.Contains(body, part)
	})
}

// BeginClose begins to close a proxy, and returns how to wait for the end.
func (r *Proxy) BeginClose(limit time.Duration) (wait func() time.Duration) {
	start, done := time.Now(), make(chan struct{})
	go func() {
		defer close(done)
		r.CloseWithin(limit)
	}()
	return func() time.Duration {
		r.T.Helper()
		select {
		case <-done:
		case <-time.After(Patience):
			r.T.Fatal("the proxy does not end")
		}
		return time.Since(start)
	}
}

// AbortOnClose has a client that closes its side count as gone, however soon it does
// so: for tests whose clients are too quick to be told from one that half-closes.
func AbortOnClose(s *Settings) { s.Listener.AbortOnClose = "always" }

// OwnAddress is an address to listen on, on a loopback address that no other test has,
// this process's or another's. A port that one test gives up is soon another's, and
// whoever still connects to it, such as a proxy whose endpoint was killed, would reach a
// stranger, which counts each of its requests.
func OwnAddress() string {
	return fmt.Sprintf("127.%d.%d.%d:0", 1+rand.N(254), rand.N(256), 1+rand.N(254))
}

// HostOf is the host of an address.
func HostOf(t testing.TB, address string) string {
	t.Helper()
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return host
}

// Proxy is a running proxy, which ends with its test.
type Proxy struct {
	*snapshot.Proxy
	T         *testing.T
	Collector *Collector // of its spans; nil where there is none
	Said      *Log       // the proxy's own log; nil where it is discarded
	path      string     // of the access log
}

// Settings is what a test may change of a proxy: a listener "ingress" in front of one
// cluster, "web", and a forward proxy "egress". The route to the cluster comes after
// those that a test adds to the listener.
type Settings struct {
	Listener config.Listener
	Route    config.Route
	Cluster  config.Cluster
	Egress   config.Listener
	Config   *config.Config
	Filters  []filter.Filter // of every listener, before its own
}

// newSettings are those of a proxy without views.
func newSettings(endpoint string) *Settings {
	s := &Settings{
		Listener: config.NewListener("ingress", OwnAddress()), Route: config.NewRoute("web"),
		Cluster: config.NewCluster(endpoint), Egress: config.NewListener("egress", OwnAddress()), Config: config.New(),
	}
	s.Egress.Direction, s.Egress.ForwardProxy = "outbound", config.NewForwardProxy()
	s.Config.Service, s.Config.Admin.Address, s.Config.Telemetry.AccessLog.Path = "web", "off", "off"
	return s
}

// complete puts the configuration together.
func (s *Settings) complete() {
	s.Listener.Routes = append(s.Listener.Routes, s.Route)
	s.Config.Listeners = []config.Listener{s.Listener, s.Egress}
	s.Config.Clusters["web"] = s.Cluster
}

// start runs the proxy of a configuration that is not valid yet.
func start(t *testing.T, c *config.Config, o snapshot.Options) *snapshot.Proxy {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	p, err := snapshot.Start(c, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Start runs a proxy in front of an endpoint that shows nothing but its Hops: there is no
// access log and no admin API.
func Start(t *testing.T, endpoint string, change ...func(*Settings)) *Proxy {
	t.Helper()
	s := newSettings(endpoint)
	for _, f := range change {
		f(s)
	}
	s.complete()
	r := &Proxy{T: t, Proxy: start(t, s.Config, snapshot.Options{Log: slog.New(slog.DiscardHandler), Filters: s.Filters})}
	t.Cleanup(func() { r.CloseWithin(0) })
	return r
}

// CloseWithin ends the proxy; what is in flight has the given time.
func (r *Proxy) CloseWithin(limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := r.Close(ctx); err != nil {
		r.T.Errorf("closing the proxy: %v", err)
	}
}

func (r *Proxy) Ingress() string { return r.Addr("ingress").String() }

func (r *Proxy) Egress() string { return r.Addr("egress").String() }

// Dial connects to the proxy.
func (r *Proxy) Dial() *Peer { return Dial(r.T, r.Ingress()) }

// hops waits until there are n hops of a trace, and returns them in the order
// in which they ended.
func (r *Proxy) hops(trace hop.TraceID, n int) []*hop.Hop {
	r.T.Helper()
	var found []*hop.Hop
	Eventually(r.T, fmt.Sprintf("%d hops of trace %s", n, trace), func() bool {
		r.FlushViews()
		found = r.Store().Trace(trace)
		return len(found) >= n
	})
	if len(found) > n {
		r.T.Fatalf("trace %s has %d hops, want %d", trace, len(found), n)
	}
	return found
}

// Hop is the one hop of a trace.
func (r *Proxy) Hop(trace hop.TraceID) *hop.Hop {
	r.T.Helper()
	return r.hops(trace, 1)[0]
}

// Traces are those that the proxy remembers, the latest first.
func (r *Proxy) Traces() []store.Summary {
	r.FlushViews()
	return r.Store().Traces(store.Query{Limit: 100_000})
}

// LatestHop waits until the proxy remembers n traces, and returns the last one's
// hop: for requests that can't name their trace.
func (r *Proxy) LatestHop(n int) *hop.Hop {
	r.T.Helper()
	var found []store.Summary
	Eventually(r.T, fmt.Sprintf("%d traces", n), func() bool {
		found = r.Traces()
		return len(found) >= n
	})
	if len(found) > n {
		r.T.Fatalf("there are %d traces, want %d", len(found), n)
	}
	return found[0].Root
}

// FlushViews returns when all that was recorded has been observed.
func (r *Proxy) FlushViews() {
	r.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := r.Flush(ctx); err != nil {
		r.T.Fatal(err)
	}
}

// NewTrace returns a trace id and the field that tells the proxy of it.
func NewTrace() (trace hop.TraceID, field string) {
	binary.BigEndian.PutUint64(trace[:], rand.Uint64()|1)
	binary.BigEndian.PutUint64(trace[8:], rand.Uint64())
	return trace, "traceparent: 00-" + trace.String() + "-00f067aa0ba902b7-01\r\n"
}

// NewConfig is a configuration of one listener in front of one cluster, which
// each call makes anew, as reading a file does.
func NewConfig(t testing.TB, endpoint string, change ...func(*config.Config)) *config.Config {
	t.Helper()
	c := config.New()
	c.Service, c.Admin.Address, c.Telemetry.AccessLog.Path = "web", "off", "off"
	l := config.NewListener("ingress", "127.0.0.1:0")
	l.Routes = []config.Route{config.NewRoute("web")}
	c.Listeners = []config.Listener{l}
	c.Clusters["web"] = config.NewCluster(endpoint)
	for _, f := range change {
		f(c)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return c
}

// StartConfig runs a proxy that the test reloads.
func StartConfig(t *testing.T, c *config.Config) *Proxy {
	t.Helper()
	p, err := snapshot.Start(c, snapshot.Options{Log: slog.New(slog.DiscardHandler), Level: new(slog.LevelVar)})
	if err != nil {
		t.Fatal(err)
	}
	r := &Proxy{T: t, Proxy: p}
	t.Cleanup(func() { r.CloseWithin(0) })
	return r
}

func (r *Proxy) MustReload(c *config.Config) snapshot.Changes {
	r.T.Helper()
	changes, err := r.Reload(c)
	if err != nil {
		r.T.Fatal(err)
	}
	return changes
}

func ServiceName(service string) func(*Settings) {
	return func(s *Settings) { s.Config.Service = service }
}

// Get is the plain way to drive a row.
func Get(l *Proxy) *http.Response { return Ask(l.T, l.Ingress(), RowRequest) }

func Allow(client, destination string) config.ForwardAllow {
	return config.ForwardAllow{Clients: []netip.Prefix{netip.MustParsePrefix(client)}, Destinations: []string{destination}}
}
