package proxytest

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/snapshot"
)

// Proxy is a running proxy, which ends with its test.
type Proxy struct {
	*snapshot.Proxy
	T         testing.TB
	Collector *Collector // of its spans; nil where there is none
	Said      *Log       // the proxy's own log; nil where it is discarded
	path      string     // of the access log
}

// Start runs a proxy in front of an endpoint that shows nothing but its Hops: there is no
// access log and no admin API.
func Start(t testing.TB, endpoint string, change ...func(*Settings)) *Proxy {
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

// StartWithViews runs a proxy of the service "front" in front of an endpoint, all views
// of which can be looked at. It has a collector of its own unless the test configures
// another.
func StartWithViews(t testing.TB, endpoint string, change ...func(*Settings)) *Proxy {
	t.Helper()
	l := &Proxy{T: t, path: filepath.Join(t.TempDir(), "access.log"), Said: &Log{}}
	s := newSettings(endpoint)
	c := s.Config
	c.Service, c.Admin.Address, c.Telemetry.AccessLog.Path = "front", "127.0.0.1:0", l.path
	for _, f := range change {
		f(s)
	}
	s.complete()
	if c.Telemetry.Traces.OTLP == nil && c.Telemetry.Traces.Zipkin == nil {
		l.Collector = startCollector(t, "127.0.0.1:0")
		c.Telemetry.Traces.OTLP = config.NewOTLP(l.Collector.Address)
	}
	l.Proxy = start(t, c, snapshot.Options{Log: slog.New(slog.NewTextHandler(l.Said, nil)), Version: "test", Filters: s.Filters})
	t.Cleanup(l.Stop)
	return l
}

// StartYAML runs a proxy by a configuration in YAML.
func StartYAML(t testing.TB, text string) *Proxy {
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

// StartConfig runs a proxy of a valid configuration.
func StartConfig(t testing.TB, c *config.Config) *Proxy {
	t.Helper()
	p, err := snapshot.Start(c, snapshot.Options{Log: slog.New(slog.DiscardHandler), Level: new(slog.LevelVar)})
	if err != nil {
		t.Fatal(err)
	}
	r := &Proxy{T: t, Proxy: p}
	t.Cleanup(func() { r.CloseWithin(0) })
	return r
}

// start runs the proxy of a configuration that is not valid yet.
func start(t testing.TB, c *config.Config, o snapshot.Options) *snapshot.Proxy {
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

// Ingress is the address of the listener in front of the cluster.
func (p *Proxy) Ingress() string { return p.Addr("ingress").String() }

// Egress is the address of the forward proxy.
func (p *Proxy) Egress() string { return p.Addr("egress").String() }

// Dial connects to the proxy.
func (p *Proxy) Dial() *Peer { return Dial(p.T, p.Ingress()) }

// MustReload reloads, which has to succeed.
func (p *Proxy) MustReload(c *config.Config) snapshot.Changes {
	p.T.Helper()
	changes, err := p.Reload(c)
	if err != nil {
		p.T.Fatal(err)
	}
	return changes
}

// Stop cuts what is left and closes the proxy.
func (p *Proxy) Stop() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = p.Close(ctx) // a test that cares has closed it before
}

// CloseWithin ends the proxy; what is in flight has the given time.
func (p *Proxy) CloseWithin(limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		p.T.Errorf("closing the proxy: %v", err)
	}
}

// BeginClose begins to close a proxy, and returns how to wait for the end.
func (p *Proxy) BeginClose(limit time.Duration) (wait func() time.Duration) {
	start, done := time.Now(), make(chan struct{})
	go func() {
		defer close(done)
		p.CloseWithin(limit)
	}()
	return func() time.Duration {
		p.T.Helper()
		select {
		case <-done:
		case <-time.After(Patience):
			p.T.Fatal("the proxy does not end")
		}
		return time.Since(start)
	}
}

// Log is a log that is kept.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write adds to the log.
func (w *Log) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}

// String is all of the log so far.
func (w *Log) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// Get asks for /row, on a connection of its own.
func Get(l *Proxy) *http.Response { return Ask(l.T, l.Ingress(), RowRequest) }
