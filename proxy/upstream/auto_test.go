package upstream

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/tlsconf"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// newServerTLS is a real server whose ALPN is what offers says at the time.
func newServerTLS(t testing.TB, offers *atomic.Pointer[[]string]) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.EnableHTTP2 = true
	s.TLS = new(tls.Config)
	s.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c := s.TLS.Clone()
		c.NextProtos = *offers.Load()
		return c, nil
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// newGroupTLS trusts the server.
func newGroupTLS(t testing.TB, s *httptest.Server, p Protocol, change func(*Options)) *Group {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	alpn := map[Protocol][]string{Auto: {"h2", "http/1.1"}, HTTP2: {"h2"}, HTTP1: {"http/1.1"}}[p]
	conf, err := tlsconf.NewClient(tlsconf.ClientOptions{Name: "test", CA: ca, SNI: "example.com", ALPN: alpn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conf.Close)
	return newGroup2(t, func(o *Options) {
		o.Protocol, o.TLS = p, conf
		if change != nil {
			change(o)
		}
	})
}

func offering(protocols ...string) *atomic.Pointer[[]string] {
	var p atomic.Pointer[[]string]
	p.Store(&protocols)
	return &p
}

// burst has callers acquire at once, tell their versions, and release.
func (g *Group) burst(t testing.TB, e *Endpoint, n int, want hop.Version) {
	t.Helper()
	var wg, all sync.WaitGroup
	all.Add(n)
	for range n {
		wg.Go(func() {
			s, err := g.Acquire(context.Background(), e, g.shared.Now(), 0, false)
			all.Done()
			if err != nil {
				t.Errorf("acquire: %v", err)
				return
			}
			all.Wait() // so that none uses another's connection
			if s.Version() != want || s.TLS() == nil {
				t.Errorf("version %s, want %s; TLS %v", s.Version(), want, s.TLS())
			}
			roundTrip(t, g, s)
			s.Release(g.shared.Now(), true)
		})
	}
	wg.Wait()
}

// TestAutoHTTP2 shares the connection that ALPN agreed on HTTP/2 for.
func TestAutoHTTP2(t *testing.T) {
	s := newServerTLS(t, offering("h2", "http/1.1"))
	g := newGroupTLS(t, s, Auto, nil)
	g.burst(t, g.Endpoint(s.Listener.Addr().String()), 20, hop.HTTP2)
	if st := g.Stats(); st.Dialled != 1 || st.Reused != 19 {
		t.Errorf("stats %+v", st)
	}
}

// TestAutoHTTP1 has each its own connection where ALPN agreed on HTTP/1.1, or on
// nothing: those who waited for the first one dial then.
func TestAutoHTTP1(t *testing.T) {
	for _, offers := range [][]string{{"http/1.1"}, nil} {
		s := newServerTLS(t, offering(offers...))
		g := newGroupTLS(t, s, Auto, nil)
		g.burst(t, g.Endpoint(s.Listener.Addr().String()), 4, hop.HTTP11)
		if st := g.Stats(); st.Dialled != 4 || st.Idle != 4 {
			t.Errorf("stats %+v", st)
		}
	}
}

// TestAutoOverTime follows an endpoint that is exchanged for one that speaks
// something else: what it spoke last is what is expected of it.
func TestAutoOverTime(t *testing.T) {
	offers := offering("http/1.1")
	s := newServerTLS(t, offers)
	g := newGroupTLS(t, s, Auto, nil)
	e := g.Endpoint(s.Listener.Addr().String())
	forget := func() {
		s.CloseClientConnections()
		eventually(t, "the connections being gone", func() bool {
			g.sweep()
			st := g.Stats()
			return st.Active+st.Idle == 0
		})
	}
	for range 2 {
		offers.Store(&[]string{"http/1.1"})
		g.burst(t, e, 3, hop.HTTP11)
		forget()
		offers.Store(&[]string{"h2"})
		g.burst(t, e, 1, hop.HTTP2) // it finds out
		forget()
		before := g.Stats().Dialled
		g.burst(t, e, 4, hop.HTTP2)
		if n := g.Stats().Dialled - before; n != 1 {
			t.Errorf("%d connections were dialled that all could share", n)
		}
		forget()
	}
	if e.dialling != 0 {
		t.Errorf("%d are being dialled", e.dialling)
	}
}

// TestHTTP2WithoutALPN is told as what it is.
func TestHTTP2WithoutALPN(t *testing.T) {
	for _, offers := range [][]string{{"http/1.1"}, nil} {
		s := newServerTLS(t, offering(offers...))
		g := newGroupTLS(t, s, HTTP2, nil)
		_, err := g.Acquire(context.Background(), g.Endpoint(s.Listener.Addr().String()), g.shared.Now(), 0, false)
		if kindOf(err) != fault.TLSALPN {
			t.Errorf("offered %q: %v", offers, err)
		}
	}
}
